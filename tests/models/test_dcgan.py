"""The original's DCGANs: shapes, parameter counts and refusals as tables."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pytest

from cinegan.models import dcgan, layers

SMALL = {
    "latent": 100,
    "leak": 0.3,
    "dropout": 0.3,
    "generator_dropout": 0.0,
    "spectral_normalization": False,
}
TINY = SMALL | {"generator": [8, 8], "discriminator": [4, 4]}
DCGAN64 = SMALL | {"generator": [512, 256, 128, 64], "discriminator": [64, 128, 256, 512]}
DCGAN128 = SMALL | {
    "generator": [1024, 512, 256, 128, 64],
    "discriminator": [64, 128, 256, 512, 1024],
}


def weights_of_generator(latent, filters, phases):
    """Count by hand: dense, 5x5 kernels without bias, four numbers per normalised channel."""
    first = 64 * filters[0]
    total = latent * first + 4 * first
    for a, b in pairwise(filters):
        total += 25 * a * b + 4 * b
    return total + 25 * filters[-1] * phases


def weights_of_discriminator(filters, phases, side):
    total, channels = 0, phases
    for f in filters:
        total += 25 * channels * f + f
        channels = f
    return total + (side // 2 ** len(filters)) ** 2 * channels + 1


@pytest.mark.parametrize("options", [DCGAN64, DCGAN128])
@pytest.mark.parametrize("phases", [1, 3, 20])
def test_shapes_and_parameter_counts(options, phases):
    network = dcgan.Network.model_validate(options)
    side = 64 if options is DCGAN64 else 128
    generator = dcgan.generator(network, side, phases)
    discriminator = dcgan.discriminator(network, side, phases)
    assert generator.output_shape == (None, side, side, phases)
    assert discriminator.output_shape == (None, 1)
    assert generator.count_params() == weights_of_generator(100, options["generator"], phases)
    assert discriminator.count_params() == weights_of_discriminator(
        options["discriminator"], phases, side
    )


def test_generator_of_dcgan64_has_the_original_layers():
    generator = dcgan.generator(dcgan.Network.model_validate(DCGAN64), 64, 20)
    shapes = [tuple(v.shape) for v in generator.trainable_variables if v.name == "kernel"]
    assert shapes == [
        (100, 32768),
        (5, 5, 256, 512),
        (5, 5, 128, 256),
        (5, 5, 64, 128),
        (5, 5, 20, 64),
    ]
    assert generator.count_params() == 7_742_464


def test_cycles_lie_between_minus_one_and_one():
    small = dcgan.Network.model_validate(TINY)
    made = np.asarray(dcgan.generator(small, 16, 5)(np.random.default_rng(0).normal(size=(4, 100))))
    assert made.shape == (4, 16, 16, 5)
    assert np.abs(made).max() <= 1
    assert made.std() > 0


@pytest.mark.parametrize(("filters", "size"), [([64, 32], 16), ([64, 32, 16], 32)])
def test_size_must_be_what_the_filters_reach(filters, size):
    network = dcgan.Network.model_validate(SMALL | {"generator": filters, "discriminator": [4]})
    network.check_size(size)
    with pytest.raises(ValueError, match=f"{len(filters)} generator filters make {size} pixels"):
        network.check_size(2 * size)


def test_a_logit_depends_on_its_own_cycle_alone_as_the_file_says():
    network = dcgan.Network.model_validate(TINY)
    discriminator = dcgan.discriminator(
        network.model_copy(update={"dropout": 0.0}), size=16, phases=5
    )
    cycles = np.random.default_rng(0).normal(size=(3, 16, 16, 5)).astype("float32")
    others = np.concatenate([cycles[:1], -cycles[1:]])
    a, b = (np.asarray(discriminator(x, training=True))[0] for x in (cycles, others))
    assert network.independent_logits
    np.testing.assert_allclose(a, b, rtol=1e-5)


def dropped(rate):
    """A tiny generator, and the same with dropout."""
    keras.utils.set_random_seed(0)
    plain, dropping = (
        dcgan.generator(dcgan.Network(**TINY | {"generator_dropout": r}), 16, 5)
        for r in (0.0, rate)
    )
    dropping.set_weights(plain.get_weights())
    return plain, dropping


def test_the_original_has_no_dropout_in_its_generator():
    plain, dropping = dropped(0.5)
    assert not any(isinstance(layer, layers.LeakyDropout) for layer in plain.layers)
    assert sum(isinstance(layer, layers.LeakyDropout) for layer in dropping.layers) == 2
    assert [v.path for v in plain.weights] == [v.path for v in dropping.weights]


def test_a_generators_dropout_acts_in_training_and_not_in_sampling():
    plain, dropping = dropped(0.5)
    latents = np.random.default_rng(0).normal(size=(4, 100)).astype("float32")
    np.testing.assert_array_equal(dropping(latents), plain(latents))
    rates = []
    for layer in dropping.layers:
        if hasattr(layer, "draw"):
            layer.draw = lambda shape, rate: rates.append(rate) or np.zeros(shape, bool)
    dropping(latents, training=True)
    assert rates == [0.5, 0.5]  # after each activation


def test_spectral_normalization_is_of_all_the_discriminators_layers_with_weights():
    options = TINY | {"discriminator": [4, 512], "spectral_normalization": True, "dropout": 0.0}
    discriminator = dcgan.discriminator(dcgan.Network(**options), 16, 5)
    weighted = [layer for layer in discriminator.layers if layer.trainable_variables]
    assert [layer.name for layer in weighted] == ["conv_0", "conv_1", "logit"]
    cycles = np.random.default_rng(0).normal(size=(3, 16, 16, 5)).astype("float32")
    for _ in range(200):
        discriminator(cycles, training=True)
    for layer in weighted:
        kernel = np.asarray(layer.kernel)
        gain = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), ord=2)
        assert gain == pytest.approx(1, abs=2e-2)
    plain = dcgan.discriminator(dcgan.Network(**options | {"spectral_normalization": False}), 16, 5)
    assert [v.path for v in discriminator.trainable_variables] == [
        v.path for v in plain.trainable_variables
    ]


def test_the_discriminator_must_be_able_to_halve_so_often():
    network = dcgan.Network.model_validate(
        SMALL | {"generator": [8, 8], "discriminator": [4, 4, 4, 4, 4]}
    )
    with pytest.raises(ValueError, match="5 discriminator filters cannot each halve 16 pixels"):
        network.check_size(16)
