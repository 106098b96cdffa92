"""`python -m benchmarks NAME [--json]`."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from cinegan.errors import run_command

HELPERS = {"__init__", "__main__", "served", "peer_dcgan64"}


def main(_: object) -> None:
    """Run one benchmark and print its table, or its JSON."""
    names = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in HELPERS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=names, help="what to measure")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )
    arguments = parser.parse_args()
    result = importlib.import_module(f"benchmarks.{arguments.name}").measure()
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        for key, value in result.items():
            print(f"{key}: {value}")


if __name__ == "__main__":
    run_command(main)
