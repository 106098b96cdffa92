"""From features to the kernel distance (KID), whose estimate few samples do not bias."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinegan.errors import CineganError

Floats = NDArray[np.float64]


def kernel_distance(a: Floats, b: Floats) -> float:
    r"""Unbiased squared maximum mean discrepancy of two sets, with the kernel of the KID.

    .. math:: k(x, y) = (x \cdot y / d + 1)^3

    Samples are not compared with themselves [1]_, so that the expectation is 0 where both sets
    come from one distribution, whatever their size; a single estimate may then be negative.

    Parameters
    ----------
    a, b : ndarray of float64, shapes (n, d) and (m, d)

    Raises
    ------
    CineganError
        If a set has fewer than 2 samples, dimensions differ or values are not finite.

    References
    ----------
    .. [1] Binkowski et al., "Demystifying MMD GANs", ICLR 2018; Gretton et al., "A kernel
       two-sample test", JMLR 2012, equation 3.
    """
    if min(len(a), len(b)) < 2:
        raise CineganError(f"a kernel distance needs 2 samples of each, not {len(a)} and {len(b)}")
    if a.shape[1] != b.shape[1]:
        raise CineganError(f"features of different dimensions, {a.shape[1]} and {b.shape[1]}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise CineganError("features hold values that are not finite; check the cycles")
    return _within(a) + _within(b) - 2 * float(_kernel(a, b).mean())


def kernel(a: Floats, b: Floats) -> dict[str, float]:
    """`kernel_distance` of two sets of features by its name."""
    return {"kid": kernel_distance(a, b)}


def _within(features: Floats) -> float:
    """Mean of the kernel over pairs of different samples."""
    n = len(features)
    values = _kernel(features, features)
    return float((values.sum() - np.trace(values)) / (n * (n - 1)))


def _kernel(a: Floats, b: Floats) -> Floats:
    return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)
