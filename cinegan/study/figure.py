"""The study in one picture: what each arm gains over none, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from cinegan.files import atomic_file
from cinegan.study.analysis import BASELINE

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
    """Draw Dice of endocardium and epicardium: above as it is, below the difference from `none`.

    Parameters
    ----------
    found : mapping
        As `analysis.compare_arms` gives it.
    """
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        2, 2, figsize=(9, 6), sharex=True, sharey="row", layout="constrained"
    )
    others = [arm for arm in arms if arm != BASELINE]
    for column, kind in enumerate(("endo", "epi")):
        above, below = axes[:, column]
        above.set_title(f"{kind}cardium")
        for k, arm in enumerate(arms):
            colour = COLOURS.get(arm, "#5a5a5a")
            places = np.arange(len(shares)) + 0.12 * (k - (len(arms) - 1) / 2)
            means = [_number(found, f"dice_{kind}_{arm}_{share}") for share in shares]
            above.plot(places, means, "o", color=colour, label=arm.replace("_", " + "))
            if arm not in others:
                continue
            keys = [f"dice_{kind}_{arm}_over_{BASELINE}_{share}" for share in shares]
            gains = np.array([_number(found, key) for key in keys])
            ends = [[_number(found, f"{key}_{end}") for key in keys] for end in ("low", "high")]
            reach = [gains - ends[0], ends[1] - gains]
            below.errorbar(places, gains, reach, fmt="o", color=colour, capsize=3)
        below.axhline(0, color="#9a9a9a", lw=0.8)
        below.set_xticks(np.arange(len(shares)), [f"{share} %" for share in shares])
        below.set_xlabel("of the train patients")
    axes[0, 0].set_ylabel("Dice on test patients")
    axes[1, 0].set_ylabel(f"gain over {BASELINE}, 95 % interval")
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", color="#e5e5e5")
        each.set_axisbelow(True)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=8, frameon=False, loc="outside upper center", ncols=6)
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def _number(found: Mapping[str, Any], key: str) -> float:
    value = found.get(key)
    return np.nan if value is None else float(value)
