"""Resizing frames: one antialiased filter for every stage, so that pixels mean the same everywhere.

Keys' cubic convolution, widened by the factor of reduction as Pillow does it, applied to rows and
columns as two small matrices. Grey levels are not rounded on the way.

References
----------
Keys RG 1981, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29:1153.
Parmar G, Zhang R, Zhu JY 2022, "On aliased resizing and surprising subtleties in GAN evaluation",
CVPR: why the filter has to widen.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SHARPNESS = -0.5  # Keys' a: third-order accurate


def resize_frames(stack: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize the frames of (n, H, W, T) to (n, height, width, T) float32.

    Edges of the picture stay where they are: pixel k of n covers (k, k + 1) / n of its side.
    """
    n, _, columns, phases = stack.shape
    rows = filter_matrix(stack.shape[1], height) @ stack.reshape(n, -1, columns * phases).astype(
        np.float32
    )  # (n, height, W * T)
    both = filter_matrix(columns, width) @ rows.reshape(n * height, columns, phases)
    return both.reshape(n, height, width, phases)


def resize_points(points_px: np.ndarray, old: tuple[int, int], new: tuple[int, int]) -> np.ndarray:
    """Move (k, 2) x, y with the picture, from (rows, columns) `old` to `new`.

    Pixel centres lie at whole numbers in both.
    """
    scale = np.array([new[1] / old[1], new[0] / old[0]])
    return (points_px + 0.5) * scale - 0.5


@lru_cache(maxsize=16)
def filter_matrix(old: int, new: int) -> np.ndarray:
    """Weights of `old` samples in each of `new` ones, (new, old) float32; each row sums to 1."""
    step = old / new
    width = max(step, 1.0)
    centres = (np.arange(new) + 0.5) * step - 0.5
    weights = _cubic((np.arange(old) - centres[:, None]) / width)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _cubic(x: np.ndarray) -> np.ndarray:
    x, a = np.abs(x), SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
