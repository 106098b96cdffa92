"""Contours as maps: the share of each pixel that lies in the left ventricle, and what is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from cinegan.data.cohort import Cohort
from cinegan.errors import CineganError

KINDS = ("endo", "epi")  # what is inside the endocardium; inside the epicardium, this included
FINER = 8  # by which a pixel is divided to tell the share of it that lies inside
EDGE = 0.4  # fine pixels by which Pillow fills beyond an outline, all around
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


class Channels(NamedTuple):
    """Maps that stand behind a cycle's phases.

    Attributes
    ----------
    names : list of str
        What each is of, in their order, such as "endo ED" or "epi 7".
    phases : dict of str to list of int
        At which phases a moment ("ED", "ES") was drawn in the real cycles; nothing where the names
        tell the phase.
    """

    names: list[str]
    phases: dict[str, list[int]]


NO_CHANNELS = Channels([], {})


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
    source : str
        As `source_of` tells it.
    """
    slices, *_, phases = cohort.stack(patient).shape
    contours = cohort.contours(patient, source)
    maps = np.zeros((slices, size, size, phases, len(KINDS)), np.uint8)
    known = np.full((slices, phases, len(KINDS)), source == "truth" and bool(contours))
    for contour in contours:
        if contour.kind in KINDS:
            kind = KINDS.index(contour.kind)
            points_px = cohort.in_grey(patient, contour.points_px, size)
            maps[contour.row, :, :, contour.phase, kind] = coverage(points_px, size)
            known[contour.row, contour.phase, kind] = True
    return Labels(maps, known)


def coverage(points_px: np.ndarray, size: int) -> np.ndarray:
    """Share of each pixel inside a contour, (size, size) uint8, 255 being all of it.

    Parameters
    ----------
    points_px : (n, 2) float64
        x and y; whole numbers are the middles of pixels.
    """
    fine = size * FINER
    points = (points_px + 0.5) * FINER  # for Pillow, whole numbers are corners
    # Pillow also fills pixels that the edge touches: drawn a little within, areas are true.
    out = points - points.mean(axis=0)
    points -= EDGE * out / np.maximum(np.hypot(*out.T), 1.0)[:, None]
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


def channels_of(cohort: Cohort, owners: np.ndarray, source: str | None) -> Channels:
    """The maps behind the cycles of some patients, as `joint` gives them.

    Parameters
    ----------
    owners, source
        As in `joint`.
    """
    names = channels(source, cohort.phases)
    if source != "expert":
        return Channels(names, {})
    drawn: dict[str, set[int]] = {moment: set() for _, moment in EXPERT}
    for patient in dict.fromkeys(owners.tolist()):
        for moment, phase in moments_of(cohort, patient).items():
            drawn[moment].add(phase)
    return Channels(names, {moment: sorted(phases) for moment, phases in drawn.items()})


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
            parts.append(_behind(cohort, patient, size, source))
        stacks.append(np.concatenate(parts, axis=-1))
    return np.concatenate(stacks)


def _behind(cohort: Cohort, patient: str, size: int, source: str) -> np.ndarray:
    """One patient's maps in the order of `channels`, (n, size, size, L)."""
    labels = labels_of(cohort, patient, size, source)
    if source == "truth":
        return np.concatenate(np.moveaxis(labels.maps, -1, 0), axis=-1)
    moments = moments_of(cohort, patient)
    made = np.full((len(labels.maps), size, size, len(EXPERT)), UNKNOWN, np.uint8)
    for place, (kind, moment) in enumerate(EXPERT):
        if moment in moments:
            phase, k = moments[moment], KINDS.index(kind)
            drawn = labels.known[:, phase, k]
            made[drawn, ..., place] = labels.maps[drawn, :, :, phase, k]
    return made


def moments_of(cohort: Cohort, patient: str) -> dict[str, int]:
    """Phases at which an expert outlined one patient's heart: "ED", "ES", or one of them, or none.

    End-diastole is where the epicardium is drawn, or else where the endocardium is larger, over the
    slices that are drawn at both.
    """
    areas: dict[int, dict[int, float]] = {}  # of the endocardium, by phase and slice
    epi: dict[int, int] = {}  # slices, by phase
    for contour in cohort.contours(patient, "expert"):
        if contour.kind == "endo":
            areas.setdefault(contour.phase, {})[contour.row] = _area(contour.points_px)
        elif contour.kind == "epi":
            epi[contour.phase] = epi.get(contour.phase, 0) + 1
    if not areas:
        return {}
    common = set.intersection(*(set(rows) for rows in areas.values()))
    size = {phase: sum(rows[row] for row in common) for phase, rows in areas.items()}
    first = max(size, key=lambda phase: (epi.get(phase, 0), size[phase]))
    last = min(size, key=lambda phase: (epi.get(phase, 0) > 0, size[phase]))
    if first != last:
        return {"ED": first, "ES": last}
    return {"ED" if epi.get(first) else "ES": first}


def _area(points: np.ndarray) -> float:
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
