"""All models side by side: metrics/compare.json, its table and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan import tracking
from cinegan.comparison import compare, contest, leading
from cinegan.errors import run_command
from cinegan.params import load_params

METRICS = Path("metrics")


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    extractor = params.evaluate.extractors[0]
    table = compare(list(params.models), METRICS / "models", METRICS, extractor)
    with tracking.new_run("comparison") as run:
        for name, row in table.items():
            run.metrics({f"{name}/{key}": value for key, value in row.items()})
        for file in ("compare.json", "plots/compare.csv", "plots/compare.png"):
            run.artifact(METRICS / file)
    distance = leading(extractor)
    for row in table.values():
        # Versions of the same floor were judged on the same real cycles.
        real = {key: row[key] for key in (f"{distance}_floor", f"n_compared_{extractor}")}
        tracking.mark_best(contest(row), f"{distance}_test", real)


if __name__ == "__main__":
    run_command(main)
