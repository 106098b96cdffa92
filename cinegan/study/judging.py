"""One arm of the study: a segmenter is taught, and judged patient by patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cinegan.data.cohort import Cohort
from cinegan.params import Params
from cinegan.segmentation.frames import of_patients
from cinegan.segmentation.learning import outlined, teach
from cinegan.segmentation.scores import patient_scores
from cinegan.segmentation.synthetic import of_samples
from cinegan.study.arms import ARMS, fold_of
from cinegan.study.cells import Cell


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
