"""Spectral normalization against singular values, the plain layers, and its own files."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from cinegan.models.layers import SpectralConv2D, SpectralDense, SpectralPatchConv2D

KINDS = {
    "convolution": (SpectralConv2D, keras.layers.Conv2D, (4, 5, 2, "same"), (3, 8, 8, 6)),
    "patches": (SpectralPatchConv2D, keras.layers.Conv2D, (4, 5, 2, "same"), (3, 8, 8, 6)),
    "dense": (SpectralDense, keras.layers.Dense, (4,), (3, 20)),
}
pytestmark = pytest.mark.parametrize("kind", KINDS)


def built(kind, seed=0, **options):
    """A spectral layer, the plain one it is of, and inputs to them."""
    spectral, plain, arguments, shape = KINDS[kind]
    keras.utils.set_random_seed(seed)
    layer, other = spectral(*arguments, **options), plain(*arguments, **options)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    for each in (layer, other):
        each.build(x.shape)
    return layer, other, tf.constant(x)


def raw(layer):
    return np.asarray(layer.trainable_variables[0])


def gain(kernel):
    return np.linalg.norm(np.asarray(kernel).reshape(-1, kernel.shape[-1]), ord=2)


def test_the_kernel_that_runs_has_a_gain_of_one_after_some_calls(kind):
    layer, plain, x = built(kind)
    stored = raw(layer) * 3
    layer.trainable_variables[0].assign(stored)
    for _ in range(100):
        layer(x, training=True)
    assert gain(stored) > 2
    assert gain(layer.kernel) == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(raw(layer), stored)
    plain.set_weights([stored / gain(stored), np.zeros(4)])
    np.testing.assert_allclose(layer(x), plain(x), atol=2e-3 * np.abs(plain(x)).max())


def test_u_moves_by_one_power_iteration_a_training_call_and_not_at_rest(kind):
    layer, _, x = built(kind)
    w, u = raw(layer).reshape(-1, 4), np.asarray(layer.u)
    assert np.linalg.norm(u) == pytest.approx(1, abs=1e-6)
    layer(x)
    np.testing.assert_array_equal(layer.u, u)
    layer(x, training=True)
    v = w @ u / np.linalg.norm(w @ u)
    np.testing.assert_allclose(layer.u, w.T @ v / np.linalg.norm(w.T @ v), atol=1e-6)


def test_gradients_are_those_of_the_plain_layer_with_v_w_u_and_u_and_v_fixed(kind):
    layer, plain, x = built(kind)
    layer(x, training=True)
    w = tf.constant(raw(layer).reshape(-1, 4))
    u = tf.constant(np.asarray(layer.u))
    v = tf.linalg.normalize(w @ u)[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) ** 2)
    ours = tape.gradient(loss, layer.trainable_variables[0].value)
    with tf.GradientTape() as tape:
        tape.watch(w)
        kernel = tf.reshape(w / (tf.transpose(v) @ w @ u), ours.shape)
        y = x @ kernel if kind == "dense" else tf.nn.conv2d(x, kernel, plain.strides, "SAME")
        loss = tf.reduce_sum(y**2)
    theirs = tf.reshape(tape.gradient(loss, w), ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_a_penalty_on_the_slope_has_a_gradient_that_finite_differences_confirm(kind):
    layer, _, x = built(kind)
    weight = layer.trainable_variables[0]

    @tf.function
    def penalty():
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(tf.tanh(layer(x)))
        return tf.reduce_sum(tape.gradient(total, x) ** 2)

    with tf.GradientTape() as tape:
        value = penalty()
    gradient = tape.gradient(value, weight.value)
    stored, step = raw(layer), 1e-2 * gradient / tf.norm(gradient)
    ends = []
    for sign in (1, -1):
        weight.assign(stored + sign * step)
        ends.append(float(penalty()))
    assert ends[0] - ends[1] == pytest.approx(2 * float(tf.reduce_sum(gradient * step)), rel=1e-2)


def test_it_normalizes_in_float32_and_runs_in_the_layers_precision(kind):
    layer, _, x = built(kind, dtype="mixed_bfloat16")
    full, _, _ = built(kind)
    assert {v.dtype for v in layer.variables} == {"float32"}
    assert layer(x, training=True).dtype == "bfloat16"
    full(x, training=True)
    np.testing.assert_array_equal(layer.u, full.u)
    np.testing.assert_array_equal(layer.kernel, tf.cast(full.kernel, "bfloat16"))


def test_files_keep_the_raw_weights_and_u(kind, tmp_path):
    networks = []
    for seed in (0, 1):
        layer, _, x = built(kind, seed)
        networks.append(keras.Sequential([keras.Input(x.shape[1:]), layer]))
    saved, loaded = networks
    saved(x, training=True)
    saved.save_weights(tmp_path / "spectral.weights.h5")
    loaded.load_weights(tmp_path / "spectral.weights.h5")
    for a, b in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_first_u_is_a_function_of_the_seed(kind):
    first, again, other = (built(kind, seed)[0].u for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.asarray(first) - other).max() > 1e-3
