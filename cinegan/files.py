"""Outputs that are whole or absent: atomic files and folders, JSON, hashes, reproducible zips."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cinegan.errors import CineganError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise _naming(path, partial, error) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`; it replaces `path` when the block succeeds."""
    partial, former = (path.with_name(f".{path.name}.{end}") for end in ("partial", "former"))
    for left in (partial, former):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():  # to remove it takes long enough to be killed halfway
            path.replace(former)
        partial.replace(path)
    except OSError as error:
        raise _naming(path, partial, error) from error
    finally:
        if former.exists() and not path.exists():
            former.replace(path)
        for left in (partial, former):
            shutil.rmtree(left, ignore_errors=True)


def _naming(path: Path, partial: Path, error: OSError) -> OSError:
    """Let an error name the output that was asked for rather than its temporary stand-in.

    The system names no file where a write fails, and numpy not even the cause.
    """
    number = errno.ENOSPC if _cut_short(error) else error.errno
    if number is None:
        return error
    where = str(error.filename or path).replace(str(partial), str(path), 1)
    return OSError(number, os.strerror(number), where)


def _cut_short(error: OSError) -> bool:
    """Whether this is numpy's "N requested and M written"."""
    return error.errno is None and " requested and " in str(error)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as stable, diffable JSON; a number that is not finite is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    CineganError
        If it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise CineganError(f"{path}: not whole JSON; `dvc repro` makes it anew") from None


def rounded(value: float, digits: int = 6) -> float | None:
    """`value` to `digits` significant digits for a metrics file; None where it is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_arrays(*arrays: np.ndarray) -> str:
    """Hash the bytes of arrays, one after the other, as a hex digest."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def add_to_zip(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Store `content` as member `name`, undeflated and undated: same content, same bytes."""
    member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.external_attr = 0o644 << 16
    archive.writestr(member, content, compress_type=zipfile.ZIP_STORED)
