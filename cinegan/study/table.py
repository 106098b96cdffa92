"""The study in one table, as a paper could print it (Markdown)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cinegan.data.labels import KINDS
from cinegan.study.analysis import bases_of, seeds_of

COLUMNS = (  # title, score, decimals
    ("Dice endo", "dice_endo", 3),
    ("Dice epi", "dice_epi", 3),
    ("contour distance endo, epi, mm", "distance_mm", 2),
    ("Hausdorff endo, epi, mm", "hausdorff_mm", 1),
    ("fractional area change, error", "area_change_error", 3),
)
GAINS = ("dice_endo", "dice_epi")
TITLES = (
    *("share of train patients", "arm", *(title for title, *_ in COLUMNS), "compared with"),
    "gain in Dice endo, points (95 % interval over patients)",
    "gain in Dice epi, points (95 % interval over patients)",
    "smallest detectable gain, points (80 % power, over patients), endo, epi",
)
REPEATED = "gain in Dice endo of each seed"  # a further column, of repeated studies


def table_of(found: Mapping[str, Any], arms: Sequence[str], shares: Sequence[int]) -> str:
    """Rows for each share and arm, one for each arm that it is compared with.

    Parameters
    ----------
    found : mapping
        As `analysis.compare_arms` gives it.

    Returns
    -------
    str
        Gains in Dice points: hundredths.
    """
    repeated = found.get("n_seeds", 1) > 1
    titles = [*TITLES, *([REPEATED] if repeated else [])]
    lines = [_line(titles), _line(["---"] * len(titles))]
    for share in shares:
        for arm in arms:
            scores = [_scores(found, score, f"{arm}_{share}", n) for _, score, n in COLUMNS]
            others = bases_of(arm, arms) or [""]
            for number, other in enumerate(others):
                first = [f"{share} %", f"`{arm}`", *scores]
                keys = [f"{score}_{arm}_over_{other}_{share}" for score in GAINS]
                lines.append(
                    _line(
                        [
                            *(first if number == 0 else [""] * len(first)),
                            other and f"`{other}`",
                            *(_gain(found, key) if other else "" for key in keys),
                            ", ".join(_points(found, f"{key}_smallest") for key in keys)
                            if other
                            else "",
                            *([_of_seeds(found, keys[0])] if repeated else []),
                        ]
                    )
                )
    return "\n".join(lines) + "\n"


def _scores(found: Mapping[str, Any], score: str, of: str, decimals: int) -> str:
    """One score, or both of its kinds."""
    keys = [f"{score}_{of}"] if f"{score}_{of}" in found else [f"{score}_{k}_{of}" for k in KINDS]
    values = [found.get(key) for key in keys]
    return ", ".join("-" if value is None else f"{value:.{decimals}f}" for value in values)


def _gain(found: Mapping[str, Any], key: str) -> str:
    low, high = (_points(found, f"{key}_{end}") for end in ("low", "high"))
    return f"{_points(found, key)} ({low} to {high})"


def _of_seeds(found: Mapping[str, Any], key: str) -> str:
    return ", ".join(_points(found, each) for each in seeds_of(found, key))


def _points(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return "-" if value is None else f"{100 * value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
