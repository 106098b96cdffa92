"""Latents to cycles to files that people can open."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from cinegan import figures
from cinegan.data import intensity
from cinegan.data.conditions import NOTHING, Conditions
from cinegan.data.labels import Channels
from cinegan.files import atomic_folder, write_json

# Fixed, so that a cycle does not depend on how many are drawn with it; small, for the memory.
CHUNK = 8
CYCLES, LABELS, CONDITIONS = "cycles.npy", "labels.npy", "conditions.csv"
RECORD = "samples.json"


def latents(
    seed: int, first: int, count: int, size: int, conditions: Conditions = NOTHING
) -> np.ndarray:
    """Gaussian latents of cycles first .. first + count - 1, (count, size) float32.

    Latent i is drawn from (seed, i) alone. The last numbers are what the cycle is asked to be,
    if anything.
    """
    gaussian = size - len(conditions.names)
    draws = [
        np.random.default_rng([seed, i]).standard_normal(gaussian, dtype=np.float32)
        for i in range(first, first + count)
    ]
    asked = conditions.vectors(conditions.draw(seed, first, count))
    return np.concatenate([np.stack(draws), asked], axis=1)


def draw_cycles(
    generator: Any,
    count: int,
    seed: int,
    conditions: Conditions = NOTHING,
    *,
    progress: bool = True,
) -> np.ndarray:
    """Draw cycles from a generator.

    Parameters
    ----------
    generator : keras.Model
        Latents (n, latent) to cycles (n, H, W, T) in [-1, 1], with or without labels as further
        channels.
    conditions : Conditions
        What cycles are asked to be; `conditions.draw(seed, 0, count)` tells it of each.

    Returns
    -------
    ndarray of uint8, shape (count, H, W, T)
        A cycle that holds values which are not finite is black throughout, and so is not judged.
    """
    size = generator.input_shape[-1]
    chunks, broken = [], 0
    for first in tqdm(range(0, count, CHUNK), desc="sampling", unit="chunk", disable=not progress):
        asked = latents(seed, first, CHUNK, size, conditions)
        made = np.asarray(generator(asked, training=False))
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


def write_samples(
    folder: Path,
    drawn: np.ndarray,
    labels: Channels,
    shown: int,
    asked: pd.DataFrame | None = None,
    made: Mapping[str, Any] | None = None,
) -> None:
    """Write cycles.npy, samples.json, and pictures: preview.png and preview.gif.

    Parameters
    ----------
    drawn : ndarray of uint8, shape (n, H, W, T + len(labels.names))
        As `draw_cycles` gives them.
    labels : Channels
        What the last channels are maps of. If there are any, labels.npy has these.
    asked : DataFrame, optional
        What each cycle was asked to be, a row per cycle. If anything, conditions.csv has it.
    made : mapping, optional
        What samples.json tells of them, beside their labels.
    """
    phases = drawn.shape[-1] - len(labels.names)
    cycles, maps = drawn[..., :phases], drawn[..., phases:]
    first, side = cycles[:shown], cycles.shape[1]
    with atomic_folder(folder) as partial:
        np.save(partial / CYCLES, cycles)
        grid = figures.phase_grid(first)
        figures.write_png(partial / "preview.png", figures.magnify(grid, side))
        figures.write_gif(partial / "preview.gif", figures.magnify(figures.tiles(first), side))
        if labels.names:
            np.save(partial / LABELS, maps)
        if asked is not None and len(asked.columns):
            asked.to_csv(partial / CONDITIONS, index=False, lineterminator="\n")
        told = {"label_channels": labels.names, "label_phases": labels.phases}
        write_json(partial / RECORD, {**(made or {}), **told})
