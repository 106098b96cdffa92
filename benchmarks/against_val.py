"""What choices are made on: cycles, synthetic or changed, judged against those of val patients."""

from __future__ import annotations

import numpy as np

from cinegan.data.cohort import Cohort
from cinegan.evaluation.extractors import MOTION, TEXTURE, patches_of
from cinegan.evaluation.memorization import Threshold, authentic, likeness
from cinegan.evaluation.report import SYNTHETIC, features_of
from cinegan.evaluation.subsamples import Group, at_size

MEASURES = ("frechet", "kid", "precision", "coverage")


def against_val(cycles: np.ndarray, cohort: Cohort) -> dict[str, float]:
    """Figures of cycles (n, size, size, T) uint8; no test patient is read.

    Returns
    -------
    dict
        The shares that are near-copies of train cycles and that are authentic, and each of
        `MEASURES` against val, of texture and of motion, and of patches the sliced Wasserstein
        distance at the finest scale; not those that so few cycles do not tell.
    """
    real = {split: cohort.split(split, cycles.shape[1])[0] for split in ("train", "val")}
    to_train, within = (likeness(each, real["train"]) for each in (cycles, real["train"]))
    threshold = Threshold.fixed_on(real["val"], real["train"], seed=0).value
    figures = {
        "near-copies": float((to_train.max(axis=1) > threshold).mean()),
        "authentic": float(authentic(to_train, within).mean()),
    }
    patients, size = cohort.patient_of_each("val"), min(map(len, (cycles, *real.values())))
    finest = patches_of(cycles.shape[1], seed=0)
    wanted = ((TEXTURE, MEASURES), (MOTION, MEASURES), (finest, finest.measures[1:2]))
    for extractor, measures in wanted:
        features = features_of(cycles, real, extractor)
        judged, reference = Group(features[SYNTHETIC]), Group(features["val"], patients)
        measured = at_size(extractor.measure, (judged, reference), size, draws=20, seed=0)
        figures |= {f"{name} of {extractor.name}": measured[name].value for name in measures}
    return {name: value for name, value in figures.items() if np.isfinite(value)}
