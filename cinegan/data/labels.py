"""Contours as maps: the share of each pixel that lies in the left ventricle, and what is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from cinegan.data.cohort import Cohort, PlacedContour
from cinegan.errors import CineganError

KINDS = ("endo", "epi")  # what is inside the endocardium; inside the epicardium, this included
WITHIN = 0.4  # fine pixels
FINER = 8  # by which a pixel is divided to tell the share of it that lies inside
# What an expert draws: (kind, at end-diastole or end-systole).
EXPERT = (("endo", "ED"), ("endo", "ES"), ("epi", "ED"))
UNKNOWN = 128  # of a map that nobody drew; no map that somebody drew is that all over


@dataclass(frozen=True)
class Labels:
    """The left ventricle in a stack of cycles.

    Attributes
    ----------
    maps : ndarray of uint8, shape (n, size, size, T, len(KINDS))
        From 0, outside, to 255, wholly inside.
    known : ndarray of bool, shape (n, T, len(KINDS))
        Whether somebody said where the contour is, or that there is none. A slice without an
        expert's contour is unknown, not empty; a phantom's truth knows all.
    """

    maps: np.ndarray
    known: np.ndarray


def source_of(cohort: Cohort) -> str | None:
    """Whose contours a cohort has: "truth", a phantom's; "expert"; or None, nobody's."""
    for source in ("truth", "expert"):
        if any(cohort.contours(patient, source) for patient in cohort.patients):
            return source
    return None


def source_for(cohort: Cohort, asked: str) -> str | None:
    """Whose contours a model learns to make beside its cycles.

    Parameters
    ----------
    asked : str
        "none"; "moments", what an expert draws, None where no expert drew any; "phases", a
        phantom's truth.

    Raises
    ------
    CineganError
        If all phases are asked for and there is no truth.
    """
    if asked == "none":
        return None
    source = {"moments": "expert", "phases": "truth"}[asked]
    if any(cohort.contours(patient, source) for patient in cohort.patients):
        return source
    if asked == "phases":
        raise CineganError(
            f"{cohort.folder}: contours of all phases are known of a phantom only; set labels: "
            "moments"
        )
    return None


def labels_of(cohort: Cohort, patient: str, size: int, source: str) -> Labels:
    """One patient's labels, beside `cohort.grey(patient, size)`.

    Parameters
    ----------
    cohort : Cohort
        Of square frames, such as those of data/ventricles.
    source : str
        As `source_of` tells it.
    """
    slices, side, _, phases = cohort.stack(patient).shape
    maps = np.zeros((slices, size, size, phases, len(KINDS)), np.uint8)
    known = np.full((slices, phases, len(KINDS)), source == "truth")
    for contour in cohort.contours(patient, source):
        if contour.kind in KINDS:
            kind = KINDS.index(contour.kind)
            maps[contour.row, :, :, contour.phase, kind] = coverage(contour, side, size)
            known[contour.row, contour.phase, kind] = True
    return Labels(maps, known)


def coverage(contour: PlacedContour, side: int, size: int) -> np.ndarray:
    """Share of each pixel inside a contour, (size, size) uint8, 255 being all of it.

    Parameters
    ----------
    side : int
        Pixels per side of the frames that the contour was placed in.
    """
    fine = size * FINER
    # The corner of the first pixel has the coordinate 0 for Pillow, its middle for contours.
    points = (contour.points_px + 0.5) * (fine / side)
    # Pillow also fills pixels that the edge touches: drawn a little within, areas are true.
    out = points - points.mean(axis=0)
    points -= WITHIN * out / np.maximum(np.hypot(*out.T), 1.0)[:, None]
    picture = Image.new("L", (fine, fine))
    ImageDraw.Draw(picture).polygon([(x, y) for x, y in points.tolist()], fill=255)
    return np.asarray(picture.reduce(FINER))


def channels(source: str | None, phases: int) -> list[str]:
    """Names of the maps that stand behind a cycle's phases, in their order.

    Parameters
    ----------
    source : str or None
        Of a phantom's truth all phases of each kind; of an expert what `EXPERT` says; of None
        nothing.
    """
    if source is None:
        return []
    if source == "truth":
        return [f"{kind} {phase}" for kind in KINDS for phase in range(phases)]
    return [f"{kind} {moment}" for kind, moment in EXPERT]


def joint(cohort: Cohort, owners: np.ndarray, size: int, source: str | None) -> np.ndarray:
    """Cycles of some patients with their maps as further channels.

    Parameters
    ----------
    owners : (n,) str
        The patient of each cycle, as `cohort.patient_of_each` or `cohort.cycles_of` gives them.
    source : str or None
        As in `channels`.

    Returns
    -------
    (n, size, size, T + len(channels(source, T))) uint8
        A map that is not known is `UNKNOWN` all over.
    """
    stacks = []
    for patient in dict.fromkeys(owners.tolist()):
        parts = [cohort.grey(patient, size)]
        if source is not None:
            parts.append(_channels_of(labels_of(cohort, patient, size, source), source))
        stacks.append(np.concatenate(parts, axis=-1))
    return np.concatenate(stacks)


def _channels_of(labels: Labels, source: str) -> np.ndarray:
    """Maps in the order of `channels`, (n, size, size, L)."""
    if source == "truth":
        return np.concatenate(np.moveaxis(labels.maps, -1, 0), axis=-1)
    n, size = labels.maps.shape[:2]
    made = np.full((n, size, size, len(EXPERT)), UNKNOWN, np.uint8)
    for row in range(n):
        moments = moments_of(labels, row)
        for place, (kind, moment) in enumerate(EXPERT):
            phase, k = moments.get(moment), KINDS.index(kind)
            if phase is not None and labels.known[row, phase, k]:
                made[row, ..., place] = labels.maps[row, :, :, phase, k]
    return made


def moments_of(labels: Labels, row: int) -> dict[str, int]:
    """Phases of end-diastole, the endocardium's largest area that is known, and end-systole."""
    endo = KINDS.index("endo")
    phases = np.flatnonzero(labels.known[row, :, endo])
    areas = labels.maps[row, :, :, phases, endo].sum(axis=(1, 2), dtype=np.int64)
    if not len(phases):
        return {}
    if len(phases) == 1:  # an epicardium beside it is drawn at end-diastole
        return {"ED" if labels.known[row, phases[0]].all() else "ES": int(phases[0])}
    return {"ED": int(phases[areas.argmax()]), "ES": int(phases[areas.argmin()])}
