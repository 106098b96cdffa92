"""The disk that the data of a run will take, before it is fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

from cinegan.errors import CineganError
from cinegan.params import Data
from cinegan.workspace import main_checkout

GB = 1e9
# The whole published cohort: five image archives of about 435 MB, and 530 slices of 20 phases.
SUNNYBROOK_ARCHIVES = 2.2 * GB
SUNNYBROOK_SLICES = 530
FRAME_BYTES = 256 * 256 * 2
# Archives and cycles each stand in the workspace and in DVC's cache.
COPIES = 2


def disk_bytes(data: Data) -> float:
    """Disk that the data of a run will take, in bytes."""
    frames = float(SUNNYBROOK_SLICES * data.phases)
    raw: float
    match data.source:
        case "phantom":
            phantom = data.phantom
            frames = 4 * phantom.patients_per_group * phantom.slices * data.phases
            raw = frames * phantom.size**2 * 2
            return COPIES * (raw + frames * phantom.size**2 * 2)
        case "sunnybrook" if data.mirror is None or "://" in data.mirror:
            raw = SUNNYBROOK_ARCHIVES
        case "sunnybrook":
            raw = _size_of(main_checkout() / str(data.mirror))
        case _:
            raw = _size_of(main_checkout() / data.folder)
    # Frames are stored in the archives compressed or not: never more frames than the bytes allow.
    return COPIES * (raw + min(frames * FRAME_BYTES, 3 * raw))


def check_disk(needed: float, where: Path) -> None:
    """Print what is needed and what is free; refuse a run that cannot fit.

    Raises
    ------
    CineganError
        If less is free than needed.
    """
    needed = max(0.0, needed - COPIES * _size_of(where))  # what is here already takes no more
    existing = next(p for p in [where.resolve(), *where.resolve().parents] if p.exists())
    free = shutil.disk_usage(existing).free
    print(f"data will take about {needed / GB:.2g} GB of disk; {free / GB:.3g} GB are free")
    if free < needed:
        raise CineganError(
            f"{where}: about {needed / GB:.2g} GB are needed and {free / GB:.2g} GB are free; "
            "free some space, or choose a smaller source"
        )


def _size_of(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
