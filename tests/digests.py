"""One number for all that a folder holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cinegan.files import sha256


def sha256_of_folder(folder: Path) -> str:
    """SHA-256 over the relative names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    return digest.hexdigest()
