"""What the arms' scores say: differences between arms, patient by patient, with intervals."""

from __future__ import annotations

from collections.abc import Collection
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
LEVEL = 0.95  # of intervals
LEAST_PATIENTS = 3  # from which an interval is taken
RESAMPLES = 10_000
POWER = 0.8  # with which the smallest effect is seen


def compare_arms(scores: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Mean scores of each arm, and its differences from the arm without augmentation.

    Parameters
    ----------
    scores : DataFrame
        A row for each arm, share, seed and test patient, with `SCORES`.
    seed : int
        Of the resampling.

    Returns
    -------
    dict
        Flat: `<score>_<arm>_<share>`, the mean over patients, each the mean over seeds;
        `<score>_<arm>_over_<other>_<share>`, the mean over patients of the difference from another
        arm (`bases_of`), with `_low` and `_high`, the interval of patients resampled with
        replacement; and `_smallest`, the effect that this many patients would have shown four times
        in five. None, with `<key>_reason`, where there are too few patients or nothing was scored.
        And `n_patients`, `n_seeds`.
    """
    found: dict[str, Any] = {
        "n_patients": int(scores["patient"].nunique()),
        "n_seeds": int(scores["seed"].nunique()),
    }
    draw = np.random.default_rng(seed)
    for share in sorted(scores["share"].unique().tolist()):
        of_share = scores[scores["share"] == share]
        tables = {
            arm: rows.groupby("patient")[list(SCORES)].mean()
            for arm, rows in of_share.groupby("arm", sort=False)
        }
        for arm, table in tables.items():
            for score in SCORES:
                mean = float(table[score].mean())
                found |= _told(f"{score}_{arm}_{share}", mean, "nothing to score")
                for other in bases_of(arm, tables):
                    apart = (table[score] - tables[other][score]).dropna().to_numpy(float)
                    found |= _difference(f"{score}_{arm}_over_{other}_{share}", apart, draw)
    return found


def bases_of(arm: str, there: Collection[str]) -> list[str]:
    """Arms that an arm is compared with, of those there are: none, and what it adds to."""
    others = [BASELINE, *([ADDS_TO[arm]] if arm in ADDS_TO else [])]
    return [other for other in others if other in there and other != arm]


def _difference(key: str, apart: Floats, draw: np.random.Generator) -> dict[str, Any]:
    """The mean of paired differences, its interval, and the smallest effect that would show."""
    if not len(apart):
        return _told(key, np.nan, "nothing to score")
    told = _told(key, float(apart.mean()), "")
    ends = (f"{key}_low", f"{key}_high", f"{key}_smallest")
    if len(apart) < LEAST_PATIENTS:
        reason = f"{len(apart)} patients; an interval takes {LEAST_PATIENTS}"
        for end in ends:
            told |= _told(end, np.nan, reason)
        return told
    means = draw.choice(apart, (RESAMPLES, len(apart))).mean(axis=1)
    low, high = np.quantile(means, _tails(len(apart)))
    spans = student.ppf((1 + LEVEL) / 2, len(apart) - 1) + student.ppf(POWER, len(apart) - 1)
    smallest = spans * apart.std(ddof=1) / np.sqrt(len(apart))
    return told | dict(zip(ends, map(rounded, map(float, (low, high, smallest))), strict=True))


def _tails(count: int) -> tuple[float, float]:
    """Quantiles of resampled means at which an interval of so many patients ends.

    Those of few patients vary too little, by the root of (n - 1) / n, and Student's are longer than
    normal ones: the expanded percentiles of Hesterberg, "What teachers should know about the
    bootstrap", American Statistician 69, 2015.
    """
    reach = np.sqrt(count / (count - 1)) * student.ppf((1 + LEVEL) / 2, count - 1)
    return float(norm.cdf(-reach)), float(norm.cdf(reach))


def _told(key: str, value: float, reason: str) -> dict[str, Any]:
    if np.isfinite(value):
        return {key: rounded(value)}
    return {key: None, f"{key}_reason": reason}
