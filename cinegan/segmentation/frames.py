"""Labelled frames: real ones of patients, synthetic ones of a generator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cinegan.data.cohort import Cohort
from cinegan.data.labels import EXPERT, KINDS, labels_of
from cinegan.errors import CineganError
from cinegan.files import read_json
from cinegan.sampling import CYCLES, LABEL_NAMES, LABELS


@dataclass(frozen=True)
class Frames:
    """Cycles of which the left ventricle is outlined in some frames, or in all.

    Attributes
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)
    maps : ndarray of uint8, shape (n, H, W, T, len(KINDS))
        Share of each pixel that is inside, 255 being all of it.
    known : ndarray of bool, shape (n, T, len(KINDS))
    spacing_mm : ndarray of float64, shape (n,)
        Of the pixels; of synthetic ones, which have none, the mean of those they were learnt from.
    """

    cycles: np.ndarray
    maps: np.ndarray
    known: np.ndarray
    spacing_mm: np.ndarray

    @cached_property
    def places(self) -> np.ndarray:
        """Cycle and phase of each frame of which something is known, (m, 2)."""
        return np.argwhere(self.known.any(axis=-1))


def of_patients(cohort: Cohort, patients: Iterable[str], size: int, source: str) -> Frames:
    """The real frames of some patients.

    Raises
    ------
    CineganError
        If there are no patients, or nothing of theirs is labelled.
    """
    parts, labels, spacings = [], [], []
    for patient in patients:
        parts.append(cohort.grey(patient, size))
        labels.append(labels_of(cohort, patient, size, source))
        side_mm = cohort.spacing_mm(patient)[0] * cohort.stack(patient).shape[1]
        spacings.append(np.full(len(parts[-1]), side_mm / size))
    if not any(each.known.any() for each in labels):
        raise CineganError(f"{cohort.folder}: not one frame of these patients has a contour")
    return Frames(
        np.concatenate(parts),
        np.concatenate([each.maps for each in labels]),
        np.concatenate([each.known for each in labels]),
        np.concatenate(spacings),
    )


def of_samples(folder: Path, spacing_mm: float) -> Frames:
    """The synthetic frames that `sampling.write_samples` left with their labels.

    Of maps at end-diastole and end-systole, as experts draw them, each belongs to the phase whose
    picture it fits best (`phase_of`).

    Raises
    ------
    CineganError
        If the samples have no labels.
    """
    if not (folder / LABELS).exists():
        raise CineganError(
            f"{folder}: samples without labels, which cannot teach; set labels: moments for their "
            "model, on a cohort with contours"
        )
    cycles, drawn = np.load(folder / CYCLES), np.load(folder / LABELS)
    n, size, _, phases = cycles.shape
    maps = np.zeros((n, size, size, phases, len(KINDS)), np.uint8)
    known = np.zeros((n, phases, len(KINDS)), bool)
    if read_json(folder / LABEL_NAMES)["channels"] == [f"{k} {m}" for k, m in EXPERT]:
        for row in range(n):
            moments = {
                moment: phase_of(drawn[row, ..., place], cycles[row])
                for place, (kind, moment) in enumerate(EXPERT)
                if kind == "endo"
            }
            for place, (kind, moment) in enumerate(EXPERT):
                where = moments[moment], KINDS.index(kind)
                maps[row, :, :, where[0], where[1]] = drawn[row, ..., place]
                known[row, where[0], where[1]] = True
    else:
        maps[:] = np.stack(np.split(drawn, len(KINDS), axis=-1), axis=-1)
        known[:] = True
    return Frames(cycles, maps, known, np.full(n, spacing_mm))


def phase_of(map_: np.ndarray, cycle: np.ndarray) -> int:
    """The phase whose picture fits a map of the blood pool best: bright inside, dark around it.

    Parameters
    ----------
    map_ : ndarray of uint8, shape (H, W)
    cycle : ndarray of uint8, shape (H, W, T)
    """
    inside = map_ > 127
    around = _grown(inside) & ~inside
    if not inside.any():
        return 0
    return int((cycle[inside].mean(axis=0) - cycle[around].mean(axis=0)).argmax())


def _grown(inside: np.ndarray) -> np.ndarray:
    """By three pixels, about the thickness of a wall."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(inside, iterations=3))
