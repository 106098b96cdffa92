"""Measures taken at one sample size, so that they can be held against one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cinegan.errors import CineganError

Floats = NDArray[np.float64]
# From two sets of features, (n, d) and (m, d), to figures by their names.
Measure = Callable[[Floats, Floats], Mapping[str, float]]


class Estimate(NamedTuple):
    """A figure averaged over subsamples.

    `sd` is the standard deviation over the draws; it is nan where both sets were used whole, so
    that there was one draw only.
    """

    value: float
    sd: float


def at_size(
    measure: Measure, a: Floats, b: Floats, size: int, *, draws: int, seed: int
) -> dict[str, Estimate]:
    """Measure `size` samples of each set against one another, averaged over several draws.

    What depends on the sample size (a Fréchet distance is biased upwards, the more the fewer
    samples there are) is so alike in all figures of one size.

    Parameters
    ----------
    measure : callable
        From `a` and `b`, of `size` rows each, to figures by their names.
    a, b : ndarray of float64, shapes (n_a, d) and (n_b, d)
    size : int
        Samples drawn from each, without replacement.
    draws : int
        How often; once only where there is no choice (`size` equals both n_a and n_b).
    seed : int
        Of the draws.

    Raises
    ------
    CineganError
        If a set has fewer samples than `size`.
    """
    if size > min(len(a), len(b)):
        raise CineganError(f"cannot draw {size} samples from sets of {len(a)} and {len(b)}")
    if size == len(a) == len(b):
        return {name: Estimate(value, np.nan) for name, value in measure(a, b).items()}
    generator = np.random.default_rng(seed)
    drawn = [
        measure(
            generator.choice(a, size, replace=False),
            generator.choice(b, size, replace=False),
        )
        for _ in range(draws)
    ]
    values = {name: [figures[name] for figures in drawn] for name in drawn[0]}
    return {name: Estimate(float(np.mean(column)), _sd(column)) for name, column in values.items()}


def _sd(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
