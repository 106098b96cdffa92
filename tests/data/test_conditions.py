"""What cycles are, as vectors; and what is asked of a generator, as often as real cycles are it."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from cinegan.data.cohort import Cohort, PatientCycles, write_cohort
from cinegan.data.conditions import NOTHING, Conditions, of_cycles
from cinegan.errors import CineganError

PATIENTS = {  # slices, split, group
    "A": (4, "train", "Normal"),
    "B": (3, "val", "Hypertrophy"),
    "C": (1, "train", "Hypertrophy"),
    "D": (8, "train", "Normal"),
}
SEEN = pd.DataFrame(
    {
        "group": ["Normal"] * 6 + ["Hypertrophy"] * 3,
        "level": ["mid", "mid", "base", "apex", "mid", "mid", "apex", "apex", "base"],
    }
)
COUNTS = [
    {"group": "Hypertrophy", "level": "apex", "cycles": 2},
    {"group": "Hypertrophy", "level": "base", "cycles": 1},
    {"group": "Normal", "level": "apex", "cycles": 1},
    {"group": "Normal", "level": "base", "cycles": 1},
    {"group": "Normal", "level": "mid", "cycles": 4},
]


def written(folder, groups):
    patients = []
    for name, (slices, split, _) in PATIENTS.items():
        row = {"patient": name, "split": split, "spacing_row_mm": 1.0, "spacing_column_mm": 1.0}
        row |= {"pathology": groups[name]} if groups else {}
        stack = np.zeros((slices, 4, 4, 2), np.int16)
        patients.append(PatientCycles(name, stack, [row | {"row": k} for k in range(slices)]))
    write_cohort(folder, patients)
    return Cohort(folder)


@pytest.fixture
def cohort(tmp_path):
    return written(tmp_path / "cycles", {name: group for name, (_, _, group) in PATIENTS.items()})


def test_levels_are_thirds_of_the_stack_and_groups_those_of_the_patients(cohort):
    told = of_cycles(cohort, cohort.patient_of_each("train"), ["group", "level"])
    assert list(told) == ["group", "level"]
    assert told["group"].tolist() == ["Normal"] * 4 + ["Hypertrophy"] + ["Normal"] * 8
    eight = ["base"] * 3 + ["mid"] * 2 + ["apex"] * 3
    assert told["level"].tolist() == ["base", "mid", "mid", "apex", "base", *eight]
    three = of_cycles(cohort, np.array(["B"] * 3), ["level"])
    assert three["level"].tolist() == ["base", "mid", "apex"]
    assert of_cycles(cohort, cohort.patient_of_each("train"), []).shape == (13, 0)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (None, "is known of 3 of 3 patients, such as A; leave group out of the model's conditions"),
        ({"A": "Normal", "B": "", "C": "", "D": "Normal"}, "known of 1 of 3 patients, such as C;"),
    ],
)
def test_groups_that_nobody_knows_are_refused_in_one_line(tmp_path, groups, message):
    cohort = written(tmp_path / "cycles", groups)
    owners = cohort.patient_of_each("train")
    with pytest.raises(CineganError, match=message) as refused:
        of_cycles(cohort, owners, ["level", "group"])
    assert "\n" not in str(refused.value)
    assert len(of_cycles(cohort, owners, ["level"])) == 13


def test_vectors_have_a_one_for_each_kind():
    known = Conditions.among(SEEN)
    assert known.counts == COUNTS
    assert known.names == [
        *("group Hypertrophy", "group Normal", "level base", "level mid", "level apex"),
    ]
    vectors = known.vectors(SEEN.iloc[[0, 6, 2]])
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [[0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 1, 0, 0]])


def test_what_was_counted_comes_back_from_a_file():
    again = Conditions(json.loads(json.dumps(Conditions.among(SEEN).counts)))
    assert again.counts == COUNTS
    pd.testing.assert_frame_equal(again.draw(4, 0, 20), Conditions(COUNTS).draw(4, 0, 20))


def test_one_value_is_a_condition_and_none_is_nothing():
    one = Conditions.among(SEEN[["group"]].iloc[:6])
    assert one.names == ["group Normal"]
    assert one.draw(1, 0, 3)["group"].tolist() == ["Normal"] * 3
    nothing = Conditions.among(SEEN[[]])
    assert (nothing.counts, nothing.names, nothing.only([], []).names) == ([], [], [])
    assert nothing.draw(1, 0, 3).shape == nothing.vectors(SEEN[:3]).shape == (3, 0)


def test_what_a_cycle_is_asked_to_be_depends_on_seed_and_place_alone():
    known = Conditions(COUNTS)
    whole = known.draw(4, 0, 40)
    for first, count in ((0, 7), (13, 1), (30, 10)):
        part = known.draw(4, first, count)
        pd.testing.assert_frame_equal(part, whole[first : first + count].reset_index(drop=True))
    assert not whole.equals(known.draw(5, 0, 40))


def test_cycles_are_asked_for_as_often_as_real_ones_are_that():
    drawn = Counter(Conditions(COUNTS).draw(4, 0, 4000).itertuples(index=False, name=None))
    for each in COUNTS:
        share = drawn.pop((each["group"], each["level"])) / 4000
        assert share == pytest.approx(each["cycles"] / 9, abs=0.025)
    assert not drawn


@pytest.mark.parametrize(
    ("groups", "levels", "shares"),
    [
        (["Hypertrophy"], [], {("Hypertrophy", "apex"): 2 / 3, ("Hypertrophy", "base"): 1 / 3}),
        ([], ["mid"], {("Normal", "mid"): 1.0}),
        (["Normal"], ["apex", "base"], {("Normal", "apex"): 0.5, ("Normal", "base"): 0.5}),
    ],
)
def test_nothing_but_what_is_chosen_is_drawn_and_vectors_stay(groups, levels, shares):
    known = Conditions(COUNTS)
    chosen = known.only(groups, levels)
    drawn = Counter(chosen.draw(4, 0, 1000).itertuples(index=False, name=None))
    assert {key: count / 1000 for key, count in drawn.items()} == pytest.approx(shares, abs=0.05)
    assert chosen.names == known.names
    assert known.counts == COUNTS


def test_a_model_that_is_not_told_what_is_asked_for_draws_as_ever_and_says_so(capsys):
    assert NOTHING.only(["Normal"], ["apex"]).counts == NOTHING.counts
    assert capsys.readouterr().out == (
        "sample.groups: this model is not told the group of a cycle; drawn of all\n"
        "sample.levels: this model is not told the level of a cycle; drawn of all\n"
    )
    of_levels = Conditions.among(SEEN[["level"]])
    chosen = of_levels.only(["Normal"], ["apex"])
    assert set(chosen.draw(4, 0, 50)["level"]) == {"apex"}


@pytest.mark.parametrize(
    ("known", "groups", "levels", "message"),
    [
        (
            Conditions(COUNTS),
            ["Normal", "HYP"],
            [],
            r"^sample\.groups: no train cycle is of group 'HYP'; there are Hypertrophy, Normal$",
        ),
        (
            Conditions(COUNTS),
            ["Hypertrophy"],
            ["mid"],
            r"^sample: no train cycle is of Hypertrophy and at mid$",
        ),
    ],
)
def test_what_a_model_does_not_know_is_refused(known, groups, levels, message):
    with pytest.raises(CineganError, match=message):
        known.only(groups, levels)
