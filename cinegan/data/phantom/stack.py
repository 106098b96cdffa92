"""The short-axis stack as planned: planes from base to apex, a breath-hold each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinegan.data.phantom.arrays import Floats
from cinegan.data.phantom.cohort import Purpose
from cinegan.data.phantom.scan import Plane, plane_at
from cinegan.data.phantom.subject import Subject


@dataclass(frozen=True)
class Stack:
    """Where and when the slices are taken."""

    planes: list[Plane]
    spacing_mm: float  # from slice centre to slice centre
    breaths_mm: Floats  # (slices, 3) where the chest lies at each breath-hold
    heart_rates_bpm: list[int]  # by slice


def plan_stack(subject: Subject, slices: int) -> Stack:
    """Plan a stack that covers the left ventricle at end-diastole.

    Slices touch, unless there are too few of them to reach from base to apex: then the gap between
    them is as wide as it must be, so that the volumes hold. Eight slices of 8 mm need a gap of
    about 2 mm for a normal heart and 4 mm for a dilated one.
    """
    rng = subject.rng(Purpose.SCAN, 1)
    scan, left = subject.scan, subject.heart.left
    length = (left.length_mm + left.tip_w) / 2
    spacing = round(max(scan.thickness_mm, length / slices), 1)
    # The stack's edge is laid on the mitral plane, as well as a technician can; slices to spare
    # lie beyond base and apex.
    spare = int((slices * spacing - length) / spacing)
    first = (0.5 - rng.integers(0, spare + 1) + rng.uniform(-0.35, 0.35)) * spacing
    cos, sin = np.cos(scan.rotation), np.sin(scan.rotation)
    u, v, _ = scan.heart_axes
    row, column = cos * u + sin * v, cos * v - sin * u
    # The technician centres the field on the heart as a whole, right ventricle included.
    middle = np.array([scan.offset_mm[0] - 14, scan.offset_mm[1], 0.0])
    centres = [
        subject.to_patient(middle + np.array([0, 0, first + spacing * number]))
        for number in range(slices)
    ]
    rates = subject.heart.heart_rate_bpm + np.rint(rng.normal(0, 1.5, slices)).astype(int)
    breaths = rng.normal(0, scan.breath_mm, (slices, 3))
    return Stack(
        planes=[plane_at(c, row, column, scan.spacing_mm, subject.size) for c in centres],
        spacing_mm=spacing,
        breaths_mm=np.clip(breaths, -2.5 * scan.breath_mm, 2.5 * scan.breath_mm),
        heart_rates_bpm=rates.tolist(),
    )
