"""What the sensitivity benchmark does to real cycles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks.corruptions import CORRUPTIONS, Given
from benchmarks.sensitivity import CLAIMS, _claims, _of_others, _reaction

SIZE, PHASES = 32, 8


def smooth(seed, n):
    cycles = gaussian_filter(
        np.random.default_rng(seed).normal(size=(n, SIZE, SIZE, PHASES)), (0, 3, 3, 1)
    )
    return np.clip(128 + 400 * cycles, 0, 255).astype(np.uint8)


# Two patients of four slices each.
GIVEN = Given(smooth(0, 8), np.tile(np.linspace(0, 1, 4), 2), smooth(1, 8))


def corrupted(name, strength):
    return CORRUPTIONS[name].apply(GIVEN, strength, np.random.default_rng(0))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_strength_of_nothing_changes_nothing(name):
    np.testing.assert_array_equal(corrupted(name, 0), GIVEN.cycles)


@pytest.mark.parametrize("name", sorted(CORRUPTIONS.keys() - {"missing modes"}))
def test_stronger_is_further_away(name):
    off = [
        np.abs(corrupted(name, strength).astype(float) - GIVEN.cycles).mean()
        for strength in CORRUPTIONS[name].strengths
    ]
    assert 0 < off[0] < off[-1]


@pytest.mark.parametrize("name", ["shuffled phases", "frozen cycles"])
def test_every_frame_is_untouched_where_only_motion_is_wrong(name):
    for cycle, wrong in zip(GIVEN.cycles, corrupted(name, 1.0), strict=True):
        frames = {frame.tobytes() for frame in np.moveaxis(cycle, -1, 0)}
        assert {frame.tobytes() for frame in np.moveaxis(wrong, -1, 0)} <= frames
        assert not np.array_equal(cycle, wrong)


def test_missing_modes_leave_the_base_of_each_patient():
    left = corrupted("missing modes", 0.5)
    np.testing.assert_array_equal(left, GIVEN.cycles[[0, 1, 4, 5]])


def test_copies_are_like_train_cycles():
    copies, train = (each.reshape(8, -1) for each in (corrupted("copies", 1.0), GIVEN.train))
    assert len(copies) == 8
    assert np.corrcoef(copies, train)[:8, 8:].max() > 0.5


@pytest.mark.parametrize(
    ("means", "first", "monotone"),
    [
        ([0, 1, 3, 4, 5], 2, True),
        ([0, 1, 3, 1, 5], 4, False),
        ([0, 3, 4, 4, 5], 1, True),
        ([0, 1, 1, 2, 2], None, True),
    ],
)
def test_an_alarm_stays_from_its_first_strength_on(means, first, monotone):
    reaction = _reaction("kid texture", "blur", means, limit=2.5)
    assert (reaction.first, reaction.monotone) == (first, monotone)
    assert reaction.proof == (monotone and first is not None)


def test_lower_is_the_alarm_where_higher_is_better():
    assert _reaction("precision texture", "blur", [0.9, 0.8, 0.5, 0.3, 0.1], limit=-0.6).first == 2


def test_a_limit_is_of_as_many_other_patients():
    """Halves of 16 patients vary as two cohorts of 16 do, but for the root of 2."""
    values = np.random.default_rng(0).normal(5, 1, 4000)
    limit = _of_others("kid texture", values, np.arange(16))
    assert limit == pytest.approx(5 + 2.602 * np.sqrt(2), rel=0.02)


def test_claims_are_of_corruptions_that_there_are():
    assert {each for claimed in CLAIMS.values() for each in claimed} <= CORRUPTIONS.keys()
    assert _claims("swd_64") == CLAIMS["swd"]
    assert _claims("likeness rises") == ("copies",)
    assert _claims("precision motion") == ()
