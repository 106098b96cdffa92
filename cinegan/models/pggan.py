"""The networks of the progressive GAN, at any resolution from 4x4 on, with or without a fade.

Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs for Improved Quality, Stability,
and Variation", table 2 and sections 2 to 4; phases as channels. A network at one resolution holds
the blocks in use there and no others. Blocks carry the resolution in their name, so that weights
pass by name from one resolution to the next.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

import lazy_loader
from pydantic import Field

from cinegan.models import layers
from cinegan.params import NetworkOptions

# Loaded at first use (as our layers are): params.yaml is checked against this file without waiting
# for a backend.
keras: Any = lazy_loader.load("keras")

FIRST_SIDE = 4
LEAK = 0.2


class Network(NetworkOptions):
    """Options of both networks.

    Attributes
    ----------
    latent : int
        Numbers in a latent vector.
    filters : int
        Sum that sets the widths: a block at side s has filters / (s / 2) of them ("fmap_base").
    most_filters : int
        Upper limit of that ("fmap_max").
    group : int
        Cycles over which the minibatch's standard deviation is taken; it divides the batch.
    """

    # The minibatch's standard deviation makes a logit depend on the cycles beside it.
    independent_logits: ClassVar[bool] = False
    grows: ClassVar[bool] = True

    latent: Annotated[int, Field(ge=1, le=8192)]
    filters: Annotated[int, Field(ge=1, le=65536)]
    most_filters: Annotated[int, Field(ge=1, le=8192)]
    group: Annotated[int, Field(ge=1, le=4096)]

    def check_size(self, size: int) -> None:
        """Refuse a size that doubling does not reach."""
        if size < FIRST_SIDE or size & (size - 1):
            raise ValueError(
                f"size {size} does not fit: a progressive GAN doubles from {FIRST_SIDE} pixels, so "
                "it is a power of two"
            )

    def check_batch(self, batch: int) -> None:
        """Refuse a batch that is not made of whole groups."""
        if batch % self.group:
            raise ValueError(f"a batch of {batch} is not made of whole groups of {self.group}")

    def sizes(self, size: int) -> list[int]:
        """Every power of two from the first on."""
        return [FIRST_SIDE, *_sides(size)]

    def width(self, side: int) -> int:
        """Filters of the block at a side, in pixels."""
        return max(1, min(2 * self.filters // side, self.most_filters))


def generator(
    options: Network, size: int, phases: int, labels: int = 0, *, fading: bool = False
) -> Any:
    """Latents (n, latent) to cycles (n, size, size, phases + labels), about [-1, 1] once trained.

    Parameters
    ----------
    fading : bool
        Whether the last block is being faded in: layer "fade" then holds its share, 0 to 1.
    """
    latents = keras.Input((options.latent,), name="latent")
    x = layers.PixelNormalization(name="norm_latent")(latents)
    first = FIRST_SIDE * FIRST_SIDE * options.width(FIRST_SIDE)
    # The paper's smaller gain at this layer: sqrt(2) / 4.
    x = layers.EqualizedDense(first, gain=math.sqrt(2) / 4, name="4_dense")(x)
    x = keras.layers.Reshape((FIRST_SIDE, FIRST_SIDE, options.width(FIRST_SIDE)))(x)
    x = _normalised(x, "4_dense")
    x = _normalised(_convolution(options.width(FIRST_SIDE), "4_conv")(x), "4_conv")
    for side in _sides(size):
        before = x
        x = keras.layers.UpSampling2D(2, name=f"{side}_up")(x)  # (n, side, side, width(side / 2))
        for i in (1, 2):
            name = f"{side}_conv_{i}"
            x = _normalised(_convolution(options.width(side), name)(x), name)
    cycles = _to_phases(phases + labels, size)(x)  # (n, size, size, phases + labels)
    if fading:
        half = _to_phases(phases + labels, size // 2)(
            before
        )  # (n, size / 2, same, phases + labels)
        half = keras.layers.UpSampling2D(2, dtype="float32", name="up_faded")(half)
        cycles = layers.FadeIn(name="fade", dtype="float32")([half, cycles])
    # One name for what comes out, faded or not.
    cycles = keras.layers.Activation("linear", dtype="float32", name="cycles")(cycles)
    return keras.Model(latents, cycles, name="generator")


def discriminator(
    options: Network, size: int, phases: int, labels: int = 0, *, fading: bool = False
) -> Any:
    """Cycles (n, size, size, phases + labels) to logits (n, 1), float32; greater means more real.

    Parameters
    ----------
    fading : bool
        Whether the first block is being faded in: layer "fade" then holds its share, 0 to 1.
    """
    cycles = keras.Input((size, size, phases + labels), name="cycles")
    x = _from_phases(cycles, options, size)  # (n, size, size, width(size))
    for side in reversed(_sides(size)):
        for i, filters in ((1, options.width(side)), (2, options.width(side // 2))):
            name = f"{side}_conv_{i}"
            x = _leaky(_convolution(filters, name)(x), name)
        x = keras.layers.AveragePooling2D(2, name=f"{side}_down")(x)  # (n, side / 2, ...)
        if fading and side == size:
            half = keras.layers.AveragePooling2D(2, name="down_faded")(cycles)
            x = layers.FadeIn(name="fade")([_from_phases(half, options, size // 2), x])
    x = layers.MinibatchDeviation(options.group, name="deviation")(x)  # (n, 4, 4, width(4) + 1)
    x = _leaky(_convolution(options.width(FIRST_SIDE), "4_conv")(x), "4_conv")
    x = keras.layers.Flatten()(x)  # (n, 16 * width(4))
    x = _leaky(layers.EqualizedDense(options.width(FIRST_SIDE), name="4_dense")(x), "4_dense")
    logits = layers.EqualizedDense(1, gain=1.0, dtype="float32", name="logit")(x)
    return keras.Model(cycles, logits, name="discriminator")


def _sides(size: int) -> list[int]:
    """Sides of the blocks after the first, growing."""
    return [2**k for k in range(FIRST_SIDE.bit_length(), size.bit_length())]


def _convolution(filters: int, name: str) -> Any:
    return layers.EqualizedConv2D(filters, 3, padding="same", name=name)


def _to_phases(channels: int, side: int) -> Any:
    # float32: what both networks see of a cycle is not rounded to 8 bits.
    return layers.EqualizedConv2D(channels, 1, gain=1.0, dtype="float32", name=f"{side}_to_phases")


def _from_phases(cycles: Any, options: Network, side: int) -> Any:
    name = f"{side}_from_phases"
    return _leaky(layers.EqualizedConv2D(options.width(side), 1, name=name)(cycles), name)


def _leaky(x: Any, name: str) -> Any:
    return keras.layers.LeakyReLU(LEAK, name=f"{name}_leaky")(x)


def _normalised(x: Any, name: str) -> Any:
    return layers.PixelNormalization(name=f"{name}_norm")(_leaky(x, name))
