"""From features to the Fréchet distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinegan.errors import CineganError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of a set of features.

    Attributes
    ----------
    mean : ndarray of float64, shape (d,)
    covariance : ndarray of float64, shape (d, d)
        Sums of products divided by n - 1 (unbiased), as the published FID does.
    n : int
        How many samples they were taken from.
    """

    mean: Floats
    covariance: Floats
    n: int


def statistics(features: Floats) -> Statistics:
    """Mean and covariance of `features`, shape (n, d).

    Raises
    ------
    CineganError
        If there are fewer than 2 samples or values that are not finite.
    """
    mean, centred = _centred(features)
    return Statistics(mean, centred.T @ centred / (len(centred) - 1), len(centred))


def frechet_distance(a: Statistics, b: Statistics) -> float:
    r"""Squared Fréchet (2-Wasserstein) distance between two Gaussians.

    .. math:: |\mu_a - \mu_b|^2
        + \operatorname{tr}(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2})

    The last trace is that of the root of the symmetric
    :math:`\Sigma_a^{1/2} \Sigma_b \Sigma_a^{1/2}`, which has the same eigenvalues, so that a
    symmetric eigendecomposition does and no complex numbers arise [1]_. Estimated from samples,
    the distance is biased upwards, the more the fewer they are: compare only distances taken at
    equal sample sizes. The name and the square are those of the FID [2]_.

    Raises
    ------
    CineganError
        If the two have features of different dimensions.

    References
    ----------
    .. [1] Dowson and Landau, "The Fréchet distance between multivariate normal distributions",
       Journal of Multivariate Analysis, 1982.
    .. [2] Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
       equilibrium", NeurIPS 2017.
    """
    if a.mean.shape != b.mean.shape:
        raise CineganError(
            f"features of different dimensions, {a.mean.size} and {b.mean.size}, "
            "cannot be compared; take both from one extractor"
        )
    root = _square_root(a.covariance)
    product = root @ b.covariance @ root
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    cross = np.sum(np.sqrt(_without_noise(eigenvalues)))
    distance = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance + b.covariance) - 2 * cross
    return max(float(distance), 0.0)


def frechet(a: Floats, b: Floats) -> dict[str, float]:
    """`frechet_distance` of two sets of features, (n_a, d) and (n_b, d), by its name.

    nan where a set has no more samples than features: its covariance is singular, and the distance
    would tell the number of samples more than anything else.
    """
    if min(len(a), len(b)) <= a.shape[1]:
        return {"frechet": np.nan}
    return {"frechet": frechet_distance(statistics(a), statistics(b))}


def frechet_infinite(a: Floats, b: Floats, *, seed: int, sizes: int = 8, draws: int = 8) -> float:
    """The Fréchet distance that infinitely many samples would give, extrapolated [1]_.

    Its bias falls nearly as one over the number of samples. Distances at several numbers, from half
    of the smaller set to all of it, are fitted by a line in that; where it meets zero is the
    estimate. It may be slightly negative, and is nan where half of a set has no more samples than
    features.

    Parameters
    ----------
    a, b : ndarray of float64, shapes (n_a, d) and (n_b, d)
    seed : int
        Of the subsets, drawn without replacement.
    sizes, draws : int
        Numbers of samples, and subsets of each.

    References
    ----------
    .. [1] Chong and Forsyth, "Effectively unbiased FID and Inception Score and where to find
       them", CVPR 2020.
    """
    most = min(len(a), len(b))
    if most // 2 <= a.shape[1]:
        return np.nan
    draw = np.random.default_rng(seed)
    numbers = np.unique(np.linspace(most // 2, most, sizes).round().astype(int)).repeat(draws)
    distances = [
        frechet(*(draw.choice(each, n, replace=False) for each in (a, b)))["frechet"]
        for n in numbers
    ]
    return float(np.polynomial.Polynomial.fit(1 / numbers, distances, 1)(0.0))


def _centred(features: Floats) -> tuple[Floats, Floats]:
    """Mean (d,) of features (n, d), and what remains of them without it."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2:
        raise CineganError(f"features must have shape (n, d), not {features.shape}")
    if len(features) < 2:
        raise CineganError(f"a covariance needs at least 2 samples, not {len(features)}")
    if not np.isfinite(features).all():
        raise CineganError("features hold values that are not finite; check the cycles")
    mean = features.mean(axis=0)
    return mean, features - mean


def _square_root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(_without_noise(values))) @ vectors.T)


def _without_noise(eigenvalues: NDArray[Any]) -> Floats:
    """Eigenvalues with those that are zero but for rounding set to zero.

    Rounding leaves about eps times the largest, of either sign; its root would not be small.
    """
    noise = np.finfo(np.float64).eps * len(eigenvalues) * np.abs(eigenvalues).max(initial=0.0)
    return np.where(eigenvalues > noise, eigenvalues, 0.0)
