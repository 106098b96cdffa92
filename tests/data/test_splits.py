"""A patient's split comes from its name and the seed alone, and the shares come out."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegan.data.splits import SPLITS, place, split_patients
from cinegan.errors import CineganError

# Sunnybrook's table: patients in order, by pathology group.
SUNNYBROOK = [f"SCD{i:05d}01" for i in range(1, 46)]
GROUPS = {
    "HF-I": SUNNYBROOK[:12],
    "HF-NI": SUNNYBROOK[12:24],
    "HYP": SUNNYBROOK[24:36],
    "N": SUNNYBROOK[36:],
}
NAMINGS = {
    "sunnybrook": [f"SCD{i:05d}01" for i in range(1, 201)],
    "counted": [f"P{i:03d}" for i in range(200)],
    "pseudonyms": [f"P{(i * 2654435761) % 16**8:08X}" for i in range(200)],
    "names": [f"patient-{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)],
    "long numbers": [str(20240101000000000000 + 7 * i) for i in range(200)],
}


def test_a_place_is_on_the_circle_and_differs_between_seeds():
    places = [place(p, seed) for p in SUNNYBROOK for seed in range(5)]
    assert all(0 <= where < 1 for where in places)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("naming", NAMINGS)
def test_nobody_moves_when_others_join(naming):
    patients = NAMINGS[naming]
    before = split_patients(patients[:60], 1, 0.2, 0.2)
    after = split_patients(reversed(patients), 1, 0.2, 0.2)
    assert {p: after[p] for p in before} == before


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("val", "test"), [(0.2, 0.2), (0.1, 0.3)])
def test_the_shares_come_out_for_200_patients(naming, seed, val, test):
    counts = Counter(split_patients(NAMINGS[naming], seed, val, test).values())
    tolerance = 0.04 if naming in ("sunnybrook", "counted", "long numbers") else 0.1
    assert counts["val"] / 200 == pytest.approx(val, abs=tolerance)
    assert counts["test"] / 200 == pytest.approx(test, abs=tolerance)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("group", GROUPS)
def test_every_pathology_group_of_sunnybrook_has_its_share_in_every_split(seed, group):
    chosen = split_patients(SUNNYBROOK, seed, 0.2, 0.2)
    counts = Counter(chosen[p] for p in GROUPS[group])
    for split, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        assert abs(counts[split] - share * len(GROUPS[group])) <= 2
        assert counts[split] >= 1


def test_another_seed_chooses_others():
    chosen = [tuple(split_patients(SUNNYBROOK, seed, 0.2, 0.2).values()) for seed in range(10)]
    assert len(set(chosen)) >= 8  # one start on the circle for them all


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    patients=st.sets(st.text(min_size=1, max_size=12), min_size=3, max_size=12),
    seed=st.integers(0, 2**31 - 1),
    val=st.sampled_from([0.0, 0.05, 0.2, 0.45]),
    test=st.sampled_from([0.0, 0.05, 0.2, 0.45]),
)
def test_no_split_is_ever_empty_and_order_never_matters(patients, seed, val, test):
    chosen = split_patients(patients, seed, val, test)
    assert set(chosen) == patients
    assert set(chosen.values()) == set(SPLITS)
    assert split_patients(sorted(patients, reverse=True), seed, val, test) == chosen


@pytest.mark.parametrize("patients", [[], ["a"], ["a", "b"], ["a", "a", "b"]])
def test_fewer_patients_than_splits_are_refused(patients):
    with pytest.raises(CineganError, match=r"train, val and test need one each; bring more"):
        split_patients(patients, 1, 0.2, 0.2)


def test_the_places_are_fixed_for_good():
    # A change here moves patients between the splits of everyone's data.
    expected = {
        "SCD0000101": 0.062053471,
        "SCD0000201": 0.483409708,
        "P1": 0.582176801,
        "normal": 0.814863674,
    }
    assert {p: round(place(p, 1), 9) for p in expected} == expected
