"""Operations are counted, time and memory foretold, before a training starts."""

from __future__ import annotations

import re
from types import SimpleNamespace

import keras
import pytest
from recipes import model_with, training_with

from cinegan.models import dcgan
from cinegan.params import Budget
from cinegan.training import cost
from cinegan.training.schedule import Schedule

LAYERS = {
    "convolution": ([keras.layers.Conv2D(8, 3, padding="same")], 2 * 6 * 6 * 3 * 3 * 4 * 8),
    "strided": ([keras.layers.Conv2D(8, 5, 2, padding="same")], 2 * 3 * 3 * 5 * 5 * 4 * 8),
    # Its kernel is applied at each of the 6 x 6 input pixels.
    "transposed": (
        [keras.layers.Conv2DTranspose(8, 5, 2, padding="same")],
        2 * 6 * 6 * 5 * 5 * 4 * 8,
    ),
    "dense": ([keras.layers.Flatten(), keras.layers.Dense(7)], 2 * 6 * 6 * 4 * 7),
    "the rest": ([keras.layers.ReLU(), keras.layers.BatchNormalization()], 0),
    "a sum": (
        [keras.layers.Conv2D(2, 1), keras.layers.Flatten(), keras.layers.Dense(1)],
        2 * 6 * 6 * 4 * 2 + 2 * 6 * 6 * 2,
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_operations_are_two_per_multiply_add(kind):
    layers, expected = LAYERS[kind]
    network = keras.Sequential([keras.Input((6, 6, 4)), *layers])
    assert cost.flops_per_image(network) == expected


def test_the_original_dcgan64_takes_what_its_layers_say(model):
    network = dcgan.Network(
        latent=100,
        generator=[512, 256, 128, 64],
        discriminator=[64, 128, 256, 512],
        leak=0.3,
        dropout=0.3,
        generator_dropout=0.0,
        spectral_normalization=False,
    )
    pair = dcgan.generator(network, 64, 20), dcgan.discriminator(network, 64, 20)
    million = [round(cost.flops_per_image(one) / 2e6) for one in pair]
    assert million == [351, 190]  # multiply-adds, by hand from the layers' shapes
    block = model_with(network, training_with(batch=32), model.budgets.smoke, size=64)
    schedule = Schedule.of(block, Budget(total_kimg=32, snapshot_kimg=1))
    told = cost.training_cost(schedule, block.model_dump() | {"phases": 20})
    seconds, unit, memory = re.match(r"about ([\d.]+) (s|min|h) and ([\d.]+) GB", told).groups()
    assert float(seconds) * {"s": 1, "min": 60, "h": 3600}[unit] > 5
    assert 1.0 < float(memory) < 2.5


@pytest.mark.parametrize(
    ("changes", "independent", "discriminator"),
    [
        ({}, True, 6),
        ({}, False, 7),  # a minibatch's deviation: one pass back cannot serve both networks
        ({"loss": "wasserstein", "gradient_penalty": 10.0}, False, 12),
        ({"r1": 1.0, "r1_every": 5}, True, 7),
    ],
)
def test_passes_of_a_step(changes, independent, discriminator):
    network = SimpleNamespace(independent_logits=independent)
    assert cost.passes(training_with(**changes), network) == (3, discriminator)
