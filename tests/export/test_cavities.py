"""Cavities that hearts hardly have are found, and none that an expert drew is called small."""

import numpy as np

from cinegan.data.cohort import Cohort
from cinegan.export.card import card_of, told
from cinegan.export.cavities import SMALL_MM2, cavities_of
from cinegan.export.classes import BACKGROUND, CAVITY, IGNORE

PHASES, ED, ES = 8, 0, 3
SPACING_MM = 2.0  # pixels of 4 mm^2


def cycle_of(diastole, systole):
    """Classes of a cycle with cavities of so many pixels, (32, 32, T), and what is known."""
    classes = np.full((32 * 32, PHASES), IGNORE, np.uint8)
    known = np.zeros((PHASES, 2), bool)
    if diastole is not None:
        classes[:, ED] = BACKGROUND
        classes[:diastole, ED] = CAVITY
        known[ED] = True
    if systole is not None:
        classes[:systole, ES] = CAVITY
        known[ES, 0] = True
    return classes.reshape(32, 32, PHASES), known


def found_in(*cavities):
    cycles = [cycle_of(*each) for each in cavities]
    classes, known = (np.stack(each) for each in zip(*cycles, strict=True))
    return cavities_of(classes, known, SPACING_MM)


def test_a_cavity_that_does_not_shrink_is_found_where_both_moments_are_known():
    found = found_in((100, 50), (100, 100), (50, 100), (None, 100), (100, None), (None, None))
    assert found["cycles_with_both_moments"] == 3
    assert found["not_smaller_at_end_systole"] == [1, 2]
    assert found["small"] == []


def test_a_small_cavity_is_found_at_either_moment_and_an_empty_one_is_none():
    found = found_in((100, 12), (100, 13), (12, 5), (1, None), (None, 12), (None, None), (0, None))
    assert 12 * SPACING_MM**2 < found["small_mm2"] == SMALL_MM2 < 13 * SPACING_MM**2
    assert found["small"] == [0, 2, 3, 4]


def test_of_labels_at_all_phases_the_first_is_compared_with_the_smallest():
    pixels = np.array([[90, 80, 60, 70], [60, 80, 90, 70], [0, 0, 20, 0], [50, 0, 0, 40]])
    classes = np.where(np.arange(1024)[:, None] < pixels[:, None], CAVITY, BACKGROUND)
    known = np.ones((4, 4, 2), bool)
    found = cavities_of(classes.reshape(4, 32, 32, 4).astype(np.uint8), known, SPACING_MM)
    assert found["cycles_with_both_moments"] == 3
    assert found["not_smaller_at_end_systole"] == [1]
    assert found["small"] == []


def test_the_card_counts_them_and_names_their_rows(source):
    whole = card_of(source, {})
    assert whole["labels"]["cavities"]["cycles_with_both_moments"] == 2
    assert "Of 2 cycles with labels at end-diastole and at end-systole, 0 have a" in told(whole)
    classes, known = source.labels.classes, source.labels.known
    (diastole,) = np.flatnonzero(known[1, :, 1])
    classes[1, ..., diastole][classes[1, ..., diastole] == CAVITY] = BACKGROUND
    classes[1, 0, :2, diastole] = CAVITY
    card = card_of(source, {})
    assert card["labels"]["cavities"]["not_smaller_at_end_systole"] == [1]
    assert card["labels"]["cavities"]["small"] == [1]
    assert "1 have a cavity that is not smaller at end-systole; 1 cycles" in told(card)


def test_no_expert_drew_so_small_a_cavity(real_cycles):
    cohort = Cohort(real_cycles.folder)
    areas = []
    for patient in cohort.patients:
        row_mm, column_mm = cohort.spacing_mm(patient)
        for contour in cohort.contours(patient, "expert"):
            x, y = contour.points_px.T
            pixels = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
            areas += [pixels * row_mm * column_mm] if contour.kind == "endo" else []
    assert len(areas) > 50
    assert min(areas) > 2 * SMALL_MM2
