"""A short-axis study: a stack of cine images from base to apex, with its contours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cinegan.data.phantom.arrays import Floats
from cinegan.data.phantom.cohort import Patient
from cinegan.data.phantom.heart import outlines
from cinegan.data.phantom.scan import Plane
from cinegan.data.phantom.stack import plan_stack
from cinegan.data.phantom.subject import Subject, lie_down, scan_cine
from cinegan.errors import CineganError

Contours = list[list[Floats | None]]  # by slice and phase


@dataclass(frozen=True)
class Study:
    """A short-axis cine stack with its truth.

    Parameters
    ----------
    patient
        Whom it shows.
    images : (slices, phases, H, W) int16
        From base to apex; phase 0 is end-diastole.
    endocardium, epicardium, right_ventricle
        By slice and phase: polygon (k, 2) of x, y in pixels, (0, 0) the centre of the top left
        pixel; None where the plane misses the ventricle. Papillary muscles and trabeculae count as
        cavity.
    spacing_mm, thickness_mm, slice_spacing_mm
        Of pixels; of a slice; from slice centre to slice centre.
    positions_mm : (slices, 3) float64
        Centre of each slice's first pixel, patient coordinates.
    orientation : (6,) float64
        Direction cosines of a row, then of a column.
    trigger_times_ms : (slices, phases) float64
        After the R wave; the heart does not beat alike in every breath-hold.
    heart_rates_bpm
        Beats a minute, by slice.
    es_phase
        Phase of smallest left-ventricular volume.
    lv_volumes_ml, rv_volumes_ml : (phases,) float64
        Of the model, not of the drawn slices.
    """

    patient: Patient
    images: npt.NDArray[np.int16] = field(repr=False)
    endocardium: Contours = field(repr=False)
    epicardium: Contours = field(repr=False)
    right_ventricle: Contours = field(repr=False)
    spacing_mm: float
    thickness_mm: float
    slice_spacing_mm: float
    positions_mm: Floats = field(repr=False)
    orientation: Floats
    trigger_times_ms: Floats = field(repr=False)
    heart_rates_bpm: list[int]
    es_phase: int
    lv_volumes_ml: Floats = field(repr=False)
    rv_volumes_ml: Floats = field(repr=False)


def draw_study(
    seed: int, patient: Patient, *, size: int = 256, slices: int = 8, phases: int = 20
) -> Study:
    """Draw a patient's short-axis cine with its contours.

    Depends on the arguments only, and on nothing else in the cohort.

    Parameters
    ----------
    seed
        Of the cohort.
    patient
        From `cohort`.
    size
        Rows and columns.
    slices, phases
        Slices from base to apex; images per heartbeat.

    Returns
    -------
    Study

    Raises
    ------
    CineganError
        The pathology is unknown, or sizes are too small to show a heartbeat.
    """
    if size < 16 or slices < 1 or phases < 2:
        raise CineganError(
            "a phantom needs at least 16 pixels, 1 slice and 2 phases, "
            f"not {size}, {slices} and {phases}"
        )
    return short_axis(lie_down(seed, patient, size, phases), slices)


def short_axis(subject: Subject, slices: int) -> Study:
    """Image the stack of slices of a patient in the scanner."""
    left, scan = subject.heart.left, subject.scan
    phases = len(left.volumes_ml)
    stack = plan_stack(subject, slices)
    images = np.empty((slices, phases, subject.size, subject.size), dtype=np.int16)
    contours: list[Contours] = [[], [], []]
    for number, (plane, breath) in enumerate(zip(stack.planes, stack.breaths_mm, strict=True)):
        for phase, image in enumerate(scan_cine(subject, plane, number, breath)):
            images[number, phase] = np.rint(image)
        for structure, by_phase in zip(
            contours, slice_contours(subject, plane, breath), strict=True
        ):
            structure.append(by_phase)
    intervals_ms = 60_000 / np.array(stack.heart_rates_bpm, dtype=np.float64)
    return Study(
        patient=subject.patient,
        images=images,
        endocardium=contours[0],
        epicardium=contours[1],
        right_ventricle=contours[2],
        spacing_mm=scan.spacing_mm,
        thickness_mm=scan.thickness_mm,
        slice_spacing_mm=stack.spacing_mm,
        positions_mm=np.stack([plane.origin for plane in stack.planes]),
        orientation=np.concatenate([stack.planes[0].row, stack.planes[0].column]),
        trigger_times_ms=np.outer(intervals_ms, (np.arange(phases) + 0.5) / phases),
        heart_rates_bpm=stack.heart_rates_bpm,
        es_phase=int(np.argmin(left.volumes_ml)),
        lv_volumes_ml=left.volumes_ml,
        rv_volumes_ml=subject.heart.right.volumes_ml,
    )


def slice_contours(subject: Subject, plane: Plane, breath_mm: Floats) -> Contours:
    """Endocardium, epicardium and right ventricle of one slice: by phase, (k, 2) pixels."""
    w = float(subject.scan.heart_axes[2] @ (plane.origin - breath_mm - subject.scan.heart_base))

    def in_pixels(outline: Floats | None) -> Floats | None:
        if outline is None:
            return None
        flat = np.column_stack([outline, np.full(len(outline), w)])
        return plane.pixels(subject.to_patient(flat) + breath_mm)

    phases = range(len(subject.heart.left.volumes_ml))
    by_phase = [outlines(subject.heart, phase, w) for phase in phases]
    return [
        [in_pixels(outline) for outline in outlines] for outlines in zip(*by_phase, strict=True)
    ]
