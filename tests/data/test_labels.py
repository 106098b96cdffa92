"""Contours become maps, and maps stand behind the phases that they belong to."""

import numpy as np
import pytest

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.labels import (
    EXPERT,
    KINDS,
    NO_CHANNELS,
    UNKNOWN,
    channels,
    channels_of,
    coverage,
    joint,
    labels_of,
    moments_of,
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
        factor = size / SIDE
        points = (circle(15.0, 12.0, 8.0) + 0.5) * factor - 0.5
        share = coverage(points, size) / 255
        assert share.sum() == pytest.approx(np.pi * 64 * factor**2, rel=0.01)
        rows, columns = np.mgrid[:size, :size]
        found = [(share * each).sum() / share.sum() for each in (columns, rows)]
        assert found == pytest.approx([(15.5 * factor) - 0.5, (12.5 * factor) - 0.5], abs=0.06)
        assert share[0, 0] == 0
        assert share[round(12 * factor), round(15 * factor)] == 1


def test_maps_lie_where_a_field_that_is_not_square_is_padded_and_resized(tmp_path):
    stack = np.zeros((1, 20, 40, PHASES), np.int16)
    rows, columns = np.mgrid[:20, :40]
    disc = np.hypot(rows - 8, columns - 27) < 5
    stack[:, disc] = 900
    spacing = {"spacing_row_mm": 1.5, "spacing_column_mm": 1.5}
    drawn = [PlacedContour(0, 0, "endo", circle(27.0, 8.0, 5.0))]
    made = [PatientCycles("A", stack, [{"patient": "A", "split": "train", **spacing}], drawn)]
    write_cohort(tmp_path / "wide", made)
    cohort = Cohort(tmp_path / "wide")
    for size in (40, 64):
        inside = labels_of(cohort, "A", size, "expert").maps[0, :, :, 0, 0] > 127
        bright = cohort.grey("A", size)[0, :, :, 0] > 127
        assert bright.any()
        assert (inside & bright).sum() / (inside | bright).sum() > 0.85


def test_end_diastole_is_the_patients_not_the_slices(tmp_path):
    def of(*drawn):
        write_cohort(tmp_path / "cycles", [patient("A", "train", list(drawn))])
        return moments_of(Cohort(tmp_path / "cycles"), "A")

    assert of(*DRAWN) == {"ED": 1, "ES": 4}
    # Of one slice the endocardium at end-diastole alone, in another it is larger at end-systole.
    odd = [contour(1, 1, "endo", 3), contour(1, 4, "endo", 4), contour(2, 1, "endo", 2)]
    assert of(*DRAWN[:3], *odd) == {"ED": 1, "ES": 4}
    assert of(contour(0, 3, "endo", 5), contour(0, 5, "endo", 6)) == {"ED": 5, "ES": 3}
    assert of(contour(0, 3, "endo", 5), contour(0, 3, "epi", 6)) == {"ED": 3}
    assert of(contour(0, 3, "endo", 5)) == {"ES": 3}
    assert of() == {}


def test_the_phases_of_moments_are_those_of_all_patients(cohort, tmp_path):
    owners = cohort.patient_of_each("train")
    assert channels_of(cohort, owners, "expert").phases == {"ED": [1], "ES": [4]}
    assert channels_of(cohort, owners, None) == NO_CHANNELS
    late = [contour(0, 5, "endo", 8), contour(0, 5, "epi", 9), contour(0, 2, "endo", 5)]
    write_cohort(tmp_path / "two", [patient("A", "train", DRAWN), patient("BB", "train", late)])
    two = Cohort(tmp_path / "two")
    found = channels_of(two, two.patient_of_each("train"), "expert")
    assert found.names == channels("expert", PHASES)
    assert found.phases == {"ED": [1, 5], "ES": [2, 4]}


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
