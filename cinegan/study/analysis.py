"""What the arms' scores say: differences between arms, patient by patient, with intervals."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from cinegan.files import rounded

Floats = NDArray[np.float64]

BASELINE = "none"
# What an arm is compared with, beside that: what it adds to.
ADDS_TO = {"classical_gan": "classical"}
SCORES = (
    *("dice_endo", "dice_epi", "distance_mm_endo", "distance_mm_epi"),
    *("hausdorff_mm_endo", "hausdorff_mm_epi", "missed_endo", "missed_epi", "area_change_error"),
)
# What is told first: of each arm, and of the one comparison that counts.
HEADLINE = ("dice_endo", "dice_epi", "distance_mm_endo")
COUNTS = "dice_endo_classical_gan_over_classical"
LEVEL = 0.95  # of intervals
LEAST_PATIENTS = 3  # from which an interval is taken
LEAST_RESAMPLED = 10  # patients from which resampling reaches its level; Student's below
RESAMPLES = 10_000
POWER = 0.8  # with which the smallest effect is seen


def compare_arms(scores: pd.DataFrame, protocol: str, seed: int) -> dict[str, Any]:
    """Mean scores of each arm on test patients, and its differences from other arms.

    Parameters
    ----------
    scores : DataFrame
        A row for each arm, share, seed, split and patient, with `SCORES`; or nothing.
    protocol : str
        As `arms.fold_of` has it.
    seed : int
        Of the resampling.

    Returns
    -------
    dict
        Flat: `<score>_<arm>_<share>`, the mean over patients, each the mean over seeds;
        `<score>_<arm>_over_<other>_<share>`, the mean over patients of the difference from another
        arm (`bases_of`), with `_low` and `_high`, its interval; `_n`, the patients that both have a
        score of; `_smallest`, the effect that so many patients would have shown four times in
        five; and, of repeated arms, `_seed_<seed>`, the difference at each seed: what other
        weights, batches and, below 100 %, teachers do to it. None, with `<key>_reason`, where there
        are too few patients or nothing was scored.
        `n_patients`; `n_seeds`, how often each is repeated; `intervals`, how they were taken:
        "resampled" (patients, with replacement; expanded percentiles [1]_) or, of fewer than
        `LEAST_RESAMPLED`, "student"; a pair of arms of which fewer than that have a score (`_n`) is
        always taken by Student's. Or `skipped`, the reason why there is nothing to compare.

    Notes
    -----
    Of 20 patients whose differences are normal, 95 % of the resampled intervals hold the true mean;
    of skewed differences fewer do: 92 % if they are exponential, 80 % if each patient has a chance
    of one in twenty to lie ten standard deviations off. Most that miss it stop short of it on the
    long tail's side, so look at the patients, too.

    References
    ----------
    .. [1] Hesterberg, "What teachers should know about the bootstrap", American Statistician 69,
       2015: percentiles of few patients vary too little, by the root of (n - 1) / n, and Student's
       are longer than normal ones. Below ten patients the ends would pass the extremes of the
       resampled means.
    """
    test = scores[scores["split"] == "test"] if len(scores) else scores
    if not len(test):
        return {"n_patients": 0, "skipped": "nobody to judge with contours; nothing to compare"}
    patients = int(test["patient"].nunique())
    # Where a seed says who is left out, each patient is judged once.
    seeds = [] if protocol == "leave_one_out" else sorted(test["seed"].unique().tolist())
    found: dict[str, Any] = {
        "n_patients": patients,
        "n_seeds": max(1, len(seeds)),
        "intervals": "resampled" if patients >= LEAST_RESAMPLED else "student",
    }
    for share in sorted(test["share"].unique().tolist()):
        of_share = test[test["share"] == share]
        tables = _by_patient(of_share)
        repeated = seeds if len(seeds) > 1 else []
        of_seeds = {s: _by_patient(of_share[of_share["seed"] == s]) for s in repeated}
        for arm, table in tables.items():
            for score in SCORES:
                mean = float(table[score].mean())
                found |= _told(f"{score}_{arm}_{share}", mean, "nothing to score")
                for other in bases_of(arm, tables):
                    key = f"{score}_{arm}_over_{other}_{share}"
                    apart = (table[score] - tables[other][score]).dropna().to_numpy(float)
                    found |= _difference(key, apart, seed)
                    for each, of_seed in of_seeds.items():
                        mean = float((of_seed[arm][score] - of_seed[other][score]).mean())
                        found |= _told(f"{key}_seed_{each}", mean, "nothing to score")
    return found


def headline(
    found: Mapping[str, Any], arms: Sequence[str], shares: Sequence[int]
) -> dict[str, Any]:
    """The few figures of a comparison that one looks at first.

    Parameters
    ----------
    found : mapping
        As `compare_arms` gives it.

    Returns
    -------
    dict
        Of `found`, what tells of the whole; `HEADLINE` of each arm and share; `COUNTS` of each
        share with its interval and the smallest effect that would have shown, where both arms are
        there; and the reasons of what is None.
    """
    keys = ["n_patients", "n_seeds", "intervals", "skipped"]
    for share in shares:
        keys += [f"{score}_{arm}_{share}" for arm in arms for score in HEADLINE]
        keys += [f"{COUNTS}_{share}{end}" for end in ("", "_low", "_high", "_smallest")]
    told = [each for key in keys for each in (key, f"{key}_reason")]
    return {key: found[key] for key in told if key in found}


def mean_scores(scores: pd.DataFrame) -> dict[str, float]:
    """Means over the patients of each split, as `<score>_<split>`."""
    if not len(scores):
        return {}
    means = scores.groupby("split")[list(SCORES)].mean()
    return {f"{s}_{split}": float(means.loc[split, s]) for split in means.index for s in SCORES}


def bases_of(arm: str, there: Collection[str]) -> list[str]:
    """Arms that an arm is compared with, of those there are: none, and what it adds to."""
    others = [BASELINE, *([ADDS_TO[arm]] if arm in ADDS_TO else [])]
    return [other for other in others if other in there and other != arm]


def seeds_of(found: Mapping[str, Any], difference: str) -> list[str]:
    """Keys of a difference at each seed, of a comparison of repeated arms."""
    keys = [key for key in found if key.rpartition("_seed_")[0] == difference]
    return [key for key in keys if not key.endswith("_reason")]


def _by_patient(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A table of each arm, a row for each patient: the mean over the seeds."""
    return {
        str(arm): rows.groupby("patient")[list(SCORES)].mean()
        for arm, rows in scores.groupby("arm", sort=False)
    }


