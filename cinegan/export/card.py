"""The card of an export: how it was made, from what, how true to life it is and how much copied.

The form follows Gebru et al. 2021, "Datasheets for Datasets", and Mitchell et al. 2019, "Model
Cards for Model Reporting".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cinegan
from cinegan.export.cavities import cavities_of
from cinegan.export.classes import BACKGROUND, IGNORE, IGNORED, MYOCARDIUM, NAMES
from cinegan.export.measured import copies_of, copies_told, fidelity_of, fidelity_told
from cinegan.export.origin import ORIGINS
from cinegan.export.source import Labelled, Source
from cinegan.files import atomic_file, write_json
from cinegan.params import FRESH

CARD, CARD_JSON = "CARD.md", "card.json"
MOMENTS = 2  # end-diastole and end-systole
OF_END_SYSTOLE = (
    "What learns nothing from `ignore`, as nnU-Net, is not told at end-systole where the cavity "
    "ends: nothing contradicts one drawn too large. Train on the frames without `ignore`, those of "
    "end-diastole; or, to learn the cavity alone, on all frames with labels, with "
    f"{MYOCARDIUM} and {IGNORE} set to {BACKGROUND}."
)


def licence_of(source: Source) -> str:
    """Licence of the data that were learnt from."""
    return ORIGINS[source.data_source].licence


def card_of(source: Source, files: dict[str, int]) -> dict[str, Any]:
    """All that is to be told, for machines.

    Parameters
    ----------
    files : dict
        How many of each kind were written.
    """
    record, geometry, labels = source.record, source.geometry, source.labels
    return {
        "synthetic": True,
        "software": f"cinegan {cinegan.__version__}",
        "cycles": len(source.cycles),
        "cycles_drawn": source.drawn,
        "size": geometry.size,
        "phases": geometry.phases,
        "grey_levels": "8 bits, black to white as each patient's own window was",
        "key": source.key,
        "model": {
            "name": source.name,
            "architecture": record["architecture"],
            "weights_sha256": source.weights_sha256,
            "training_seed": record["seed"],
            "record": record,
        },
        "samples": {
            "seed": source.sampling_seed,
            "cycles_sha256": source.cycles_sha256,
            "labels_sha256": labels.digest if labels else None,
        },
        "learnt_from": {
            "source": source.data_source,
            "what": ORIGINS[source.data_source].what,
            "licence": licence_of(source),
            "patients": record["train_patients"],
            "cycles": record["train_cycles"],
            "cycles_sha256": record["train_sha256"],
        },
        "geometry": {
            "spacing_mm": geometry.spacing_mm,
            "spacing_mm_least_and_largest_patient": list(geometry.spacing_range_mm),
            "thickness_mm": geometry.thickness_mm,
            "interval_ms": geometry.interval_ms,
            "step_ms": geometry.step_ms,
            "means_over_train_patients": ["spacing_mm", "thickness_mm", "interval_ms"],
            "position_mm": geometry.plane.origin_mm.tolist(),
            "orientation": [*geometry.plane.row.tolist(), *geometry.plane.column.tolist()],
            "nominal": ["position_mm", "orientation", "trigger times: the first phase is at 0"],
        },
        "labels": None if labels is None else _of_labels(labels, geometry.spacing_mm),
        "fidelity": fidelity_of(source.figures),
        "copying": copies_of(source.figures),
        "files": files,
    }


def _of_labels(labels: Labelled, spacing_mm: float) -> dict[str, Any]:
    frames = int(labels.known.any(axis=-1).sum())
    of_moments = not labels.known.all()
    return {
        "channels": labels.channels,
        "classes": NAMES | IGNORED,
        "frames_with_labels": frames,
        "of_moments": of_moments,
        "moments_left_out": MOMENTS * len(labels.known) - frames if of_moments else 0,
        "cavities": cavities_of(labels.classes, labels.known, spacing_mm),
    }


def write_card(folder: Path, source: Source, files: dict[str, int]) -> None:
    """Write the card for people and for machines."""
    card = card_of(source, files)
    write_json(folder / CARD_JSON, card)
    with atomic_file(folder / CARD) as partial:
        partial.write_text(told(card), encoding="utf-8")


def told(card: dict[str, Any]) -> str:
    """The card for people, in Markdown."""
    model, data = card["model"], card["learnt_from"]
    started = model["record"].get("start_from", FRESH)
    paragraphs = [
        f"# Synthetic heartbeats of {model['name']}",
        f"{card['cycles']} short-axis cine cycles of {card['size']}x{card['size']} pixels and "
        f"{card['phases']} phases, 8 bits. **Synthetic: made by a generative network, nobody was "
        "scanned.** For training other models beside real data; not for diagnosis, and no evidence "
        "about any patient. No two cycles are slices of one heart.",
        *([f"**Warning: {warning}.**"] if (warning := card["fidelity"]["warning"]) else []),
        "## How they were made",
        _rows(
            {
                "software": card["software"],
                "model": f"{model['name']}, architecture {model['architecture']}",
                "weights (SHA-256)": model["weights_sha256"],
                "parameters": f"`model.record` in [{CARD_JSON}]({CARD_JSON})",
                "trained for": f"{model['record'].get('total_kimg', '?')} kimg, seed "
                f"{model['training_seed']}",
                "drawn": f"{card['cycles_drawn']} cycles from seed {card['samples']['seed']}, of "
                f"which these are the first {card['cycles']}",
            }
        ),
        "## From what",
        _rows(
            {
                "data": data["what"],
                **(
                    {}
                    if started == FRESH
                    else {"begun from": f"{started}, whose data it knows too"}
                ),
                "licence of the data": data["licence"],
                "patients": data["patients"],
                "cycles": data["cycles"],
            }
        ),
        "What these patients, their scanner and their protocol do not show, these cycles do not "
        "show either.",
        "## How true to life",
        fidelity_told(card["fidelity"]),
        "## How much was copied",
        copies_told(card["copying"]),
        "## Geometry",
        _geometry(card["geometry"]),
        "## Labels",
        _labels(card["labels"]),
        "## Files",
        _rows(card["files"]),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _geometry(geometry: dict[str, Any]) -> str:
    least, largest = geometry["spacing_mm_least_and_largest_patient"]
    interval, step = geometry["interval_ms"], geometry["step_ms"]
    times = (
        "Times were not recorded in these data, so none are told."
        if interval is None
        else f"A cycle lasts {interval:.0f} ms, a phase {step:.1f} ms: the mean of heartbeats."
    )
    return (
        f"Pixels of {geometry['spacing_mm']:.3f} mm, slices {geometry['thickness_mm']:.1f} mm "
        f"thick: means over the patients learnt from, whose pixels were {least:.3f} to "
        f"{largest:.3f} mm. {times} Position and orientation are nominal: a short axis through the "
        "isocentre as seen from the apex, anterior up, the right ventricle on the left of the "
        "picture. The first phase is said to be at the R wave."
    )


def _labels(labels: dict[str, Any] | None) -> str:
    if labels is None:
        return "None."
    classes = ", ".join(f"{value} {name}" for name, value in labels["classes"].items())
    paragraphs = [
        "Made by the network together with the pictures, on "
        f"{labels['frames_with_labels']} frames; "
        f"no expert saw them. Classes: {classes}."
    ]
    if labels["of_moments"]:
        paragraphs[0] += (
            " What nobody told is `ignore`: all of a frame without labels, and at end-systole, "
            "where the endocardium alone is outlined, all but the cavity. Outlines were placed at "
            "the phases whose pictures fit them best; those of "
            f"{labels['moments_left_out']} moments, which fit no phase of their own, were left out."
        )
        paragraphs.append(OF_END_SYSTOLE)
    return "\n\n".join([*paragraphs, _cavities(labels["cavities"])])


def _cavities(cavities: dict[str, Any]) -> str:
    grown, small = (len(cavities[key]) for key in ("not_smaller_at_end_systole", "small"))
    return (
        f"Of {cavities['cycles_with_both_moments']} cycles with labels at end-diastole and at "
        f"end-systole, {grown} have a cavity that is not smaller at end-systole; {small} cycles "
        f"have one of less than {cavities['small_mm2']:g} mm² in a frame with labels. None of them "
        f"was left out: `labels.cavities` in [{CARD_JSON}]({CARD_JSON}) has their numbers."
    )


def _rows(rows: dict[str, Any]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in rows.items())])
