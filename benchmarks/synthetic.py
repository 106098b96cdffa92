"""Why synthetic frames help a segmenter, or do not: labels, use alone, number and variety.

On the cohort and the samples in the workspace, with the study's recipe, judged on val patients:
nothing here reads test. Each line is one training; all but those which ask how many frames
classical augmentation should change are without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ours import PARAMS
from cinegan.data.cohort import Cohort
from cinegan.data.labels import KINDS
from cinegan.errors import CineganError
from cinegan.params import load_params
from cinegan.segmentation.frames import Frames, of_patients
from cinegan.segmentation.learning import outlined, teach
from cinegan.segmentation.scores import dice, patient_scores
from cinegan.segmentation.synthetic import of_samples
from cinegan.study.arms import fold_of
from cinegan.training.runtime import configure

RATIOS = (1 / 3, 1.0, 3.0)
COUNTS = (16, 64)
AUGMENTED = (0.25, 0.5, 1.0)
SHOWN = ("dice_endo", "dice_epi", "distance_mm_endo")


def measure() -> dict[str, Any]:
    """Teach on real frames, on synthetic ones, and on mixtures."""
    params = load_params(PARAMS)
    root, study = PARAMS.parent, params.study
    configure(params.threads)
    cohort = Cohort(root / "data/ventricles")
    size = params.model_named(study.gan).size
    fold = fold_of(cohort, "split", 100, 0)
    if fold.skipped:
        raise CineganError(fold.skipped)
    train, val = (
        [of_patients(cohort, [patient], size) for patient in patients]
        for patients in (fold.learn, fold.judge["val"])
    )
    real = joined(train)
    synthetic = of_samples(root / "data/samples" / study.gan, float(real.spacing_mm.mean()))

    def taught(
        frames: Frames, beside: Frames | None = None, ratio: float = 1.0, augmented: float = 0.0
    ) -> Any:
        return teach(
            frames,
            beside,
            study.segmenter,
            moves=study.affine if augmented else None,
            looks=study.photometric if augmented else None,
            augmented=augmented,
            ratio=ratio,
            seed=params.seed,
        )

    def told(network: Any) -> dict[str, float]:
        scores = [
            patient_scores(outlined(network, f.cycles), f.maps, f.known, float(f.spacing_mm[0]))
            for f in val
        ]
        return {key: round(float(np.nanmean([s[key] for s in scores])), 4) for key in SHOWN}

    of_real = taught(real)
    return {
        "agreement of synthetic labels with a segmenter of real frames": agreement(
            of_real, synthetic
        ),
        "agreement of val labels with it": agreement(of_real, joined(val)),
        "real frames alone": told(of_real),
        "synthetic frames alone": told(taught(synthetic)),
        "synthetic for each real": {
            f"{ratio:.2g}": told(taught(real, synthetic, ratio)) for ratio in RATIOS
        },
        "share of real frames that classical augmentation changes": {
            share: told(taught(real, augmented=share)) for share in AUGMENTED
        },
        "synthetic cycles to draw frames from, one for each real": {
            count: told(taught(real, first(synthetic, count), 1.0)) for count in COUNTS
        },
    }


def agreement(network: Any, frames: Frames) -> dict[str, float]:
    """Dice between maps and what a network makes of their frames, all together, each kind."""
    found = outlined(network, frames.cycles) > 0.5
    true = frames.maps > 127
    scores = {}
    for k, kind in enumerate(KINDS):
        rows, phases = np.nonzero(frames.known[..., k])
        scores[kind] = round(dice(found[rows, :, :, phases, k], true[rows, :, :, phases, k]), 4)
    return scores


def first(frames: Frames, count: int) -> Frames:
    """The first cycles."""
    return Frames(*(array[:count] for array in arrays(frames)))


def joined(parts: list[Frames]) -> Frames:
    """All frames as one set."""
    return Frames(*(np.concatenate(each) for each in zip(*map(arrays, parts), strict=True)))


def arrays(frames: Frames) -> tuple[np.ndarray, ...]:
    """A set's arrays in the order of its attributes."""
    return frames.cycles, frames.maps, frames.known, frames.spacing_mm