def _difference(key: str, apart: Floats, seed: int) -> dict[str, Any]:
    """The mean of paired differences, its interval, and the smallest effect that would show."""
    n = len(apart)
    if not n:
        return _told(key, np.nan, "nothing to score")
    told = _told(key, float(apart.mean()), "") | {f"{key}_n": n}
    ends = (f"{key}_low", f"{key}_high", f"{key}_smallest")
    if n < LEAST_PATIENTS:
        reason = f"{n} patients; an interval takes {LEAST_PATIENTS}"
        for end in ends:
            told |= _told(end, np.nan, reason)
        return told
    error = apart.std(ddof=1) / np.sqrt(n)
    reach = student.ppf((1 + LEVEL) / 2, n - 1)
    if n < LEAST_RESAMPLED:
        low, high = apart.mean() - reach * error, apart.mean() + reach * error
    else:
        draw = np.random.default_rng([seed, zlib.crc32(key.encode())])
        means = draw.choice(apart, (RESAMPLES, n)).mean(axis=1)
        low, high = np.quantile(means, norm.cdf(np.sqrt(n / (n - 1)) * reach * np.array([-1, 1])))
    smallest = (reach + student.ppf(POWER, n - 1)) * error
    return told | dict(zip(ends, map(rounded, map(float, (low, high, smallest))), strict=True))


def _told(key: str, value: float, reason: str) -> dict[str, Any]:
    if np.isfinite(value):
        return {key: rounded(value)}
    return {key: None, f"{key}_reason": reason}
