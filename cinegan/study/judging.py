"""One arm of the study: a segmenter is taught, and judged patient by patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cinegan.data.cohort import Cohort
from cinegan.data.labels import source_of
from cinegan.files import atomic_file
from cinegan.params import Affine, Photometric, Segmenter
from cinegan.segmentation.frames import of_patients, of_samples
from cinegan.segmentation.learning import outlined, teach
from cinegan.segmentation.scores import patient_scores
from cinegan.study.arms import ARMS, fold_of


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
    def of(cls, arm: str, share: str, seed: str) -> Cell:
        """As a command's arguments name it."""
        return cls(arm, int(share), int(seed))

    def __str__(self) -> str:
        return f"{self.arm}-{self.share}-{self.seed}"


def scores_of(
    cell: Cell,
    cohort: Cohort,
    *,
    protocol: str,
    segmenter: Segmenter,
    moves: Affine,
    looks: Photometric,
    seed: int,
    samples: Path | None = None,
    ratio: float = 0.0,
) -> pd.DataFrame:
    """Teach one segmenter and judge it.

    Parameters
    ----------
    protocol : str
        As `arms.fold_of` has it.
    moves, looks : Affine, Photometric
        For the arms that take them.
    seed : int
        Of the project; the cell's is added.
    samples : Path, optional
        Folder of labelled synthetic cycles, for the arms that take them.
    ratio : float
        Synthetic frames for each real one.

    Returns
    -------
    DataFrame
        A row for each patient who judges: the cell, "split", "patient" and
        `scores.patient_scores`. None where the cohort has no contours.

    Raises
    ------
    CineganError
        As `arms.fold_of`, `frames.of_patients` and `frames.of_samples` do.
    """
    source, arm = source_of(cohort), ARMS[cell.arm]
    if source is None:
        print(f"{cohort.folder}: no contours, so there is nothing to learn to outline; skipped")
        return pd.DataFrame()
    fold = fold_of(cohort, source, protocol, cell.share, cell.seed)
    size = int(cohort.index["size"].iloc[0])
    real = of_patients(cohort, fold.learn, size, source)
    network = teach(
        real,
        of_samples(samples, float(real.spacing_mm.mean())) if samples else None,
        segmenter,
        moves=moves if arm.affine else None,
        looks=looks if arm.photometric else None,
        ratio=ratio,
        seed=seed + cell.seed,
        name=str(cell),
    )
    rows: list[dict[str, Any]] = []
    for split, patients in fold.judge.items():
        for patient in patients:
            frames = of_patients(cohort, [patient], size, source)
            found, spacing_mm = outlined(network, frames.cycles), float(frames.spacing_mm[0])
            scores = patient_scores(found, frames.maps, frames.known, spacing_mm)
            rows.append(cell._asdict() | {"split": split, "patient": patient} | scores)
    return pd.DataFrame(rows)


def write_scores(folder: Path, cell: Cell, scores: pd.DataFrame) -> None:
    """Write a table of `scores_of` into a folder, and print its means."""
    with atomic_file(folder / f"{cell}.csv") as partial:
        scores.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    if len(scores):
        print(scores.groupby("split")[["dice_endo", "dice_epi", "distance_mm_endo"]].mean())
