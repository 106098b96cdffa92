"""Measures taken at one sample size, with an interval from patients left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cinegan.errors import CineganError

Floats = NDArray[np.float64]
# From what is judged and a reference, (n, d) and (m, d), to figures by their names.
Measure = Callable[[NDArray[Any], NDArray[Any]], Mapping[str, float]]

LEVEL = 0.9  # share of the draws between an interval's ends


@dataclass(frozen=True)
class Group:
    """A set of samples, and whose they are.

    Attributes
    ----------
    values : ndarray, shape (n, ...)
        Features, or whatever is measured.
    patients : ndarray, shape (n,), optional
        The patient of each; None for synthetic ones, which are nobody's.
    """

    values: NDArray[Any]
    patients: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def owners(self) -> list[str]:
        """The patients, each once; every synthetic sample is its own."""
        return [] if self.patients is None else sorted(set(self.patients.tolist()))

    def some(self, size: int, draw: np.random.Generator) -> NDArray[Any]:
        """`size` samples, without replacement."""
        return np.asarray(draw.choice(self.values, size, replace=False))

    def of_half(self, size: int, draw: np.random.Generator) -> NDArray[Any]:
        """`size` samples of half of the patients, both drawn without replacement."""
        if self.patients is None:
            return self.some(size, draw)
        kept = draw.choice(self.owners, -(-len(self.owners) // 2), replace=False)
        return np.asarray(
            draw.choice(self.values[np.isin(self.patients, kept)], size, replace=False)
        )

    def least_of_half(self) -> int:
        """Samples there are of any half of the patients."""
        if self.patients is None:
            return len(self.values) // 2
        counts = np.unique(self.patients, return_counts=True)[1]
        return int(np.sort(counts)[: -(-len(counts) // 2)].sum())


class Estimate(NamedTuple):
    """A figure averaged over subsamples; `low` and `high` enclose `LEVEL` of what patients make.

    `error` is the standard deviation of what patients make. These three are nan where a set is of
    one patient, or half of one is too few samples to measure.
    """

    value: float
    low: float
    high: float
    error: float


def at_size(
    measure: Measure,
    judged: Group,
    reference: Group,
    size: int,
    *,
    draws: int,
    seed: int,
    least: int = 2,
) -> dict[str, Estimate]:
    """Measure `size` samples of each set against one another, averaged over several draws.

    What depends on the sample size (a Fréchet distance is biased upwards, the more the fewer
    samples there are) is so alike in all figures of one size.

    The interval is from draws of half of the patients of each set, without replacement: the
    figures of half samples vary around that of the whole as that of the whole varies around the
    truth [1]_, and no patient counts twice, which would put samples beside their own copies. They
    are moved to have their mean at the value, since at half the size a bias is another.

    Parameters
    ----------
    measure : callable
        From two arrays of equal length to figures by their names.
    judged, reference : Group
    size : int
        Samples drawn from each, without replacement.
    draws : int
        Of either kind.
    seed : int
        Of the draws.
    least : int
        Samples that the measure needs of each set.

    Raises
    ------
    CineganError
        If a set has fewer samples than `size`.

    References
    ----------
    .. [1] Politis, Romano and Wolf, "Subsampling", Springer 1999, chapter 2.
    """
    if size > min(len(judged), len(reference)):
        raise CineganError(
            f"cannot draw {size} samples from sets of {len(judged)} and {len(reference)}"
        )
    draw = np.random.default_rng(seed)
    times = 1 if size == len(judged) == len(reference) else draws
    whole = [measure(judged.some(size, draw), reference.some(size, draw)) for _ in range(times)]
    figures = {name: float(np.mean([one[name] for one in whole])) for name in whole[0]}

    half = min(size, judged.least_of_half(), reference.least_of_half())
    if half < least or any(len(group.owners) == 1 for group in (judged, reference)):
        return {name: Estimate(value, *[np.nan] * 3) for name, value in figures.items()}
    halves = [
        measure(judged.of_half(half, draw), reference.of_half(half, draw)) for _ in range(draws)
    ]
    return {
        name: Estimate(value, *_around(value, [one[name] for one in halves]))
        for name, value in figures.items()
    }


def _around(value: float, spread: list[float]) -> tuple[float, float, float]:
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - np.mean(spread)
    return float(value + low), float(value + high), float(np.std(spread, ddof=1))
