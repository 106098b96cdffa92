"""The stack covers the ventricle at a spacing that a scanner would use."""

import numpy as np
import pytest

from cinegan.data.phantom.stack import plan_stack

from .helpers import COHORT, draw, subject


@pytest.mark.parametrize(("slices", "widest"), [(8, 14.0), (12, 10.0)])
def test_slices_are_as_close_as_the_length_allows(slices, widest):
    for original_id in COHORT:
        examined = subject(original_id)
        stack = plan_stack(examined, slices)
        assert examined.scan.thickness_mm <= stack.spacing_mm <= widest
        depths = [examined.to_heart(p.points)[2, 0, 0] for p in stack.planes]
        assert np.ptp(depths) == pytest.approx((slices - 1) * stack.spacing_mm, abs=1e-6)
        assert depths[0] < stack.spacing_mm
        assert depths[-1] > examined.heart.left.length_mm - stack.spacing_mm


def test_every_breath_hold_has_its_own_place_and_rate():
    stack = plan_stack(subject("PH-N-1"), 8)
    assert np.all(np.ptp(stack.breaths_mm, axis=0) > 0.1)
    assert len(set(stack.heart_rates_bpm)) > 1 and np.ptp(stack.heart_rates_bpm) < 12


def test_some_patients_are_scanned_a_quarter_turned():
    turns = {i: subject(i, seed).scan.quarter_turns for seed in (7, 8) for i in COHORT}
    assert 0 in turns.values() and {1, 3} & set(turns.values())


def test_a_turned_patients_geometry_says_so():
    """The left ventricle lies to the patient's left of the right one, whichever way rows run."""
    for original_id in COHORT:
        study = draw(original_id, slices=3, phases=2, size=64)
        row, column = study.orientation[:3], study.orientation[3:]

        def centre(contour: np.ndarray, row=row, column=column, study=study) -> np.ndarray:
            x, y = contour.mean(0) * study.spacing_mm
            return study.positions_mm[1] + x * row + y * column

        left, right = centre(study.endocardium[1][0]), centre(study.right_ventricle[1][0])
        heart = subject(original_id, size=64, phases=2).scan.heart_axes
        assert (left - right) @ heart[0] > 10
        turned = subject(original_id).scan.quarter_turns % 2 == 1
        assert (abs(row @ heart[0]) < abs(row @ heart[1])) == turned
