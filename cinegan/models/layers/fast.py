"""Layers that compute what Keras' own do, faster on a CPU, with the same weights.

They stand where profiles showed the time to be: a small image under a large kernel with many
channels, and the random masks of dropout. Tests hold each against the layer it replaces.
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
    """Conv2D with padding "same" as one matrix product of patches; the stride divides the side.

    The gradient of the kernel is then a matrix product too; convolution kernels for it are slow
    where images are small and channels many.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights of Conv2D, and the places of each patch's pixels."""
        super().build(input_shape)
        side, kernel, stride = int(input_shape[1] or 0), self.kernel_size[0], self.strides[0]
        if side % stride:
            raise ValueError(f"a stride of {stride} does not divide {side} pixels")
        out = side // stride
        total = kernel - stride
        self._padding = (total // 2, total - total // 2)
        wide, self._out = side + total, out
        rows = stride * np.arange(out)[:, None] + np.arange(kernel)  # (out, kernel)
        places = rows[:, None, :, None] * wide + rows[None, :, None, :]
        self._places = places.reshape(-1).astype("int32")  # (out * out * kernel * kernel,)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """(n, side, side, channels) to (n, out, out, filters), before the bias."""
        channels, filters = kernel.shape[-2:]

        @ops.custom_gradient
        def convolve(x: Any, w: Any) -> tuple[Any, Callable[..., tuple[Any, Any]]]:
            padded = ops.pad(x, ((0, 0), self._padding, self._padding, (0, 0)))
            pixels = ops.reshape(padded, (-1, padded.shape[1] * padded.shape[2], channels))
            patches = ops.take(pixels, self._places, axis=1)  # (n, out * out * k * k, channels)
            patches = ops.reshape(patches, (-1, int(np.prod(self.kernel_size)) * channels))
            y = ops.matmul(patches, w)  # (n * out * out, filters)

            def gradient(*upstream: Any) -> tuple[Any, Any]:
                flat = ops.reshape(upstream[0], (-1, filters))
                x_gradient = ops.conv_transpose(
                    upstream[0], ops.reshape(w, kernel.shape), self.strides, "same"
                )
                return x_gradient, ops.matmul(ops.transpose(patches), flat)

            return ops.reshape(y, (-1, self._out, self._out, filters)), gradient

        # Reshaped outside, so that the inner function sees a tensor and not the variable.
        return convolve(ops.convert_to_tensor(inputs), ops.reshape(kernel, (-1, filters)))


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
