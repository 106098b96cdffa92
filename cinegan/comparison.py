"""All models in one table and one figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from cinegan.errors import CineganError
from cinegan.files import atomic_file, read_json, write_json

matplotlib.use("Agg")

# The kernel distance leads: few samples do not bias it.
LISTED = ("frechet", "precision", "recall", "density", "coverage")
MOTION = "kid_motion"  # how true the movement is, whatever leads
ENDS = ("train", "test", "floor")


def leading(extractor: str) -> str:
    """The distance that models are ranked by, without its end: `_test` leads."""
    return f"kid_{extractor}"


def row_of(report: dict[str, Any], extractor: str) -> dict[str, Any]:
    """A model's row of the table, of what `evaluate` wrote of it."""
    columns = [
        *("input", "size", f"n_compared_{extractor}"),
        *(f"{name}_{end}" for name in dict.fromkeys((leading(extractor), MOTION)) for end in ENDS),
        *(f"{name}_{extractor}_{end}" for name in LISTED for end in ("test", "floor")),
        *("copied", "copied_floor", "authentic", "authentic_floor"),
    ]
    return {key: report.get(key) for key in columns}


def headline(row: dict[str, Any], extractor: str) -> dict[str, Any]:
    """Of a model's row what is looked at first: distances of look and motion, and copies."""
    distances = dict.fromkeys((leading(extractor), MOTION))
    wanted = [f"{distance}_{end}" for distance in distances for end in ENDS]
    return {key: row[key] for key in (*wanted, "copied", "copied_floor")}


def contest(told: dict[str, Any]) -> str:
    """Models of one contest see the same and make the same: their name together.

    Parameters
    ----------
    told : dict
        A model's row, or the record of its training.
    """
    return f"cinegan-{told['input']}-{told['size']}"


def compare(
    names: list[str], models: Path, folder: Path, extractor: str
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
    extractor : str
        Whose features the figures are taken on, for example "texture".

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
    distance = leading(extractor)
    table = {name: row_of(report, extractor) for name, report in reports.items()}
    write_json(folder / "compare.json", table)
    bars = [
        {"model and set": f"{name}, {end}", "distance": report.get(f"{distance}_{end}")}
        for name, report in reports.items()
        for end in ("train", "test", "floor")
    ]
    with atomic_file(folder / "plots" / "compare.csv") as partial:
        pd.DataFrame(bars).to_csv(partial, index=False, lineterminator="\n")
    rows = [{"model": name, **report} for name, report in reports.items()]
    draw_comparison(folder / "plots" / "compare.png", rows, distance)
    return table


def draw_comparison(path: Path, table: list[dict[str, Any]], distance: str) -> None:
    """Draw each model's distance to train and to test patients beside its floor.

    Parameters
    ----------
    table : list of dict
        One row per model with `model`, `input`, `size` and `<distance>_train`, `_test`, `_floor`,
        each with its interval, `_low` and `_high`; None where there is no value.
    distance : str
        For example "kid_texture".
    """
    from matplotlib import pyplot, ticker

    sets = {
        "train": ("against train patients", "#4878a8"),
        "test": ("against test patients", "#d1605e"),
        "floor": ("floor: real test against real train", "#9a9a9a"),
    }
    figure, axes = pyplot.subplots(figsize=(7, 1.2 + 0.9 * len(table)), layout="constrained")
    for k, (name, (label, colour)) in enumerate(sets.items()):
        rows = [row for row in table if row.get(f"{distance}_{name}") is not None]
        values = np.array([row[f"{distance}_{name}"] for row in rows])
        low, high = (_ends(rows, f"{distance}_{name}", end) for end in ("low", "high"))
        places = np.array([table.index(row) for row in rows]) + 0.27 * (k - 1)
        axes.errorbar(
            values,
            places,
            xerr=[values - low, high - values],
            fmt="o",
            label=label,
            color=colour,
            capsize=2,
        )
        for place, value, end in zip(places, values, high, strict=True):
            told = f"  {value:,.0f}" if value >= 100 else f"  {value:.3g}"
            axes.annotate(told, (end, place), va="center", fontsize=8)
    # From the floor to an untrained model distances span orders of magnitude; an unbiased one may
    # be negative.
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))  # 10k has room, 10,000 not
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    seen = [f"{row['model']}\n{row['input']}, {row['size']}x{row['size']}" for row in table]
    axes.set_yticks(np.arange(len(table)), seen)
    axes.invert_yaxis()
    what = distance.replace("_", " ").replace("kid", "KID")
    axes.set_xlabel(f"{what} distance (lower is closer to real)")
    axes.margins(x=0.12)
    figure.legend(fontsize=8, frameon=False, loc="outside upper left", ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_file(path) as partial:
        figure.savefig(partial, dpi=120, metadata={"Software": None})
    pyplot.close(figure)


def _ends(rows: list[dict[str, Any]], key: str, end: str) -> np.ndarray:
    """Ends of the intervals of a figure; the figure itself where there is no interval."""
    ends = [row.get(f"{key}_{end}") for row in rows]
    return np.array([row[key] if at is None else at for row, at in zip(rows, ends, strict=True)])
