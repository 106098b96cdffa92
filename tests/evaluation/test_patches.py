import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.patches import (
    DIRECTIONS,
    PLACES,
    SIDE,
    patches,
    scales,
    sliced_wasserstein,
)

NOISE = np.random.default_rng(0).integers(60, 200, (5, 32, 32, 6), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "sides"),
    [(16, (16,)), (31, (31,)), (32, (32, 16)), (64, (64, 32, 16)), (256, (256, 128, 64, 32, 16))],
)
def test_scales_halve_down_to_sixteen(size, sides):
    assert scales(size) == sides


def test_shape_and_the_same_cycles_are_at_no_distance():
    found = patches(NOISE, seed=1)
    assert found.shape == (5, 2, DIRECTIONS, PLACES**2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(sliced_wasserstein(found, found), [0, 0])


def test_brighter_cycles_differ_at_the_last_scale_by_what_the_directions_sum_to():
    found, brighter = patches(NOISE, seed=1), patches(NOISE + np.uint8(10), seed=1)
    fine, coarse = sliced_wasserstein(found, brighter)
    assert fine == pytest.approx(0, abs=1e-3)
    draw = np.random.default_rng(1)
    directions = draw.standard_normal((2, SIDE * SIDE * 6, DIRECTIONS))[1]
    directions /= np.linalg.norm(directions, axis=0)
    assert coarse == pytest.approx(10 * np.abs(directions.sum(axis=0)).mean(), rel=1e-3)


def test_the_distance_of_one_direction_by_hand():
    a = np.array([0.0, 1.0, 5.0], np.float32).reshape(3, 1, 1, 1)
    b = np.array([6.0, 2.0, 0.0], np.float32).reshape(3, 1, 1, 1)
    assert sliced_wasserstein(a, b) == pytest.approx([(0 + 1 + 1) / 3])


def test_patches_of_a_cycle_do_not_depend_on_the_others():
    whole = patches(NOISE, seed=1)
    np.testing.assert_array_equal(whole[2:4], patches(NOISE[2:4], seed=1))


@pytest.mark.parametrize("wrong", ["shuffled", "frozen"])
def test_motion_counts(wrong):
    steps = np.arange(6) * 12
    moving = np.stack([np.roll(NOISE[..., :1], k, axis=1) for k in range(6)], axis=-1)[..., 0, :]
    moving = (moving // 2 + steps).astype(np.uint8)
    changed = {
        "shuffled": moving[..., [3, 0, 4, 1, 5, 2]],
        "frozen": np.repeat(moving[..., :1], 6, axis=-1),
    }[wrong]
    found, other = patches(moving, seed=0), patches(changed, seed=0)
    assert sliced_wasserstein(found, other).max() > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: patches(NOISE[:, :15], 0), "at least 16x16"),
        (lambda: patches(NOISE[0], 0), "must be uint8"),
        (lambda: sliced_wasserstein(np.ones((2, 1, 1, 1)), np.ones((3, 1, 1, 1))), "as many"),
        (lambda: sliced_wasserstein(np.ones((0, 1, 1, 1)), np.ones((0, 1, 1, 1))), "as many"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(CineganError, match=message):
        call()
