"""Inception-v3's features of frames, with Keras' ImageNet weights.

Not the network of published FIDs, which is a TensorFlow graph of 2015: distances on these features
cannot be compared with theirs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pooch
from keras.src.applications.inception_v3 import WEIGHTS_PATH_NO_TOP as URL
from numpy.typing import NDArray

from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.evaluation.features import check_cycles

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

FEATURES = 2048
SIDE = 299  # pixels per side that the network was trained on
FRAMES = 2  # of a cycle that are seen: the first, and the one half a cycle later
MD5 = "bcbd6486424b2319ff4ef7d526e38f63"  # as Keras lists it
TIMEOUT_S = 15.0
CHUNK = 16


def load_network(weights: Path | None = None) -> keras.Model:
    """Frames (n, 299, 299, 3) in [-1, 1] to pooled features (n, 2048).

    Parameters
    ----------
    weights : Path, optional
        Weights file, Keras' `inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5`. None: from
        Keras' cache, or downloaded to it.

    Raises
    ------
    CineganError
        If the file cannot be had, or is not the one that Keras lists.
    """
    return build(weights_file() if weights is None else _checked(weights))


def build(weights: Path) -> keras.Model:
    """The network with the weights of a file, whichever these are."""
    network = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    try:
        network.load_weights(weights)
    except (OSError, ValueError) as error:
        told = str(error).strip().splitlines()[0]
        raise CineganError(
            f"{weights}: not weights of Inception-v3 without its top: {told}"
        ) from None
    return network


def weights_file() -> Path:
    """Keras' weights file, downloaded if it is not in Keras' cache yet.

    Raises
    ------
    CineganError
        If it cannot be downloaded, or what came is another file.
    """
    cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    try:
        found = pooch.retrieve(
            URL,
            known_hash=f"md5:{MD5}",
            fname=URL.rsplit("/", 1)[-1],
            path=cache,
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT_S),
        )
    except (OSError, ValueError) as error:  # of requests, too
        # Told here and not in the fault, which becomes part of the metrics: it differs by machine.
        print(f"cinegan: {str(error).strip() or type(error).__name__}", file=sys.stderr)
        raise CineganError(
            f"Inception-v3's weights cannot be downloaded; fetch {URL} by hand and name the file "
            "as evaluate.inception_weights"
        ) from None
    return Path(found)


def inception(network: keras.Model, cycles: Bytes) -> Floats:
    """Features of two frames of each cycle, half a cycle apart.

    Frames are resized with an antialiasing filter, rounded to 8 bits once more, as published
    evaluations do, and given to the network as grey in all three colours.

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)

    Returns
    -------
    ndarray of float64, shape (2 n, 2048)
        Both frames of a cycle, one after the other.

    Raises
    ------
    CineganError
        If the array is not uint8 of four axes.
    """
    check_cycles(cycles, "the cycles")
    chosen = cycles[..., [0, cycles.shape[-1] // FRAMES]]  # (n, H, W, 2)
    frames = np.moveaxis(chosen, -1, 1).reshape(-1, *cycles.shape[1:3], 1)  # (2n, H, W, 1)
    chunks: list[Any] = [np.empty((0, FEATURES))]
    for first in range(0, len(frames), CHUNK):
        large = resize_frames(frames[first : first + CHUNK], SIDE, SIDE)
        grey = np.clip(np.rint(large), 0, 255).repeat(3, axis=-1)  # (k, 299, 299, 3)
        chunks.append(np.asarray(network(grey / 127.5 - 1, training=False)))
    return np.concatenate(chunks).astype(np.float64)


def _checked(weights: Path) -> Path:
    if not weights.is_file():
        raise CineganError(f"{weights}: no such file (evaluate.inception_weights)")
    digest = pooch.file_hash(str(weights), alg="md5")
    if digest != MD5:
        raise CineganError(
            f"{weights}: not the weights that Keras lists (MD5 {digest}, not {MD5}); "
            f"fetch {URL} anew"
        )
    return weights
