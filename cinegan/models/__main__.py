"""`python -m cinegan.models [NAME ...]`: what the networks are, and when they are trained."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cinegan import drawings
from cinegan.data.cohort import Cohort
from cinegan.data.conditions import Conditions, of_cycles
from cinegan.data.labels import channels
from cinegan.errors import CineganError, run_command
from cinegan.outline import outline
from cinegan.params import Budgets, Model, Params, load_params
from cinegan.training.cost import flops_per_image, passes
from cinegan.training.networks import build_discriminator, build_generator
from cinegan.training.schedule import Schedule


def main(arguments: Sequence[str]) -> None:
    """Print tables of models, or draw them.

    Raises
    ------
    CineganError
        If a model does not exist, or does not have the size asked for.
    """
    parser = argparse.ArgumentParser(prog="python -m cinegan.models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model of params.yaml")
    parser.add_argument("--size", type=int, help="pixels per side, of a model that grows")
    parser.add_argument(
        "--budget",
        action="append",
        choices=list(Budgets.model_fields),
        help="of the schedule, once or more; params.yaml's if not given",
    )
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="draw pictures (PNG) instead")
    asked = parser.parse_args(arguments)
    params = load_params()
    budgets = asked.budget or [params.budget]
    models = {name: params.model_named(name) for name in asked.names or params.models}
    for name, model in models.items():
        check_size(name, model, asked.size)
    for name, model in models.items():
        record = model.model_dump() | {
            "phases": params.data.phases,
            "label_channels": _label_channels(model, params),
            "condition_inputs": _condition_inputs(model),
            "size": asked.size or model.size,
        }
        if asked.draw:
            draw(asked.draw, name, model, record, budgets)
        else:
            print("\n\n".join(told(name, model, record, budgets)), end="\n\n\n")


def _label_channels(model: Model, params: Params) -> list[str]:
    """The maps that are made with cycles, where there are contours."""
    source = {"none": None, "moments": "expert", "phases": "truth"}[model.labels]
    return channels(source, params.data.phases)


def _condition_inputs(model: Model) -> list[str]:
    """What the networks are told of each cycle: the groups there are, only the cohort knows."""
    if not model.conditions:
        return []
    cohort = Cohort(Path(model.folder))
    told = of_cycles(cohort, cohort.patient_of_each("train"), model.conditions)
    return Conditions.among(told).names


def check_size(name: str, model: Model, size: int | None) -> None:
    """Refuse a size that a model does not go through; None is its last.

    Raises
    ------
    CineganError
    """
    if size not in (None, *model.sizes):
        there = ", ".join(map(str, model.sizes))
        raise CineganError(f"{name}: no networks of size {size}; there are those of {there}")


def told(name: str, model: Model, record: dict[str, Any], budgets: list[str]) -> list[str]:
    """Paragraphs about a model: both networks, the work of a step, and the schedules."""
    networks = build_generator(record), build_discriminator(record)
    counts = passes(model.training, model.network)
    work = sum(n * flops_per_image(one) for n, one in zip(counts, networks, strict=True))
    size = f"{record['size']}x{record['size']}"
    head = f"{name}: {record['architecture']} at {size}, {record['phases']} phases"
    if record["condition_inputs"]:
        head += f"; told of each cycle: {', '.join(record['condition_inputs'])}"
    return [
        head,
        *(_network_table(one) for one in networks),
        f"A step amounts to {counts[0]:.3g} forward passes of the generator and {counts[1]:.3g} of "
        f"the discriminator per image: {work / 1e9:.2f} GFLOP.",
        *(_schedule_table(model, budget) for budget in budgets),
    ]


def draw(folder: Path, name: str, model: Model, record: dict[str, Any], budgets: list[str]) -> None:
    """Draw a model's networks and, if it grows, its schedules; say what was written."""
    sizes = model.sizes
    if model.network.grows and record["size"] > sizes[0]:
        record = record | {"fading": True}
    path = folder / f"{name}.png"
    drawings.write_networks(path, build_generator(record), build_discriminator(record))
    print(path)
    for budget in budgets if model.network.grows else []:
        path = folder / f"{name}-{budget}.png"
        schedule = Schedule.of(model, getattr(model.budgets, budget))
        title = f"{name}, budget {budget}: {schedule.steps:,} steps"
        drawings.write_schedule(path, title, schedule, sizes)
        print(path)


def _network_table(network: Any) -> str:
    rows = outline(network)
    cells = [
        (row.name, _by(row.shape), f"{row.parameters:,}", _mega(row.flops), ", ".join(row.kinds))
        for row in rows
    ]
    total = ("total", "", f"{network.count_params():,}", _mega(flops_per_image(network)), "")
    return _table((network.name, "output", "parameters", "MFLOP", "layers"), [*cells, total])


def _schedule_table(model: Model, budget: str) -> str:
    schedule = Schedule.of(model, getattr(model.budgets, budget))
    cells = [
        (
            _by((level.size, level.size)),
            f"0 to {level.share(level.end):.3g}" if level.fading else "1",
            f"{level.batch}",
            f"{level.steps:,}",
            f"{level.images / 1000:g}",
            f"{level.shown(level.end) / 1000:g}",
        )
        for level in schedule.levels
    ]
    header = (f"budget {budget}", "newest block", "batch", "steps", "from kimg", "to kimg")
    total = ("total", "", "", f"{schedule.steps:,}", "", f"{schedule.kimg(schedule.steps):g}")
    return _table(header, [*cells, total])


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _mega(flops: float) -> str:
    return f"{flops / 1e6:,.1f}"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Columns of equal width, names to the left and numbers to the right, a line below the head."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    words = {0, *(k for k, title in enumerate(header) if title in ("output", "layers"))}

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if k in words else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


if __name__ == "__main__":
    run_command(main)
