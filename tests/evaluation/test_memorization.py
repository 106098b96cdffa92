from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.evaluation.memorization import (
    Threshold,
    disturbed,
    likeness,
    nearer_train,
    nearest_pairs,
)


def patients(seed, n, size=64, phases=20):
    """Smooth random anatomy, a part of which beats: unlike from one to the next."""
    generator = np.random.default_rng(seed)
    still = gaussian_filter(generator.normal(size=(n, size, size)), (0, 4, 4))
    moving = gaussian_filter(generator.normal(size=(n, size, size)), (0, 4, 4))
    beat = np.cos(2 * np.pi * np.arange(phases) / phases)
    cycles = still[..., None] + 0.4 * moving[..., None] * beat
    return np.clip(128 + 300 * cycles, 0, 255).astype(np.uint8)


TRAIN, VAL, TEST = patients(0, 12), patients(1, 8), patients(2, 8)


def test_a_cycle_is_like_itself_and_likeness_is_at_most_one():
    table = likeness(TRAIN, TRAIN)
    np.testing.assert_allclose(np.diagonal(table), 1, atol=1e-5)
    assert table.max() <= 1 + 1e-5
    assert (table.argmax(axis=1) == np.arange(len(TRAIN))).all()


def test_the_pairs_to_look_at_are_the_most_alike_of_all_samples():
    copies = disturbed(TRAIN[[3, 7]], seed=0)
    samples = np.concatenate([TEST, copies])
    found = nearest_pairs(samples, TRAIN, likeness(samples, TRAIN), 3)
    assert (np.diff(found.likeness) <= 0).all()
    np.testing.assert_array_equal(np.sort(found.samples[:2], axis=0), np.sort(copies, axis=0))
    np.testing.assert_array_equal(np.sort(found.train[:2], axis=0), np.sort(TRAIN[[3, 7]], axis=0))
    table = likeness(samples, TRAIN).max(axis=1)
    assert found.likeness == pytest.approx(np.sort(table)[::-1][:3])
    assert not len(nearest_pairs(samples[:0], TRAIN, np.empty((0, len(TRAIN)))).likeness)


def test_likeness_is_the_best_correlation_over_all_changes():
    """Tried one by one, on cycles that have no fast harmonics."""
    one, other = patients(5, 2)
    still = resize_frames(one[None], 32, 32)[0, 3:-3, 3:-3].ravel()
    best = -1.0
    for down, across in product((-3, -1.5, 0, 1.5, 3), repeat=2):
        moved = shift(other.astype(float), (down, across, 0), order=3, mode="nearest")
        for scale in (0.95, 1.0, 1.05):
            scaled = resize_frames(moved[None], 32, 32, (2 / scale, 2 / scale))[0, 3:-3, 3:-3]
            for phases in range(20):
                rolled = np.roll(scaled, phases, axis=-1).ravel()
                best = max(best, np.corrcoef(still, rolled)[0, 1])
    assert likeness(one[None], other[None])[0, 0] == pytest.approx(best, abs=2e-3)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: np.roll(x, 7, axis=-1),
        lambda x: (x * 0.5 + 90).astype(np.uint8),
        lambda x: np.roll(x, (2, -2), axis=(1, 2)),
        lambda x: np.roll(x, (-3, 3), axis=(1, 2)),
    ],
    ids=["rolled in time", "brighter, less contrast", "shifted by two pixels", "by three"],
)
def test_small_changes_do_not_hide_a_copy(change):
    table = likeness(change(TRAIN), TRAIN)
    assert np.diagonal(table).min() > 0.97


@pytest.mark.parametrize(
    "change",
    [lambda x: x[:, ::-1], lambda x: np.roll(x, 12, axis=1), lambda x: np.rot90(x, axes=(1, 2))],
    ids=["upside down", "moved far", "turned"],
)
def test_large_changes_make_another_cycle(change):
    assert np.diagonal(likeness(change(TRAIN), TRAIN)).max() < 0.8


@pytest.mark.parametrize("size", [128, 256])
def test_likeness_does_not_depend_on_how_finely_cycles_are_sampled(size):
    finer = TRAIN[:3].repeat(size // 64, axis=1).repeat(size // 64, axis=2)
    np.testing.assert_allclose(likeness(finer, finer), likeness(TRAIN[:3], TRAIN[:3]), atol=0.02)


@pytest.mark.parametrize(
    ("samples", "expected"), [([3, 3, 3], 0.5), ([0, 0, 1], 1), ([9, 9, 9], 0), ([1, 3, 9], 0.5)]
)
def test_how_often_samples_are_nearer_than_the_unseen(samples, expected):
    assert nearer_train(np.array(samples, float), np.array([2.0, 3, 4])) == pytest.approx(expected)


@pytest.mark.parametrize("grey", [0, 7, 93, 255])
def test_a_constant_cycle_is_like_nothing(grey):
    constant = np.full_like(TRAIN[:2], grey)
    assert (likeness(constant, TRAIN) == 0).all()
    assert (likeness(TRAIN, constant) == 0).all()


@pytest.mark.parametrize("phases", [2, 5, 9])
def test_cycles_of_few_phases_have_few_harmonics(phases):
    few = TRAIN[..., :phases]
    assert np.diagonal(likeness(few, few)).min() > 0.99


def test_threshold_lies_between_unseen_patients_and_copies():
    threshold = Threshold.fixed_on(VAL, TRAIN, seed=0)
    assert threshold.unseen < threshold.value < threshold.copies
    copies = likeness(disturbed(TRAIN, seed=5), TRAIN).max(axis=1)
    assert (copies > threshold.value).mean() >= 0.98
    strangers = likeness(TEST, TRAIN).max(axis=1)
    assert (strangers > threshold.value).mean() <= 0.05


def test_disturbed_copies_are_the_seeds_and_each_its_own():
    first = disturbed(TRAIN[:3], seed=1)
    np.testing.assert_array_equal(first[:2], disturbed(TRAIN[:2], seed=1))
    assert (first != disturbed(TRAIN[:3], seed=2)).any()
    assert (first != TRAIN[:3]).mean() > 0.5


def test_no_threshold_without_val_or_where_val_is_train():
    with pytest.raises(CineganError, match="needs val and train cycles, not 0 and 12"):
        Threshold.fixed_on(VAL[:0], TRAIN, seed=0)
    with pytest.raises(CineganError, match="is a patient in both"):
        Threshold.fixed_on(TRAIN, TRAIN, seed=0)


def test_no_threshold_where_frames_are_too_small_to_tell():
    with pytest.raises(CineganError, match="frames of 16x16 pixels are too small to tell copies"):
        Threshold.fixed_on(VAL[:, ::4, ::4], TRAIN[:, ::4, ::4], seed=0)


def test_threshold_holds_at_half_the_size_where_copies_are_moved_in_proportion():
    train, val = patients(0, 12, size=32), patients(1, 8, size=32)
    threshold = Threshold.fixed_on(val, train, seed=0)
    copies = likeness(disturbed(train, seed=5), train).max(axis=1)
    assert (copies > threshold.value).all()
