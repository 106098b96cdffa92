import re

import numpy as np
from beating import PHASES, cohort

from cinegan.evaluation.memorization import NEAREST_SHOWN, likeness, nearest_pairs
from cinegan.evaluation.page import BLIND, write_page

TRAIN, _ = cohort(range(2))
TEST, _ = cohort(range(20, 22))
SAMPLES, _ = cohort(range(40, 42))
REPORT = {
    "input": "ventricles",
    "size": 24,
    "n_synthetic": 16,
    "n_compared_texture": 16,
    "kid_texture_train": 1.25,
    "kid_texture_train_low": 0.5,
    "kid_texture_train_high": 2.0,
    "kid_texture_test": None,
    "kid_texture_test_reason": "too few <test> cycles",
    "copied": 0.5,
    "copied_floor": 0.0,
    "msssim_synthetic": 0.4,
}


def page(tmp_path, real, name="a & b"):
    nearest = nearest_pairs(SAMPLES, real["train"], likeness(SAMPLES, real["train"]))
    write_page(tmp_path / "report.html", name, SAMPLES, real, nearest, REPORT, seed=0)
    return (tmp_path / "report.html").read_text()


def test_a_page_holds_all_it_shows(tmp_path):
    text = page(tmp_path, {"train": TRAIN, "test": TEST})
    assert "<title>a &amp; b</title>" in text
    assert not re.findall(r"(?:src|href)=|https?:|url\((?!data:)", text)
    assert text.count('class="heart"') == BLIND + 2 * NEAREST_SHOWN
    assert 'max="0"' in text
    assert f"const phases = {PHASES}" in text
    assert "1.25 <small>(0.5 to 2)</small>" in text
    assert "too few &lt;test&gt; cycles" in text


def test_half_of_the_unlabelled_are_real_and_their_order_says_nothing(tmp_path):
    kinds = re.findall(r'data-kind="(\w+)"', page(tmp_path, {"train": TRAIN, "test": TEST}))
    assert sorted(kinds) == ["real"] * (BLIND // 2) + ["synthetic"] * (BLIND // 2)
    assert kinds not in (sorted(kinds), sorted(kinds)[::-1])


def test_what_is_not_there_is_not_shown(tmp_path):
    text = page(tmp_path, {"train": TRAIN[:0], "test": TEST[:0]})
    assert 'class="heart"' not in text
    assert "Which are real?" not in text
    assert "kernel distance" in text


def test_no_grey_level_is_changed_by_the_page(tmp_path):
    import base64

    import imageio.v3 as iio

    text = page(tmp_path, {"train": TRAIN, "test": TEST})
    strips = [
        iio.imread(base64.b64decode(found)) for found in re.findall(r"base64,([^)]+)\)", text)
    ]
    shown = {strip.tobytes() for strip in strips}
    assert all(strip.shape == (24, 24 * PHASES) for strip in strips)
    first = np.ascontiguousarray(SAMPLES[0].transpose(0, 2, 1)).tobytes()
    assert first in shown
