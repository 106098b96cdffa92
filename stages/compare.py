"""All models side by side: metrics/compare.json, its table and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.comparison import compare
from cinegan.errors import run_command
from cinegan.files import sha256
from cinegan.models import WEIGHTS
from cinegan.params import load_params
from cinegan.tracking.runs import linked, new_run
from cinegan.tracking.store import COMPARISONS

METRICS = Path("metrics")


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    extractor = params.evaluate.extractors[0]
    table = compare(list(params.models), METRICS / "models", METRICS, extractor)
    with new_run("comparison", COMPARISONS) as run:
        for name, row in table.items():
            run.metrics(row, group=name)
        weights = {name: Path("models") / name / WEIGHTS for name in table}
        links = [
            f"- {linked(name, sha256(path))}" for name, path in weights.items() if path.exists()
        ]
        run.describe("\n".join(["Each was judged in the run that trained it:", "", *links]))
        for file in ("compare.json", "plots/compare.csv", "plots/compare.png"):
            run.artifact(METRICS / file)


if __name__ == "__main__":
    run_command(main)
