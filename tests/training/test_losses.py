"""Losses against values computed by hand, and the shared backward pass against two."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from recipes import training_with

from cinegan.training.losses import CrossEntropy, Wasserstein, loss_of


@pytest.mark.parametrize(
    ("real", "fake", "discriminator", "generator"),
    [
        (0.0, 0.0, 2 * np.log(2), np.log(2)),
        (2.0, -1.0, np.log1p(np.exp(-2)) + np.log1p(np.exp(-1)), np.log1p(np.exp(1))),
        (-90.0, 90.0, 180.0, 0.0),
    ],
)
def test_cross_entropy(real, fake, discriminator, generator):
    real, fake = np.float32([[real]]), np.float32([[fake]])
    told = CrossEntropy().discriminator(real, fake, 1.0, 0.0)
    assert float(told[0, 0]) == pytest.approx(discriminator, abs=1e-6)
    assert float(CrossEntropy().generator(fake)[0, 0]) == pytest.approx(generator, abs=1e-6)


def test_cross_entropy_with_other_labels():
    """Of a label y and a logit l: -y log s(l) - (1 - y) log(1 - s(l))."""
    s = 1 / (1 + np.exp(-2.0))
    soft = CrossEntropy().discriminator(np.float32([[2.0]]), np.float32([[0.0]]), 0.9, 1.0)
    expected = -0.9 * np.log(s) - 0.1 * np.log(1 - s) + np.log(2)
    assert float(soft[0, 0]) == pytest.approx(expected, abs=1e-6)


def test_wasserstein():
    loss = Wasserstein(drift=0.5)
    told = loss.discriminator(np.float32([[2.0]]), np.float32([[-1.0]]), 1.0, 0.0)
    assert float(told[0, 0]) == pytest.approx(-1 - 2 + 0.5 * 4)
    assert float(loss.generator(np.float32([[-1.0]]))[0, 0]) == 1


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("loss", [CrossEntropy(), Wasserstein(0.1)])
def test_the_gradient_ratio_is_that_of_the_two_derivatives(loss, label):
    """In float32, down to the logit below which the ratio is not used."""
    logits = tf.constant(np.float32(np.linspace(loss.lowest_shared or -80, 15, 41)[:, None]))
    labels = tf.fill(logits.shape, label)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        own = loss.generator(logits)
        other = loss.discriminator(tf.zeros_like(logits), logits, labels, labels)
    brought_back = loss.gradient_ratio(logits, labels) * tape.gradient(other, logits)
    np.testing.assert_allclose(brought_back, tape.gradient(own, logits), rtol=1e-5, atol=1e-7)


def test_the_gradient_ratio_stays_finite_for_absurd_logits():
    ratio = CrossEntropy().gradient_ratio(np.float32([[-1e4], [1e4]]), np.float32([[0], [0]]))
    assert np.isfinite(ratio).all()


def test_the_parameters_name_the_loss():
    assert isinstance(loss_of(training_with()), CrossEntropy)
    assert loss_of(training_with(loss="wasserstein", drift=0.25)).drift == 0.25
