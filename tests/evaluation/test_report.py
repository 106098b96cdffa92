import json

import numpy as np
import pytest
from beating import PHASES, cohort
from scipy.ndimage import gaussian_filter

from cinegan.errors import CineganError
from cinegan.evaluation.extractors import MEASURES, MOTION, TEXTURE, patches_of
from cinegan.evaluation.memorization import disturbed
from cinegan.evaluation.report import (
    SYNTHETIC,
    copying,
    counts,
    descriptor_table,
    features_of,
    figures_of_merit,
    likeness_of,
    nearness,
    not_measured,
    pool_table,
    variety,
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


def evaluate(samples, real, patients, *, seed, extractor=TEXTURE, **options):
    features = features_of(samples, real, extractor)
    return figures_of_merit(features, patients, extractor, seed=seed, **options)


@pytest.fixture(scope="module")
def ideal():
    return evaluate(UNSEEN, REAL, IDS, seed=1)


def test_report_is_flat_complete_and_json(ideal):
    # Half of the patients are too few for a Fréchet distance, which then has no interval.
    assert {key for key in ideal if not key.endswith("_reason")} == {
        *(
            f"{name}_texture_{end}{interval}"
            for name in MEASURES
            for end in ("train", "test", "floor")
            for interval in ("", "_low", "_high")
        ),
        *(f"kid_texture_{end}_se" for end in ("train", "test", "floor")),
        *(
            f"{name}_texture_floor_train{interval}"
            for name in ("precision", "recall", "density", "coverage")
            for interval in ("", "_low", "_high")
        ),
        *(f"frechet_texture_ratio{interval}" for interval in ("", "_low", "_high")),
        "n_compared_texture",
    }
    assert ideal["n_compared_texture"] == 48
    json.dumps(ideal, allow_nan=False)


def test_counts_are_of_cycles_and_of_patients():
    assert counts(UNSEEN, IDS) == {
        "n_synthetic": 48,
        "n_train": 64,
        "n_val": 0,
        "n_test": 48,
        "n_train_patients": 8,
        "n_val_patients": 0,
        "n_test_patients": 6,
    }


def test_unseen_patients_score_about_the_floor(ideal):
    assert 0.5 < ideal["frechet_texture_ratio"] < 2
    for name in MEASURES[1:]:
        low, value, high = (ideal[f"{name}_texture_test{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high
    for name in ("precision", "recall", "density", "coverage"):
        test, floor = (ideal[f"{name}_texture_{end}"] for end in ("test", "floor"))
        assert test == pytest.approx(floor, abs=0.3)


def test_motion_has_quantities_of_its_own():
    report = evaluate(UNSEEN, REAL, IDS, seed=1, extractor=MOTION)
    frozen = evaluate(corrupted("frozen"), REAL, IDS, seed=1, extractor=MOTION)
    shuffled = evaluate(corrupted("shuffled"), REAL, IDS, seed=1, extractor=MOTION)
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


VAL, VAL_IDS = cohort(range(60, 64))


OF_ANATOMIES = {
    split: np.repeat([f"{split} {k}" for k in range(4)], 2) for split in ("train", "val", "test")
}


def copies_in(samples, real, ids):
    sets = {SYNTHETIC: samples, "val": real["val"], "test": real["test"]}
    return copying(samples, real, ids, likeness_of(sets, real["train"]), seed=0)


def test_copies_of_train_cycles_are_told_from_new_ones():
    real = {"train": anatomies(0), "val": anatomies(1), "test": anatomies(2)}
    report = copies_in(anatomies(3), real, OF_ANATOMIES)
    copies = copies_in(disturbed(real["train"], seed=3), real, OF_ANATOMIES)
    assert report["copied"] == report["copied_floor"] == 0
    assert report["copied_high"] == pytest.approx(1 - 0.05 ** (1 / 8), abs=1e-4)  # of 8 samples
    assert report["copied_floor_high"] == pytest.approx(1 - 0.05 ** (1 / 4), abs=1e-4)  # patients
    assert copies["copied"] == copies["nearer_train_pixels"] == 1
    assert copies["likeness_train_low"] <= copies["likeness_train"] <= copies["likeness_train_high"]
    assert 0.1 < report["nearer_train_pixels"] < 0.9
    assert copies["likeness_train"] > copies["likeness_test"] + 0.3
    assert report["likeness_train"] == pytest.approx(report["likeness_test"], abs=0.1)
    assert report["likeness_train_floor"] == pytest.approx(report["likeness_test_floor"], abs=0.1)
    json.dumps(report, allow_nan=False)


def test_without_train_cycles_nothing_can_be_copied():
    report = copies_in(UNSEEN, {"train": TRAIN[:1], "val": VAL, "test": TEST[:0]}, {})
    assert {report[key] for key in report if not key.endswith("_reason")} == {None}
    assert report["copied_reason"].startswith("48 synthetic, 1 train, 32 val, 0 test cycles")


def test_alike_val_and_train_patients_leave_no_threshold():
    real = {"train": anatomies(0), "val": anatomies(0), "test": anatomies(2)}
    report = copies_in(anatomies(3), real, OF_ANATOMIES)
    assert report["copied"] is None
    assert "is a patient in both" in report["copied_reason"]


@pytest.mark.parametrize("copied", [False, True])
def test_samples_should_be_no_nearer_to_train_patients_than_to_others(copied):
    real, ids = {**REAL, "val": VAL}, {**IDS, "val": VAL_IDS}
    samples = TRAIN if copied else UNSEEN
    features = features_of(samples, real, TEXTURE)
    report = nearness(features, ids, TEXTURE, seed=0)
    share, floor = report["nearer_train_texture"], report["nearer_train_texture_floor"]
    assert 0.25 < floor < 0.75
    assert share > 0.8 if copied else 0.25 < share < 0.75
    assert report["nearer_train_texture_low"] <= share <= report["nearer_train_texture_high"]
    for split in ("train", "test"):
        low, mean, high = (report[f"nearest_{split}_texture{end}"] for end in ("_low", "", "_high"))
        assert 0 <= low <= mean <= high
    nearest = report["nearest_train_texture"] / report["nearest_test_texture"]
    assert nearest < 0.5 if copied else nearest == pytest.approx(1, abs=0.2)
    assert nearness(features, ids, TEXTURE, seed=0) == report


def test_nearness_takes_train_and_test_cycles():
    features = features_of(UNSEEN, {"train": TRAIN, "val": VAL, "test": TEST[:0]}, TEXTURE)
    report = nearness(features, IDS, TEXTURE, seed=0)
    assert report["nearer_train_texture"] is report["nearer_train_texture_floor"] is None
    assert report["nearer_train_texture_reason"].startswith("0 test and 64 train cycles")


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
    assert report["frechet_texture_ratio_reason"] == report["frechet_texture_test_reason"]


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
    assert report["n_compared_texture_reason"] == "no train cycles to standardise on"
    assert descriptor_table(features_of(UNSEEN, real, TEXTURE), TEXTURE).empty


def test_identical_distributions_are_at_zero():
    points = np.random.default_rng(0).normal(size=(60, 30))
    features = {"synthetic": points, "train": points[::-1], "test": points}
    patients = {"train": range(60), "test": range(60, 120)}
    report = figures_of_merit(features, patients, TEXTURE, seed=0)
    assert report["frechet_texture_train"] == 0
    assert report["frechet_texture_ratio"] is None


def test_descriptor_table_is_in_standard_deviations_of_train():
    frozen = np.repeat(TRAIN[..., :1], PHASES, axis=-1)
    table = descriptor_table(features_of(frozen, REAL, TEXTURE), TEXTURE)
    assert list(table.columns) == ["descriptor", "set", "mean", "sd"]
    assert len(table) == 3 * len(TEXTURE.columns)
    train = table[table["set"] == "train"]
    np.testing.assert_allclose(train["mean"], 0, atol=1e-9)
    np.testing.assert_allclose(train["sd"], 1, atol=1e-9)
    synthetic = table[table["set"] == "synthetic"].set_index("descriptor")["mean"]
    assert synthetic["log_harmonic_1"] < -3


def test_pool_table_shows_the_contraction():
    table = pool_table({"synthetic": UNSEEN, **REAL, "val": TRAIN[:0]})
    assert list(table.columns) == ["set", "phase", "mean", "sd"]
    assert list(table["set"].unique()) == ["synthetic", "train", "test"]
    for _, curve in table.groupby("set"):
        means = curve.set_index("phase")["mean"]
        assert means.idxmax() == 1
        assert means.mean() == pytest.approx(1)
        assert means[PHASES // 2 + 1] < 0.9


def test_pool_table_leaves_out_cycles_without_a_pool():
    flat = np.full_like(UNSEEN[:2], 9)
    assert set(pool_table({"synthetic": flat, **REAL})["set"]) == {"train", "test"}


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


def test_fewer_cycles_than_features_give_no_frechet_distance():
    report = evaluate(UNSEEN[:30], REAL, IDS, seed=0, extrapolate=True)
    assert report["n_compared_texture"] == 30
    assert report["kid_texture_test"] is not None
    assert report["frechet_texture_test"] is report["frechet_texture_ratio"] is None
    assert report["frechet_texture_test_reason"] == (
        "30 samples give no covariance of 30 features; at least 31 are needed"
    )
    assert report["frechet_inf_texture_test_reason"].startswith("15 samples give no covariance")


def test_extrapolation_takes_the_bias_of_few_cycles_away():
    draw = np.random.default_rng(0)
    sets = {name: draw.normal(size=(400, 8)) for name in ("synthetic", "train", "test")}
    patients = {"train": range(400), "test": range(400, 800)}
    report = figures_of_merit(sets, patients, TEXTURE, seed=0, extrapolate=True)
    for end in ("train", "test", "floor"):
        assert abs(report[f"frechet_inf_texture_{end}"]) < report[f"frechet_texture_{end}"] / 2


def test_the_standard_error_of_the_kernel_distance_is_beside_it(ideal):
    for end in ("train", "test", "floor"):
        low, high = (ideal[f"kid_texture_{end}_{side}"] for side in ("low", "high"))
        assert 0 < ideal[f"kid_texture_{end}_se"] < high - low


@pytest.mark.parametrize("kind", ["noisy", "shuffled", "frozen"])
def test_patches_tell_corrupted_cycles_at_some_scale(kind):
    extractor = patches_of(24, seed=0)
    assert extractor.measures == ("swd", "swd_24")
    report = evaluate(corrupted(kind), REAL, IDS, seed=1, extractor=extractor)
    ideal = evaluate(UNSEEN, REAL, IDS, seed=1, extractor=extractor)
    assert report["swd_24_patches_test"] > 1.1 * ideal["swd_24_patches_test"]


def test_a_collapse_shows_in_the_likeness_of_samples_to_one_another():
    report = variety(UNSEEN, REAL, IDS, seed=0)
    collapsed = variety(corrupted("collapsed"), REAL, IDS, seed=0)
    assert report["n_paired"] == 24
    assert collapsed["msssim_synthetic"] == pytest.approx(1, abs=1e-4)
    assert report["msssim_synthetic"] == pytest.approx(report["msssim_test"], abs=0.15)
    assert report["msssim_train_low"] < report["msssim_train"] < report["msssim_train_high"]


def test_variety_is_told_of_the_sets_that_there_are():
    report = variety(UNSEEN, {"train": TRAIN, "test": TEST[:0]}, {"train": TRAIN_IDS}, seed=0)
    assert report["msssim_train"] > 0
    assert report["msssim_test"] is None
    assert report["msssim_test_reason"] == "0 test cycles; 2 are needed"


def test_what_an_extractor_would_have_measured_is_none_with_the_reason():
    report = not_measured("inception", ("kid",), "no weights")
    assert report["kid_inception_test"] is report["n_compared_inception"] is None
    assert report["kid_inception_test_reason"] == "no weights"
