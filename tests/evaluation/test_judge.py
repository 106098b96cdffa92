import json

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
        if value is None and not key.endswith(("_low", "_high", "_se")):
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


def test_constant_samples_are_judged_and_found_wanting():
    flat = np.full_like(SAMPLES, 90)
    report = judge(flat, REAL, IDS, [TEXTURE, MOTION], seed=0).report
    assert report["precision_texture_test"] == 0
    assert report["kid_motion_test"] > 10
    assert report["msssim_synthetic"] == pytest.approx(1)


def test_a_patient_in_two_splits_is_refused():
    ids = {**IDS, "test": np.where(IDS["test"] == "P20", "P00", IDS["test"])}
    with pytest.raises(CineganError, match="patient P00 stands in both"):
        judge(SAMPLES, REAL, ids, [TEXTURE], seed=0)


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
