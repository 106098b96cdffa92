"""A segmenter of one arm of the study, and its scores: metrics/study/<arm>-<share>-<seed>.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from cinegan.data.cohort import Cohort
from cinegan.data.labels import source_of
from cinegan.errors import run_command
from cinegan.files import atomic_file
from cinegan.params import load_params
from cinegan.segmentation.frames import Frames, of_patients, of_samples
from cinegan.segmentation.learning import outlined, teach
from cinegan.segmentation.scores import patient_scores
from cinegan.study.arms import ARMS, fold_of
from cinegan.training.runtime import configure


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the arm, the share and the seed named in the arguments."""
    params = load_params()
    name, share, seed = arguments[0], *map(int, arguments[1:])
    study, arm = params.study, ARMS[name]
    configure(params.threads)
    cohort = Cohort(Path("data/ventricles"))
    source, size = source_of(cohort), int(cohort.index["size"].iloc[0])
    rows = []
    if source is None:
        print(f"{cohort.folder}: no contours, so there is nothing to learn to outline; skipped")
    else:
        fold = fold_of(cohort, source, study.protocol, share, seed)
        real = of_patients(cohort, fold.learn, size, source)
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
        for split, patients in fold.judge.items():
            for patient in patients:
                cell = {"arm": name, "share": share, "seed": seed}
                scores = judged(network, of_patients(cohort, [patient], size, source))
                rows.append(cell | {"split": split, "patient": patient} | scores)
    table = pd.DataFrame(rows)
    with atomic_file(Path("metrics/study") / f"{name}-{share}-{seed}.csv") as partial:
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    if rows:
        print(table.groupby("split")[["dice_endo", "dice_epi", "distance_mm_endo"]].mean())


def judged(network: keras.Model, frames: Frames) -> dict[str, float]:
    """Scores of one patient's frames."""
    found = outlined(network, frames.cycles)
    return patient_scores(found, frames.maps, frames.known, float(frames.spacing_mm[0]))


if __name__ == "__main__":
    run_command(main)
