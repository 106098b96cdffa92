"""The raw archives: zip files whose members are read in place, never unpacked."""

from __future__ import annotations

import errno
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cinegan.errors import CineganError

# No member of a cine study comes near this; a zip bomb does.
LARGEST_MEMBER = 512 * 2**20

UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def archives_in(folder: Path) -> list[Path]:
    """All zip archives of a folder, in order of name.

    Raises
    ------
    CineganError
        If there is none.
    """
    paths = sorted(folder.glob("*.zip"))
    if not paths:
        raise CineganError(f"{folder}: no zip archives here; `dvc repro download` brings them")
    return paths


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive, or say in one line what is wrong with it.

    Raises
    ------
    CineganError
        If the file is not a whole zip archive.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (*UNREADABLE, OSError) as error:
        if _is_of_the_system(error):
            raise
        raise CineganError(
            f"{path}: not a whole zip archive ({error}); delete it and run `dvc repro -f download`"
        ) from None
    with archive:
        yield archive


def files_of(archive: zipfile.ZipFile) -> Iterator[str]:
    """Names of an archive's files in order, without what systems add on their own."""
    for member in sorted(archive.namelist()):
        base = member.rpartition("/")[2]
        if base and not base.startswith(".") and not member.startswith("__MACOSX/"):
            yield member


def read_member(archive: zipfile.ZipFile, member: str) -> bytes:
    """Read one member.

    Raises
    ------
    ValueError
        If it is damaged, encrypted or absurdly large.
    """
    if archive.getinfo(member).file_size > LARGEST_MEMBER:
        raise ValueError(f"larger than {LARGEST_MEMBER // 2**20} MiB")
    try:
        return archive.read(member)
    except (*UNREADABLE, OSError) as error:
        if _is_of_the_system(error):
            raise
        raise ValueError(f"damaged in the archive ({error})") from None


def _is_of_the_system(error: Exception) -> bool:
    """Whether the system refused, rather than bz2 the data or `seek` a place before the start."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
