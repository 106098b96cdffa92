"""What the segmenters learn from, to look at: augmented frames, and outlines of both kinds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from cinegan.data.labels import KINDS
from cinegan.errors import CineganError
from cinegan.files import atomic_file
from cinegan.imaging.augment import affine, photometric
from cinegan.params import Affine, Photometric
from cinegan.segmentation.frames import Frames

matplotlib.use("Agg")

Picture = tuple[str, NDArray[Any], NDArray[Any]]  # title, (H, W) and its maps (H, W, len(KINDS))

COLOURS = dict(zip(KINDS, ("#ff5050", "#ffd24a"), strict=True))
ENDO = KINDS.index("endo")
HALF = 127.5  # of a map, where its outline is
BENT_MM = 5.0


def draw_outlines(path: Path, sets: Mapping[str, Frames], columns: int = 6) -> None:
    """Draw cycles of each set, drawn by lot, at end-diastole above end-systole, outlined.

    Parameters
    ----------
    sets : mapping of str to Frames
        By what they are called; two rows each.
    columns : int
        At most so many cycles of each.

    Raises
    ------
    CineganError
        If a set has none to draw.
    """
    rows: list[list[Picture]] = []
    for whose, frames in sets.items():
        drawn = np.flatnonzero((frames.known[..., ENDO].sum(axis=1) > 1) & _has_cavity(frames))
        # Not every n-th, which may be the same slice of each patient.
        lot = np.random.default_rng(0).permutation(drawn)[:columns]
        if not len(lot):
            raise CineganError(f"{whose}: no cycle has its cavity outlined at two phases to draw")
        of_both = [_moments(frames, row) for row in lot.tolist()]
        for k, moment in enumerate(("ED", "ES")):
            rows.append([(f"{whose}, {moment}", *each[k]) for each in of_both])
    _draw(path, rows)


def draw_augmentations(
    path: Path, frames: Frames, moves: Affine, looks: Photometric, times: float = 2.0
) -> None:
    """Draw one frame, then with each kind of augmentation at the end of its range, outlined.

    Parameters
    ----------
    frames : Frames
        The one with the largest cavity is shown.
    moves, looks : Affine, Photometric
        The ranges. Bending is shown even where it is left out, at `BENT_MM`.
    times : float
        The ranges shown are so many times as wide.
    """
    areas = np.where(frames.known[..., ENDO], frames.maps[..., ENDO].sum(axis=(1, 2)), 0)
    row, phase = np.unravel_index(areas.argmax(), areas.shape)
    picture = frames.cycles[row, :, :, phase, None].astype(np.float32) / np.float32(255)
    maps = frames.maps[row, :, :, phase].astype(np.float32)
    spacing = float(frames.spacing_mm[row])
    still = Affine(rotation_deg=0, translation_mm=0, scale=0, shear_deg=0, elastic_mm=0)
    plain = Photometric(brightness=0, contrast=0, gamma=0, shading=0, noise=0, blur_mm=0)
    moved: list[Picture] = [("as it is", picture[..., 0], maps)]
    for kind, most in moves.model_dump().items():
        shown_at = BENT_MM if kind == "elastic_mm" and not most else times * most
        only = still.model_copy(update={kind: shown_at})
        one, its_maps = affine([picture, maps], only, spacing, _Ends())
        moved.append((kind.split("_")[0], one[..., 0], its_maps))
    shown: list[Picture] = []
    for kind, most in looks.model_dump().items():
        only_look = plain.model_copy(update={kind: times * most})
        one = photometric(picture, only_look, spacing, _Ends())
        shown.append((kind.split("_")[0], one[..., 0], maps))
    _draw(path, [moved, shown])


class _Ends(np.random.Generator):
    """Draws the upper end of every uniform range."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return np.full(size, high)


def _has_cavity(frames: Frames) -> NDArray[np.bool_]:
    return np.asarray((frames.maps[..., ENDO] > 127).any(axis=(1, 2, 3)))


def _moments(frames: Frames, row: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """One cycle's frames of the largest and the smallest cavity with what is known of them."""
    known = np.flatnonzero(frames.known[row, :, ENDO])
    areas = frames.maps[row, :, :, known, ENDO].sum(axis=(1, 2), dtype=np.int64)
    phases = known[areas.argmax()], known[areas.argmin()]
    return [
        (frames.cycles[row, :, :, t], frames.maps[row, :, :, t] * frames.known[row, t])
        for t in phases
    ]


def _draw(path: Path, rows: list[list[Picture]]) -> None:
    from matplotlib import pyplot

    count = max(map(len, rows))
    figure, axes = pyplot.subplots(
        len(rows),
        count,
        figsize=(1.6 * count, 1.75 * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    for of_row, pictures in zip(axes, rows, strict=True):
        for place in of_row:
            place.set_axis_off()
        for place, (title, picture, maps) in zip(of_row, pictures, strict=False):
            place.imshow(picture, cmap="gray", vmin=0, vmax=255 if picture.dtype == np.uint8 else 1)
            place.set_title(title, fontsize=8)
            for k, kind in enumerate(KINDS):
                if maps[..., k].max() > HALF > maps[..., k].min():
                    place.contour(maps[..., k], [HALF], colors=COLOURS[kind], linewidths=1)
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
