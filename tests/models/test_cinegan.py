"""Our own pair: shapes and counts as tables, and that its options do what they say."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from cinegan.models import cinegan
from cinegan.params import load_params

OURS = load_params(Path(__file__).parents[2] / "params.yaml").model_named("cinegan64").network


def weights_of_generator(channels):
    widths = OURS.generator
    total = OURS.latent * 16 * widths[0]
    total += 4 * widths[0]  # normalisation: scale, shift, mean and variance a channel
    for before, filters in zip(widths, [*widths[1:], widths[-1]], strict=True):
        total += 9 * before * filters + 4 * filters
    return total + 9 * widths[-1] * channels + channels


def weights_of_discriminator(phases, labels, motion):
    total, before = 0, phases * (2 if motion else 1) + labels
    for filters in OURS.discriminator:
        total, before = total + 16 * before * filters + filters, filters
    return total + 16 * before + 1


@pytest.mark.parametrize(("phases", "labels"), [(1, 0), (3, 0), (20, 0), (20, 3), (20, 40)])
@pytest.mark.parametrize("motion", [0.0, 4.0])
def test_shapes_and_parameter_counts(phases, labels, motion):
    options = OURS.model_copy(update={"motion": motion})
    generator = cinegan.generator(options, 64, phases, labels)
    discriminator = cinegan.discriminator(options, 64, phases, labels)
    assert generator.output_shape == (None, 64, 64, phases + labels)
    assert discriminator.input_shape == (None, 64, 64, phases + labels)
    assert discriminator.output_shape == (None, 1)
    assert generator.count_params() == weights_of_generator(phases + labels)
    assert discriminator.count_params() == weights_of_discriminator(phases, labels, motion)


@pytest.mark.parametrize(
    ("size", "message"),
    [(128, "5 generator filters make 64 pixels"), (60, "5 generator filters make 64 pixels")],
)
def test_a_size_that_the_filters_do_not_make_is_refused(size, message):
    with pytest.raises(ValueError, match=message):
        OURS.check_size(size)
    OURS.check_size(64)


def test_a_side_that_cannot_be_halved_so_often_is_refused():
    with pytest.raises(ValueError, match="7 discriminator filters cannot each halve 64 pixels"):
        OURS.model_copy(update={"discriminator": [8] * 7}).check_size(64)


def test_a_fresh_generator_makes_smoother_cycles_where_asked():
    def roughness(smoothness):
        keras.utils.set_random_seed(0)
        generator = cinegan.generator(OURS.model_copy(update={"smoothness": smoothness}), 64, 20)
        latents = np.random.default_rng(0).normal(size=(4, 128)).astype("float32")
        made = np.asarray(generator(latents))
        around = made - np.roll(made, 1, axis=-1)
        return around.std() / made.std()

    assert roughness(1.0) < 0.7 * roughness(0.0)


def test_arithmetic_is_bfloat16_where_asked_but_for_cycles_and_logits():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator, discriminator = (
            make(OURS, 64, 5) for make in (cinegan.generator, cinegan.discriminator)
        )
    finally:
        keras.config.set_dtype_policy("float32")
    assert generator.get_layer("conv_1").compute_dtype == "bfloat16"
    assert discriminator.get_layer("conv_1").compute_dtype == "bfloat16"
    assert generator.output.dtype == discriminator.output.dtype == "float32"
    for network, layer in ((generator, "to_phases"), (discriminator, "motion")):
        assert network.get_layer(layer).compute_dtype == "float32"


def test_motion_too_small_for_8_bits_is_shown():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        discriminator = cinegan.discriminator(OURS, 64, 2)
    finally:
        keras.config.set_dtype_policy("float32")
    still = np.full((1, 64, 64, 2), 0.7, "float32")
    still[..., 1] += 1 / 1024
    motion = keras.Model(discriminator.input, discriminator.get_layer("motion").output)
    np.testing.assert_allclose(np.asarray(motion(still))[..., 2], OURS.motion / 1024, rtol=1e-3)
