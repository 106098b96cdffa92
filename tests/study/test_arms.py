"""Who teaches and who judges: never the same patients, whatever the share and the protocol."""

import numpy as np
import pytest

from cinegan.data.cohort import INDEX, Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.splits import split_patients
from cinegan.errors import CineganError
from cinegan.params import STUDY_ARMS
from cinegan.study.arms import ARMS, fold_of, share_and_seed, subset

SPLITS = {"A1": "train", "A2": "train", "A3": "train", "A4": "train", "A5": "val", "A6": "test"}
WITHOUT_CONTOURS = "A2"


@pytest.fixture
def cohort(tmp_path):
    return cohort_without(tmp_path / "cycles", {WITHOUT_CONTOURS})


def cohort_without(folder, contours_of, kind="endo"):
    stack = np.arange(2 * 8 * 8 * 4, dtype=np.int16).reshape(2, 8, 8, 4)
    drawn = [PlacedContour(0, 0, kind, np.array([[2.0, 2], [6, 2], [4, 6]]))]
    write_cohort(
        folder,
        [
            PatientCycles(
                patient,
                stack,
                [{"patient": patient, "split": split}] * 2,
                [] if patient in contours_of else drawn,
            )
            for patient, split in SPLITS.items()
        ],
    )
    return Cohort(folder)


def test_arms_are_those_that_the_parameters_may_name():
    real, synthetic = (set(STUDY_ARMS[name]) for name in ("arms", "gan_arms"))
    assert {name for name, arm in ARMS.items() if not arm.synthetic} == real
    assert {name for name, arm in ARMS.items() if arm.synthetic} == synthetic


def test_a_smaller_share_is_of_the_larger_ones_patients():
    patients = [f"PHA{k:05}01" for k in range(1, 33)]
    quarter, half, all_ = (subset(patients, patients, share, seed=1) for share in (25, 50, 100))
    assert (len(quarter), len(half), all_) == (8, 16, patients)
    assert set(quarter) < set(half)
    again = subset(patients * 2, patients, 25, seed=1)
    assert again == quarter != subset(patients, patients, 25, seed=2)
    assert subset(patients, patients[7:8], 1, seed=1) == patients[7:8]  # who can teach alone


@pytest.mark.parametrize("project_seed", range(6))
def test_seeds_draw_other_patients_of_the_train_split(project_seed):
    cohort = [f"PHA{k:05}01" for k in range(1, 97)]
    split = split_patients(cohort, project_seed, 0.2, 0.2)
    train = [patient for patient in cohort if split[patient] == "train"]
    for share, most in ((5, 1), (25, 0.6), (50, 0.8)):
        drawn = [set(subset(train, train, share, seed)) for seed in range(4)]
        pairs = [(a, b) for k, a in enumerate(drawn) for b in drawn[:k]]
        alike = [len(a & b) / len(a) for a, b in pairs]
        assert max(alike) < most, share
        if share > 5:  # about as many as by chance
            assert np.mean(alike) == pytest.approx(share / 100, abs=0.15)


@pytest.mark.parametrize(("share", "count"), [(25, 1), (50, 2), (100, 4)])
def test_of_a_split_train_teaches_and_the_others_judge(cohort, share, count):
    fold = fold_of(cohort, "split", share, seed=3)
    assert len(fold.learn) == count
    assert {SPLITS[patient] for patient in fold.learn} == {"train"}
    assert fold.judge == {"val": ["A5"], "test": ["A6"]}
    assert set(cohort.cycles_of(fold.learn)) == set(fold.learn)


def test_each_patient_with_contours_is_left_out_once_and_all_others_teach(cohort):
    folds = [fold_of(cohort, "leave_one_out", 100, seed) for seed in range(5)]
    assert [fold.judge["test"] for fold in folds] == [["A1"], ["A3"], ["A4"], ["A5"], ["A6"]]
    for fold in folds:
        assert sorted(fold.learn + fold.judge["test"]) == sorted(SPLITS)
    with pytest.raises(CineganError, match=r"study.seeds: 5, but 5 patients .* within 0 to 4"):
        fold_of(cohort, "leave_one_out", 100, 5)


def test_a_patient_in_two_splits_is_refused(cohort):
    table = cohort.index.copy()
    table.loc[0, "split"] = "test"
    table.to_csv(cohort.folder / INDEX, index=False)
    with pytest.raises(CineganError, match="patient A1 is in more than one split"):
        fold_of(Cohort(cohort.folder), "split", 100, 0)


@pytest.mark.parametrize("lacking", ["train", "val", "test", "all"])
def test_who_has_no_contours_does_not_judge_and_without_them_all_is_skipped(tmp_path, lacking):
    without = {p for p, split in SPLITS.items() if lacking in (split, "all")}
    cohort = cohort_without(tmp_path / "other", without)
    fold = fold_of(cohort, "split", 100, 0)
    told = {
        "train": "no patient who teaches has contours",
        "test": "no patient who judges has contours",
        "all": "no contours, so there is nothing to learn",
    }
    assert bool(fold.skipped) == (lacking in told)
    assert told.get(lacking, "") in fold.skipped
    if lacking == "val":
        assert fold.judge == {"val": [], "test": ["A6"]}


@pytest.mark.parametrize("protocol", ["split", "leave_one_out"])
@pytest.mark.parametrize("kind", ["rv", "papillary1"])
def test_contours_of_other_kinds_are_none_to_learn_from(tmp_path, protocol, kind):
    cohort = cohort_without(tmp_path / "other", set(), kind)
    assert cohort.contours("A1", "expert")
    assert "no contours of endo or epi" in fold_of(cohort, protocol, 100, 0).skipped


@pytest.mark.parametrize("arguments", [[], ["25"], ["25", "x"], ["1", "2", "3"]])
def test_a_share_and_a_seed_are_two_whole_numbers(arguments):
    assert share_and_seed(["25", "3"]) == (25, 3)
    with pytest.raises(CineganError, match="name a share, percent, and a seed"):
        share_and_seed(arguments)
    for outside in (["0", "0"], ["101", "0"], ["50", "-1"]):
        with pytest.raises(CineganError, match="a share is 1 to 100 percent, a seed 0 or more"):
            share_and_seed(outside)
