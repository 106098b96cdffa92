"""Our own pair for small sets of cine data: smooth closed cycles, and an eye for motion.

The generator enlarges and convolves (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts")
and makes a cycle's harmonics, not its phases; the discriminator also sees the motion from phase to
phase. It is meant to be trained with differentiable augmentation, a lazy R1 penalty and a moving
average (docs/models.md says why).
"""

from __future__ import annotations

from typing import Annotated, Any

import lazy_loader
from pydantic import Field

from cinegan.models import layers
from cinegan.params import Fraction, NetworkOptions, NotNegative, check_sides

# Loaded at first use (as our layers are): params.yaml is checked against this file without waiting
# for a backend.
keras: Any = lazy_loader.load("keras")

FIRST_SIDE = 4

Filters = Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(min_length=1)]


class Network(NetworkOptions):
    """Options of both networks.

    Attributes
    ----------
    latent : int
        Numbers in a latent vector.
    generator, discriminator : list of int
        Filters of the generator from 4x4 up, each doubling the side of the one before; of the
        discriminator, each halving it.
    leak : float
        Slope of LeakyReLU below zero.
    smoothness : float
        How much smaller a cycle's faster harmonics are at first; 0 treats all alike.
    motion : float
        By how much the discriminator sees motion amplified; 0 does not show it.
    """

    latent: Annotated[int, Field(ge=1, le=8192)]
    generator: Filters
    discriminator: Filters
    leak: Fraction
    smoothness: NotNegative
    motion: NotNegative

    def check_size(self, size: int) -> None:
        """Refuse a size that the filters do not reach."""
        check_sides(size, FIRST_SIDE, len(self.generator), len(self.discriminator))


def generator(options: Network, size: int, phases: int, labels: int = 0) -> Any:
    """Latents (n, latent) to cycles (n, size, size, phases + labels) in [-1, 1], float32.

    Labels of all phases (as many as phases, or a multiple) beat as the phases do.
    """
    first, *rest = options.generator
    latents = keras.Input((options.latent,), name="latent")
    x = keras.layers.Dense(FIRST_SIDE * FIRST_SIDE * first, use_bias=False, name="dense")(latents)
    x = keras.layers.Reshape((FIRST_SIDE, FIRST_SIDE, first))(x)  # (n, 4, 4, first)
    x = _normalised(x, options.leak, "norm_0")
    for i, filters in enumerate(rest, start=1):
        x = layers.EnlargingConv2D(filters, name=f"conv_{i}")(x)  # (n, 4 * 2**i, same, filters)
        x = _normalised(x, options.leak, f"norm_{i}")
    x = keras.layers.Conv2D(
        options.generator[-1], 3, padding="same", use_bias=False, name="conv_last"
    )(x)  # (n, size, size, filters)
    x = _normalised(x, options.leak, "norm_last")
    x = keras.layers.Conv2D(phases + labels, 3, padding="same", name="to_harmonics")(x)
    # float32 from here: motion is a small part of a pixel, which 8 bits would round away. Rounded
    # before, each harmonic keeps 8 bits of its own.
    x = layers.HarmonicSynthesis(phases, options.smoothness, dtype="float32", name="to_phases")(x)
    cycles = keras.layers.Activation("tanh", dtype="float32", name="cycles")(x)
    return keras.Model(latents, cycles, name="generator")


def discriminator(options: Network, size: int, phases: int, labels: int = 0) -> Any:
    """Cycles (n, size, size, phases + labels) to logits (n, 1), float32; positive means real."""
    cycles = keras.Input((size, size, phases + labels), name="cycles")
    x = cycles
    if options.motion:
        x = layers.WithMotion(phases, options.motion, dtype="float32", name="motion")(
            x
        )  # (n, size, size, 2 * phases + labels)
    for i, filters in enumerate(options.discriminator, start=1):
        x = keras.layers.Conv2D(filters, 4, 2, "same", name=f"conv_{i}")(x)
        x = keras.layers.LeakyReLU(options.leak, name=f"leaky_{i}")(x)
    x = keras.layers.Flatten()(x)  # (n, (size / 2**blocks)**2 * filters)
    logits = keras.layers.Dense(1, dtype="float32", name="logit")(x)
    return keras.Model(cycles, logits, name="discriminator")


def _normalised(x: Any, leak: float, name: str) -> Any:
    return keras.layers.LeakyReLU(leak)(keras.layers.BatchNormalization(name=name)(x))
