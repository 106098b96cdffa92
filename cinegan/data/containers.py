"""What studies come in: zip archives and folders of loose files, all read in place."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from cinegan.data.archives import LARGEST_MEMBER, files_of, open_archive, read_member
from cinegan.data.refusal import RefusedError
from cinegan.errors import CineganError

MOST_OPEN = 32  # archives; the system lets a process hold a thousand files


class Container(Protocol):
    """Something that holds files.

    Attributes
    ----------
    name : str
        How the index names it: the archive's path below the folder; empty for the folder itself.
    """

    name: str

    def files(self) -> list[str]:
        """Names of all files, in byte order, without what systems add on their own."""
        ...

    def read(self, file: str, most: int | None = None) -> bytes:
        """A file's content, or its first `most` bytes; ValueError if damaged or absurdly large."""
        ...


class Archive:
    """A zip archive; its members are never unpacked to disk."""

    def __init__(self, name: str, opened: Callable[[], zipfile.ZipFile]) -> None:
        self.name = name
        self._opened = opened

    def files(self) -> list[str]:
        """Names of all members, in byte order."""
        return files_of(self._opened())

    def read(self, file: str, most: int | None = None) -> bytes:
        """A member's content, or its first `most` bytes."""
        return read_member(self._opened(), file, most)


class Folder:
    """A folder's loose files, or one of them, archives aside."""

    name = ""

    def __init__(self, path: Path, names: list[str]) -> None:
        self._path = path
        self._names = [name for name in names if not _is_archive(name)]

    def files(self) -> list[str]:
        """Names of all these files."""
        return self._names

    def read(self, file: str, most: int | None = None) -> bytes:
        """A file's content, or its first `most` bytes."""
        path = self._path / file
        if most is None and path.stat().st_size > LARGEST_MEMBER:
            raise RefusedError(f"larger than {LARGEST_MEMBER // 2**20} MiB")
        with path.open("rb") as stream:
            return stream.read(most)


@contextmanager
def open_containers(
    source: Path, on_damage: Callable[[str, Exception], None] | None = None
) -> Iterator[dict[str, Container]]:
    """Every zip archive below a folder, and the folder itself if it has loose files, by name.

    Parameters
    ----------
    source : Path
        The folder, or a single archive or image file.
    on_damage : callable, optional
        Told of an archive (its path below the folder) that is not whole or cannot be read, which
        is then left out; None: that is an error.

    Raises
    ------
    CineganError
        If there is no such folder, if it is empty, or if an archive is not whole.
    """
    if not source.exists():
        raise CineganError(f"{source}: not a folder or file; name the one that holds the studies")
    single = not source.is_dir()
    folder = source.parent if single else source
    names = [source.name] if single else files_below(source)
    if not names:
        raise CineganError(f"{folder}: no studies here; `dvc repro download` brings them")
    # Archives that were not used for long are closed as the cache lets go of them.
    opened = lru_cache(MOST_OPEN)(zipfile.ZipFile)
    found: dict[str, Container] = {}
    for name in filter(_is_archive, names):
        try:
            with open_archive(folder / name):
                found[name] = Archive(name, partial(opened, folder / name))
        except (CineganError, OSError) as error:
            if on_damage is None:
                raise
            on_damage(name, error)
    if not all(map(_is_archive, names)):
        found[Folder.name] = Folder(folder, names)
    try:
        yield found
    finally:
        opened.cache_clear()


def files_below(folder: Path) -> list[str]:
    """Paths of all files below a folder, from there, in byte order, hidden ones aside.

    Links to files are followed, links to folders are not. The same list, in the same order:
    `cd FOLDER; find . -xtype f -not -path '*/.*' | LC_ALL=C sort`.

    Raises
    ------
    OSError
        If a folder cannot be read.
    """
    found = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        found += [path.relative_to(folder).as_posix() for path in paths if path.is_file()]
    return sorted(found, key=os.fsencode)


def _raise(error: OSError) -> None:
    raise error


def _is_archive(name: str) -> bool:
    return name.lower().endswith(".zip")
