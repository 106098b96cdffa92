"""What `evaluate` measured of the samples: how true to life they are, and how much is copied."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from cinegan.evaluation.subsamples import LEVEL


class Row(NamedTuple):
    """A figure, its floor, and what it means."""

    key: str
    floor: str
    meaning: str


FIDELITY = (
    Row(
        "kid_texture_train",
        "kid_texture_floor",
        "KID of texture, a distance from train cycles; good: as low as the floor",
    ),
    Row(
        "kid_texture_test",
        "kid_texture_floor",
        "the same from cycles of patients that the model has not seen",
    ),
    Row("kid_motion_train", "kid_motion_floor", "KID of motion, from train cycles"),
    Row("kid_motion_test", "kid_motion_floor", "the same from test cycles"),
    Row(
        "precision_texture_train",
        "precision_texture_floor_train",
        "share of the samples that lie, in texture, within reach of a train cycle; good: as high "
        "as the floor",
    ),
    Row("precision_texture_test", "precision_texture_floor", "the same, of a test cycle"),
)
COPIES = (
    Row(
        "copied",
        "copied_floor",
        "share of the samples that are near-copies of a train cycle; good: as low as the floor",
    ),
    Row(
        "authentic",
        "authentic_floor",
        "share less like their nearest train cycle than that is like another; good: as high as the "
        "floor",
    ),
    Row(
        "likeness_train",
        "likeness_train_floor",
        "mean likeness to the nearest train cycle; above the floor: copies",
    ),
    Row(
        "likeness_test",
        "likeness_test_floor",
        "the same to cycles of patients that the model has not seen",
    ),
    Row(
        "nearer_train_pixels",
        "nearer_train_pixels_floor",
        "how often a sample is nearer to train than a test cycle is; good: about a half",
    ),
)
OF_FIDELITY = re.compile(
    r"^(kid_(texture|motion)|precision_texture|n_compared_(texture|motion)"
    r"|n_(train|test|synthetic))(_|$)"
)
OF_COPIES = re.compile(
    r"^(copied|authentic|likeness|nearer_train_pixels|n_(pool|train|val|test|synthetic))(_|$)"
)
NOT_MEASURED = "not measured of these samples: nothing is known of how"
NO_FIDELITY = f"{NOT_MEASURED} true to life they are"
NO_COPIES = f"{NOT_MEASURED} much was copied from patients"


def fidelity_of(figures: dict[str, Any] | None) -> dict[str, Any]:
    """How true to life they are, with the warning if there is one, for machines."""
    return _of(figures, OF_FIDELITY, NO_FIDELITY) | {"warning": warning_of(figures)}


def copies_of(figures: dict[str, Any] | None) -> dict[str, Any]:
    """How much was copied, for machines."""
    return _of(figures, OF_COPIES, NO_COPIES)


def warning_of(figures: dict[str, Any] | None) -> str | None:
    """Why the samples are plainly not like real hearts; None if they may be.

    That is where precision of texture to train is 0, so that not one of the samples compared is
    within reach of a train cycle, and real cycles of other patients are, by its floor. What is
    above 0 is left to the reader of the figures: all models make samples that are worse than real.
    """
    key, floor, _ = next(row for row in FIDELITY if row.key == "precision_texture_train")
    if figures is None or not figures.get(floor):
        return None
    if figures.get(key) is None:
        return f"these samples could not be judged beside real hearts: {_reason(figures, key)}"
    if figures[key] > 0:
        return None
    return (
        "these samples are not like real hearts: in texture, not one is within reach of a real "
        f"cycle, as {figures[floor]:.3g} of other patients' cycles are. They may be noise: look at "
        "them before anything learns from them"
    )


def fidelity_told(fidelity: dict[str, Any]) -> str:
    """The section of the card, in Markdown."""
    return _table(fidelity, FIDELITY, ("train", "test"))


def copies_told(copies: dict[str, Any]) -> str:
    """The section of the card, in Markdown."""
    return _table(copies, COPIES, ("train",))


def _of(figures: dict[str, Any] | None, wanted: re.Pattern[str], why: str) -> dict[str, Any]:
    if figures is None:
        return {"measured": False, "why": why}
    return {"measured": True} | {k: value for k, value in figures.items() if wanted.match(k)}


def _table(figures: dict[str, Any], rows: Sequence[Row], against: Sequence[str]) -> str:
    if not figures["measured"]:
        return f"**This was {figures['why']}.**"
    real = " and ".join(f"{figures[f'n_{split}']} {split}" for split in against)
    lines = [
        f"Of {figures['n_synthetic']} samples against {real} cycles. The floor is what real cycles "
        f"of other patients score in the samples' place; in brackets {LEVEL:.0%} intervals.",
        "",
        "| measure | samples | floor | what it is |",
        "| --- | --- | --- | --- |",
    ]
    for key, floor, meaning in rows:
        told = " | ".join(_figure(figures, each) for each in (key, floor))
        lines.append(f"| `{key}` | {told} | {meaning} |")
    return "\n".join(lines)


def _figure(figures: dict[str, Any], key: str) -> str:
    """A figure with its interval, or why there is none."""
    value, low, high = (figures.get(key + end) for end in ("", "_low", "_high"))
    if value is None:
        return f"not measured: {_reason(figures, key)}"
    return (
        f"{value:.3g}" if low is None or high is None else f"{value:.3g} ({low:.3g} to {high:.3g})"
    )


def _reason(figures: dict[str, Any], key: str) -> str:
    return str(figures.get(f"{key}_reason", "no reason told"))
