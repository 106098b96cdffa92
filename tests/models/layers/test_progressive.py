"""The progressive GAN's layers against values computed by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from cinegan.models.layers import (
    EqualizedConv2D,
    EqualizedDense,
    FadeIn,
    MinibatchDeviation,
    PixelNormalization,
)


def test_equalized_layers_scale_standard_normal_weights_by_gain_over_root_of_fan_in():
    keras.utils.set_random_seed(0)
    convolution = EqualizedConv2D(64, 3, padding="same")
    dense = EqualizedDense(256, gain=1.0)
    convolution.build((None, 8, 8, 32))
    dense.build((None, 100))
    for layer, scale in ((convolution, np.sqrt(2 / (9 * 32))), (dense, 0.1)):
        stored = np.asarray(layer.trainable_variables[0])
        assert stored.std() == pytest.approx(1, abs=0.02)
        np.testing.assert_allclose(layer.kernel, stored * scale, rtol=1e-6)
    x = np.random.default_rng(0).normal(size=(2, 100)).astype("float32")
    np.testing.assert_allclose(dense(x), x @ (np.asarray(dense.trainable_variables[0]) / 10), 1e-3)


def test_equalized_weights_learn_at_one_rate_whatever_the_fan_in():
    """The gradient of a stored weight is that of the scaled one times the scale."""
    dense = EqualizedDense(1, gain=2.0)
    x = tf.constant([[3.0, 4.0, 5.0, 6.0]])
    with tf.GradientTape() as tape:
        y = dense(x)
    gradient = tape.gradient(y, dense.trainable_variables[0].value)
    np.testing.assert_allclose(gradient[:, 0], [3.0, 4.0, 5.0, 6.0], rtol=1e-6)  # 2 / sqrt(4) = 1


def test_files_keep_equalized_weights_as_stored(tmp_path):
    saved, loaded = (
        keras.Sequential(
            [
                keras.Input((4, 4, 3)),
                EqualizedConv2D(2, 3),
                keras.layers.Flatten(),
                EqualizedDense(5),
            ]
        )
        for _ in range(2)
    )
    saved.save_weights(tmp_path / "equalized.weights.h5")
    loaded.load_weights(tmp_path / "equalized.weights.h5")
    for a, b in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pixel_normalization_by_hand():
    made = np.asarray(PixelNormalization()(np.float32([[3.0, 4.0], [0.0, 0.0]])))
    np.testing.assert_allclose(made, [[3 / np.sqrt(12.5), 4 / np.sqrt(12.5)], [0, 0]], rtol=1e-5)


def test_minibatch_deviation_by_hand():
    # Two groups of two: of the first, channel 0 differs by 2 (deviation 1) and channel 1 by 6 (3).
    x = np.zeros((4, 1, 1, 2), "float32")
    x[0], x[1], x[2], x[3] = [0, 0], [2, 6], [5, 5], [5, 5]
    made = np.asarray(MinibatchDeviation(2)(x))
    assert made.shape == (4, 1, 1, 3)
    np.testing.assert_array_equal(made[..., :2], x)
    np.testing.assert_allclose(made[:, 0, 0, 2], [2, 2, 1e-4, 1e-4], rtol=1e-4)


def test_minibatch_deviation_of_a_part_is_that_part_of_the_whole():
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype("float32")
    layer = MinibatchDeviation(4)
    np.testing.assert_array_equal(np.asarray(layer(x))[4:], layer(x[4:]))


def test_a_gradient_through_identical_cycles_is_finite():
    x = tf.ones((4, 2, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = MinibatchDeviation(4)(x)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_a_fade_is_smooth_in_bfloat16():
    """The share is not rounded to a number of bfloat16, of which 0.501 is none."""
    fade = FadeIn(dtype="mixed_bfloat16")
    old, new = -tf.ones((1, 1)), tf.ones((1, 1))
    fade([old, new])
    fade.share.assign(0.501)
    assert float(fade([old, new])[0, 0]) == pytest.approx(0.002, rel=0.01)
