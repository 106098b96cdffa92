"""A segmenter of one arm of the study, and its scores: metrics/study/<arm>-<share>-<seed>.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cinegan.data.cohort import Cohort
from cinegan.data.labels import source_of
from cinegan.errors import CineganError, run_command
from cinegan.files import atomic_file
from cinegan.params import load_params
from cinegan.segmentation.frames import of_patients, of_samples
from cinegan.segmentation.learning import outlined, teach
from cinegan.segmentation.scores import patient_scores
from cinegan.study.arms import ARMS, subset
from cinegan.training.runtime import configure


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the arm, the share and the seed named in the arguments."""
    params = load_params()
    name, share, seed = arguments[0], *map(int, arguments[1:])
    study, arm = params.study, ARMS[name]
    configure(params.threads)
    cohort = Cohort(Path("data/ventricles"))
    source, size = source_of(cohort), int(cohort.index["size"].iloc[0])
    path = Path("metrics/study") / f"{name}-{share}-{seed}.csv"
    rows = []
    check_apart(cohort)
    if source is None:
        print(f"{cohort.folder}: no contours, so there is nothing to learn to outline; skipped")
    else:
        train = subset(cohort.patient_of_each("train").tolist(), share, seed)
        real = of_patients(cohort, train, size, source)
        samples = Path("data/study") / f"{share}-{seed}" / "samples"
        network = teach(
            real,
            of_samples(samples, float(np.mean(real.spacing_mm))) if arm.synthetic else None,
            study.segmenter,
            moves=study.affine if arm.affine else None,
            looks=study.photometric if arm.photometric else None,
            ratio=study.ratio,
            seed=params.seed + seed,
            name=f"{name} {share} % {seed}",
        )
        for split in ("val", "test"):
            for patient in dict.fromkeys(cohort.patient_of_each(split).tolist()):
                frames = of_patients(cohort, [patient], size, source)
                found = outlined(network, frames.cycles)
                scores = patient_scores(
                    found, frames.maps, frames.known, float(frames.spacing_mm[0])
                )
                rows.append(
                    {"arm": name, "share": share, "seed": seed, "split": split, "patient": patient}
                    | scores
                )
    with atomic_file(path) as partial:
        table = pd.DataFrame(rows)
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    if rows:
        print(table.groupby("split")[["dice_endo", "dice_epi", "distance_mm_endo"]].mean())


def check_apart(cohort: Cohort) -> None:
    """Refuse a cohort with a patient in more than one split."""
    splits = cohort.index.groupby("patient")["split"].nunique()
    if (splits > 1).any():
        raise CineganError(
            f"{cohort.folder}: patient {splits.idxmax()} stands in more than one split; "
            "`dvc repro -f convert` splits anew"
        )


if __name__ == "__main__":
    run_command(main)
