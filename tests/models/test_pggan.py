"""The progressive GAN's networks: shapes and counts as tables, and the ends of a fade."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cinegan.models import pggan

PAPER = pggan.Network(latent=512, filters=2048, most_filters=512, group=4)
SMALL = pggan.Network(latent=8, filters=64, most_filters=16, group=2)


def filters(side):
    return {4: 512, 8: 512, 16: 256, 32: 128, 64: 64, 128: 32, 256: 16, 512: 8}[side]


def sides(size):
    return [2**k for k in range(3, 10) if 2**k <= size]


def weights_of_generator(size, phases):
    total = 512 * 16 * 512 + 16 * 512 + 9 * 512 * 512 + 512
    for side in sides(size):
        a, b = filters(side // 2), filters(side)
        total += 9 * a * b + b + 9 * b * b + b
    return total + filters(size) * phases + phases


def weights_of_discriminator(size, phases):
    total = phases * filters(size) + filters(size)
    for side in sides(size):
        a, b = filters(side), filters(side // 2)
        total += 9 * a * a + a + 9 * a * b + b
    return total + 9 * 513 * 512 + 512 + 16 * 512 * 512 + 512 + 512 + 1


@pytest.mark.parametrize("phases", [1, 3, 20])
@pytest.mark.parametrize("size", [4, 8, 64, 256, 512])
def test_shapes_and_parameter_counts(size, phases):
    generator = pggan.generator(PAPER, size, phases)
    discriminator = pggan.discriminator(PAPER, size, phases)
    assert generator.output_shape == (None, size, size, phases)
    assert discriminator.output_shape == (None, 1)
    assert generator.count_params() == weights_of_generator(size, phases)
    assert discriminator.count_params() == weights_of_discriminator(size, phases)


@pytest.mark.parametrize(("size", "fits"), [(4, 1), (256, 1), (512, 1), (2, 0), (48, 0), (0, 0)])
def test_a_size_is_a_power_of_two_from_four(size, fits):
    if fits:
        SMALL.check_size(size)
    else:
        with pytest.raises(ValueError, match=f"size {size} does not fit: .* power of two"):
            SMALL.check_size(size)


def pair(make, size):
    """A network that fades to `size`, and those on both sides of it, with one set of weights."""
    keras.utils.set_random_seed(1)
    fading = make(SMALL, size, 5, fading=True)
    values = {v.path: v for v in fading.variables}
    smaller, larger = make(SMALL, size // 2, 5), make(SMALL, size, 5)
    for network in (smaller, larger):
        for v in network.variables:
            v.assign(values[v.path])
    return smaller, fading, larger


@pytest.mark.parametrize("size", [8, 16])
def test_a_generators_fade_begins_at_the_smaller_and_ends_at_the_larger(size):
    smaller, fading, larger = pair(pggan.generator, size)
    latents = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    share = fading.get_layer("fade").share
    assert float(share) == 0
    small = np.asarray(smaller(latents)).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(fading(latents), small, atol=1e-5)
    share.assign(1.0)
    np.testing.assert_allclose(fading(latents), larger(latents), atol=1e-5)
    share.assign(0.25)
    np.testing.assert_allclose(
        fading(latents), 0.75 * small + 0.25 * np.asarray(larger(latents)), atol=1e-5
    )


@pytest.mark.parametrize("size", [8, 16])
def test_a_discriminators_fade_begins_at_the_smaller_and_ends_at_the_larger(size):
    smaller, fading, larger = pair(pggan.discriminator, size)
    cycles = np.random.default_rng(0).normal(size=(4, size, size, 5)).astype("float32")
    share = fading.get_layer("fade").share
    halved = cycles.reshape(4, size // 2, 2, size // 2, 2, 5).mean(axis=(2, 4))
    np.testing.assert_allclose(fading(cycles), smaller(halved), atol=1e-5)
    share.assign(1.0)
    np.testing.assert_allclose(fading(cycles), larger(cycles), atol=1e-5)


def test_arithmetic_is_bfloat16_where_asked_but_for_cycles_and_logits():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator, discriminator = (m(SMALL, 8, 5) for m in (pggan.generator, pggan.discriminator))
    finally:
        keras.config.set_dtype_policy("float32")
    assert generator.get_layer("8_conv_1").compute_dtype == "bfloat16"
    assert generator.output.dtype == discriminator.output.dtype == "float32"
    assert {v.dtype for v in generator.trainable_variables} == {"float32"}


def test_samples_of_a_batch_are_those_of_each_alone():
    generator = pggan.generator(SMALL, 16, 5)
    latents = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    np.testing.assert_allclose(generator(latents)[:1], generator(latents[:1]), atol=1e-5)
