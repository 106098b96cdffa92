import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cinegan.errors import CineganError
from cinegan.evaluation.features import TEXTURE_NAMES
from cinegan.evaluation.memorization import disturbed
from cinegan.evaluation.report import (
    copying,
    counts,
    descriptor_table,
    figures_of_merit,
    pool_table,
    standardised_features,
)

SIZE, PHASES = 24, 12


def patient_cycles(patient, slices=8):
    """Beating discs of one patient: alike in brightness and strength, varied along the heart."""
    generator = np.random.default_rng(patient)
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    beat = np.cos(2 * np.pi * np.arange(PHASES) / PHASES)
    strength, bright = generator.uniform([0.1, 120], [0.25, 180])
    cycles = []
    for radius in generator.uniform(4.5, 7, slices):
        edge = radius * (1 + strength * beat)  # (T,)
        disc = bright / (1 + np.exp(np.hypot(rows, columns)[..., None] - edge))  # (H, W, T)
        noise = generator.normal(0, 6, (SIZE, SIZE, 1)) + generator.normal(0, 2, disc.shape)
        cycles.append(np.clip(50 + disc + noise, 0, 255).astype(np.uint8))
    return np.stack(cycles)


def cohort(patients):
    return (
        np.concatenate([patient_cycles(patient) for patient in patients]),
        np.repeat([f"P{patient:02}" for patient in patients], 8),
    )


def anatomies(seed, n=8):
    """Smooth random pictures of which a part beats: unlike from one to the next."""
    still, moving = gaussian_filter(
        np.random.default_rng(seed).normal(size=(2, n, 64, 64)), (0, 0, 4, 4)
    )
    beat = np.cos(2 * np.pi * np.arange(PHASES) / PHASES)
    cycles = still[..., None] + 0.4 * moving[..., None] * beat
    return np.clip(128 + 300 * cycles, 0, 255).astype(np.uint8)


TRAIN, TRAIN_IDS = cohort(range(8))
TEST, TEST_IDS = cohort(range(20, 26))
UNSEEN, _ = cohort(range(40, 46))  # what an ideal model would draw
REAL = {"train": TRAIN, "test": TEST}
IDS = {"train": TRAIN_IDS, "test": TEST_IDS}


def corrupted(kind):
    generator = np.random.default_rng(0)
    match kind:
        case "blurred":
            return gaussian_filter(UNSEEN, (0, 1, 1, 0))
        case "noisy":
            return (UNSEEN * 0.8 + generator.uniform(0, 40, UNSEEN.shape)).astype(np.uint8)
        case "frozen":
            return np.repeat(UNSEEN[..., :1], PHASES, axis=-1)
        case "shuffled":
            return UNSEEN[..., generator.permutation(PHASES)]
        case "collapsed":
            return np.repeat(UNSEEN[:1], len(UNSEEN), axis=0)
    raise ValueError(kind)


def evaluate(samples, real, patients, *, seed, extractor="texture"):
    features = standardised_features(samples, real, extractor)
    return figures_of_merit(features, patients, seed=seed, extractor=extractor)


@pytest.fixture(scope="module")
def ideal():
    return evaluate(UNSEEN, REAL, IDS, seed=1)


def test_report_is_flat_complete_and_json(ideal):
    assert set(ideal) == {
        *(
            f"{name}_texture_{end}{interval}"
            for name in ("frechet", "kid", "precision", "recall", "density", "coverage")
            for end in ("train", "test", "floor")
            for interval in ("", "_low", "_high")
        ),
        *("frechet_texture_ratio", "n_compared_texture"),
    }
    assert ideal["n_compared_texture"] == 48
    json.dumps(ideal, allow_nan=False)


def test_counts_are_of_cycles_and_of_patients():
    assert counts(UNSEEN, IDS) == {
        "n_synthetic": 48,
        "n_train": 64,
        "n_test": 48,
        "n_train_patients": 8,
        "n_test_patients": 6,
    }


