"""Losses against values computed by hand, and the shared backward pass against two."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cinegan.training.losses import discriminator_loss, generator_loss, generator_share


@pytest.mark.parametrize(
    ("real", "fake", "discriminator", "generator"),
    [
        (0.0, 0.0, 2 * np.log(2), np.log(2)),
        (2.0, -1.0, np.log1p(np.exp(-2)) + np.log1p(np.exp(-1)), np.log1p(np.exp(1))),
        (-90.0, 90.0, 180.0, 0.0),
    ],
)
def test_losses(real, fake, discriminator, generator):
    real, fake = np.float32([[real]]), np.float32([[fake]])
    assert float(discriminator_loss(real, fake)[0, 0]) == pytest.approx(discriminator, abs=1e-6)
    assert float(generator_loss(fake)[0, 0]) == pytest.approx(generator, abs=1e-6)


def test_share_is_the_ratio_of_the_two_derivatives():
    logits = tf.constant(np.linspace(-20, 20, 41)[:, None])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        own = generator_loss(logits)
        other = discriminator_loss(tf.zeros_like(logits), logits)
    ratio = tape.gradient(own, logits) / tape.gradient(other, logits)
    np.testing.assert_allclose(generator_share(logits), ratio, rtol=1e-6)


def test_share_stays_finite_for_absurd_logits():
    assert np.isfinite(generator_share(np.float32([[-1e4], [1e4]]))).all()
