"""Cavities that hearts hardly have: tiny ones, and ones that are no smaller at end-systole."""

from __future__ import annotations

from typing import Any

import numpy as np

from cinegan.data.labels import KINDS
from cinegan.export.classes import CAVITY

# A disc 8 mm across, about as wide as slices are thick; what experts draw is larger.
SMALL_MM2 = 50.0


def cavities_of(classes: np.ndarray, known: np.ndarray, spacing_mm: float) -> dict[str, Any]:
    """Which cycles have such a cavity, so that they can be left out.

    End-diastole is the phase at which both outlines are known, end-systole that at which the
    endocardium alone is. Where all phases have labels, they are the first phase and that of the
    smallest cavity. A cavity of no pixels is none.

    Parameters
    ----------
    classes : (n, H, W, T) uint8
        See `classes_of`.
    known : (n, T, len(KINDS)) bool
    spacing_mm : float

    Returns
    -------
    dict
        `cycles_with_both_moments`, how many; `not_smaller_at_end_systole`, rows of those whose
        cavity is as large as at end-diastole, or larger; `small_mm2`, `SMALL_MM2`; `small`, rows of
        cycles with a cavity of less than that in any frame that has labels.
    """
    endo, epi = (known[..., KINDS.index(kind)] for kind in ("endo", "epi"))  # (n, T)
    areas = np.where(endo, (classes == CAVITY).sum(axis=(1, 2)), 0) * spacing_mm**2  # (n, T)
    if known.all():
        both = areas[:, 0] > 0
        diastole, systole = areas[:, 0], areas.min(axis=1)
    else:
        both = (endo & epi).any(axis=1) & (endo & ~epi).any(axis=1)
        diastole, systole = (np.where(at, areas, 0).sum(axis=1) for at in (endo & epi, endo & ~epi))
    small = ((areas > 0) & (areas < SMALL_MM2)).any(axis=1)
    return {
        "cycles_with_both_moments": int(both.sum()),
        "not_smaller_at_end_systole": np.flatnonzero(both & (systole >= diastole)).tolist(),
        "small_mm2": SMALL_MM2,
        "small": np.flatnonzero(small).tolist(),
    }
