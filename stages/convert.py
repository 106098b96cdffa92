"""Raw studies -> cardiac cycles: data/cycles, metrics/convert.json and its contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.conversion import convert
from cinegan.data.deidentify import pseudonym_key
from cinegan.errors import run_command
from cinegan.files import write_json
from cinegan.params import load_params
from cinegan.workspace import main_checkout


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    report = convert(
        Path("data/raw"),
        Path("data/cycles"),
        params.data,
        params.seed,
        sheets=Path("metrics/sheets/cycles"),
        key=lambda: pseudonym_key(main_checkout()),
    )
    write_json(Path("metrics/convert.json"), report)
    print(f"{report['patients']} patients, {report['slices']} slices, {report['frames']} frames")


if __name__ == "__main__":
    run_command(main)
