"""One arm of the study: a segmenter is taught, and judged patient by patient."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cinegan.data.cohort import Cohort
from cinegan.errors import CineganError
from cinegan.files import atomic_file
from cinegan.params import Params
from cinegan.segmentation.frames import of_patients
from cinegan.segmentation.learning import outlined, teach
from cinegan.segmentation.scores import patient_scores
from cinegan.segmentation.synthetic import of_samples
from cinegan.study.arms import ARMS, fold_of, share_and_seed


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


def scores_of(
    cell: Cell, cohort: Cohort, params: Params, samples: Path | None = None
) -> pd.DataFrame:
    """Teach one segmenter and judge it.

    Parameters
    ----------
    params : Params
        The study's, whose frames are of the size of its GAN's cycles; the cell's seed is added to
        the project's.
    samples : Path, optional
        Folder of labelled synthetic cycles, for the arms that take them.

    Returns
    -------
    DataFrame
        A row for each patient who judges: the cell, "split", "patient" and
        `scores.patient_scores`. None where nobody can be taught or judged.

    Raises
    ------
    CineganError
        As `arms.fold_of` and `synthetic.of_samples` do.
    """
    study, arm = params.study, ARMS[cell.arm]
    size = params.models[study.gan].size
    fold = fold_of(cohort, study.protocol, cell.share, cell.seed)
    if fold.skipped:
        print(f"{fold.skipped}; skipped")
        return pd.DataFrame()
    real = of_patients(cohort, fold.learn, size)
    network = teach(
        real,
        of_samples(samples, float(real.spacing_mm.mean())) if samples else None,
        study.segmenter,
        moves=study.affine if arm.affine else None,
        looks=study.photometric if arm.photometric else None,
        augmented=study.augmented,
        ratio=study.ratio if samples else 0.0,
        seed=params.seed + cell.seed,
        name=str(cell),
    )
    rows: list[dict[str, Any]] = []
    for split, patients in fold.judge.items():
        for patient in patients:
            frames = of_patients(cohort, [patient], size)
            found, spacing_mm = outlined(network, frames.cycles), float(frames.spacing_mm[0])
            scores = patient_scores(found, frames.maps, frames.known, spacing_mm)
            rows.append(cell._asdict() | {"split": split, "patient": patient} | scores)
    return pd.DataFrame(rows)


def write_scores(folder: Path, cell: Cell, scores: pd.DataFrame) -> None:
    """Write a table of `scores_of` into a folder, and print the means of val.

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
