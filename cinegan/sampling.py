"""Latents to cycles to files that people can open."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cinegan import figures
from cinegan.data import intensity
from cinegan.files import atomic_folder, write_json

# Fixed, so that a cycle does not depend on how many are drawn with it; small, for the memory.
CHUNK = 8
CYCLES, LABELS, LABEL_NAMES = "cycles.npy", "labels.npy", "labels.json"


def latents(seed: int, first: int, count: int, size: int) -> np.ndarray:
    """Gaussian latents of cycles first .. first + count - 1, (count, size) float32.

    Latent i is drawn from (seed, i) alone.
    """
    draws = [
        np.random.default_rng([seed, i]).standard_normal(size, dtype=np.float32)
        for i in range(first, first + count)
    ]
    return np.stack(draws)


def draw_cycles(generator: Any, count: int, seed: int, progress: bool = True) -> np.ndarray:
    """Draw cycles from a generator.

    Parameters
    ----------
    generator : keras.Model
        Latents (n, latent) to cycles (n, H, W, T) in [-1, 1], with or without labels as further
        channels.

    Returns
    -------
    ndarray of uint8, shape (count, H, W, T)
        A cycle that holds values which are not finite is black throughout, and so is not judged.
    """
    size = generator.input_shape[-1]
    chunks, broken = [], 0
    for first in tqdm(range(0, count, CHUNK), desc="sampling", unit="chunk", disable=not progress):
        made = np.asarray(generator(latents(seed, first, CHUNK, size), training=False))
        finite = np.isfinite(made).all(axis=(1, 2, 3), keepdims=True)
        broken += int((~finite[: count - first]).sum())
        chunks.append(intensity.from_network(np.where(finite, made, -1)))
    if broken:
        print(
            f"cinegan: {broken} of {count} cycles hold values that are not finite and are left "
            "black; train the model again",
            file=sys.stderr,
        )
    return np.concatenate(chunks)[:count]


def write_samples(folder: Path, drawn: np.ndarray, labels: Sequence[str], shown: int) -> None:
    """Write cycles.npy, preview.png (phases along the row) and preview.gif (all at once).

    Parameters
    ----------
    drawn : ndarray of uint8, shape (n, H, W, T + len(labels))
        As `draw_cycles` gives them.
    labels : sequence of str
        What the last channels are maps of. If there are any, labels.npy has these, and labels.json
        their names.
    """
    phases = drawn.shape[-1] - len(labels)
    cycles, maps = drawn[..., :phases], drawn[..., phases:]
    first, side = cycles[:shown], cycles.shape[1]
    with atomic_folder(folder) as partial:
        np.save(partial / CYCLES, cycles)
        grid = figures.phase_grid(first)
        figures.write_png(partial / "preview.png", figures.magnify(grid, side))
        figures.write_gif(partial / "preview.gif", figures.magnify(figures.tiles(first), side))
        if labels:
            np.save(partial / LABELS, maps)
            write_json(partial / LABEL_NAMES, {"channels": list(labels)})
