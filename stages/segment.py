"""A segmenter taught by real frames: its scores, data/scores/<arm>-<share>-<seed>.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.data.cohort import Cohort
from cinegan.errors import run_command
from cinegan.params import load_params
from cinegan.study.cells import Cell, write_scores
from cinegan.study.judging import scores_of
from cinegan.training.runtime import configure


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the arm, the share and the seed named in the arguments."""
    params, cell = load_params(), Cell.of(arguments, synthetic=False)
    configure(params.threads)
    write_scores(
        Path("data/scores"), cell, scores_of(cell, Cohort(Path("data/ventricles")), params)
    )


if __name__ == "__main__":
    run_command(main)
