"""Whether samples are new, or the train patients' cycles once more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from skimage.measure import block_reduce

from cinegan.evaluation.manifold import radii

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

SEEN_SIDE = 32


def pixel_features(cycles: Bytes) -> Floats:
    """Cycles as vectors whose distance is that of the pictures, whatever their brightness.

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)
        Sides above `SEEN_SIDE` pixels are brought to about that by means over blocks.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Of mean 0 and norm 1, a constant cycle of norm 0: for a correlation r of two cycles their
        distance is sqrt(2 - 2 r).
    """
    block = (1, *(max(1, side // SEEN_SIDE) for side in cycles.shape[1:3]), 1)
    vectors = block_reduce(cycles, block, np.mean).reshape(len(cycles), -1)  # (n, d)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1.0))


def nearest_train(samples: Floats, train: Floats) -> NDArray[np.intp]:
    """Index of the train cycle nearest to each sample, (n,), of features (n, d) and (m, d)."""
    return np.asarray(cdist(samples, train).argmin(axis=1))


def authenticity(samples: Floats, train: Floats) -> float:
    """Share of samples that are no nearer to a train cycle than train cycles are to one another.

    A sample counts as a copy if its nearest train cycle has no other train cycle as near as it
    [1]_. Neighbouring slices of a patient are alike, so only what is nearer than these is held to
    be copied. Copies score 0, cycles of people unlike those in train 1, independent draws from one
    distribution about one half.

    Parameters
    ----------
    samples, train : ndarray of float64, shapes (n, d) and (m, d)

    Raises
    ------
    CineganError
        If there are fewer than 2 train cycles.

    References
    ----------
    .. [1] Alaa et al., "How faithful is your synthetic data? Sample-level metrics for evaluating
       and auditing generative models", ICML 2022.
    """
    distances = cdist(samples, train)
    apart = radii(train, 1)[distances.argmin(axis=1)]  # (n,)
    return float((distances.min(axis=1) > apart).mean())
