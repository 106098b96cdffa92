"""A tiny adversarial pair that trains in a second."""

from __future__ import annotations

import numpy as np
import pytest

from cinegan.models import dcgan
from cinegan.params import Budget, Budgets, Model, Training
from cinegan.training.runtime import configure

configure(threads=2)  # before the first tensor: it cannot change afterwards

BUDGET = Budget(total_kimg=0.04, snapshot_kimg=0.016)


@pytest.fixture
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
    training = Training(
        batch=4, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, ema_decay=0.9, precision="bfloat16"
    )
    return Model(
        architecture="dcgan",
        input="ventricles",
        folder="data/ventricles",
        size=16,
        network=network,
        training=training,
        budgets=Budgets(smoke=BUDGET, laptop=BUDGET, reference=BUDGET, full=BUDGET),
    )


@pytest.fixture
def cycles():
    """Ten bright discs that beat, (10, 16, 16, 6) uint8."""
    y, x, t = np.mgrid[:16, :16, :6]
    shifts = np.random.default_rng(0).uniform(-2, 2, (10, 2))
    discs = [np.hypot(y - 7.5 - a, x - 7.5 - b) < 4 + np.cos(2 * np.pi * t / 6) for a, b in shifts]
    return (np.stack(discs) * 200 + 20).astype(np.uint8)
