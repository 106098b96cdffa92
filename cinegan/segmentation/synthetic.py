"""Labelled frames of synthetic cycles: which phase a map belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from cinegan.data.labels import EXPERT, KINDS, Channels
from cinegan.errors import CineganError
from cinegan.files import read_json
from cinegan.sampling import CYCLES, LABELS, RECORD
from cinegan.segmentation.frames import Frames
from cinegan.segmentation.scores import largest

WALL_MM = 7.0  # about the thickness of the heart's


def of_samples(folder: Path, spacing_mm: float) -> Frames:
    """The frames that `sampling.write_samples` left with their labels, each map in one piece.

    Parameters
    ----------
    spacing_mm : float
        Of the pixels: the mean of those that the generator learnt from.

    Raises
    ------
    CineganError
        If there are no samples, or they have no labels, or none that fits a phase.
    """
    if not (folder / CYCLES).exists():
        raise CineganError(f"{folder}: no samples; `dvc repro study` makes them")
    if not (folder / LABELS).exists():
        raise CineganError(
            f"{folder}: samples without labels, which cannot teach; set labels: moments for their "
            "model, on a cohort with contours"
        )
    cycles, drawn, record = (
        np.load(folder / CYCLES),
        np.load(folder / LABELS),
        read_json(folder / RECORD),
    )
    labels = Channels(record["label_channels"], record["label_phases"])
    maps, known = placed(_in_one_piece(drawn), labels, cycles, spacing_mm)
    if not known.any():
        raise CineganError(
            f"{folder}: no outline fits a phase of its own, so these samples cannot teach; train "
            "their model for longer, on a cohort in which the endocardium was drawn"
        )
    return Frames(cycles, maps, known, np.full(len(cycles), spacing_mm))


def placed(
    drawn: np.ndarray, labels: Channels, cycles: np.ndarray, spacing_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Maps at the phases that they belong to.

    Maps of end-diastole and end-systole belong each to the phase whose picture they fit best, of
    those at which the moment was drawn in the real cycles. A moment whose cavity is empty fits
    none, and its maps are left out. Where both fit one phase, end-diastole stays: its outlines
    belong together, those of both do not.

    Parameters
    ----------
    drawn : (n, H, W, L) uint8
    labels : Channels
        What each map is of.
    cycles : (n, H, W, T) uint8

    Returns
    -------
    maps : (n, H, W, T, len(KINDS)) uint8
    known : (n, T, len(KINDS)) bool
    """
    if not labels.phases:  # all phases of each kind
        maps = np.stack(np.split(drawn, len(KINDS), axis=-1), axis=-1)
        return maps, np.ones((len(maps), *maps.shape[3:]), bool)
    maps = np.zeros((*cycles.shape, len(KINDS)), np.uint8)
    known = np.zeros((len(cycles), cycles.shape[-1], len(KINDS)), bool)
    wall = max(1, round(WALL_MM / spacing_mm))
    for row, cycle in enumerate(cycles):
        taken: set[int] = set()
        for moment, phases in labels.phases.items():
            endo = drawn[row, ..., EXPERT.index(("endo", moment))]
            phase = phase_of(endo, cycle, phases, wall)
            if phase is None or phase in taken:
                continue
            taken.add(phase)
            for place, (kind, of) in enumerate(EXPERT):
                if of == moment:
                    maps[row, :, :, phase, KINDS.index(kind)] = drawn[row, ..., place]
                    known[row, phase, KINDS.index(kind)] = True
    return maps, known


def _in_one_piece(drawn: np.ndarray) -> np.ndarray:
    """Maps without islands beside their largest part: a ventricle is one piece."""
    kept = drawn.copy()
    for row, place in np.ndindex(len(drawn), drawn.shape[-1]):
        inside = drawn[row, ..., place] > 127
        kept[row, ..., place][inside & ~largest(inside)] = 0
    return kept


def phase_of(map_: np.ndarray, cycle: np.ndarray, phases: Sequence[int], wall: int) -> int | None:
    """The phase whose picture fits a map of the blood pool best: bright inside, dark around it.

    Of the map, its largest part counts: a ventricle is one piece.

    None of an empty map, or if there are no phases to choose from.

    Parameters
    ----------
    map_ : ndarray of uint8, shape (H, W)
    cycle : ndarray of uint8, shape (H, W, T)
    phases : sequence of int
        To choose from. The picture alone tells end-diastole and end-systole of real hearts but
        within some phases: papillary muscles and flow are dark, too.
    wall : int
        Pixels around the map that are looked at.
    """
    inside = largest(map_ > 127)
    around = binary_dilation(inside, iterations=wall) & ~inside
    if not inside.any() or not around.any() or not phases:
        return None
    chosen = cycle[..., list(phases)]
    fit = chosen[inside].mean(axis=0) - chosen[around].mean(axis=0)
    return int(phases[int(fit.argmax())])
