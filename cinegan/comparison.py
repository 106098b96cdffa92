"""All models in one table and one figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cinegan import figures
from cinegan.errors import CineganError
from cinegan.files import atomic_file, read_json, write_json

HEADLINE = "frechet_texture"
COLUMNS = [
    "model",
    "input",
    "size",
    *(f"{HEADLINE}_{end}" for end in ("train", "test", "floor", "ratio")),
    "n_compared",
]


def compare(models: Path, folder: Path) -> list[dict[str, Any]]:
    """Write the table (JSON for DVC's metrics, CSV for its plots), and the figure.

    Models are judged at their own input and size, so rows that differ in those are listed but
    are no contest.

    Raises
    ------
    CineganError
        If no model has been evaluated.
    """
    reports = {path.stem: read_json(path) for path in sorted(models.glob("*.json"))}
    if not reports:
        raise CineganError(f"{models}: no evaluated models; `dvc repro` evaluates them first")
    table = [{"model": name, **report} for name, report in reports.items()]
    write_json(
        folder / "compare.json",
        {row["model"]: {key: row.get(key) for key in COLUMNS[1:]} for row in table},
    )
    plots = folder / "plots"
    with atomic_file(plots / "compare.csv") as partial:
        pd.DataFrame(
            [_long(row, end) for row in table for end in ("train", "test", "floor")]
        ).to_csv(partial, index=False, lineterminator="\n")
    figures.write_comparison(plots / "compare.png", table, HEADLINE)
    return table


def _long(row: dict[str, Any], end: str) -> dict[str, Any]:
    """One bar of the comparison as one row."""
    return {"model": row["model"], "against": end, "distance": row.get(f"{HEADLINE}_{end}")}
