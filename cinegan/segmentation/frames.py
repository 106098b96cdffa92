"""Labelled frames, and those of patients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cinegan.data.cohort import Cohort
from cinegan.data.labels import labels_of, source_of
from cinegan.errors import CineganError


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


def of_patients(cohort: Cohort, patients: Iterable[str], size: int) -> Frames:
    """The real frames of some patients, with whatever contours the cohort has.

    Raises
    ------
    CineganError
        If nothing of theirs is labelled.
    """
    source = source_of(cohort)
    if source is None:
        raise CineganError(f"{cohort.folder}: no contours")
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
