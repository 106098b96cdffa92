"""A short-axis study: a stack of cine images from base to apex, with its contours."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cinegan.data.phantom.arrays import Floats
from cinegan.data.phantom.cohort import Patient, Purpose
from cinegan.data.phantom.heart import outlines
from cinegan.data.phantom.scan import Plane, plane_at
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
    trigger_times_ms : (phases,) float64
        After the R wave.
    heart_rate_bpm
        Beats a minute.
    es_phase
        Phase of smallest left-ventricular volume.
    lv_volumes_ml : (phases,) float64
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
    heart_rate_bpm: int
    es_phase: int
    lv_volumes_ml: Floats = field(repr=False)


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


def _stack_planes(subject: Subject, slices: int) -> tuple[list[Plane], float]:
    """Short-axis planes from just above the base to the apex, and their distance in mm."""
    rng = subject.rng(Purpose.SCAN, 1)
    scan, heart = subject.scan, subject.heart
    first = rng.uniform(-6, 2)
    spacing = max(scan.thickness_mm, (heart.length_mm + rng.uniform(1, 6) - first) / (slices - 0.5))
    spacing = round(float(spacing), 1)
    cos, sin = np.cos(scan.rotation), np.sin(scan.rotation)
    u, v, _ = scan.heart_axes
    row, column = cos * u + sin * v, cos * v - sin * u
    # The technician centres the field on the heart as a whole, right ventricle included.
    middle = np.array([scan.offset_mm[0] - 14, scan.offset_mm[1], 0.0])
    depths = first + spacing * np.arange(slices)
    return [
        plane_at(
            subject.to_patient(middle + np.array([0, 0, w])),
            row,
            column,
            scan.spacing_mm,
            subject.size,
        )
        for w in depths
    ], spacing


def _breaths(subject: Subject, slices: int) -> Floats:
    """Where the chest lies at each slice's breath-hold, (slices, 3) mm: mostly head to foot."""
    rng = subject.rng(Purpose.SCAN, 2)
    return np.clip(rng.normal(0, (0.4, 0.6, 1.3), (slices, 3)), -3, 3)


def short_axis(subject: Subject, slices: int) -> Study:
    """Image the stack of slices of a patient in the scanner."""
    heart, scan = subject.heart, subject.scan
    phases = len(heart.volumes_ml)
    planes, slice_spacing_mm = _stack_planes(subject, slices)
    images = np.empty((slices, phases, subject.size, subject.size), dtype=np.int16)
    contours: list[Contours] = [[], [], []]
    for number, (plane, breath) in enumerate(zip(planes, _breaths(subject, slices), strict=True)):
        for phase, image in enumerate(scan_cine(subject, plane, number, breath)):
            images[number, phase] = np.rint(image)
        for structure, by_phase in zip(contours, _contours(subject, plane, breath), strict=True):
            structure.append(by_phase)
    middles = (np.arange(phases) + 0.5) / phases
    return Study(
        patient=subject.patient,
        images=images,
        endocardium=contours[0],
        epicardium=contours[1],
        right_ventricle=contours[2],
        spacing_mm=scan.spacing_mm,
        thickness_mm=scan.thickness_mm,
        slice_spacing_mm=slice_spacing_mm,
        positions_mm=np.stack([plane.origin for plane in planes]),
        orientation=np.concatenate([planes[0].row, planes[0].column]),
        trigger_times_ms=np.asarray(60_000 / heart.heart_rate_bpm * middles, dtype=np.float64),
        heart_rate_bpm=heart.heart_rate_bpm,
        es_phase=int(np.argmin(heart.volumes_ml)),
        lv_volumes_ml=heart.volumes_ml,
    )


def _contours(subject: Subject, plane: Plane, breath_mm: Floats) -> Contours:
    """Endocardium, epicardium and right ventricle of one slice, by phase, in pixels."""
    w = float(subject.scan.heart_axes[2] @ (plane.origin - breath_mm - subject.scan.heart_base))

    def in_pixels(outline: Floats | None) -> Floats | None:
        if outline is None:
            return None
        flat = np.column_stack([outline, np.full(len(outline), w)])
        return plane.pixels(subject.to_patient(flat) + breath_mm)

    by_phase = [outlines(subject.heart, p, w) for p in range(len(subject.heart.volumes_ml))]
    return [
        [in_pixels(outline) for outline in outlines] for outlines in zip(*by_phase, strict=True)
    ]
