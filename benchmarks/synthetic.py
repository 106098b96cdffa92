"""Why synthetic frames help a segmenter, or do not: pictures, outlines, labels, number, variety.

On the cohort in the workspace and the labelled cycles of its study's first share and seed, with
the study's recipe, judged on val patients: nothing here reads test. Each line is one training;
all but those which ask how many frames classical augmentation should change are without it.
Agreement is asked at the moments at which synthetic cycles have outlines, of val patients, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.ours import PARAMS
from cinegan.data.cohort import Cohort
from cinegan.data.labels import KINDS, labels_of
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
    share, seed = study.shares[0], study.seeds[0]
    fold = fold_of(cohort, "split", share, seed)
    if fold.skipped or not fold.judge["val"]:
        raise CineganError(fold.skipped or "no val patient has contours; change data.split")
    judges = fold.judge["val"]
    real = of_patients(cohort, fold.learn, size)
    val = [of_patients(cohort, [patient], size) for patient in judges]
    synthetic = of_samples(
        root / "data/study" / f"{share}-{seed}" / "samples", float(real.spacing_mm.mean())
    )

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
            seed=params.seed + seed,
        )

    def told(network: Any) -> dict[str, float]:
        scores = [
            patient_scores(outlined(network, f.cycles), f.maps, f.known, float(f.spacing_mm[0]))
            for f in val
        ]
        return {key: round(float(np.nanmean([s[key] for s in scores])), 4) for key in SHOWN}

    def at_moments(frames: Frames, patients: list[str]) -> Frames:
        known = [labels_of(cohort, patient, size, "expert").known for patient in patients]
        return replace(frames, known=frames.known & np.concatenate(known))

    of_real = taught(real)
    found = np.rint(255 * outlined(of_real, synthetic.cycles)).astype(np.uint8)
    relabelled = replace(synthetic, maps=found)
    everywhere = replace(relabelled, known=np.ones_like(synthetic.known))
    return {
        "taught by": {
            "real frames": told(of_real),
            "real frames, labelled at the experts' moments alone": told(
                taught(at_moments(real, fold.learn))
            ),
            "synthetic frames": told(taught(synthetic)),
            "synthetic frames, outlined by the segmenter of real ones": told(taught(relabelled)),
            "the same, outlined at all phases": told(taught(everywhere)),
        },
        "agreement with the segmenter of real frames": {
            "synthetic outlines": agreement(of_real, synthetic),
            "val outlines": agreement(of_real, at_moments(joined(val), judges)),
        },
        "synthetic for each real": {
            f"{ratio:.2g}": told(taught(real, synthetic, ratio)) for ratio in RATIOS
        },
        "the same number, outlined by the segmenter of real ones at all phases": {
            f"{ratio:.2g}": told(taught(real, everywhere, ratio)) for ratio in RATIOS
        },
        "synthetic cycles to draw frames from, one for each real": {
            count: told(taught(real, first(synthetic, count), 1.0)) for count in COUNTS
        },
        "share of real frames that classical augmentation changes": {
            share: told(taught(real, augmented=share)) for share in AUGMENTED
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
