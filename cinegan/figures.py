"""Pictures of cycles: grids with phases along the row, looping GIFs, and the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import matplotlib
import numpy as np

from cinegan.files import atomic_file

matplotlib.use("Agg")

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


def write_comparison(path: Path, table: list[dict[str, Any]], distance: str) -> None:
    """Draw each model's distance to train and to test patients beside its floor.

    Parameters
    ----------
    table : list of dict
        One row per model with `model`, `input`, `size` and `<distance>_train`, `_test`, `_floor`;
        None where there is no value.
    distance : str
        For example "frechet_texture".
    """
    import matplotlib.pyplot as plt

    sets = {
        "train": ("against train patients", "#4878a8"),
        "test": ("against test patients", "#d1605e"),
        "floor": ("floor: real test against real train", "#9a9a9a"),
    }
    figure, axes = plt.subplots(figsize=(7, 1.2 + 0.9 * len(table)), layout="constrained")
    for k, (name, (label, colour)) in enumerate(sets.items()):
        values = [row.get(f"{distance}_{name}") or 0.0 for row in table]
        spread = [row.get(f"{distance}_{name}_sd") or 0.0 for row in table]
        places = np.arange(len(table)) + 0.27 * (k - 1)
        axes.barh(places, values, 0.25, xerr=spread, label=label, color=colour, capsize=2)
        for place, value, beyond in zip(places, values, spread, strict=True):
            axes.annotate(f"  {value:.3g}", (value + beyond, place), va="center", fontsize=8)
    seen = [f"{row['model']}\n{row['input']}, {row['size']}x{row['size']}" for row in table]
    axes.set_yticks(np.arange(len(table)), seen)
    axes.invert_yaxis()
    axes.set_xlabel(f"{distance.replace('_', ' ')} distance (lower is closer to real)")
    axes.margins(x=0.12)
    figure.legend(fontsize=8, frameon=False, loc="outside upper left", ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=120, metadata={"Software": None})
    plt.close(figure)
