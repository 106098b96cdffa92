"""Layers that compute what Keras' own do, faster on a CPU, with the same weights.

They stand where profiles showed the time to be: a small image under a large kernel with many
channels, an enlarged image under a small kernel, and the random masks of dropout. Tests hold each
against the layer it replaces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


class FourierConv2DTranspose(keras.layers.Conv2DTranspose):
    """Conv2DTranspose of stride 1, padding "same" and no bias, by the convolution theorem.

    Where the image is hardly larger than the kernel, a product of discrete Fourier transforms
    needs a fraction of the multiplications. The transforms are small constant matrices, so all is
    matrix products and both gradients come by themselves. Exact but for rounding.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel, (k, k, filters, channels), and the transforms."""
        super().build(input_shape)
        side, reach = int(input_shape[1] or 0), self.kernel_size[0] // 2
        period = side + reach  # the shortest at which what wraps around is cropped away
        grid = [(a, b) for a in range(period) for b in range(period)]
        # Real images: of two opposite frequencies one is enough.
        kept = np.array([f for f in grid if f <= ((-f[0]) % period, (-f[1]) % period)])
        own_opposite = (kept == (-kept) % period).all(axis=1)
        weight = np.where(own_opposite, 1.0, 2.0) / period**2

        def angles(points: range) -> np.ndarray:
            places = np.array([(i, j) for i in points for j in points])
            return 2 * np.pi / period * kept @ places.T  # (bins, points)

        def transform(angle: np.ndarray) -> np.ndarray:
            parts = np.stack([np.cos(angle), -np.sin(angle)], axis=1)
            return parts.reshape(-1, angle.shape[1])  # (bins * 2, points), real and imaginary

        pixels, taps = angles(range(side)), angles(range(-reach, reach + 1))
        cos, sin = weight * np.cos(pixels).T, weight * np.sin(pixels).T  # (pixels, bins)
        back = np.stack([cos, -sin, -sin, -cos], axis=-1)  # of the four products of parts
        # Scaled by the period and back: keeps what lies between in the range of its inputs.
        self._image_transform = (transform(pixels) / period).astype("float32")
        self._kernel_transform = transform(taps).astype("float32")
        self._back = (back.reshape(side**2, -1) * period).astype("float32")
        self._side, self._bins = side, len(kept)

    def call(self, inputs: Any) -> Any:
        """(n, side, side, channels) to (n, side, side, filters)."""
        channels, filters, pixels = inputs.shape[-1], self.filters, self._side**2
        image_transform, kernel_transform, back = (
            ops.cast(matrix, self.compute_dtype)
            for matrix in (self._image_transform, self._kernel_transform, self._back)
        )
        x = ops.transpose(ops.reshape(inputs, (-1, pixels, channels)), (1, 0, 2))
        x = ops.matmul(image_transform, ops.reshape(x, (pixels, -1)))  # (bins * 2, n * channels)
        x = ops.reshape(x, (self._bins, -1, channels))  # (bins, 2 * n, channels)
        w = ops.cast(ops.reshape(self.kernel, (-1, filters * channels)), self.compute_dtype)
        w = ops.reshape(ops.matmul(kernel_transform, w), (self._bins, 2 * filters, channels))
        y = ops.matmul(w, ops.transpose(x, (0, 2, 1)))  # (bins, 2 * filters, 2 * n)
        y = ops.reshape(y, (self._bins, 2, filters, 2, -1))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4)), (4 * self._bins, -1))
        y = ops.reshape(ops.matmul(back, y), (pixels, filters, -1))
        y = ops.transpose(y, (2, 0, 1))  # (n, pixels, filters)
        return ops.reshape(y, (-1, self._side, self._side, filters))


class PatchConv2D(keras.layers.Conv2D):
    """Conv2D with padding "same" whose kernel's gradient is one matrix product of patches.

    Convolution kernels for that gradient are slow where images are small and channels many. The
    stride divides the side.
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """(n, side, side, channels) to (n, out, out, filters), before the bias."""
        return _convolve(ops.convert_to_tensor(inputs), _value(kernel), self.strides[0])


class PatchConv2DTranspose(keras.layers.Conv2DTranspose):
    """Conv2DTranspose with padding "same" and no bias, whose kernel's gradient is PatchConv2D's."""

    def call(self, inputs: Any) -> Any:
        """(n, side, side, channels) to (n, stride * side, stride * side, filters)."""
        kernel = _value(self.kernel)
        return _convolve_transposed(ops.convert_to_tensor(inputs), kernel, self.strides[0])


def _value(kernel: Any) -> Any:
    # A custom gradient takes no variables, and a reshaped one is a tensor.
    return ops.reshape(kernel, kernel.shape)


