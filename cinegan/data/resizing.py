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


def resize_frames(
    stack: np.ndarray, height: int, width: int, steps: tuple[float, float] | None = None
) -> np.ndarray:
    """Resize the frames of (n, H, W, T) to (n, height, width, T) float32, the middle in place.

    Parameters
    ----------
    steps : tuple of float, optional
        Old pixels from one new row, and from one new column, to the next. None: those at which
        the picture's edges stay in place, too. Beyond its edges a picture goes on as it ends.
    """
    n, rows, columns, phases = stack.shape
    down, across = steps or (rows / height, columns / width)
    flat = stack.reshape(n, rows, columns * phases).astype(np.float32)
    tall = filter_matrix(rows, height, down) @ flat  # (n, height, W * T)
    both = filter_matrix(columns, width, across) @ tall.reshape(n * height, columns, phases)
    return both.reshape(n, height, width, phases)


def resize_points(
    points_px: np.ndarray,
    old: tuple[int, int],
    new: tuple[int, int],
    steps: tuple[float, float] | None = None,
) -> np.ndarray:
    """Move (k, 2) x, y with the picture, from (rows, columns) `old` to `new`.

    Pixel centres lie at whole numbers in both.
    """
    down, across = steps or (old[0] / new[0], old[1] / new[1])
    middles = [(np.array(shape[::-1]) - 1) / 2 for shape in (old, new)]  # x, y
    return (points_px - middles[0]) / (across, down) + middles[1]


@lru_cache(maxsize=16)
def filter_matrix(old: int, new: int, step: float) -> np.ndarray:
    """Weights of `old` samples in each of `new` ones, `step` apart, (new, old) float32.

    Each row sums to 1.
    """
    centres = (np.arange(new) + 0.5) * step - 0.5 + (old - new * step) / 2
    beyond = (centres < -0.5) | (centres > old - 0.5)
    centres = np.where(beyond, np.clip(centres, 0, old - 1), centres)
    weights = _cubic((np.arange(old) - centres[:, None]) / max(step, 1.0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _cubic(x: np.ndarray) -> np.ndarray:
    x, a = np.abs(x), SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
