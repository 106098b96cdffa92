"""Labelled frames: real ones of patients, synthetic ones of a generator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from cinegan.data.cohort import Cohort
from cinegan.data.labels import EXPERT, KINDS, labels_of
from cinegan.errors import CineganError
from cinegan.files import read_json
from cinegan.sampling import CYCLES, LABEL_NAMES, LABELS

WALL = 3  # pixels, about the thickness of one


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
    maps, known = placed(drawn, read_json(folder / LABEL_NAMES)["channels"], cycles)
    return Frames(cycles, maps, known, np.full(len(cycles), spacing_mm))


def placed(
    drawn: np.ndarray, channels: list[str], cycles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maps at the phases that they belong to.

    Maps of end-diastole and end-systole belong to the phases whose pictures they fit best
    (`phase_of`). A moment whose cavity is empty fits none, and its maps are left out. Where both
    fit one phase, end-diastole stays: its outlines belong together, those of both do not.

    Parameters
    ----------
    drawn : (n, H, W, L) uint8
    channels : list of str
        What each map is of, as `labels.channels` names them.
    cycles : (n, H, W, T) uint8

    Returns
    -------
    maps : (n, H, W, T, len(KINDS)) uint8
    known : (n, T, len(KINDS)) bool
    """
    if channels != [f"{kind} {moment}" for kind, moment in EXPERT]:  # all phases of each kind
        maps = np.stack(np.split(drawn, len(KINDS), axis=-1), axis=-1)
        return maps, np.ones((len(maps), *maps.shape[3:]), bool)
    maps = np.zeros((*cycles.shape, len(KINDS)), np.uint8)
    known = np.zeros((len(cycles), cycles.shape[-1], len(KINDS)), bool)
    for row, cycle in enumerate(cycles):
        taken: set[int] = set()
        for moment in ("ED", "ES"):
            endo = drawn[row, ..., EXPERT.index(("endo", moment))]
            phase = phase_of(endo, cycle)
            if phase is None or phase in taken:
                continue
            taken.add(phase)
            for place, (kind, of) in enumerate(EXPERT):
                if of == moment:
                    maps[row, :, :, phase, KINDS.index(kind)] = drawn[row, ..., place]
                    known[row, phase, KINDS.index(kind)] = True
    return maps, known


def phase_of(map_: np.ndarray, cycle: np.ndarray) -> int | None:
    """The phase whose picture fits a map of the blood pool best: bright inside, dark around it.

    None of an empty map.

    Parameters
    ----------
    map_ : ndarray of uint8, shape (H, W)
    cycle : ndarray of uint8, shape (H, W, T)
    """
    inside = map_ > 127
    around = binary_dilation(inside, iterations=WALL) & ~inside
    if not inside.any() or not around.any():
        return None
    return int((cycle[inside].mean(axis=0) - cycle[around].mean(axis=0)).argmax())
