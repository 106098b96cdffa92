"""Layers for a closed cycle of phases: what the last phase goes back to is the first."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class HarmonicSynthesis(keras.layers.Layer):
    """From maps of a cycle's harmonics to its phases, by an inverse discrete Fourier transform.

    A network that makes harmonics instead of phases can make any cycle, but what it makes before
    it has learnt much is a closed and smooth one: harmonic k is scaled by
    1 / (1 + k) ** smoothness. The transform is a small constant matrix; its rows are orthonormal
    but for that scale. Further channels are cycles, too, as far as they make up whole ones; what is
    left of them stays as it is.
    """

    def __init__(self, phases: int, smoothness: float, **options: Any) -> None:
        super().__init__(**options)
        self.phases, self.smoothness = phases, smoothness

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the matrix, one row for each of as many harmonic functions as phases."""
        self.matrix = harmonics(self.phases, self.smoothness)

    def call(self, inputs: Any) -> Any:
        """(n, h, w, channels) of coefficients to as many values, in float32."""
        whole = inputs.shape[-1] // self.phases * self.phases
        x = ops.cast(inputs, "float32")
        parts = [
            ops.matmul(x[..., first : first + self.phases], self.matrix)
            for first in range(0, whole, self.phases)
        ]
        if len(parts) == 1 and whole == inputs.shape[-1]:
            return parts[0]
        return ops.concatenate([*parts, x[..., whole:]], axis=-1)


def harmonics(phases: int, smoothness: float) -> np.ndarray:
    """Mean, then cosine and sine of each frequency, over the phases, (phases, phases) float32."""
    turn = 2 * np.pi * np.arange(phases) / phases
    rows = [np.full(phases, np.sqrt(1 / phases))]
    frequencies = [0]
    for k in range(1, phases // 2 + 1):
        pair = [np.cos(k * turn)] if 2 * k == phases else [np.cos(k * turn), np.sin(k * turn)]
        rows += [wave / np.linalg.norm(wave) for wave in pair]
        frequencies += [k] * len(pair)
    scale = (1.0 + np.array(frequencies)) ** -smoothness
    # The mean square of the values is that of the coefficients.
    scale *= np.sqrt(phases / np.sum(scale**2))
    return (scale[:, None] * np.array(rows)).astype("float32")


class WithMotion(keras.layers.Layer):
    """Append to the phases what changes from each to the next, around the cycle, amplified.

    Most of a pixel is the same at all phases; the motion that makes a heartbeat is a small part of
    what a convolution sees unless it is shown by itself.
    """

    def __init__(self, phases: int, gain: float, **options: Any) -> None:
        super().__init__(**options)
        self.phases, self.gain = phases, gain

    def call(self, inputs: Any) -> Any:
        """(n, h, w, phases and more) to (n, h, w, the same and phases)."""
        cycles = inputs[..., : self.phases]
        motion = self.gain * (ops.roll(cycles, -1, axis=-1) - cycles)
        return ops.concatenate([inputs, motion], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """As many channels more as phases."""
        return (*input_shape[:-1], int(input_shape[-1] or 0) + self.phases)
