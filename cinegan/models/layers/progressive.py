"""The progressive GAN's layers: equalized learning rate, pixel norm, minibatch deviation and fade.

Karras, Aila, Laine and Lehtinen 2018, "Progressive Growing of GANs for Improved Quality, Stability,
and Variation", sections 2 to 4.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from cinegan.models.layers.stored import StoredAsIs

GAIN = math.sqrt(2.0)  # He et al. 2015
EPSILON = 1e-8


class EqualizedConv2D(StoredAsIs, keras.layers.Conv2D):
    """Conv2D whose weights are standard normal and scaled by gain / sqrt(fan-in) as it runs.

    All weights then have one dynamic range, and so one effective learning rate (section 4.1).
    """

    def __init__(self, filters: int, kernel_size: int, gain: float = GAIN, **options: Any) -> None:
        super().__init__(filters, kernel_size, kernel_initializer=_standard_normal(), **options)
        self.gain = gain

    @property
    def kernel(self) -> Any:
        """The scaled weights, (k, k, channels, filters)."""
        return super().kernel * _equalizer(super().kernel.shape, self.gain)


class EqualizedDense(StoredAsIs, keras.layers.Dense):
    """Dense whose weights are standard normal and scaled by gain / sqrt(fan-in) as it runs."""

    def __init__(self, units: int, gain: float = GAIN, **options: Any) -> None:
        super().__init__(units, kernel_initializer=_standard_normal(), **options)
        self.gain = gain

    @property
    def kernel(self) -> Any:
        """The scaled weights, (channels, units)."""
        return super().kernel * _equalizer(super().kernel.shape, self.gain)


def _standard_normal() -> Any:
    return keras.initializers.RandomNormal(stddev=1.0)


def _equalizer(shape: tuple[int, ...], gain: float) -> float:
    return gain / math.sqrt(math.prod(shape[:-1]))


class PixelNormalization(keras.layers.Layer):
    """Scale each pixel's channels to a mean square of 1 (section 4.2); in float32 inside."""

    def call(self, inputs: Any) -> Any:
        """Any shape, channels last, to the same shape."""
        x = ops.cast(inputs, "float32")
        power = ops.mean(ops.square(x), axis=-1, keepdims=True)
        return ops.cast(x * ops.rsqrt(power + EPSILON), inputs.dtype)


class MinibatchDeviation(keras.layers.Layer):
    """Append, as a channel, how much the cycles of a group differ (section 3); in float32 inside.

    Groups are neighbouring cycles of the batch, so that a batch split over devices at multiples of
    the group has the same groups.
    """

    def __init__(self, group: int, **options: Any) -> None:
        super().__init__(**options)
        self.group = group

    def call(self, inputs: Any) -> Any:
        """(n, h, w, channels) to (n, h, w, channels + 1); a group of 1 has no deviation."""
        height, width, channels = inputs.shape[1:]
        x = ops.cast(inputs, "float32")
        x = ops.reshape(x, (-1, self.group, height, width, channels))  # (groups, group, h, w, c)
        variance = ops.mean(ops.square(x - ops.mean(x, axis=1, keepdims=True)), axis=1)
        deviation = ops.mean(ops.sqrt(variance + EPSILON), axis=(1, 2, 3))  # (groups,)
        each = ops.reshape(ops.repeat(deviation, self.group), (-1, 1, 1, 1))  # (n, 1, 1, 1)
        each = ops.cast(each, inputs.dtype) * ops.ones_like(inputs[..., :1])  # (n, h, w, 1)
        return ops.concatenate([inputs, each], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """One channel more."""
        return (*input_shape[:-1], int(input_shape[-1] or 0) + 1)


class FadeIn(keras.layers.Layer):
    """Blend of what the smaller network makes and what the new block makes (figure 2).

    Attributes
    ----------
    share : keras.Variable
        Of the new block: 0 is the smaller network, 1 the larger. Kept with the weights, so that a
        network saved in the middle of a fade is the one that was trained.
    """

    def build(self, _: Any) -> None:
        """Make the share, a scalar that no optimizer moves."""
        self.share = self.add_weight(
            (), initializer="zeros", trainable=False, dtype="float32", autocast=False, name="share"
        )  # not cast to the layer's bfloat16, whose steps above a half are of 1/256

    def call(self, inputs: list[Any]) -> Any:
        """[old, new], of one shape, to the same shape; in float32 inside, for a smooth fade."""
        old, new = (ops.cast(each, "float32") for each in inputs)
        return ops.cast(old + (new - old) * ops.cast(self.share, "float32"), inputs[1].dtype)
