"""Measures taken at one sample size, with an interval from patients left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb, inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from cinegan.errors import CineganError

Floats = NDArray[np.float64]
# From what is judged and a reference, (n, d) and (m, d), to figures by their names.
Measure = Callable[[NDArray[Any], NDArray[Any]], Mapping[str, float]]
Bounds = Callable[[str], tuple[float, float]]

LEVEL = 0.9  # of an interval
LEAST_PATIENTS = 3  # whose halves tell how patients differ: two may agree by chance


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
    patients: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def owners(self) -> list[Any]:
        """The patients, each once."""
        return [] if self.patients is None else sorted(set(self.patients.tolist()))

    def some(self, size: int, draw: np.random.Generator) -> NDArray[Any]:
        """`size` samples, without replacement."""
        return np.asarray(draw.choice(self.values, size, replace=False))

    def of(self, owners: list[Any], size: int, draw: np.random.Generator) -> NDArray[Any]:
        """`size` samples of some patients, without replacement."""
        assert self.patients is not None
        return np.asarray(
            draw.choice(self.values[np.isin(self.patients, owners)], size, replace=False)
        )

    def halves(self, most: int, draw: np.random.Generator) -> tuple[list[list[Any]], int]:
        """Halves of the patients, and what to take off their number for an unbiased variance.

        All halves where there are no more than `most`, else so many at random.
        """
        owners = self.owners
        half = -(-len(owners) // 2)
        if comb(len(owners), half) <= most:
            return [list(each) for each in combinations(owners, half)], 0
        return [list(draw.choice(owners, half, replace=False)) for _ in range(most)], 1

    def least_of_half(self) -> int:
        """Samples there are of any half of the patients."""
        assert self.patients is not None
        counts = np.unique(self.patients, return_counts=True)[1]
        return int(np.sort(counts)[: -(-len(counts) // 2)].sum())


class Estimate(NamedTuple):
    """A figure averaged over subsamples; `low` and `high` enclose the truth `LEVEL` of the time.

    `error` is the standard error that patients make. These three are nan where a set is of fewer
    than `LEAST_PATIENTS`, or half of one is too few samples to measure.
    """

    value: float
    low: float
    high: float
    error: float


def unbounded(_: str) -> tuple[float, float]:
    """A figure may be any number."""
    return -inf, inf


def at_size(
    measure: Measure,
    judged: Group,
    reference: Group,
    size: int,
    *,
    draws: int,
    seed: int,
    least: int = 2,
    bounds: Bounds = unbounded,
) -> dict[str, Estimate]:
    """Measure `size` samples of each set against one another, averaged over several draws.

    What depends on the sample size (a Fréchet distance is biased upwards, the more the fewer
    samples there are) is so alike in all figures of one size.

    The standard error is the delete-half jackknife's over patients [1]_, [2]_: half of the
    patients of one set are left out at a time, without replacement, so that none counts twice,
    which would put samples beside their own copies. With n patients of which k are kept, figures
    vary by (n - k) / k of what other patients would make, and are scaled up for it. Both sets'
    variances are added. The interval is Student's, with the degrees of freedom of Satterthwaite:
    three patients tell less of what the next three are like than thirty do. Synthetic samples are
    nobody's: more of them can be made, and they do not widen an interval.

    Parameters
    ----------
    measure : callable
        From two arrays of equal length to figures by their names.
    judged, reference : Group
    size : int
        Samples drawn from each, without replacement.
    draws : int
        Of the whole sets, and of halves of each.
    seed : int
        Of the draws.
    least : int
        Samples that the measure needs of each set.
    bounds : callable
        From a figure's name to its least and its greatest value, at which intervals end.

    Raises
    ------
    CineganError
        If a set has fewer samples than `size`.

    References
    ----------
    .. [1] Shao and Wu, "A general theory for jackknife variance estimation", Annals of Statistics
       17, 1989.
    .. [2] Politis, Romano and Wolf, "Subsampling", Springer 1999, chapter 2.
    """
    if size > min(len(judged), len(reference)):
        raise CineganError(
            f"cannot draw {size} samples from sets of {len(judged)} and {len(reference)}"
        )
    draw = np.random.default_rng(seed)
    times = 1 if size == len(judged) == len(reference) else draws
    whole = [measure(judged.some(size, draw), reference.some(size, draw)) for _ in range(times)]
    figures = {name: float(np.mean([one[name] for one in whole])) for name in whole[0]}

    owned = [group for group in (judged, reference) if group.patients is not None]
    half = min([size, *(group.least_of_half() for group in owned)])
    if half < least or not owned or min(len(group.owners) for group in owned) < LEAST_PATIENTS:
        return {name: Estimate(value, np.nan, np.nan, np.nan) for name, value in figures.items()}
    variances, freedom = [], []
    if judged.patients is not None:
        beside = reference.some(half, draw)
        variances.append(_variances(lambda x: measure(x, beside), judged, half, draws, draw))
        freedom.append(len(judged.owners) - 1)
    if reference.patients is not None:
        beside = judged.some(half, draw)
        variances.append(_variances(lambda x: measure(beside, x), reference, half, draws, draw))
        freedom.append(len(reference.owners) - 1)
    return {
        name: _estimate(value, [each[name] for each in variances], freedom, bounds(name))
        for name, value in figures.items()
    }


def mean_of(values: Floats, patients: NDArray[Any] | None = None) -> Estimate:
    """Mean of one number between 0 and 1 for each sample, such as a share's 0 and 1.

    The interval is the delete-one jackknife's over patients, Student's; over the samples themselves
    where they are nobody's. Where all n of these agree on 0 or 1, it reaches to what n would agree
    on by chance once in twenty times.

    Parameters
    ----------
    values : ndarray, shape (n,)
    patients : ndarray, shape (n,), optional
    """
    value = float(values.mean())
    owners = (
        np.arange(len(values)) if patients is None else np.unique(patients, return_inverse=True)[1]
    )
    count = len(set(owners.tolist()))
    if count < LEAST_PATIENTS:
        return Estimate(value, np.nan, np.nan, np.nan)
    sums, sizes = np.bincount(owners, values), np.bincount(owners)
    without = (sums.sum() - sums) / (sizes.sum() - sizes)
    variance = (count - 1) * float(np.mean((without - without.mean()) ** 2))
    found = _estimate(value, [variance], [count - 1], (0.0, 1.0))
    tail = (1 - LEVEL) / 2
    if value in (0.0, 1.0):
        chance = tail ** (1 / count)
        found = found._replace(**({"high": 1 - chance} if value == 0 else {"low": chance}))
    return found


def _variances(
    measure: Callable[[NDArray[Any]], Mapping[str, float]],
    group: Group,
    size: int,
    draws: int,
    draw: np.random.Generator,
) -> dict[str, float]:
    """What other patients of one set would make each figure vary by."""
    halves, less = group.halves(draws, draw)
    found = [measure(group.of(kept, size, draw)) for kept in halves]
    kept, left_out = len(halves[0]), len(group.owners) - len(halves[0])
    return {
        name: float(np.var([one[name] for one in found], ddof=less)) * kept / left_out
        for name in found[0]
    }


def _estimate(
    value: float, variances: list[float], freedom: list[int], bounds: tuple[float, float]
) -> Estimate:
    total = sum(variances)
    if not total > 0:  # or not a number
        return Estimate(value, value + total, value + total, total)
    degrees = total**2 / sum(v**2 / f for v, f in zip(variances, freedom, strict=True))
    reach = float(student.ppf((1 + LEVEL) / 2, degrees)) * np.sqrt(total)
    low, high = np.clip([value - reach, value + reach], *bounds)
    # A figure may lie beyond a bound by its own rounding.
    return Estimate(value, min(float(low), value), max(float(high), value), float(np.sqrt(total)))
