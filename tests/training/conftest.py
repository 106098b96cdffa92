"""Tiny adversarial pairs that train in a second."""

from __future__ import annotations

import numpy as np
import pytest

from cinegan.models import dcgan, pggan
from cinegan.params import Budget, Budgets, Model, Training
from cinegan.training.runtime import configure

configure(threads=2)  # before the first tensor: it cannot change afterwards

# As the original trains, at a rate for tiny networks.
PLAIN = {
    "batch": 4,
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-7,
    "ema_decay": 0.9,
    "precision": "bfloat16",
    "deterministic": True,
    "loss": "bce",
    "label_smoothing": 0.0,
    "label_flips": 0.0,
    "input_noise": 0.0,
    "input_noise_kimg": 1.0,
    "gradient_penalty": 0.0,
    "drift": 0.0,
    "r1": 0.0,
    "r1_every": 4,
    "augment": [],
    "augment_strength": 1.0,
    "augment_target": None,
    "augment_kimg": 1.0,
    "mirror": False,
}


def training_with(**changes):
    """Parameters of a training, but for some as PLAIN has them."""
    return Training(**(PLAIN | changes))


def model_with(network, training, budget, size=16):
    """A block of params.yaml."""
    return Model(
        architecture=type(network).__module__.rpartition(".")[2],
        input="ventricles",
        folder="data/ventricles",
        size=size,
        start_from="models/fresh",
        network=network,
        training=training,
        budgets=Budgets(smoke=budget, laptop=budget, reference=budget, full=budget),
    )


@pytest.fixture(scope="session")
def model():
    network = dcgan.Network(
        latent=8,
        generator=[16, 8],
        discriminator=[8, 16],
        leak=0.3,
        dropout=0.3,
        generator_dropout=0.0,
        spectral_normalization=False,
    )
    budget = Budget(total_kimg=0.04, snapshot_kimg=0.016)
    return model_with(network, training_with(), budget)


@pytest.fixture(scope="session")
def growing_model():
    """Grows from 4x4 to 16x16 in 14 steps of 4: 2, then 3 fading and 2 whole, 3 fading, 4 whole."""
    network = pggan.Network(latent=8, filters=64, most_filters=16, group=2)
    training = training_with(
        batch=[4, 4, 4], beta_1=0.0, beta_2=0.99, loss="wasserstein", gradient_penalty=10.0,
        drift=0.001, precision="float32",
    )  # fmt: skip
    budget = Budget(total_kimg=0.056, snapshot_kimg=0.02, fade_kimg=0.012, stable_kimg=0.008)
    return model_with(network, training, budget)


@pytest.fixture(scope="session")
def cycles():
    """Ten bright discs that beat, (10, 16, 16, 6) uint8."""
    y, x, t = np.mgrid[:16, :16, :6]
    shifts = np.random.default_rng(0).uniform(-2, 2, (10, 2))
    discs = [np.hypot(y - 7.5 - a, x - 7.5 - b) < 4 + np.cos(2 * np.pi * t / 6) for a, b in shifts]
    return (np.stack(discs) * 200 + 20).astype(np.uint8)


@pytest.fixture(scope="session")
def cycles_at(cycles):
    """The discs at any smaller size: means over squares."""

    def at(size):
        k = 16 // size
        means = cycles.reshape(-1, size, k, size, k, 6).mean(axis=(2, 4))
        return np.rint(means).astype(np.uint8)

    return at
