"""The original system's DCGANs, layer for layer, at any power of two from 64 up.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", with the original's changes: 5x5 kernels, a first transposed
convolution of stride 1 at 8x8, LeakyReLU in both networks, dropout and no batch normalisation in
the discriminator, phases as channels.
"""

from __future__ import annotations

from typing import Annotated, Any

import lazy_loader
from pydantic import Field

from cinegan.models import layers
from cinegan.params import Fraction, NetworkOptions, check_sides

# Loaded at first use (as our layers are): params.yaml is checked against this file without waiting
# for a backend.
keras: Any = lazy_loader.load("keras")

FIRST_SIDE = 8
KERNEL = 5
MANY = 256  # channels from which kernels' gradients are faster as products of patches

Filters = list[Annotated[int, Field(ge=1, le=8192)]]


class Network(NetworkOptions):
    """Options of both networks.

    Attributes
    ----------
    generator_dropout : float
        Share of the generator's activations dropped in training (Isola et al. 2017, "Image-to-Image
        Translation with Conditional Adversarial Networks"); the original drops none.
    spectral_normalization : bool
        Whether the discriminator's weights are normalized (Miyato et al. 2018); the original's
        are not.
    """

    latent: Annotated[int, Field(ge=1, le=8192)]
    generator: Annotated[Filters, Field(min_length=2)]
    discriminator: Annotated[Filters, Field(min_length=1)]
    leak: Fraction
    dropout: Fraction
    generator_dropout: Fraction
    spectral_normalization: bool

    def check_size(self, size: int) -> None:
        """Refuse a size that the filters do not reach."""
        check_sides(size, FIRST_SIDE, len(self.generator), len(self.discriminator))


def generator(options: Network, size: int, phases: int, labels: int = 0) -> Any:
    """Latents (n, latent) to cycles (n, size, size, phases + labels) in [-1, 1], float32."""
    first, *rest = options.generator
    latents = keras.Input((options.latent,), name="latent")
    x = keras.layers.Dense(FIRST_SIDE * FIRST_SIDE * first, use_bias=False, name="dense")(latents)
    x = _activated(x, options, 0)
    x = keras.layers.Reshape((FIRST_SIDE, FIRST_SIDE, first))(x)  # (n, 8, 8, first)
    for i, filters in enumerate(rest, start=1):
        stride = 1 if i == 1 else 2
        x = _deconvolution(x, filters, stride, f"deconv_{i}")  # (n, 8 * 2**(i-1), same, filters)
        x = _activated(x, options, i)
    x = _deconvolution(x, phases + labels, 2, "to_phases")  # (n, size, size, phases + labels)
    cycles = keras.layers.Activation("tanh", dtype="float32", name="cycles")(x)
    return keras.Model(latents, cycles, name="generator")


def discriminator(options: Network, size: int, phases: int, labels: int = 0) -> Any:
    """Cycles (n, size, size, phases + labels) to logits (n, 1), float32; positive means real."""
    cycles = keras.Input((size, size, phases + labels), name="cycles")
    x = cycles
    for i, filters in enumerate(options.discriminator):
        x = _convolution(options, filters, f"conv_{i}")(x)  # (n, size / 2**(i+1), same, filters)
        x = layers.LeakyDropout(options.leak, options.dropout, name=f"dropout_{i}")(x)
    x = keras.layers.Flatten()(x)  # (n, (size / 2**blocks)**2 * filters)
    dense = layers.SpectralDense if options.spectral_normalization else keras.layers.Dense
    logits = dense(1, dtype="float32", name="logit")(x)
    return keras.Model(cycles, logits, name="discriminator")


def _deconvolution(x: Any, filters: int, stride: int, name: str) -> Any:
    if stride == 1:  # the image is hardly larger than the kernel: the same by its transform
        kind = layers.FourierConv2DTranspose
    elif x.shape[-1] >= MANY:
        kind = layers.PatchConv2DTranspose
    else:
        kind = keras.layers.Conv2DTranspose
    return kind(filters, KERNEL, stride, "same", use_bias=False, name=name)(x)


def _activated(x: Any, options: Network, i: int) -> Any:
    x = keras.layers.BatchNormalization(name=f"norm_{i}")(x)
    if options.generator_dropout:
        return layers.LeakyDropout(options.leak, options.generator_dropout, name=f"dropout_{i}")(x)
    return keras.layers.LeakyReLU(options.leak)(x)


def _convolution(options: Network, filters: int, name: str) -> Any:
    if options.spectral_normalization:
        kind = layers.SpectralPatchConv2D if filters >= MANY else layers.SpectralConv2D
    else:
        kind = layers.PatchConv2D if filters >= MANY else keras.layers.Conv2D
    return kind(filters, KERNEL, 2, "same", name=name)
