"""Scores of outlines against values worked out by hand."""

import numpy as np
import pytest

from cinegan.segmentation.scores import dice, distances_mm, largest, outline, patient_scores

SIDE = 40


def disc(radius, row=20.0, column=20.0):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.clip(radius - np.hypot(rows - row, columns - column) + 0.5, 0, 1)


def circle(radius, x=20.0, y=20.0):
    angle = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def test_dice_by_hand():
    one, other = np.zeros((2, 4, 4), bool)
    one[0], other[:2, :2] = True, True
    assert dice(one, other) == 2 * 2 / (4 + 4)
    assert dice(one, one) == 1
    assert dice(one, ~one) == 0
    assert dice(one & False, one & False) == 1


def test_distances_of_circles_are_those_of_their_radii_and_middles():
    assert distances_mm(circle(10), circle(7), 1.5) == pytest.approx((4.5, 4.5), rel=1e-2)
    mean, worst = distances_mm(circle(10), circle(10, x=22.0), 2.0)
    assert worst == pytest.approx(4, rel=1e-2)
    assert 2 < mean < 3  # 2 * mean |cos|, a little less
    assert distances_mm(circle(9), circle(9), 1.0) == pytest.approx((0, 0), abs=1e-9)


def test_both_ways_count():
    part = circle(10)[:150]  # half a disc
    assert distances_mm(part, circle(10), 1.0) == pytest.approx(distances_mm(circle(10), part, 1.0))
    assert distances_mm(part, circle(10), 1.0)[1] > 9


def test_an_outline_lies_between_pixels_where_half_is_inside():
    points = outline(disc(8.0).astype(np.float32))
    assert np.hypot(*(points - 20).T) == pytest.approx(np.full(len(points), 8.0), abs=0.1)
    assert outline(np.zeros((SIDE, SIDE))) is None


def test_only_the_largest_part_is_outlined():
    both = np.maximum(disc(8.0), disc(3.0, 36, 36))
    np.testing.assert_allclose(outline(both), outline(disc(8.0)))
    assert largest(both > 0.5).sum() == (disc(8.0) > 0.5).sum()
    at_the_edge = outline(disc(8.0, 20, 0))
    assert at_the_edge[:, 0].min() == pytest.approx(-0.5, abs=0.01)
    np.testing.assert_array_equal(at_the_edge[0], at_the_edge[-1])


def stack(radii):
    """Maps of slices at end-diastole and end-systole, (n, SIDE, SIDE, 2, 2): (endo, epi) radii."""
    return np.stack(
        [
            np.stack([np.stack([disc(r) for r in pair], axis=-1) for pair in phases], axis=2)
            for phases in radii
        ]
    ).astype(np.float32)


def test_a_patients_scores_by_hand():
    true = stack([[(8, 11), (5, 10)], [(6, 9), (3, 8)]])
    found = stack([[(8, 11), (6, 10)], [(6, 9), (3, 8)]])
    known = np.ones((2, 2, 2), bool)
    found, true = np.round(255 * found) / np.float32(255), np.round(255 * true).astype(np.uint8)
    scores = patient_scores(found, true, known, 2.0)
    areas = [np.pi * r**2 for r in (8, 5, 6, 3)]
    extra = np.pi * (36 - 25)
    assert scores["dice_endo"] == pytest.approx(2 * sum(areas) / (2 * sum(areas) + extra), abs=0.01)
    assert scores["dice_epi"] == 1
    assert scores["distance_mm_endo"] == pytest.approx(2.0 / 4, abs=0.05)  # of four frames one
    assert scores["hausdorff_mm_endo"] == pytest.approx(2.0 / 4, abs=0.1)
    assert scores["missed_endo"] == 0
    change = [1 - 25 / 64, 1 - 36 / 64]
    assert scores["area_change_error"] == pytest.approx((change[0] - change[1]) / 2, abs=0.01)


def test_frames_in_which_nothing_is_found_are_missed_and_unknown_ones_not_judged():
    true = np.round(255 * stack([[(8, 11), (5, 10)]])).astype(np.uint8)
    known = np.array([[[True, True], [True, False]]])
    nothing = np.zeros(true.shape, np.float32)
    scores = patient_scores(nothing, true, known, 1.0)
    assert scores["dice_endo"] == scores["dice_epi"] == 0
    assert scores["missed_endo"] == scores["missed_epi"] == 1
    # As far as from outlines that have shrunk to their middles.
    assert scores["distance_mm_endo"] == pytest.approx((8 + 5) / 2, abs=0.3)
    assert scores["hausdorff_mm_epi"] == pytest.approx(11, abs=0.3)
    assert scores["area_change_error"] == pytest.approx(1 - 25 / 64, abs=0.03)  # none found, 0
    assert all(
        np.isnan(each) for each in patient_scores(nothing, true, known & False, 1.0).values()
    )
    exact = true / np.float32(255)
    exact[..., 1, 1] = 0  # where epi is not known
    assert patient_scores(exact, true, known, 1.0)["dice_epi"] == 1


def test_area_change_is_judged_where_both_phases_are_known():
    true = np.round(255 * stack([[(8, 11), (5, 10)], [(6, 9), (3, 8)]])).astype(np.uint8)
    found = true / np.float32(255)
    known = np.ones((2, 2, 2), bool)
    known[1, 1] = False  # of one slice nobody drew end-systole
    assert patient_scores(found, true, known, 1.0)["area_change_error"] == 0
    found[1] = 0  # which is not judged, then
    assert patient_scores(found, true, known, 1.0)["area_change_error"] == 0
    known[0, 0] = False
    assert np.isnan(patient_scores(found, true, known, 1.0)["area_change_error"])
