"""Measures taken at one sample size, with an interval from patients left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from cinegan.errors import CineganError

Floats = NDArray[np.float64]
# From sets, such as what is judged and a reference, (n, d) and (m, d), to figures by their names.
Measure = Callable[..., Mapping[str, float]]
Bounds = Callable[[str], tuple[float, float]]

LEVEL = 0.9  # of an interval
LEAST_PATIENTS = 3  # whose halves tell how patients differ: two may agree by chance
SHARE = (0.0, 1.0)  # bounds of a share
# Of a share, on its scale and times the root of the number of patients: half of what it would be
# if each patient were wholly in or out. Halves of few patients may all agree, by chance.
LEAST_ERROR = 0.25


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

    def several(self, size: int, count: int, draw: np.random.Generator) -> list[NDArray[Any]]:
        """As `some`, `count` times, all samples being taken about equally often."""
        queue = np.empty(0, dtype=np.int64)
        taken = []
        for _ in range(count):
            if len(queue) < size:
                fresh = draw.permutation(len(self))
                waiting = np.isin(fresh, queue)  # these come last: once in a draw
                queue = np.concatenate([queue, fresh[~waiting], fresh[waiting]])
            taken.append(np.asarray(self.values[queue[:size]]))
            queue = queue[size:]
        return taken

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

    `error` is the standard error that patients make, of a share on its scale. These three are nan
    where a set is of fewer than `LEAST_PATIENTS`, half of one is too few samples to measure, or,
    but for shares, figures of all halves agree.
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
    groups: Sequence[Group],
    size: int,
    *,
    draws: int,
    seed: int,
    least: int = 2,
    bounds: Bounds = unbounded,
) -> dict[str, Estimate]:
    """Measure `size` samples of each set, such as of two against one another, over several draws.

    Each sample of a set is drawn about equally often, so that the mean is of all of them. What
    depends on the sample size (a Fréchet distance is biased upwards, the more the fewer
    samples there are) is so alike in all figures of one size.

    The standard error is the delete-half jackknife's over patients [1]_, [2]_: half of the
    patients of one set are left out at a time, without replacement, so that none counts twice,
    which would put samples beside their own copies. With n patients of which k are kept, figures
    vary by (n - k) / k of what other patients would make, and are scaled up for it. The variances
    of all sets are added. The interval is Student's, with the degrees of freedom of Satterthwaite:
    three patients tell less of what the next three are like than thirty do. Synthetic samples are
    nobody's: more of them can be made, and they do not widen an interval.

    Shares are told on the scale of the arcsine of their root, on which their error does not depend
    on them [3]_, and with an error of at least `LEAST_ERROR` over the root of n, the patients of
    the smallest set. A share of 0 or 1 has an interval that reaches at least as far as n would
    agree on by chance once in twenty times: to 1 - 0.05^(1/n), or to 0.05^(1/n).

    Parameters
    ----------
    measure : callable
        From as many arrays of equal length as there are groups to figures by their names.
    groups : sequence of Group
    size : int
        Samples drawn from each, without replacement.
    draws : int
        Of the whole sets, and of halves of each, about as many in all.
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
    .. [3] Anscombe, "The transformation of Poisson, binomial and negative-binomial data",
       Biometrika 35, 1948.
    """
    lengths = [len(group) for group in groups]
    if size > min(lengths):
        told = " and ".join(map(str, lengths))
        raise CineganError(f"cannot draw {size} samples from sets of {told}")
    draw = np.random.default_rng(seed)
    times = 1 if {size} == set(lengths) else draws
    sets = zip(*(group.several(size, times, draw) for group in groups), strict=True)
    whole = [measure(*each) for each in sets]
    figures = {name: float(np.mean([one[name] for one in whole])) for name in whole[0]}

    owned = [place for place, group in enumerate(groups) if group.patients is not None]
    half = min([size, *(groups[place].least_of_half() for place in owned)])
    counts = [len(groups[place].owners) for place in owned]
    if half < least or min(counts, default=0) < LEAST_PATIENTS:
        return {name: Estimate(value, np.nan, np.nan, np.nan) for name, value in figures.items()}
    variances = [_variances(measure, groups, place, half, draws, draw, bounds) for place in owned]
    return {
        name: _estimate(value, [each[name] for each in variances], counts, bounds(name))
        for name, value in figures.items()
    }


def mean_of(values: Floats, patients: NDArray[Any] | None = None) -> Estimate:
    """Mean of one number between 0 and 1 for each sample, such as a share's 0 and 1.

    The interval is the delete-one jackknife's over patients, Student's; over the samples themselves
    where they are nobody's; on the scale of shares, as in `at_size`.

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
    without = [_even(mean, SHARE) for mean in (sums.sum() - sums) / (sizes.sum() - sizes)]
    variance = (count - 1) * float(np.var(without))
    return _estimate(value, [variance], [count], SHARE)


def _variances(
    measure: Measure,
    groups: Sequence[Group],
    place: int,
    size: int,
    draws: int,
    draw: np.random.Generator,
    bounds: Bounds,
) -> dict[str, float]:
    """What other patients of the set at one place would make each figure vary by, on its scale."""
    group = groups[place]
    halves, less = group.halves(draws, draw)
    kept, left_out = len(halves[0]), len(group.owners) - len(halves[0])
    rounds: list[dict[str, float]] = []
    # Halves meet the same draw of the other sets, so that these do not look like patients; few
    # halves meet several, one after another, so that no draw decides.
    for _ in range(max(1, draws // len(halves))):
        before, after = (
            [beside.some(size, draw) for beside in others]
            for others in (groups[:place], groups[place + 1 :])
        )
        found = [measure(*before, group.of(half, size, draw), *after) for half in halves]
        figures = {name: [_even(one[name], bounds(name)) for one in found] for name in found[0]}
        rounds.append({name: float(np.var(each, ddof=less)) for name, each in figures.items()})
    return {
        name: float(np.mean([each[name] for each in rounds])) * kept / left_out
        for name in rounds[0]
    }


def _estimate(
    value: float, variances: list[float], counts: list[int], bounds: tuple[float, float]
) -> Estimate:
    """An interval from the variances that sets make, of so many patients each."""
    total, fewest, share = sum(variances), min(counts), bounds == SHARE
    degrees: float = fewest - 1
    if total > 0:
        degrees = total**2 / sum(v**2 / (n - 1) for v, n in zip(variances, counts, strict=True))
    if share and not total >= LEAST_ERROR**2 / fewest:
        total, degrees = LEAST_ERROR**2 / fewest, fewest - 1
    if not total > 0:  # figures of all halves agree, or are not numbers
        return Estimate(value, np.nan, np.nan, np.nan)
    reach = float(student.ppf((1 + LEVEL) / 2, degrees)) * np.sqrt(total)
    middle, least, most = (_even(each, bounds) for each in (value, *bounds))
    low, high = max(middle - reach, least), min(middle + reach, most)
    if share:
        chance = ((1 - LEVEL) / 2) ** (1 / fewest)
        low = min(np.sin(low) ** 2, chance if value == 1 else 1.0)
        high = max(np.sin(high) ** 2, 1 - chance if value == 0 else 0.0)
    # A figure may lie beyond a bound by its own rounding.
    return Estimate(value, float(min(low, value)), float(max(high, value)), float(np.sqrt(total)))


def _even(value: float, bounds: tuple[float, float]) -> float:
    """A figure on the scale on which its error does not depend on it: a share's arcsine."""
    return float(np.arcsin(np.sqrt(np.clip(value, 0, 1)))) if bounds == SHARE else value
