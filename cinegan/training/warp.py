"""Random smooth deformation of real cycles: hearts of other shapes than the few patients have.

A generator that is shown a few dozen cycles over and over learns these cycles. Shown each time
bent in another way, all phases alike, it has no two alike to learn, and what it makes is between
the patients' shapes and around them. Unlike augmentation of what the discriminator sees, this is
meant to be learnt: it widens the distribution by anatomy that could be somebody's.

References
----------
Ronneberger O, Fischer P, Brox T 2015, "U-Net", MICCAI: smooth random deformation is what small
sets of medical images gain most by. Catmull E, Smith AR 1980, "3-D transformations of images in
scanline order", SIGGRAPH: a warp as two passes, along rows and along columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from cinegan.data.resizing import SHARPNESS

WAVES = 4  # cosines per axis that a displacement is made of, the constant one among them
DRAWS = (2, WAVES, WAVES)


def warp(cycles: Any, draws: Any, deviation: Any) -> Any:
    """Bend each cycle in a way of its own, all its phases alike.

    Parameters
    ----------
    cycles : (n, H, W, T) float32
        In [-1, 1].
    draws : (n, *DRAWS) float32
        Standard normal.
    deviation : float or scalar tensor
        Root mean square of the displacement in each direction, as a share of the side.

    Returns
    -------
    (n, H, W, T) float32
        In [-1, 1]. What comes in from beyond an edge is mirrored at it.
    """
    height, width = cycles.shape[1:3]
    across, down = (
        side * deviation * _displacement(draws[:, axis], height, width)
        for axis, side in ((0, width), (1, height))
    )  # (n, H, W), pixels
    bent = _along_rows(cycles, across)
    turned = ops.transpose(bent, (0, 2, 1, 3))  # (n, W, H, T)
    bent = _along_rows(turned, ops.transpose(down, (0, 2, 1)))
    return ops.clip(ops.transpose(bent, (0, 2, 1, 3)), -1.0, 1.0)


def _displacement(draws: Any, height: int, width: int) -> Any:
    """A smooth field of mean square 1 from (n, WAVES, WAVES) normal numbers, (n, H, W)."""
    rows, columns = _cosines(height), _cosines(width)
    return ops.einsum("nij,ih,jw->nhw", draws * _SHARES, rows, columns)


def _cosines(side: int) -> np.ndarray:
    """Half cosines over the side, each of mean square 1, (WAVES, side) float32."""
    place = (np.arange(side) + 0.5) / side
    waves = np.cos(np.pi * np.arange(WAVES)[:, None] * place)
    return (waves / np.sqrt(np.mean(waves**2, axis=1, keepdims=True))).astype(np.float32)


def _falling() -> np.ndarray:
    """How much each pair of waves counts: slow ones most, a mere translation not at all."""
    squares = np.arange(WAVES) ** 2
    shares = 1.0 / (1.0 + squares[:, None] + squares)
    shares[0, 0] = 0.0
    return (shares / np.sqrt(np.sum(shares**2))).astype(np.float32)


_SHARES = _falling()


def _along_rows(cycles: Any, displacement: Any) -> Any:
    """Take each pixel from `displacement` (n, H, W) pixels further along its row."""
    _, height, width, phases = cycles.shape
    source = ops.arange(width, dtype="float32") + displacement  # (n, H, W)
    first = ops.floor(source)
    beyond = source - first  # in [0, 1)
    flat = ops.reshape(cycles, (-1, phases))  # (n * H * W, T)
    lines = ops.arange(ops.shape(cycles)[0] * height)  # (n * H,)
    starts = ops.reshape(width * lines, (-1, height, 1))  # (n, H, 1): where each row begins
    taken = 0.0
    for tap in (-1, 0, 1, 2):
        column = ops.abs(first + tap)  # mirrored at both ends
        column = ops.cast(width - 1 - ops.abs(width - 1 - column), "int32")
        pixels = ops.take(flat, ops.cast(starts, "int32") + column, axis=0)  # (n, H, W, T)
        taken += _cubic(ops.abs(beyond - tap))[..., None] * pixels
    return taken


def _cubic(distance: Any) -> Any:
    """Keys' weight of a pixel at a distance from 0 to 2."""
    x, a = distance, SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return ops.where(x < 1, near, far)
