"""Trainings of the study by name, and their scores on disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cinegan.errors import CineganError
from cinegan.files import atomic_file
from cinegan.study.arms import ARMS, share_and_seed


class Cell(NamedTuple):
    """One training of the study.

    Attributes
    ----------
    arm : str
        Of `arms.ARMS`.
    share : int
        Percent of the patients who may teach.
    seed : int
        Which repetition, from 0 on; of a leave-one-out, who is left out.
    """

    arm: str
    share: int
    seed: int

    @classmethod
    def of(cls, arguments: Sequence[str], *, synthetic: bool) -> Cell:
        """As a command's arguments name it.

        Parameters
        ----------
        synthetic : bool
            Whether the arm must take synthetic cycles, or must not.

        Raises
        ------
        CineganError
            If there is no such arm, or share and seed are not whole numbers.
        """
        arm, *others = arguments or [""]
        there = [name for name, what in ARMS.items() if what.synthetic == synthetic]
        if arm not in there:
            raise CineganError(f"arm {arm!r}: there are {', '.join(there)}")
        return cls(arm, *share_and_seed(others))

    def __str__(self) -> str:
        return f"{self.arm}-{self.share}-{self.seed}"


def write_scores(folder: Path, cell: Cell, scores: pd.DataFrame) -> None:
    """Write a table of `judging.scores_of` into a folder, and print the means of val.

    Those of test are for the end.
    """
    with atomic_file(folder / f"{cell}.csv") as partial:
        scores.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    val = scores[scores["split"] == "val"] if len(scores) else scores
    if len(val):
        means = val[["dice_endo", "dice_epi", "distance_mm_endo"]].mean()
        print(f"{cell}, on val: " + ", ".join(f"{key} {mean:.4f}" for key, mean in means.items()))


def read_scores(folder: Path, cell: Cell) -> pd.DataFrame:
    """Read what `write_scores` wrote; nothing where nobody was judged.

    Raises
    ------
    CineganError
        If the cell has not been scored.
    """
    path = folder / f"{cell}.csv"
    try:  # a patient may be called NA
        return pd.read_csv(path, dtype={"patient": str}, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except FileNotFoundError:
        raise CineganError(f"{path}: not found; `dvc repro study` makes it") from None


def remove_others(folder: Path, cells: Collection[Cell]) -> None:
    """Remove scores of former arms, shares and seeds, which DVC can bring back from its cache."""
    kept = {f"{cell}.csv" for cell in cells}
    for path in sorted(folder.glob("*.csv")):
        if path.name not in kept:
            path.unlink()
            print(f"{path}: of no arm, share and seed of this study; removed")