def test_unseen_patients_score_about_the_floor(ideal):
    assert 0.5 < ideal["frechet_texture_ratio"] < 2
    for name in ("frechet", "kid", "precision", "recall", "density", "coverage"):
        low, value, high = (ideal[f"{name}_texture_test{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high
    for name in ("precision", "recall", "density", "coverage"):
        test, floor = (ideal[f"{name}_texture_{end}"] for end in ("test", "floor"))
        assert test == pytest.approx(floor, abs=0.3)


def test_motion_has_quantities_of_its_own():
    report = evaluate(UNSEEN, REAL, IDS, seed=1, extractor="motion")
    frozen = evaluate(corrupted("frozen"), REAL, IDS, seed=1, extractor="motion")
    shuffled = evaluate(corrupted("shuffled"), REAL, IDS, seed=1, extractor="motion")
    key = "w1_{}_motion_test".format
    assert frozen[key("amplitude")] > 5 * report[key("amplitude")]
    assert shuffled[key("roughness")] > 3 * report[key("roughness")]
    for wrong in (frozen, shuffled):
        assert wrong["kid_motion_test"] > 5 * abs(report["kid_motion_test"])


@pytest.mark.parametrize("kind", ["blurred", "noisy", "frozen", "shuffled", "collapsed"])
def test_corrupted_cycles_score_worse_than_held_out_real_ones(kind, ideal):
    report = evaluate(corrupted(kind), REAL, IDS, seed=1)
    assert report["frechet_texture_floor"] == ideal["frechet_texture_floor"]
    for split in ("train", "test"):
        key = f"frechet_texture_{split}"
        assert report[key] > 1.5 * ideal[key]


def test_a_single_cycle_over_and_over_covers_little(ideal):
    report = evaluate(corrupted("collapsed"), REAL, IDS, seed=1)
    assert report["coverage_texture_test"] < 0.2 < ideal["coverage_texture_test"]


def test_noise_is_not_true_to_life(ideal):
    report = evaluate(corrupted("noisy"), REAL, IDS, seed=1)
    assert report["precision_texture_test"] < 0.1 < ideal["precision_texture_test"]


VAL, _ = cohort(range(60, 64))


def test_copies_of_train_cycles_are_told_from_new_ones():
    real = {"train": anatomies(0), "val": anatomies(1), "test": anatomies(2)}
    report = copying(anatomies(3), real, seed=0)
    copies = copying(disturbed(real["train"], seed=3), real, seed=0)
    assert report["copied"] == report["copied_floor"] == 0
    assert copies["copied"] == 1
    assert copies["likeness_train"] > copies["likeness_test"] + 0.3
    assert report["likeness_train"] == pytest.approx(report["likeness_test"], abs=0.1)
    assert report["likeness_train_floor"] == pytest.approx(report["likeness_test_floor"], abs=0.1)
    json.dumps(report, allow_nan=False)


def test_without_train_cycles_nothing_can_be_copied():
    report = copying(UNSEEN, {"train": TRAIN[:1], "val": VAL, "test": TEST[:0]}, seed=0)
    assert {report[key] for key in report if not key.endswith("_reason")} == {None}
    assert report["copied_reason"].startswith("48 synthetic, 1 train, 32 val, 0 test cycles")


def test_alike_val_and_train_patients_leave_no_threshold():
    report = copying(UNSEEN, {"train": TRAIN, "val": TRAIN, "test": TEST}, seed=0)
    assert report["copied"] is None
    assert "is a patient in both" in report["copied_reason"]


def test_same_seed_same_report_and_other_splits_are_left_alone(ideal):
    real = {**REAL, "val": UNSEEN[:3]}
    assert evaluate(UNSEEN, real, IDS, seed=1) == ideal


def test_too_few_test_cycles_leave_the_train_distance():
    real, ids = {"train": TRAIN, "test": TEST[:3]}, {"train": TRAIN_IDS, "test": TEST_IDS[:3]}
    report = evaluate(UNSEEN, real, ids, seed=0)
    assert report["frechet_texture_train"] > 0
    assert report["n_compared_texture"] == 48
    for end in ("test", "floor"):
        assert report[f"frechet_texture_{end}"] is None
        assert report[f"frechet_texture_{end}_reason"] == (
            "too few test cycles: 3, at least 8 are needed"
        )
    assert report["frechet_texture_ratio"] is None
    assert "missing" in report["frechet_texture_ratio_reason"]


def test_too_few_samples_leave_the_floor():
    report = evaluate(UNSEEN[:1], REAL, IDS, seed=0)
    assert report["frechet_texture_floor"] > 0
    assert report["frechet_texture_train"] is None
    assert "too few synthetic cycles: 1" in report["frechet_texture_train_reason"]


@pytest.mark.parametrize("real", [{"test": TEST}, {"train": TRAIN[:0], "test": TEST}])
def test_without_train_cycles_there_is_no_scale(real):
    report = evaluate(UNSEEN, real, {"test": TEST_IDS}, seed=0)
    assert report["frechet_texture_test"] is None
    assert "no train cycles" in report["frechet_texture_test_reason"]
    assert report["n_compared_texture"] is None
    assert descriptor_table(standardised_features(UNSEEN, real, "texture"), "texture").empty


def test_identical_distributions_are_at_zero():
    features = {"synthetic": np.eye(30), "train": np.eye(30)[::-1], "test": np.eye(30)}
    patients = {"train": range(30), "test": range(30, 60)}
    report = figures_of_merit(features, patients, seed=0, extractor="texture")
    assert report["frechet_texture_train"] == 0
    assert report["frechet_texture_ratio"] is None


def test_descriptor_table_is_in_standard_deviations_of_train():
    frozen = np.repeat(TRAIN[..., :1], PHASES, axis=-1)
    table = descriptor_table(standardised_features(frozen, REAL, "texture"), "texture")
    assert list(table.columns) == ["descriptor", "set", "mean", "sd"]
    assert len(table) == 3 * len(TEXTURE_NAMES)
    train = table[table["set"] == "train"]
    np.testing.assert_allclose(train["mean"], 0, atol=1e-9)
    np.testing.assert_allclose(train["sd"], 1, atol=1e-9)
    synthetic = table[table["set"] == "synthetic"].set_index("descriptor")["mean"]
    assert synthetic["log_harmonic_1"] < -3


def test_pool_table_shows_the_contraction():
    table = pool_table(UNSEEN, {**REAL, "val": TRAIN[:0]})
    assert list(table.columns) == ["set", "phase", "mean", "sd"]
    assert list(table["set"].unique()) == ["synthetic", "train", "test"]
    for _, curve in table.groupby("set"):
        means = curve.set_index("phase")["mean"]
        assert means.idxmax() == 1
        assert means.mean() == pytest.approx(1)
        assert means[PHASES // 2 + 1] < 0.9


def test_pool_table_leaves_out_cycles_without_a_pool():
    flat = np.full_like(UNSEEN[:2], 9)
    assert set(pool_table(flat, REAL)["set"]) == {"train", "test"}


@pytest.mark.parametrize(
    ("samples", "real", "ids", "message"),
    [
        (UNSEEN / 255, REAL, IDS, "the synthetic cycles must be uint8"),
        (UNSEEN, {**REAL, "test": TEST[0]}, IDS, "the test cycles must be uint8 of shape"),
        (UNSEEN[..., :10], REAL, IDS, r"differ in size \(synthetic 24x24x10, train 24x24x12"),
        (UNSEEN, REAL, {**IDS, "test": TEST_IDS[:5]}, "48 test cycles but 5 patient ids"),
        (UNSEEN, REAL, {"train": TRAIN_IDS}, "48 test cycles but 0 patient ids"),
        (
            UNSEEN,
            REAL,
            {**IDS, "test": np.where(TEST_IDS == "P20", "P00", TEST_IDS)},
            "patient P00 stands in both train and test",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(samples, real, ids, message):
    with pytest.raises(CineganError, match=message):
        evaluate(samples, real, ids, seed=0)


def test_unknown_extractor_is_refused():
    with pytest.raises(
        CineganError, match="no feature extractor 'inceptoin'; there are texture, motion"
    ):
        evaluate(UNSEEN, REAL, IDS, seed=0, extractor="inceptoin")
