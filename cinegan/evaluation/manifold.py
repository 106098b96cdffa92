"""Fidelity and coverage told apart: where one set of features lies among the other's neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cinegan.errors import CineganError

Floats = NDArray[np.float64]

NEAREST = 5


def manifold(synthetic: Floats, real: Floats, *, nearest: int = NEAREST) -> dict[str, float]:
    """Precision, recall, density and coverage of a synthetic set against a real one.

    Each sample has a ball that reaches to its `nearest`-th neighbour in its own set. Precision is
    the share of synthetic samples inside a real ball, recall the share of real samples inside a
    synthetic one [1]_. Density counts in how many real balls a synthetic sample lies, over
    `nearest`, so that one outlier with a large ball does not make all samples look right;
    coverage is the share of real balls that hold a synthetic sample [2]_. All depend on the number
    of samples: compare only figures taken at equal sizes.

    Parameters
    ----------
    synthetic, real : ndarray of float64, shapes (n, d) and (m, d)
    nearest : int
        The neighbour that a ball reaches to, the sample itself not counted.

    Returns
    -------
    dict
        `precision`, `recall` and `coverage` between 0 and 1; `density` from 0 on, about 1 where
        the sets are alike.

    Raises
    ------
    CineganError
        If a set has no more than `nearest` samples, or values are not finite.

    References
    ----------
    .. [1] Kynkäänniemi et al., "Improved precision and recall metric for assessing generative
       models", NeurIPS 2019.
    .. [2] Naeem et al., "Reliable fidelity and diversity metrics for generative models",
       ICML 2020.
    """
    distances = cdist(real, synthetic)  # (m, n)
    in_real = distances < radii(real, nearest)[:, None]  # (m, n): which ball holds which sample
    in_synthetic = distances < radii(synthetic, nearest)[None, :]  # (m, n)
    return {
        "precision": float(in_real.any(axis=0).mean()),
        "recall": float(in_synthetic.any(axis=1).mean()),
        "density": float(in_real.sum(axis=0).mean() / nearest),
        "coverage": float(in_real.any(axis=1).mean()),
    }


def radii(features: Floats, nearest: int) -> Floats:
    """Distance of each of `features` (n, d) to its `nearest`-th neighbour in the set, (n,)."""
    if len(features) <= nearest:
        raise CineganError(
            f"the {nearest}-th neighbour needs at least {nearest + 1} samples, not {len(features)}"
        )
    if not np.isfinite(features).all():
        raise CineganError("features hold values that are not finite; check the cycles")
    distances = cdist(features, features)
    return np.asarray(np.partition(distances, nearest, axis=1)[:, nearest])  # the 0-th: itself
