"""Pictures of cycles: grids with phases along the row, and looping GIFs."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np

from cinegan.files import atomic_file

GIF_FRAME_MS = 50  # 20 phases a second: a heart at 60 beats a minute
SHOWN_SIDE = 128  # smaller cycles are magnified to this many pixels, so that people can see them


def phase_grid(cycles: np.ndarray, columns: int = 10) -> np.ndarray:
    """One cycle a row, phases from left to right, as a cardiologist reads them.

    Parameters
    ----------
    cycles : (n, H, W, T) uint8
    columns : int
        At most this many phases, equally spaced over the cycle from the first on.

    Returns
    -------
    (n * (H + 1), columns * (W + 1)) uint8, separated by single black lines.
    """
    phases = cycles.shape[-1]
    columns = min(columns, phases)
    chosen = cycles[..., [round(i * phases / columns) for i in range(columns)]]
    framed = np.pad(chosen, ((0, 0), (0, 1), (0, 1), (0, 0)))  # (n, H+1, W+1, columns)
    rows = framed.transpose(0, 1, 3, 2)  # (n, H+1, columns, W+1)
    return rows.reshape(rows.shape[0] * rows.shape[1], -1)


def tiles(cycles: np.ndarray, columns: int = 4) -> np.ndarray:
    """Cycles side by side as one moving picture, (T, rows * H, columns * W) uint8."""
    n, height, width, phases = cycles.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    padded = np.concatenate([cycles, np.zeros((rows * columns - n, *cycles.shape[1:]), np.uint8)])
    grid = padded.reshape(rows, columns, height, width, phases)
    return grid.transpose(4, 0, 2, 1, 3).reshape(phases, rows * height, columns * width)


def real_above_synthetic(real: np.ndarray, synthetic: np.ndarray, columns: int = 4) -> np.ndarray:
    """A moving picture of real cycles, from all over the set, above as many synthetic ones.

    Parameters
    ----------
    real, synthetic : (n, H, W, T) uint8

    Returns
    -------
    (T, 2 * H', columns * W') uint8, magnified.
    """
    columns = min(columns, len(real), len(synthetic))
    spread = np.linspace(0, len(real) - 1, columns).round().astype(int)
    movie = tiles(np.concatenate([real[spread], synthetic[:columns]]), columns)
    return magnify(movie, real.shape[1])


def magnify(picture: np.ndarray, side: int) -> np.ndarray:
    """Repeat pixels of (..., H, W) so that frames of `side` pixels become about `SHOWN_SIDE`."""
    factor = max(1, SHOWN_SIDE // side)
    return picture.repeat(factor, axis=-2).repeat(factor, axis=-1)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a grey picture, (H, W) uint8."""
    with atomic_file(path) as partial:
        partial.write_bytes(iio.imwrite("<bytes>", picture, extension=".png"))


def write_gif(path: Path, movie: np.ndarray) -> None:
    """Write a looping grey movie, (T, H, W) uint8."""
    with atomic_file(path) as partial:
        encoded = iio.imwrite("<bytes>", movie, extension=".gif", duration=GIF_FRAME_MS, loop=0)
        partial.write_bytes(encoded)
