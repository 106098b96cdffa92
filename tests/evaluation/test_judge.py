import json
import re

import numpy as np
import pandas as pd
import pytest
from beating import PHASES, cohort

from cinegan.errors import CineganError
from cinegan.evaluation.extractors import MOTION, TEXTURE, Lacking, patches_of
from cinegan.evaluation.judge import judge, write_plots

SPLITS = {"train": range(6), "val": range(10, 13), "test": range(20, 24)}
READ = {split: cohort(patients) for split, patients in SPLITS.items()}
REAL = {split: cycles for split, (cycles, _) in READ.items()}
IDS = {split: owners for split, (_, owners) in READ.items()}
SAMPLES, _ = cohort(range(40, 45))


@pytest.fixture(scope="module")
def judged():
    extractors = [TEXTURE, MOTION, patches_of(24, 0), Lacking("inception", "no weights", ("kid",))]
    return judge(SAMPLES, REAL, IDS, extractors, seed=0)


def test_every_figure_has_its_key_and_a_reason_where_it_is_missing(judged):
    report = judged.report
    for key in (
        *("n_synthetic", "kid_texture_test", "kid_motion_floor", "swd_patches_train"),
        *("w1_closure_motion_test", "msssim_synthetic"),
    ):
        assert report[key] is not None, key
    assert report["kid_inception_test"] is None
    for key, value in report.items():
        if value is None:
            assert report[f"{key}_reason"], key
    json.dumps(report, allow_nan=False)


def test_the_same_again_is_the_same_whatever_else_is_asked_for(judged):
    again = judge(SAMPLES, REAL, IDS, [TEXTURE], seed=0)
    assert all(judged.report[key] == value for key, value in again.report.items())


def test_cycles_too_small_for_an_extractor_leave_its_figures_out():
    tiny = {split: cycles[:, ::3, ::3] for split, cycles in REAL.items()}
    report = judge(SAMPLES[:, ::3, ::3], tiny, IDS, [TEXTURE, MOTION], seed=0).report
    assert report["kid_texture_test"] is None
    assert "8x8x12 are too small" in report["kid_texture_test_reason"]
    assert report["kid_motion_test"] is not None
    assert "smaller than the window" in report["msssim_synthetic_reason"]


