"""Contours become maps, and maps stand behind the phases that they belong to."""

import numpy as np
import pytest

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.labels import (
    EXPERT,
    KINDS,
    UNKNOWN,
    channels,
    coverage,
    joint,
    labels_of,
    source_for,
    source_of,
)
from cinegan.errors import CineganError

SIDE, PHASES = 32, 6


def circle(x, y, radius, points=200):
    angle = 2 * np.pi * np.arange(points) / points
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def contour(row, phase, kind, radius, source="expert"):
    return PlacedContour(row, phase, kind, circle(15.0, 12.0, radius), source)


def patient(name, split, contours, slices=3):
    stack = np.random.default_rng(len(name)).integers(0, 900, (slices, SIDE, SIDE, PHASES))
    spacing = {"spacing_row_mm": 1.5, "spacing_column_mm": 1.5}
    rows = [{"patient": name, "split": split, "row": k, **spacing} for k in range(slices)]
    return PatientCycles(name, stack.astype(np.int16), rows, contours)


DRAWN = [  # one slice with all of an expert's contours, one with end-systole alone, one with none
    *(contour(0, 1, "endo", 8), contour(0, 1, "epi", 11), contour(0, 4, "endo", 5)),
    contour(1, 4, "endo", 4),
    contour(0, 2, "rv", 6),
]
TRUTH = [
    contour(0, t, kind, r, "truth") for t in range(PHASES) for kind, r in (("endo", 7), ("epi", 9))
]


@pytest.fixture
def cohort(tmp_path):
    made = [patient("A", "train", DRAWN), patient("BB", "train", []), patient("C", "val", DRAWN)]
    write_cohort(tmp_path / "cycles", made)
    return Cohort(tmp_path / "cycles")


def test_a_map_has_the_area_and_the_place_of_its_contour():
    for size in (SIDE, 2 * SIDE):
        share = coverage(contour(0, 0, "endo", 8.0), SIDE, size) / 255
        factor = size / SIDE
        assert share.sum() == pytest.approx(np.pi * 64 * factor**2, rel=0.01)
        rows, columns = np.mgrid[:size, :size]
        found = [(share * each).sum() / share.sum() for each in (columns, rows)]
        assert found == pytest.approx([(15.5 * factor) - 0.5, (12.5 * factor) - 0.5], abs=0.06)
        assert share[0, 0] == 0
        assert share[round(12 * factor), round(15 * factor)] == 1


def test_what_no_expert_drew_is_unknown_and_what_no_truth_has_is_empty(cohort, tmp_path):
    assert source_of(cohort) == "expert"
    labels = labels_of(cohort, "A", SIDE, "expert")
    known = {(int(r), int(t), KINDS[k]) for r, t, k in np.argwhere(labels.known)}
    assert known == {(0, 1, "endo"), (0, 1, "epi"), (0, 4, "endo"), (1, 4, "endo")}
    assert not labels_of(cohort, "BB", SIDE, "expert").known.any()
    write_cohort(tmp_path / "phantom", [patient("A", "train", [*DRAWN, *TRUTH])])
    phantom = Cohort(tmp_path / "phantom")
    assert source_of(phantom) == "truth"
    labels = labels_of(phantom, "A", SIDE, "truth")
    assert labels.known.all()
    assert labels.maps[0].max() == 255
    assert not labels.maps[1:].any()


def test_without_contours_there_is_no_source(tmp_path):
    write_cohort(tmp_path / "cycles", [patient("A", "train", [])])
    plain = Cohort(tmp_path / "cycles")
    assert source_of(plain) is None
    assert channels(None, PHASES) == []
    np.testing.assert_array_equal(
        joint(plain, plain.patient_of_each("train"), SIDE, None), plain.split("train", SIDE)[0]
    )


def test_what_is_asked_for_says_whose_contours_are_learnt(cohort, tmp_path):
    assert [source_for(cohort, asked) for asked in ("none", "moments")] == [None, "expert"]
    with pytest.raises(CineganError, match="are known of a phantom only; set labels: moments"):
        source_for(cohort, "phases")
    write_cohort(tmp_path / "phantom", [patient("A", "train", TRUTH)])
    phantom = Cohort(tmp_path / "phantom")
    assert source_for(phantom, "phases") == "truth"
    assert source_for(phantom, "moments") is None


def test_an_experts_maps_stand_behind_all_cycles_unknown_where_nobody_drew(cohort):
    assert channels("expert", PHASES) == ["endo ED", "endo ES", "epi ED"]
    found = joint(cohort, cohort.patient_of_each("train"), SIDE, "expert")
    assert found.shape == (6, SIDE, SIDE, PHASES + len(EXPERT))
    np.testing.assert_array_equal(found[..., :PHASES], cohort.split("train", SIDE)[0])
    maps = labels_of(cohort, "A", SIDE, "expert").maps
    np.testing.assert_array_equal(found[0, ..., PHASES], maps[0, :, :, 1, 0])
    np.testing.assert_array_equal(found[0, ..., PHASES + 1], maps[0, :, :, 4, 0])
    np.testing.assert_array_equal(found[0, ..., PHASES + 2], maps[0, :, :, 1, 1])
    for row, unknown in ((1, [0, 2]), (2, [0, 1, 2]), (5, [0, 1, 2])):
        for place in range(len(EXPERT)):
            assert (found[row, ..., PHASES + place] == UNKNOWN).all() == (place in unknown)


def test_a_truths_maps_are_of_all_phases_kind_by_kind(tmp_path):
    write_cohort(tmp_path / "phantom", [patient("A", "train", TRUTH)])
    cohort = Cohort(tmp_path / "phantom")
    names = channels("truth", PHASES)
    assert names[0] == "endo 0"
    assert names[PHASES] == "epi 0"
    found = joint(cohort, cohort.patient_of_each("train"), SIDE, "truth")
    assert found.shape[-1] == PHASES + len(names)
    maps = labels_of(cohort, "A", SIDE, "truth").maps
    np.testing.assert_array_equal(found[0, ..., PHASES + 3], maps[0, :, :, 3, 0])
    np.testing.assert_array_equal(found[0, ..., 2 * PHASES + 3], maps[0, :, :, 3, 1])
