"""Augmentation: each kind by hand on a small picture, and what must hold for all of them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from cinegan.training.augment import DRAWS, KINDS, adapted_strength, augment

COLUMNS = {  # of the draws: whether, then how
    "brightness": (0, 1),
    "contrast": (2, 3),
    "translation": (4, 5, 6),
    "scale": (7, 8),
    "cutout": (9, 10, 11),
}
LAST = np.float32(1 - 2**-24)  # the largest draw


@pytest.fixture(scope="module")
def cycles():
    """Six cycles of noise, (6, 16, 12, 5), so that rows, columns and phases cannot be mistaken."""
    return np.random.default_rng(0).uniform(-1, 1, (6, 16, 12, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def draws():
    return np.random.default_rng(1).random((6, DRAWS), dtype=np.float32)


def applied(cycles, kind, *how):
    """One kind applied to all cycles, with the numbers given."""
    draws = np.full((len(cycles), DRAWS), 0.9, np.float32)
    draws[:, COLUMNS[kind]] = (0.0, *how)
    return np.asarray(augment(np.float32(cycles), draws, 0.5, KINDS))


def test_columns_are_all_and_each_kinds_own():
    assert sorted(sum(COLUMNS.values(), ())) == list(range(DRAWS))
    assert tuple(COLUMNS) == KINDS


@pytest.mark.parametrize(
    ("draw", "added"), [(0.0, -0.5), (0.25, -0.25), (0.5, 0.0), (LAST, 0.5)], ids=str
)
def test_brightness_is_added(cycles, draw, added):
    np.testing.assert_allclose(applied(cycles, "brightness", draw), cycles + added, atol=1e-6)


@pytest.mark.parametrize(
    ("draw", "factor"), [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0), (LAST, 1.5)], ids=str
)
def test_contrast_stretches_around_the_mean_of_the_whole_cycle(cycles, draw, factor):
    mean = cycles.mean(axis=(1, 2, 3), keepdims=True)
    expected = mean + factor * (cycles - mean)
    np.testing.assert_allclose(applied(cycles, "contrast", draw), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("draws", "down", "right"),  # an eighth of 16 rows and of 12 columns: 2 and 1.5, rounded to 2
    [((0.0, 0.5), -2, 0), ((0.5, 0.0), 0, -2), ((LAST, LAST), 2, 2), ((0.7, 0.3), 1, -1)],
)
def test_translation_is_in_whole_pixels_and_black_comes_in(cycles, draws, down, right):
    expected = np.full_like(cycles, -1)
    for row in range(16):
        for column in range(12):
            if 0 <= row - down < 16 and 0 <= column - right < 12:
                expected[:, row, column] = cycles[:, row - down, column - right]
    np.testing.assert_array_equal(applied(cycles, "translation", *draws), expected)


def test_translations_are_equally_probable():
    draws = np.linspace(0, 1, 100_000, endpoint=False, dtype=np.float32)
    point = np.full((1, 5, 1, 1), -1, np.float32)
    point[0, 2] = 1
    all_draws = np.full((len(draws), DRAWS), 0.5, np.float32)
    all_draws[:, 5] = draws
    moved = augment(np.repeat(point, len(draws), 0), all_draws, 1.0, ("translation",))
    places = np.asarray(moved)[:, :, 0, 0].argmax(axis=1)
    counts = np.bincount(places, minlength=5)
    np.testing.assert_allclose(counts[1:4], len(draws) / 3, atol=2)


def test_scale_magnifies_about_the_middle():
    rows = np.linspace(-0.5, 0.5, 5)  # a ramp, which linear interpolation keeps
    picture = np.broadcast_to(rows[None, :, None, None], (1, 5, 5, 2))
    larger = applied(picture, "scale", LAST)[0, :, 2, 0]
    np.testing.assert_allclose(larger, rows / 1.15, atol=1e-6)
    smaller = applied(picture, "scale", 0.0)[0, :, 2, 0]
    np.testing.assert_allclose(smaller[1:4], 1.15 * rows[1:4], atol=1e-6)
    # At the edge 0.3 pixels beyond the last one: 0.3 of black and the rest of the pixel.
    np.testing.assert_allclose(smaller[[0, 4]], -0.3 + 0.7 * rows[[0, 4]], atol=1e-6)
    assert applied(picture, "scale", 0.5) == pytest.approx(picture, abs=1e-7)


def test_scale_is_as_often_larger_as_smaller_by_the_same_factor():
    point = np.full((1, 33, 33, 1), -1.0)
    point[0, 26, 16] = 1  # 10 pixels below the middle

    def distance(draw):
        light = applied(point, "scale", draw)[0, :, :, 0].sum(axis=1) + 33
        return light @ np.arange(-16, 17) / light.sum()

    assert distance(0.3) < 10 < distance(0.7)
    assert distance(0.3) * distance(0.7) == pytest.approx(100, rel=5e-3)


def test_translation_moves_what_scale_made(cycles):
    draws = np.zeros((6, DRAWS), np.float32)
    draws[:, 5:7], draws[:, 8] = (0.7, 0.3), 0.2  # 1 down, 1 to the left
    both = np.asarray(augment(cycles, draws, 1.0, ("translation", "scale")))
    scaled = np.asarray(augment(cycles, draws, 1.0, ("scale",)))
    np.testing.assert_allclose(both[:, 1:, :-1], scaled[:, :-1, 1:], atol=1e-6)


@pytest.mark.parametrize(
    ("draws", "rows", "columns"),  # 8 of 16 rows and 6 of 12 columns, their middle anywhere
    [
        ((0.0, 0.0), range(0, 4), range(0, 3)),
        ((LAST, LAST), range(12, 16), range(9, 12)),
        ((0.5, 0.5), range(4, 12), range(3, 9)),
        ((0.5, 0.0), range(4, 12), range(0, 3)),
    ],
)
def test_cutout_is_a_grey_square_of_half_the_side(cycles, draws, rows, columns):
    expected = cycles.copy()
    expected[np.ix_(range(6), rows, columns)] = 0
    np.testing.assert_array_equal(applied(cycles, "cutout", *draws), expected)


def test_strength_0_changes_no_bit(cycles, draws):
    draws = draws.copy()
    draws[:, [columns[0] for columns in COLUMNS.values()]] = 0  # the draws most ready to apply
    for kinds in (KINDS, *((kind,) for kind in KINDS)):
        assert np.asarray(augment(cycles, draws, 0.0, kinds)).tobytes() == cycles.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_strength_is_the_probability_of_each_kind(kind):
    n = 4000
    draws = np.random.default_rng(2).random((n, DRAWS), dtype=np.float32)
    one = np.random.default_rng(3).uniform(-1, 1, (1, 8, 8, 2)).astype(np.float32)

    def changed(strength):
        after = np.asarray(augment(np.repeat(one, n, 0), draws, strength, (kind,)))
        return (after != one).any(axis=(1, 2, 3))

    # A translation by nothing, of 3 x 3, changes nothing.
    seen = 8 / 9 if kind == "translation" else 1.0
    assert changed(0.3).mean() == pytest.approx(0.3 * seen, abs=0.03)
    assert changed(1.0).mean() == pytest.approx(seen, abs=0.02 if seen < 1 else 1e-3)
    np.testing.assert_array_equal(changed(0.3) <= changed(0.6), True)


def test_kinds_decide_each_by_itself():
    draws = np.random.default_rng(4).random((4000, DRAWS), dtype=np.float32)
    ones = np.random.default_rng(5).uniform(-1, 1, (1, 8, 8, 2)).astype(np.float32)
    ones = np.repeat(ones, len(draws), 0)

    def changed(kind):
        after = np.asarray(augment(ones, draws, 0.5, (kind,)))
        return (after != ones).any(axis=(1, 2, 3))

    together = np.corrcoef([changed(kind) for kind in KINDS])
    np.testing.assert_allclose(together, np.eye(len(KINDS)), atol=0.08)


def test_what_one_kind_does_is_the_same_without_the_others(cycles, draws):
    step_by_step = cycles
    for kinds in (("brightness", "contrast"), ("translation", "scale"), ("cutout",)):
        step_by_step = augment(step_by_step, draws, 0.7, kinds)
    together = augment(cycles, draws, 0.7, KINDS)
    np.testing.assert_allclose(together, step_by_step, atol=1e-6)
    assert np.abs(together - cycles).max() > 0.1


def test_order_of_the_names_does_not_matter(cycles, draws):
    forwards, backwards = (augment(cycles, draws, 1.0, kinds) for kinds in (KINDS, KINDS[::-1]))
    np.testing.assert_array_equal(forwards, backwards)


def test_equal_phases_stay_equal_and_each_is_treated_as_the_first(cycles, draws):
    still = np.repeat(cycles[..., :1], 5, axis=-1)
    after = np.asarray(augment(still, draws, 1.0, KINDS))
    np.testing.assert_array_equal(after, np.repeat(after[..., :1], 5, axis=-1))

    # Without contrast, which looks at the mean of all phases, a phase alone gives the same.
    others = tuple(kind for kind in KINDS if kind != "contrast")
    after = np.asarray(augment(cycles, draws, 1.0, others))
    for phase in range(5):
        alone = augment(cycles[..., phase : phase + 1], draws, 1.0, others)
        np.testing.assert_allclose(after[..., phase : phase + 1], alone, atol=1e-6)


def test_cycles_differ_from_each_other_but_do_not_depend_on_each_other(cycles, draws):
    one = np.repeat(cycles[:1], 6, axis=0)
    after = np.asarray(augment(one, draws, 1.0, KINDS))
    assert len({cycle.tobytes() for cycle in after}) == 6
    for i in range(6):
        alone = augment(cycles[i : i + 1], draws[i : i + 1], 1.0, KINDS)
        np.testing.assert_allclose(augment(cycles, draws, 1.0, KINDS)[i], alone[0], atol=1e-6)


def test_gradient_is_the_transpose_of_the_affine_function(cycles, draws):
    upstream = np.random.default_rng(6).normal(size=cycles.shape).astype(np.float32)
    step = np.random.default_rng(7).normal(size=cycles.shape).astype(np.float32)
    x = tf.constant(cycles)
    with tf.GradientTape() as tape:
        tape.watch(x)
        after = augment(x, draws, 0.7, KINDS)
    gradient = tape.gradient(after, x, output_gradients=tf.constant(upstream)).numpy()
    change = np.asarray(augment(cycles + step, draws, 0.7, KINDS)) - after.numpy()
    for i in range(len(cycles)):  # affine: differences need not be small
        expected = np.vdot(upstream[i], change[i])
        assert np.vdot(gradient[i], step[i]) == pytest.approx(expected, rel=1e-4, abs=1e-3)
        assert np.abs(gradient[i]).max() > 0.1


def test_a_gradient_penalty_can_be_differentiated_through_it(cycles, draws):
    weight = tf.Variable(0.7)

    @tf.function
    def penalty_gradient(x):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                seen = augment(x, draws, tf.constant(1.0), KINDS)
                logits = tf.reduce_sum(tf.sin(weight * seen))
            penalty = tf.reduce_sum(tf.square(inner.gradient(logits, x)))
        return penalty, outer.gradient(penalty, weight)

    x = tf.constant(cycles)
    _, found = penalty_gradient(x)
    step = 1e-2
    weight.assign(0.7 + step)
    above, _ = penalty_gradient(x)
    weight.assign(0.7 - step)
    below, _ = penalty_gradient(x)
    assert float(found) == pytest.approx(float(above - below) / (2 * step), rel=1e-2)


def test_compiled_is_the_same_and_stays_the_same(cycles, draws):
    compiled = tf.function(lambda x, u, strength: augment(x, u, strength, KINDS))
    arguments = [tf.constant(a) for a in (cycles, draws, np.float32(0.7))]
    first, second = compiled(*arguments).numpy(), compiled(*arguments).numpy()
    assert first.tobytes() == second.tobytes()
    assert first.dtype == np.float32
    np.testing.assert_allclose(first, augment(*arguments, KINDS), atol=1e-6)
    assert compiled.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("side", [4, 8, 64])
def test_every_size_that_a_network_grows_through(side):
    rng = np.random.default_rng(8)
    cycles = rng.uniform(-1, 1, (16, side, side, 3)).astype(np.float32)
    after = augment(cycles, rng.random((16, DRAWS), dtype=np.float32), 1.0, KINDS)
    assert after.shape == cycles.shape
    assert np.abs(after).max() <= 2.25 + 1e-5  # 1.5 (1 + 0.5), if the mean is 0


@pytest.mark.parametrize(
    ("strength", "overfitting", "expected"),
    [
        (0.5, 0.7, 0.504),
        (0.5, 0.5, 0.496),
        (0.5, 0.6, 0.5),
        (0.999, 1.0, 1.0),
        (0.003, -1.0, 0.0),
        (0.0, 0.61, 0.004),
    ],
)
def test_strength_follows_the_overfitting(strength, overfitting, expected):
    strength, overfitting, target = np.float32([strength, overfitting, 0.6])
    new = adapted_strength(strength, overfitting, target, images=32, adapt_kimg=8)
    assert float(new) == pytest.approx(expected, abs=1e-6)
    assert keras.backend.standardize_dtype(new.dtype) == "float32"


def test_strength_goes_from_0_to_1_in_adapt_kimg():
    strength = np.float32(0)
    for _ in range(100):
        assert strength < 1
        strength = adapted_strength(strength, np.float32(1), 0.6, images=50, adapt_kimg=5)
    assert float(strength) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_label_maps_move_with_their_cycle_and_keep_their_values(cycles, draws, kind):
    plain = np.asarray(augment(cycles, draws, 0.7, [kind]))
    found = np.asarray(augment(cycles, draws, 0.7, [kind], labels=2))
    if kind in ("brightness", "contrast"):
        np.testing.assert_array_equal(found[..., 3:], cycles[..., 3:])
        alone = augment(cycles[..., :3], draws, 0.7, [kind])
        np.testing.assert_array_equal(found[..., :3], alone)
    else:
        np.testing.assert_array_equal(found, plain)
    assert abs(found - cycles).max() > 0