UNFIT = {
    "constant": (np.where(np.arange(len(SAMPLES))[:, None, None, None] == 3, 90, SAMPLES), "1 of"),
    "flickering": (SAMPLES * 0 + np.arange(PHASES, dtype=np.uint8), "have constant frames"),
    "phases": (SAMPLES[..., :7], "cycles are of 24x24x7, real ones of 24x24x12"),
    "size": (SAMPLES[:, :20, :20], "cycles are of 20x20x12, real ones of 24x24x12"),
    "bits": ((SAMPLES > 90).astype(np.uint8), "grey levels spread over 1 of 255"),
    "numbers": (SAMPLES / 255.0, "must be uint8 of shape (n, H, W, T), not float64"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_samples_that_cannot_be_judged_leave_nothing_but_reasons(fault, judged, tmp_path):
    samples, reason = UNFIT[fault]
    samples = samples if fault == "numbers" else samples.astype(np.uint8)
    extractors = [TEXTURE, MOTION, patches_of(24, 0), Lacking("inception", "no weights", ("kid",))]
    unfit = judge(samples, REAL, IDS, extractors, seed=0)
    assert unfit.report.keys() >= judged.report.keys()
    for key, value in unfit.report.items():
        told = key.startswith("n_") or "floor" in key or key.endswith("_reason")
        if not told and key not in ("msssim_train", "msssim_test") and "msssim_t" not in key:
            assert value is None, key
    for key in ("kid_texture_test", "w1_closure_motion_train", "swd_patches_test", "copied"):
        assert reason in unfit.report[f"{key}_reason"]
    for key in ("nearer_train_motion", "msssim_synthetic", "kid_texture_test_low"):
        assert reason in unfit.report[f"{key}_reason"]
    for key in ("kid_texture_floor", "msssim_train"):
        assert unfit.report[key] == judged.report[key]
    if fault != "size":  # which the pipeline cannot make
        names = {path.name for path in write_plots(tmp_path, "made", unfit, samples, REAL, seed=0)}
        assert "report.html" in names


def test_of_whole_frames_nothing_is_told_of_the_blood_pool(judged):
    frames = judge(SAMPLES, REAL, IDS, [MOTION], seed=0, centred=False)
    for quantity in ("contraction", "end_systole"):
        for end in ("", "_low", "_high"):
            key = f"w1_{quantity}_motion_test{end}"
            assert frames.report[key] is None
            assert "not in the middle" in frames.report[f"{key}_reason"]
    assert frames.report["kid_motion_test"] == judged.report["kid_motion_test"]
    assert list(frames.tables["pool.csv"].columns) == ["phase"]
    assert "contraction" not in set(frames.tables["quantities.csv"]["quantity"])


# Every key, as docs/evaluation.md names them.
MEASURED = (
    r"(frechet|frechet_inf|kid|precision|recall|density|coverage|swd|swd_\d+|"
    r"w1_(amplitude|roughness|closure|contraction|end_systole))"
    r"_(texture|motion|cardiac|patches|inception)_(train|test|floor)"
)
ONE_WAY = r"(precision|recall|density|coverage)_[a-z]+_floor_train"
KEY = re.compile(
    r"(n_(synthetic|train|val|test)|n_(train|val|test)_patients|n_compared_[a-z]+|n_paired|n_pool|"
    rf"({MEASURED}|{ONE_WAY}|frechet_[a-z]+_ratio)(_low|_high)?|kid_[a-z]+_(train|test|floor)_se|"
    r"copied_threshold|((copied|authentic|likeness_train|likeness_test|"
    r"nearer_train_(pixels|texture|motion|cardiac|inception)|"
    r"nearest_(train|test)_(texture|motion|cardiac|inception))(_floor)?|"
    r"msssim_(synthetic|train|test))(_low|_high)?)(_reason)?"
)


def test_every_key_is_documented(judged):
    for key in judged.report:
        assert KEY.fullmatch(key), key


def test_every_null_has_its_reason(judged):
    few = {split: cycles[:8] for split, cycles in REAL.items()}  # of one patient each
    ids = {split: owners[:8] for split, owners in IDS.items()}
    for report in (judged.report, judge(SAMPLES, few, ids, [TEXTURE, MOTION], seed=0).report):
        for key, value in report.items():
            if value is None:
                assert report[f"{key}_reason"], key
            elif not key.endswith("_reason"):
                assert f"{key}_reason" not in report, key


def test_a_patient_in_two_splits_is_refused():
    ids = {**IDS, "test": np.where(IDS["test"] == "P20", "P00", IDS["test"])}
    with pytest.raises(CineganError, match="patient P00 stands in both"):
        judge(SAMPLES, REAL, ids, [TEXTURE], seed=0)


def test_the_order_of_cycles_does_not_matter(judged):
    draw = np.random.default_rng(0)
    orders = {split: draw.permutation(len(cycles)) for split, cycles in REAL.items()}
    real = {split: cycles[orders[split]] for split, cycles in REAL.items()}
    ids = {split: np.asarray(IDS[split])[order] for split, order in orders.items()}
    again = judge(draw.permutation(SAMPLES), real, ids, [TEXTURE, MOTION], seed=0)
    for key, value in again.report.items():
        assert judged.report[key] == value, key
    np.testing.assert_array_equal(again.nearest.samples, judged.nearest.samples)


def test_plots_and_page_are_written_and_the_same_twice(judged, tmp_path):
    written = [write_plots(tmp_path / name, "made", judged, SAMPLES, REAL, seed=0) for name in "ab"]
    names = {path.name for path in written[0]}
    assert names == {
        *("descriptors.csv", "fidelity.csv", "pool.csv", "quantities.csv", "spectrum.csv"),
        *("heartbeats.gif", "nearest.gif", "report.html"),
    }
    for one, other in zip(*written, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
    pool = pd.read_csv(tmp_path / "a" / "pool.csv")
    assert list(pool.columns) == ["phase", "synthetic", "test", "train", "val"]
    assert len(pool) == PHASES
