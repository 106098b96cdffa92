"""Adversarial losses, one value per cycle, as functions of the discriminator's logits."""

from __future__ import annotations

from typing import Any

from keras import ops


def discriminator_loss(real_logits: Any, fake_logits: Any) -> Any:
    """Binary cross-entropy of calling real cycles real and fake ones fake, (n, 1).

    Goodfellow et al. 2014, "Generative Adversarial Nets", eq. 1.
    """
    return ops.softplus(-real_logits) + ops.softplus(fake_logits)


def generator_loss(fake_logits: Any) -> Any:
    """Binary cross-entropy of calling fake cycles real: the non-saturating loss, (n, 1)."""
    return ops.softplus(-fake_logits)


def generator_share(fake_logits: Any) -> Any:
    """Ratio of the two losses' derivatives by the logit, per fake cycle, (n, 1).

    A logit depends on its own cycle alone, so a gradient with respect to a fake cycle is
    proportional to that of its logit: one pass back through the discriminator serves both
    networks. With s the logistic function of the logit, the generator's derivative is s - 1, the
    discriminator's s, and their ratio -exp(-logit).
    """
    return -ops.exp(-ops.clip(fake_logits, -60.0, 60.0))
