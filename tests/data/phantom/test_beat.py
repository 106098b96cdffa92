"""The heart in the picture agrees with its contours."""

import numpy as np
import pytest

from benchmarks.phantom import edge_offsets
from cinegan.data.phantom.stack import plan_stack
from cinegan.data.phantom.study import slice_contours
from cinegan.data.phantom.subject import paint_cine

from .helpers import PHASES, area, mask, subject, whole_cycle_slices


def test_blood_is_bright_and_muscle_dark_within_the_contours(studies):
    for study in studies.values():
        for index in whole_cycle_slices(study):
            for phase in range(0, PHASES, 3):
                image = study.images[index, phase]
                cavity = mask(study.endocardium[index][phase])
                wall = mask(study.epicardium[index][phase]) & ~cavity
                if cavity.sum() > 24:
                    assert np.median(image[cavity]) > 1.5 * np.median(image[wall])


@pytest.mark.parametrize("original_id", ["PH-HF-I-1", "PH-HYP-1", "PH-N-2"])
def test_the_drawn_edges_lie_on_the_contours(original_id):
    examined = subject(original_id, size=192, phases=4)
    stack = plan_stack(examined, 5)
    off: dict[int, list[np.ndarray]] = {0: [], 1: []}
    for number, (plane, breath) in enumerate(zip(stack.planes, stack.breaths_mm, strict=True)):
        contours = slice_contours(examined, plane, breath)
        for phase, signal in enumerate(paint_cine(examined, plane, number, breath)):
            for surface in off:
                if (contour := contours[surface][phase]) is not None:
                    off[surface].append(edge_offsets(signal, contour))
    endocardium, epicardium = (np.concatenate(offsets) for offsets in off.values())
    assert endocardium.mean() < 0.3 and np.mean(endocardium <= 1) > 0.95
    assert epicardium.mean() < 0.6 and np.mean(epicardium <= 1) > 0.85


def test_the_right_ventricle_is_bright_beside_the_left_one_and_ejects(studies):
    for study in studies.values():
        index = whole_cycle_slices(study)[0]
        relaxed = study.right_ventricle[index][0]
        wall = mask(study.epicardium[index][0]) & ~mask(study.endocardium[index][0])
        image = study.images[index, 0]
        assert np.median(image[mask(relaxed)]) > 1.5 * np.median(image[wall])
        contracted = study.right_ventricle[index][study.es_phase]
        if contracted is not None:
            assert area(contracted) < area(relaxed)
