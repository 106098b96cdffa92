"""The card of a trained generator: what it is for, from what it learnt, how it was judged.

The form follows Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cinegan
from cinegan.data.conditions import Conditions
from cinegan.export.measured import (
    copies_of,
    copies_told,
    fidelity_of,
    fidelity_told,
    warning_of,
)
from cinegan.export.origin import ORIGINS
from cinegan.files import atomic_file
from cinegan.params import FRESH

CARD = "card.md"


def write_card(path: Path, *arguments: Any, **judged: Any) -> None:
    """Write what `card_of` says."""
    with atomic_file(path) as partial:
        partial.write_text(card_of(*arguments, **judged), encoding="utf-8")


def card_of(
    name: str,
    record: dict[str, Any],
    weights_sha256: str,
    data_source: str,
    figures: dict[str, Any] | None = None,
    *,
    of_val: Mapping[str, float] | None = None,
) -> str:
    """The card in Markdown; the same run, the same text.

    Parameters
    ----------
    record : dict
        The model's own, `model.json`.
    data_source : str
        One of `ORIGINS`.
    figures : dict, optional
        What `evaluate` measured of its samples, if it did.
    of_val : mapping, optional
        If it did not: distances to cycles of val patients.
    """
    made = f"{record['size']}x{record['size']} pixels and {record['phases']} phases"
    paragraphs = [
        f"# {name}",
        f"A generator of synthetic short-axis cine cycles of {made}, 8 bits. **What it makes is "
        "synthetic: nobody was scanned.**",
        *([f"**Warning: {warning}.**"] if (warning := warning_of(figures)) else []),
        "## Intended use",
        "Synthetic heartbeats beside real ones where patients are few: to teach and to test "
        "programs that read cine-MRI, and to study generative models. Whether that helps is to be "
        "measured each time, on real patients.",
        "## Limits",
        _bullets(_limits(record, data_source)),
        "## Learnt from",
        _bullets(
            [
                f"data: {ORIGINS[data_source].what}",
                f"licence of the data: {ORIGINS[data_source].licence}",
                f"{record['train_cycles']} cycles of {record['train_patients']} train patients, "
                f"of the {_field(record['input'])} (SHA-256 {record['train_sha256']})",
            ]
        ),
        "## Training",
        _bullets(_training(record, weights_sha256)),
        "## How true to life",
        fidelity_told(fidelity_of(figures)) if of_val is None else _against_val(of_val),
        "## How much was copied",
        copies_told(copies_of(figures)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _limits(record: dict[str, Any], data_source: str) -> list[str]:
    labels = record.get("label_channels", ())
    return [
        "not for diagnosis, and no evidence about any patient",
        "what the patients below, their scanner and their protocol do not show, it does not show "
        "either",
        "each cycle is one slice, drawn by itself: no two are slices of one heart, and all have "
        "one nominal heart rate",
        "grey levels have no unit: black to white is each patient's own window",
        *(["labels are made by the network; no expert saw them"] if labels else []),
        *(
            ["the hearts are drawings: nothing is known of how it would do on patients"]
            if data_source == "phantom"
            else ["cycles that are near-copies of a patient's cannot be ruled out: see below"]
        ),
    ]


def _training(record: dict[str, Any], weights_sha256: str) -> list[str]:
    labels, asked = record.get("label_channels", ()), Conditions(record.get("condition_counts", ()))
    started = record.get("start_from", FRESH)
    return [
        f"architecture {record['architecture']}; loss {record['training']['loss']}; its parameters "
        "stand in `model.json`",
        f"budget: {record['total_kimg']:g} kimg (thousands of real cycles shown), seed "
        f"{record['seed']}",
        *([f"begun from {started}, whose data it knows as well"] if started != FRESH else []),
        f"makes beside each cycle: {', '.join(labels) or 'no labels'}",
        f"can be asked for: {'; '.join(asked.names) or 'nothing but a seed'}",
        f"software: cinegan {cinegan.__version__}",
        f"weights (SHA-256): {weights_sha256}",
    ]


def _against_val(distances: Mapping[str, float]) -> str:
    told = _bullets([f"`{key}`: {value:.3g}" for key, value in distances.items()])
    return (
        "Judged beside cycles of val patients alone, as one trial among others; good: as low as "
        f"can be. What it is on test patients is not known.\n\n{told}"
    )


def _field(shown: str) -> str:
    return {"ventricles": "ventricles, cut out", "frame": "whole field of view"}[shown]


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
