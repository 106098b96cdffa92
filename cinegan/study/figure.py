"""The study in one picture: what each arm gains over none, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from cinegan.files import atomic_file
from cinegan.study.analysis import BASELINE, bases_of, seeds_of

matplotlib.use("Agg")

COLOURS = {
    "affine": "#7aa6c2",
    "photometric": "#b3a369",
    "classical": "#4878a8",
    "gan": "#d9822b",
    "classical_gan": "#d1605e",
}


def draw_study(
    path: Path, found: Mapping[str, Any], arms: Sequence[str], shares: Sequence[int]
) -> None:
    """Draw Dice of endocardium and epicardium: above as it is, below differences between arms.

    Parameters
    ----------
    found : mapping
        As `analysis.compare_arms` gives it; of repeated arms, a dash tells each seed's difference.
    """
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, 2, figsize=(11, 6), sharex=True, sharey="row", layout="constrained"
    )
    pairs = [(arm, other) for arm in arms for other in bases_of(arm, arms)]
    for column, kind in enumerate(("endo", "epi")):
        above, below = axes[:, column]
        above.set_title(f"{kind}cardium, {found['n_patients']} test patients")
        for k, arm in enumerate(arms):
            means = [_number(found, f"dice_{kind}_{arm}_{share}") for share in shares]
            places = _beside(len(shares), k, len(arms))
            above.plot(places, means, "o", color=_colour(arm), label=_told(arm))
        for k, (arm, other) in enumerate(pairs):
            keys = [f"dice_{kind}_{arm}_over_{other}_{share}" for share in shares]
            gains = np.array([_points(found, key) for key in keys])
            ends = [[_points(found, f"{key}_{end}") for key in keys] for end in ("low", "high")]
            below.errorbar(
                _beside(len(shares), k, len(pairs)),
                gains,
                [gains - ends[0], ends[1] - gains],
                fmt="o" if other == BASELINE else "D",
                color=_colour(arm),
                markerfacecolor=_colour(arm) if other == BASELINE else "white",
                label=f"{_told(arm)} over {_told(other)}",
                capsize=3,
            )
            for key, place in zip(keys, _beside(len(shares), k, len(pairs)), strict=True):
                of_seeds = [_points(found, each) for each in seeds_of(found, key)]
                below.plot([place] * len(of_seeds), of_seeds, "_", color="#3a3a3a", ms=5, zorder=4)
        below.axhline(0, color="#9a9a9a", lw=0.8)
        below.set_xticks(np.arange(len(shares)), [f"{share} %" for share in shares])
        below.set_xlabel("share of the train patients")
    axes[0, 0].set_ylabel("Dice on test patients")
    axes[1, 0].set_ylabel("gain in Dice, points\n(95 % interval over patients)")
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", color="#e5e5e5")
        each.set_axisbelow(True)
    for row in axes:
        row[0].legend(fontsize=7, frameon=False, loc="center right", bbox_to_anchor=(-0.22, 0.5))
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def _beside(shares: int, k: int, count: int) -> np.ndarray:
    """Places of the k-th of so many points at each share."""
    return np.arange(shares) + 0.12 * (k - (count - 1) / 2)


def _colour(arm: str) -> str:
    return COLOURS.get(arm, "#5a5a5a")


def _told(arm: str) -> str:
    return arm.replace("_", " + ")


def _points(found: Mapping[str, Any], key: str) -> float:
    """Of a difference in Dice: hundredths."""
    return 100 * _number(found, key)


def _number(found: Mapping[str, Any], key: str) -> float:
    value = found.get(key)
    return np.nan if value is None else float(value)
