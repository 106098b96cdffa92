"""`python -m benchmarks NAME [--only PART] [--json]`."""

from __future__ import annotations

import argparse
import importlib
import json
from typing import Any

from cinegan.errors import run_command

BENCHMARKS = (
    "ablation", "bending", "checkpoints", "conversion", "copies", "frechet", "heart", "kills",
    "phantom", "resolutions", "sensitivity", "serving", "sweeps", "synthetic", "training",
)  # fmt: skip
IN_PARTS = ("ablation", "checkpoints", "kills", "resolutions", "serving", "training")


def main(_: object) -> None:
    """Run one benchmark and print its table, or its JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS, help="what to measure")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    parser.add_argument("--only", metavar="PART", help="nothing but this part")
    arguments = parser.parse_args()
    if arguments.only and arguments.name not in IN_PARTS:
        parser.error(f"{arguments.name} is measured as a whole")
    options = {"only": arguments.only} if arguments.only else {}
    result = importlib.import_module(f"benchmarks.{arguments.name}").measure(**options)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result)


def _print(result: dict[str, Any], indent: str = "") -> None:
    for key, value in result.items():
        if isinstance(value, dict):
            print(f"{indent}{key}:")
            _print(value, indent + "  ")
        else:
            print(f"{indent}{key}: {value}")


if __name__ == "__main__":
    run_command(main)
