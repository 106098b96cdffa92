"""Raw archives -> cardiac cycles: data/cycles and metrics/convert.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.data.conversion import convert
from cinegan.errors import run_command
from cinegan.files import write_json
from cinegan.params import load_params


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    report = convert(Path("data/raw"), Path("data/cycles"), params.data, params.seed)
    write_json(Path("metrics/convert.json"), report)
    print(f"{report['patients']} patients, {report['slices']} slices, {report['frames']} frames")


if __name__ == "__main__":
    run_command(main)
