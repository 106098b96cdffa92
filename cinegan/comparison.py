"""All models in one table and one figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cinegan import figures
from cinegan.errors import CineganError
from cinegan.files import atomic_file, read_json, write_json

ENDS = ("train", "test", "floor", "ratio")


def compare(
    names: list[str], models: Path, folder: Path, distance: str
) -> dict[str, dict[str, Any]]:
    """Write the table (JSON for DVC's metrics, CSV for its plots) and the figure.

    Models are judged at their own input and size, so rows that differ in those are listed but
    are no contest.

    Parameters
    ----------
    names : list of str
        The models to compare, in order.
    models : Path
        Where each has its `<name>.json`.
    distance : str
        The headline, for example "frechet_texture".

    Raises
    ------
    CineganError
        If a model has not been evaluated.
    """
    missing = [name for name in names if not (models / f"{name}.json").exists()]
    if missing:
        raise CineganError(
            f"{models}: no {', '.join(missing)}; `dvc repro evaluate@{missing[0]}` evaluates it"
        )
    reports = {name: read_json(models / f"{name}.json") for name in names}
    columns = ["input", "size", *(f"{distance}_{end}" for end in ENDS), "n_compared"]
    table = {name: {key: report.get(key) for key in columns} for name, report in reports.items()}
    write_json(folder / "compare.json", table)
    bars = [
        {"model and set": f"{name}, {end}", "distance": report.get(f"{distance}_{end}")}
        for name, report in reports.items()
        for end in ("train", "test", "floor")
    ]
    with atomic_file(folder / "plots" / "compare.csv") as partial:
        pd.DataFrame(bars).to_csv(partial, index=False, lineterminator="\n")
    rows = [{"model": name, **report} for name, report in reports.items()]
    figures.write_comparison(folder / "plots" / "compare.png", rows, distance)
    return table
