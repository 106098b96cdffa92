"""How a network learns to outline ventricles, from real frames and synthetic ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy.special import expit
from tqdm import tqdm

from cinegan.errors import CineganError
from cinegan.imaging.augment import affine, photometric
from cinegan.params import Affine, Photometric, Segmenter
from cinegan.segmentation.frames import Frames
from cinegan.segmentation.unet import unet
from cinegan.training.runtime import set_seed

Singles = NDArray[np.float32]
Batch = tuple[Singles, Singles]

CHUNK = 32
WHITE = np.float32(255)


def teach(
    real: Frames,
    synthetic: Frames | None,
    options: Segmenter,
    *,
    moves: Affine | None,
    looks: Photometric | None,
    augmented: float,
    ratio: float,
    seed: int,
    name: str = "segmenter",
) -> keras.Model:
    """Train a network for a fixed number of steps.

    Parameters
    ----------
    real : Frames
        Of train patients only.
    synthetic : Frames, optional
        Of a generator that learnt from the same patients.
    moves, looks : Affine, Photometric, optional
        The classical augmentation, of real and synthetic frames alike.
    augmented : float
        Share of the frames that each of both changes; the others stay as they are, so that the
        network also sees what it will be asked about.
    ratio : float
        Synthetic frames for each real one in a batch.
    seed : int
        Of the weights, and with the step's number of each batch.

    Returns
    -------
    keras.Model
        As `unet.unet`.

    Raises
    ------
    CineganError
        If a loss is not finite.
    """
    set_seed(seed)
    network = unet(real.cycles.shape[1], options.filters)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, options.steps)
    network.compile(optimizer=keras.optimizers.Adam(rate), loss=loss_of)
    network.optimizer.build(network.trainable_variables)  # else the first step is traced twice

    def prepared(number: int) -> Batch:
        draw = np.random.default_rng([seed, number])
        count = round(options.batch * ratio / (1 + ratio)) if synthetic else 0
        pairs = [(real, options.batch - count), (synthetic, count)]
        parts = [
            batch(frames, n, moves, looks, augmented, draw) for frames, n in pairs if frames and n
        ]
        pictures, told = zip(*parts, strict=True)
        return np.concatenate(pictures), np.concatenate(told)

    with ThreadPoolExecutor(1) as ahead:  # a batch is made ready while the one before is learnt
        coming = ahead.submit(prepared, 0)
        for number in tqdm(range(options.steps), desc=name, unit="step"):
            given = coming.result()
            coming = ahead.submit(prepared, number + 1)
            loss = float(network.train_on_batch(*given))
            if not np.isfinite(loss):
                raise CineganError(
                    f"{name}: the loss is not finite at step {number + 1}; lower "
                    "study.segmenter.learning_rate"
                )
    return network


def loss_of(told: Any, logits: Any) -> Any:
    """Cross-entropy, and one less Dice of the batch [1]_, of what is known.

    Parameters
    ----------
    told : (n, H, W, 2 * k) float32
        Maps from 0 to 1, and behind them whether each is known, 1 or 0 all over.
    logits : (n, H, W, k) float32

    References
    ----------
    .. [1] Milletari, Navab and Ahmadi, "V-Net", 3DV 2016; its sum with cross-entropy is what
       Isensee et al., "nnU-Net", Nature Methods 18, 2021, take.
    """
    maps, known = ops.split(told, 2, axis=-1)
    # Of logit x and map y: log(1 + exp(x)) - x y.
    entropy = (ops.softplus(logits) - logits * maps) * known
    found = ops.sigmoid(logits) * known
    common = ops.sum(found * maps, axis=(0, 1, 2))
    total = ops.sum(found + maps * known, axis=(0, 1, 2))
    dice = (2 * common + 1) / (total + 1)
    return ops.sum(entropy) / ops.maximum(ops.sum(known), 1) + 1 - ops.mean(dice)


def batch(
    frames: Frames,
    count: int,
    moves: Affine | None,
    looks: Photometric | None,
    augmented: float,
    draw: np.random.Generator,
) -> Batch:
    """Draw frames and augment some of them.

    Returns
    -------
    pictures : (count, H, W, 1) float32
        In [-1, 1].
    told : (count, H, W, 2 * k) float32
        As `loss_of` takes it.
    """
    chosen = frames.places[draw.integers(len(frames.places), size=count)]
    pictures, told = [], []
    for cycle, phase in chosen:
        spacing, each = float(frames.spacing_mm[cycle]), draw.spawn(2)
        picture: Singles = frames.cycles[cycle, :, :, phase, None].astype(np.float32) / WHITE
        map_: Singles = frames.maps[cycle, :, :, phase].astype(np.float32) / WHITE
        if moves and each[0].random() < augmented:
            picture, map_ = affine([picture, map_], moves, spacing, each[0])
        if looks and each[1].random() < augmented:
            picture = photometric(picture, looks, spacing, each[1])
        known = np.broadcast_to(frames.known[cycle, phase], map_.shape)
        pictures.append(2 * picture - 1)
        told.append(np.concatenate([map_, known], axis=-1, dtype=np.float32))
    return np.stack(pictures), np.stack(told)


def outlined(network: Any, cycles: NDArray[np.uint8]) -> Singles:
    """Probability that each pixel is inside, (n, H, W, T, k) float32, of cycles (n, H, W, T)."""
    n, height, width, phases = cycles.shape
    flat = np.moveaxis(cycles, -1, 1).reshape(-1, height, width, 1)  # (n * T, H, W, 1)
    chunks = [flat[first : first + CHUNK] for first in range(0, len(flat), CHUNK)]
    logits = [network.predict_on_batch(chunk / np.float32(127.5) - 1) for chunk in chunks]
    maps = expit(np.concatenate(logits)).reshape(n, phases, height, width, -1)
    return np.moveaxis(maps, 1, 3)  # (n, H, W, T, k)
