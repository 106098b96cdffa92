"""An encoder of whole cycles, taught by the cycles themselves: features made for hearts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.evaluation.features import check_cycles
from cinegan.files import atomic_folder, read_json, write_json
from cinegan.training.runtime import set_seed

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SIZE = 64  # pixels per side that the encoder sees, whatever the cycles have
FILTERS = (32, 64, 96, 128)  # each halving the side
FEATURES = 64
BATCH, LEARNING_RATE = 32, 1e-3
SHIFT = 4  # pixels by which a cycle is moved at most, while the encoder learns
CHUNK = 64
WEIGHTS, ABOUT = "encoder.weights.h5", "encoder.json"


def build(phases: int) -> keras.Model:
    """Cycles (n, 64, 64, T) in [-1, 1] to features (n, 64), fresh.

    All features have the same length, so that what the encoder has not seen the like of lies in
    another direction and not infinitely far away, where a single cycle would outweigh all others.
    """
    cycles = keras.Input((SIZE, SIZE, phases), name="cycles")
    x = cycles
    for k, filters in enumerate(FILTERS):
        kernel = 5 if k == 0 else 3
        x = keras.layers.Conv2D(filters, kernel, 2, "same", use_bias=False, name=f"conv_{k}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{k}")(x)
        x = keras.layers.Activation("relu", name=f"relu_{k}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(FEATURES, name="embedding")(x)
    x = keras.layers.UnitNormalization(name="direction")(x)
    features = keras.layers.Rescaling(FEATURES**0.5, name="features")(x)  # 1 in the mean square
    return keras.Model(cycles, features, name="cardiac")


def teach(cycles: Bytes, levels: Floats, *, seed: int, steps: int) -> keras.Model:
    """Teach an encoder what a cycle itself tells, and where in the heart its slice lies.

    Three tasks share the features: is the order of the phases as it was, reversed or shuffled; at
    which phase does the cycle begin, once rolled by a random number of phases; and how far from
    base to apex is the slice. No label is needed but the order of the slices in a stack. What is
    learnt so answers to anatomy, motion and timing, as features of photographs do not.

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)
        Of train patients only.
    levels : ndarray of float64, shape (n,)
        Place of each slice in its stack, 0 at the base, 1 at the apex.
    seed : int
        Of the weights, and with the step's number of each batch.
    steps : int
        Of `BATCH` cycles.

    References
    ----------
    Misra, Zitnick and Hebert, "Shuffle and learn: unsupervised learning using temporal order
    verification", ECCV 2016.
    """
    seen = _as_seen(cycles)  # (n, SIZE, SIZE, T)
    set_seed(seed)
    encoder = build(cycles.shape[-1])
    hidden = keras.layers.Activation("relu")(encoder.output)
    heads = {
        "order": keras.layers.Dense(3, name="order")(hidden),
        "start": keras.layers.Dense(2, name="start")(hidden),
        "level": keras.layers.Dense(1, name="level")(hidden),
    }
    pupil = keras.Model(encoder.input, heads)
    pupil.compile(
        optimizer=keras.optimizers.Adam(LEARNING_RATE),
        loss={
            "order": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "start": "mean_squared_error",
            "level": "mean_squared_error",
        },
    )
    pupil.optimizer.build(pupil.trainable_variables)  # else the first step is traced twice
    for step in tqdm(range(steps), desc="cardiac encoder", unit="step"):
        given, asked, counts = lesson(seen, levels, np.random.default_rng([seed, step]))
        pupil.train_on_batch(given, asked, sample_weight=counts)
    return encoder


def lesson(
    seen: Singles, levels: Floats, draw: np.random.Generator
) -> tuple[Singles, dict[str, Any], dict[str, Any]]:
    """A batch: cycles changed at random, what was done to them, and which answers count.

    Returns
    -------
    given : ndarray of float32, shape (BATCH, SIZE, SIZE, T)
    asked : dict
        `order`: 0 as it was, 1 reversed, 2 shuffled; `start`: cosine and sine of the roll;
        `level`.
    counts : dict
        1 or 0 for each answer: a start is asked only of cycles in their order.
    """
    n, phases = len(seen), seen.shape[-1]
    chosen = draw.integers(n, size=BATCH)
    order, roll = draw.integers(3, size=BATCH), draw.integers(phases, size=BATCH)
    moves = draw.integers(-SHIFT, SHIFT + 1, (BATCH, 2))
    gain, offset = draw.uniform(0.8, 1.2, BATCH), draw.uniform(-0.15, 0.15, BATCH)
    given = np.empty((BATCH, *seen.shape[1:]), np.float32)
    for k in range(BATCH):
        times = (np.arange(phases) - roll[k]) % phases
        times = (times, times[::-1], draw.permutation(phases))[order[k]]
        edged = np.pad(seen[chosen[k]], ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
        down, across = moves[k] + SHIFT
        moved = edged[down : down + SIZE, across : across + SIZE, times]
        given[k] = moved * gain[k] + offset[k]
    angle = 2 * np.pi * roll / phases
    asked = {
        "order": order,
        "start": np.stack([np.cos(angle), np.sin(angle)], axis=1),
        "level": levels[chosen, None],
    }
    ones = np.ones(BATCH)
    return given, asked, {"order": ones, "start": (order == 0) * 1.0, "level": ones}


def encode(encoder: keras.Model, cycles: Bytes) -> Floats:
    """Features of cycles (n, H, W, T) uint8, shape (n, 64), each of length 8.

    Raises
    ------
    CineganError
        If the array is not uint8 of four axes, or the encoder knows another number of phases.
    """
    check_cycles(cycles, "the cycles")
    known = encoder.input_shape[-1]
    if cycles.shape[-1] != known:
        raise CineganError(
            f"cycles of {cycles.shape[-1]} phases, but the encoder was taught with {known}; "
            "`dvc repro` teaches it anew after a change of data.phases"
        )
    chunks = [
        np.asarray(encoder(_as_seen(cycles[first : first + CHUNK]), training=False))
        for first in range(0, len(cycles), CHUNK)
    ]
    return np.concatenate(chunks or [np.empty((0, FEATURES))]).astype(np.float64)


def write_encoder(folder: Path, encoder: keras.Model, record: dict[str, Any]) -> None:
    """Write the weights and what they were taught with; the folder appears whole or not at all."""
    with atomic_folder(folder) as partial:
        encoder.save_weights(partial / WEIGHTS)
        write_json(partial / ABOUT, {"phases": encoder.input_shape[-1], **record})


def load_encoder(folder: Path) -> keras.Model:
    """The encoder that `write_encoder` wrote.

    Raises
    ------
    CineganError
        If there is none.
    """
    if not (folder / ABOUT).exists():
        raise CineganError(f"{folder}: no encoder here; `dvc repro` teaches it first")
    encoder = build(read_json(folder / ABOUT)["phases"])
    encoder.load_weights(folder / WEIGHTS)
    return encoder


def _as_seen(cycles: Bytes) -> Singles:
    """Grey levels to [-1, 1] at the encoder's size, float32."""
    fits = cycles.shape[1:3] == (SIZE, SIZE)
    grey = cycles.astype(np.float32) if fits else resize_frames(cycles, SIZE, SIZE)
    return np.asarray(grey / 127.5 - 1, dtype=np.float32)
