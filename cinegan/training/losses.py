"""Adversarial losses, one value per cycle, as functions of the discriminator's logits.

The two networks' losses go back through the discriminator in one pass where that is exact: each
loss says by which factor its derivative with respect to a fake cycle becomes the generator's, and
down to which logit float32 can tell it so.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from cinegan.params import Training

TINY = 1e-12  # under the root of a norm, whose own derivative at 0 is infinite


class CrossEntropy:
    """Binary cross-entropy of calling real cycles real and fake ones fake; non-saturating.

    Goodfellow et al. 2014, "Generative Adversarial Nets", eq. 1 and section 3.
    """

    # The ratio below holds where a logit depends on its own cycle alone.
    shared_by_coupled_logits = False
    # Below, the discriminator's derivative, exp(logit), times those of its layers would be too near
    # float32's smallest number, 1e-38, to be brought back by its inverse.
    lowest_shared = -50.0

    def discriminator(self, real: Any, fake: Any, real_labels: Any, fake_labels: Any) -> Any:
        """(n, 1) logits and what the discriminator is told, 1 for real, to (n, 1)."""
        return ops.softplus(real) - real_labels * real + ops.softplus(fake) - fake_labels * fake

    def generator(self, fake: Any) -> Any:
        """(n, 1): of calling fake cycles real."""
        return ops.softplus(-fake)

    def gradient_ratio(self, fake: Any, fake_labels: Any) -> Any:
        """Ratio of the two losses' derivatives by the logit, per fake cycle, (n, 1).

        With s the logistic function of the logit, the generator's derivative is s - 1, the
        discriminator's s for a label of 0, and their ratio -exp(-logit); for a label of 1 the two
        are the same. Of no use below `lowest_shared`.
        """
        told_fake = -ops.exp(-ops.clip(fake, self.lowest_shared, 80.0))
        return ops.where(ops.greater(fake_labels, 0.5), ops.ones_like(told_fake), told_fake)


class Wasserstein:
    """Difference of mean scores, with a drift term that keeps those of real cycles near 0.

    Arjovsky et al. 2017, "Wasserstein GAN"; Karras et al. 2018, "Progressive Growing of GANs",
    appendix A.1.
    """

    # The generator's loss is minus the discriminator's term of the fake cycles, as a whole.
    shared_by_coupled_logits = True
    lowest_shared = None  # at any score

    def __init__(self, drift: float) -> None:
        self.drift = drift

    def discriminator(self, real: Any, fake: Any, real_labels: Any, fake_labels: Any) -> Any:
        """(n, 1) scores to (n, 1); labels mean nothing here."""
        return fake - real + self.drift * ops.square(real)

    def generator(self, fake: Any) -> Any:
        """(n, 1)."""
        return -fake

    def gradient_ratio(self, fake: Any, fake_labels: Any) -> Any:
        """Ratio of the two losses' derivatives, (n, 1)."""
        return -ops.ones_like(fake)


def loss_of(training: Training) -> CrossEntropy | Wasserstein:
    """Return the loss that the parameters ask for."""
    return Wasserstein(training.drift) if training.loss == "wasserstein" else CrossEntropy()


def slope_from_one(gradient: Any) -> Any:
    """WGAN-GP's penalty: how far a gradient's norm is from 1, squared, (n, ...) to (n,).

    Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", eq. 3.
    """
    return ops.square(ops.sqrt(squared_norm(gradient) + TINY) - 1.0)


def squared_norm(gradient: Any) -> Any:
    """R1's penalty, but for its weight: squared norm of each cycle's gradient, (n, ...) to (n,).

    Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", eq. 9.
    """
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))