def _convolve(x: Any, w: Any, stride: int) -> Any:
    """Large image x (n, side, side, c) to small (n, out, out, f), for w (k, k, c, f)."""

    @ops.custom_gradient
    def convolve(x: Any, w: Any) -> tuple[Any, Callable[..., tuple[Any, Any]]]:
        def gradient(*upstream: Any) -> tuple[Any, Any]:
            small = upstream[0]
            return _convolve_transposed(small, w, stride), _kernel_gradient(x, small, w, stride)

        return ops.conv(x, w, stride, "same"), gradient

    return convolve(x, w)


def _convolve_transposed(y: Any, w: Any, stride: int) -> Any:
    """Small image y (n, out, out, f) to large (n, side, side, c): the gradient of `_convolve`."""

    @ops.custom_gradient
    def convolve(y: Any, w: Any) -> tuple[Any, Callable[..., tuple[Any, Any]]]:
        def gradient(*upstream: Any) -> tuple[Any, Any]:
            large = upstream[0]
            return _convolve(large, w, stride), _kernel_gradient(large, y, w, stride)

        return ops.conv_transpose(y, w, stride, "same"), gradient

    return convolve(y, w)


def _kernel_gradient(large: Any, small: Any, w: Any, stride: int) -> Any:
    """Sum over pixels of each patch of the large image times its pixel of the small one."""
    kernel, (_, side, _, channels) = w.shape[0], large.shape
    out, total = side // stride, kernel - stride
    padding = (total // 2, total - total // 2)
    rows = stride * np.arange(out)[:, None] + np.arange(kernel)  # (out, kernel)
    places = rows[:, None, :, None] * (side + total) + rows[None, :, None, :]
    padded = ops.pad(large, ((0, 0), padding, padding, (0, 0)))
    pixels = ops.reshape(padded, (-1, (side + total) ** 2, channels))
    patches = ops.take(pixels, places.reshape(-1).astype("int32"), axis=1)
    patches = ops.reshape(patches, (-1, kernel**2 * channels))  # (n * out * out, k * k * c)
    flat = ops.reshape(small, (-1, w.shape[-1]))  # (n * out * out, f)
    return ops.reshape(ops.matmul(ops.transpose(patches), flat), w.shape)


class EnlargingConv2D(keras.layers.Conv2D):
    """UpSampling2D(2), then Conv2D 3x3 with padding "same" and no bias, as four convolutions 2x2.

    Of the nine pixels under the kernel of an image enlarged by repetition, only four differ. Which
    they are depends on the place of the output pixel in its block of 2x2: each of the four places
    has a kernel of its own, of sums of the weights of equal pixels, and needs 4/9 of the products.
    """

    # Of each place in a block: which of the kernel's three taps fall on which of two input pixels.
    TAPS = np.array([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], "float32")

    def __init__(self, filters: int, **options: Any) -> None:
        super().__init__(filters, 3, padding="same", use_bias=False, **options)

    def call(self, inputs: Any) -> Any:
        """(n, height, width, channels) to (n, 2 * height, 2 * width, filters)."""
        _, height, width, _ = inputs.shape
        taps = ops.cast(self.TAPS, self.compute_dtype)
        rows = []
        for a in (0, 1):
            places = []
            for b in (0, 1):
                kernel = ops.einsum("pr,qs,rscf->pqcf", taps[a], taps[b], self.kernel)
                around = ops.pad(inputs, ((0, 0), (1 - a, a), (1 - b, b), (0, 0)))
                places.append(ops.conv(around, kernel, 1, "valid"))
            rows.append(ops.concatenate(places, axis=-1))  # (n, height, width, 2 * filters)
        blocks = ops.stack(rows, axis=2)  # (n, height, 2, width, 2 * filters)
        return ops.reshape(blocks, (-1, 2 * height, 2 * width, self.filters))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Twice the rows and columns."""
        count, height, width, _ = input_shape
        return count, 2 * int(height or 0), 2 * int(width or 0), self.filters


class LeakyDropout(keras.layers.Layer):
    """LeakyReLU, then dropout, as one product with one mask.

    Attributes
    ----------
    draw : callable or None
        Shape to a bool tensor, True with probability `rate`: where a training loop puts its own
        source of randomness. None draws from Keras' generator.
    """

    def __init__(self, leak: float, rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.leak, self.rate = leak, rate
        self.draw: Callable[[tuple[Any, ...], float], Any] | None = None
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Any shape to the same shape."""
        if not training or self.rate == 0:
            return ops.leaky_relu(inputs, self.leak)
        kept = 1.0 / (1.0 - self.rate)
        slope = ops.where(
            inputs > 0,
            ops.cast(kept, inputs.dtype),
            ops.cast(kept * self.leak, inputs.dtype),
        )
        dropped = (self.draw or self._draw)(ops.shape(inputs), self.rate)
        return inputs * ops.stop_gradient(ops.where(dropped, ops.cast(0, inputs.dtype), slope))

    def _draw(self, shape: tuple[Any, ...], rate: float) -> Any:
        return keras.random.uniform(shape, seed=self.seed_generator) < rate
