"""A small U-Net: frames to maps of what is inside the endocardium and inside the epicardium."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from cinegan.data.labels import KINDS

MOMENTUM = 0.9  # of batch statistics: a training has hundreds of steps, not thousands


def unet(size: int, widths: Sequence[int]) -> keras.Model:
    """Frames (n, size, size, 1) in [-1, 1] to logits (n, size, size, 2), float32, fresh.

    Parameters
    ----------
    widths : sequence of int
        Filters from half the size down, each halving the side. At full size, where a small network
        would spend most of its time, there are only the first and the last convolution.

    References
    ----------
    Ronneberger, Fischer and Brox, "U-Net: Convolutional networks for biomedical image
    segmentation", MICCAI 2015; with batch normalisation and padding.
    """
    frames = keras.Input((size, size, 1), name="frames")
    x = keras.layers.Conv2D(widths[0], 4, strides=2, padding="same", use_bias=False, name="in")(
        frames
    )
    x, skipped = _rectified(x, "in"), []
    for k, filters in enumerate(widths):
        x = _twice(x, filters, f"down_{k}")
        if k < len(widths) - 1:
            skipped.append(x)
            x = keras.layers.MaxPooling2D(name=f"halve_{k}")(x)
    for k, filters in reversed(list(enumerate(widths[:-1]))):
        x = keras.layers.UpSampling2D(interpolation="bilinear", name=f"double_{k}")(x)
        x = keras.layers.Concatenate(name=f"beside_{k}")([x, skipped[k]])
        x = _twice(x, filters, f"up_{k}")
    logits = keras.layers.Conv2DTranspose(
        len(KINDS), 4, strides=2, padding="same", dtype="float32", name="logits"
    )(x)
    return keras.Model(frames, logits, name="unet")


def _twice(x: Any, filters: int, name: str) -> Any:
    for part in "ab":
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}{part}")(x)
        x = _rectified(x, f"{name}{part}")
    return x


def _rectified(x: Any, name: str) -> Any:
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)
