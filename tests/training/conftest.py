"""Tiny adversarial pairs that train in a second."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from recipes import model_with, training_with

from cinegan.models import dcgan, pggan
from cinegan.params import Budget
from cinegan.training import cost
from cinegan.training.runtime import configure

configure(threads=2)  # before the first tensor: it cannot change afterwards


@pytest.fixture(scope="session", autouse=True)
def speed_measured_once():
    """Each training measures the machine's speed for a second or so, which does not change."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cost, "_matrix_rate", cache(cost._matrix_rate))
        yield


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
