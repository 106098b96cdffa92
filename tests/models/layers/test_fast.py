"""Every fast layer computes what the Keras layer it replaces computes, gradients included."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from cinegan.models.layers import (
    EnlargingConv2D,
    FourierConv2DTranspose,
    LeakyDropout,
    PatchConv2D,
    PatchConv2DTranspose,
)
from cinegan.training.runtime import precision_of


def outputs_and_gradients(layer, x, upstream):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.cast(layer(x), tf.float32)
        loss = tf.reduce_sum(y * upstream)
    return [y, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])]


CONVOLUTIONS = [
    (FourierConv2DTranspose, keras.layers.Conv2DTranspose, {"strides": 1}, 8, 6),
    (FourierConv2DTranspose, keras.layers.Conv2DTranspose, {"strides": 1}, 5, 3),
    (PatchConv2D, keras.layers.Conv2D, {"strides": 2}, 8, 6),
    (PatchConv2D, keras.layers.Conv2D, {"strides": 2}, 16, 3),
    (PatchConv2D, keras.layers.Conv2D, {"strides": 1}, 6, 2),
    (PatchConv2DTranspose, keras.layers.Conv2DTranspose, {"strides": 2}, 8, 6),
    (PatchConv2DTranspose, keras.layers.Conv2DTranspose, {"strides": 1}, 5, 3),
]


def convolutions(fast, plain, options, dtype):
    """A layer of ours and the one of Keras, not built yet."""
    bias = fast is PatchConv2D
    options = options | {"padding": "same", "use_bias": bias, "dtype": dtype}
    return [kind(4, 5, **options) for kind in (fast, plain)]


def enlarging(dtype):
    plain = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, dtype=dtype)
    return EnlargingConv2D(4, dtype=dtype), keras.Sequential(
        [keras.layers.UpSampling2D(2, dtype=dtype), plain]
    )


def results(layers, shape):
    """Outputs and gradients of layers, given equal weights, for input of a shape (n, H, W, C)."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=shape), tf.float32)
    for layer in layers:
        layer.build(x.shape)
    weights = [rng.normal(size=each.shape) / 5 for each in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    upstream = tf.constant(rng.normal(size=layers[1].compute_output_shape(x.shape)), tf.float32)
    found = [outputs_and_gradients(layer, x, upstream) for layer in layers]
    return [[tf.cast(value, tf.float32) for value in of_layer] for of_layer in found]


def assert_equal(found, expected, share=2e-5):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=share * float(tf.reduce_max(tf.abs(b))))


def assert_as_near_in_bfloat16(layers, exact, shape):
    """Ours no further from what float32 gives than twice as far as the layer of Keras is."""
    for ours, theirs, true in zip(*results([*layers, exact], shape), strict=True):
        off, allowed = (float(tf.norm(each - true) / tf.norm(true)) for each in (ours, theirs))
        assert off <= 2 * allowed
        assert 1e-4 < allowed < 0.05  # rounded, and to 8 bits


@pytest.mark.parametrize(("fast", "plain", "options", "side", "channels"), CONVOLUTIONS)
def test_fast_convolutions_equal_those_of_keras(fast, plain, options, side, channels):
    ours, theirs = results(convolutions(fast, plain, options, "float32"), (3, side, side, channels))
    assert_equal(ours, theirs)


@pytest.mark.parametrize(("fast", "plain", "options", "side", "channels"), CONVOLUTIONS)
def test_fast_convolutions_are_as_exact_in_bfloat16(fast, plain, options, side, channels):
    if fast is FourierConv2DTranspose and precision_of("auto") != "bfloat16":
        # Three products in a row, beside one that rounds nothing on its way when it is emulated.
        pytest.skip("this machine only emulates bfloat16")
    _, exact = convolutions(fast, plain, options, "float32")
    layers = convolutions(fast, plain, options, "mixed_bfloat16")
    assert_as_near_in_bfloat16(layers, exact, (3, side, side, channels))


ENLARGED = [(3, 4, 4, 6), (3, 8, 5, 1), (3, 1, 2, 3)]


@pytest.mark.parametrize("shape", ENLARGED)
def test_an_enlarging_convolution_is_one_of_an_enlarged_image(shape):
    layers = enlarging("float32")
    assert_equal(*results(layers, shape))
    assert layers[0].compute_output_shape(shape) == layers[1].compute_output_shape(shape)


@pytest.mark.parametrize("shape", ENLARGED)
def test_an_enlarging_convolution_is_as_exact_in_bfloat16(shape):
    assert_as_near_in_bfloat16(enlarging("mixed_bfloat16"), enlarging("float32")[1], shape)


@pytest.mark.parametrize("activation", [tf.identity, tf.tanh], ids=["linear", "tanh"])
@pytest.mark.parametrize(
    ("fast", "plain", "sides"),
    [
        (PatchConv2D, keras.layers.Conv2D, (16, 8)),
        (PatchConv2DTranspose, keras.layers.Conv2DTranspose, (4, 8)),
    ],
)
def test_fast_convolutions_have_second_derivatives_of_keras(fast, plain, sides, activation):
    """As penalties on the discriminator's slope need them: through two layers, compiled."""
    x = tf.constant(np.random.default_rng(0).normal(size=(3, sides[0], sides[0], 6)), tf.float32)

    @tf.function
    def gradients(layers):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = x
                for layer in layers:
                    y = activation(layer(y))
                total = tf.reduce_sum(y**2)
            penalty = tf.reduce_sum(inner.gradient(total, x) ** 2)
        return outer.gradient(penalty, [v.value for k in layers for v in k.trainable_variables])

    pairs = [
        [kind(filters, 5, 2, "same", use_bias=fast is PatchConv2D) for filters in (8, 7)]
        for kind in (fast, plain)
    ]
    for ours, theirs, side, channels in zip(*pairs, sides, (6, 8), strict=True):
        ours.build((3, side, side, channels))
        theirs.build((3, side, side, channels))
        theirs.set_weights(ours.get_weights())
    ours, theirs = (gradients(layers) for layers in pairs)
    for a, b in zip(ours, theirs, strict=True):
        assert float(tf.norm(b)) > 0
        np.testing.assert_allclose(a, b, atol=1e-5 * float(tf.reduce_max(tf.abs(b))))


def test_leaky_dropout_is_leaky_relu_at_rest():
    x = np.linspace(-2, 2, 9, dtype="float32")
    np.testing.assert_allclose(LeakyDropout(0.3, 0.5)(x), np.where(x > 0, x, 0.3 * x), rtol=1e-6)


def test_leaky_dropout_drops_its_share_and_keeps_the_mean():
    x = np.concatenate([np.ones(50_000), -np.ones(50_000)]).astype("float32")
    y = np.asarray(LeakyDropout(0.3, 0.3)(x, training=True))
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(np.unique(y), [-0.3 / 0.7, 0, 1 / 0.7], rtol=1e-6)
    assert y[:50_000].mean() == pytest.approx(1.0, abs=0.02)


def test_leaky_dropout_takes_the_mask_it_is_given():
    layer = LeakyDropout(0.0, 0.5)
    layer.draw = lambda shape, rate: np.arange(4) < 2
    np.testing.assert_allclose(layer(np.ones(4, "float32"), training=True), [0, 0, 2, 2])
