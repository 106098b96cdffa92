"""The raw archives: zip files whose members are read in place, never unpacked."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cinegan.data.refusal import RefusedError
from cinegan.errors import CineganError

# No member of a cine study comes near this; a zip bomb does.
LARGEST_MEMBER = 512 * 2**20
# Pixels deflate to a half or a quarter, an empty volume to a thousandth: large ones are bombs.
LARGEST_RATIO, LARGE = 100, 32 * 2**20

UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


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


def files_of(archive: zipfile.ZipFile) -> list[str]:
    """Names of an archive's files in byte order, without what systems add on their own."""
    names = sorted(set(archive.namelist()), key=lambda name: name.encode(errors="surrogateescape"))
    return [name for name in names if _is_a_file(name) and not name.startswith("__MACOSX/")]


def read_member(archive: zipfile.ZipFile, member: str, most: int | None = None) -> bytes:
    """Read one member, or its first `most` bytes.

    Raises
    ------
    ValueError
        If it is damaged, encrypted, ambiguous or absurdly large; the message holds no names.
    """
    info = archive.getinfo(member)
    if info.file_size > LARGEST_MEMBER:
        raise RefusedError(f"larger than {LARGEST_MEMBER // 2**20} MiB")
    if info.file_size > max(LARGE, LARGEST_RATIO * info.compress_size):
        raise RefusedError(f"deflated more than {LARGEST_RATIO} times, as zip bombs are")
    if info.flag_bits & 1:
        raise RefusedError("encrypted in the archive")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # zipfile unpacks the other kinds without a limit, whatever size was announced.
        raise RefusedError("neither stored nor deflated in the archive; zip it anew")
    if _has_rivals(archive, info):
        raise RefusedError("one of several different members of the same name")
    try:
        with archive.open(info) as stream:
            # Never more than was announced: `read()` alone would inflate whatever there is.
            return stream.read(info.file_size if most is None else min(most, info.file_size))
    except (*UNREADABLE, OSError) as error:
        if _is_of_the_system(error):
            raise
        raise RefusedError("damaged in the archive") from None


def _is_a_file(name: str) -> bool:
    """Whether this is neither a folder nor hidden."""
    base = name.rpartition("/")[2]
    return base != "" and not base.startswith(".")


def _has_rivals(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether members of the same name differ; which of them is meant, no rule says."""
    if len(archive.filelist) == len(archive.NameToInfo):
        return False
    content = (info.CRC, info.file_size)
    return any(
        (other.CRC, other.file_size) != content
        for other in archive.filelist
        if other.filename == info.filename
    )


def _is_of_the_system(error: Exception) -> bool:
    """Whether the system refused, rather than `seek` a place before the start."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
