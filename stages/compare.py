"""All models side by side: metrics/compare.json, its table and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.comparison import compare
from cinegan.errors import run_command


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    compare(Path("metrics/models"), Path("metrics"))


if __name__ == "__main__":
    run_command(main)
