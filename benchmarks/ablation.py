"""Trainings with one switch changed at a time, a few seeds each, judged on val.

Two studies: GANHacks on the original's DCGAN-64, and the parts of our own pair, each left out or
done otherwise. The cohort is that of `data/ventricles`, as the pipeline left it; no test patient is
read.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.ours import PARAMS, THREADS
from cinegan.errors import CineganError

SEEDS = (1, 2, 3)
SAMPLES = 256


class Study(NamedTuple):
    """What is changed, of the network or of its training, and how long each variant trains."""

    kimg: float
    variants: dict[str, dict[str, Any]]


STUDIES = {
    "dcgan64": Study(
        kimg=12.0,
        variants={
            "as the original": {},
            "soft labels": {"label_smoothing": 0.1},
            "label flips": {"label_flips": 0.05},
            "decaying input noise": {"input_noise": 0.2, "input_noise_kimg": 12.0},
            "generator dropout": {"generator_dropout": 0.3},
            "spectral normalisation": {"spectral_normalization": True},
        },
    ),
    "cinegan64": Study(
        kimg=6.0,
        variants={
            "as it is": {},
            "all harmonics alike": {"smoothness": 0.0},
            "motion not shown": {"motion": 0.0},
            "no augmentation": {"augment": [], "augment_target": None},
            "no R1": {"r1": 0.0},
            "batch of 32": {"batch": 32},
        },
    ),
}


def measure(only: str | None = None) -> dict[str, Any]:
    """Train and judge all variants of both studies, or of `only` one."""
    if only is not None and only not in STUDIES:
        raise CineganError(f"no study {only!r}; there are {', '.join(STUDIES)}")
    return {
        name: {variant: _judged(name, variant) for variant in study.variants}
        for name, study in STUDIES.items()
        if only in (None, name)
    }


def _judged(name: str, variant: str) -> dict[str, Any]:
    distances = []
    for seed in SEEDS:
        distances.append(_distance_to_val(name, variant, seed))
        told = f"{name}, {variant}, seed {seed}: {distances[-1]['val']:.1f}"
        print(told, file=sys.stderr, flush=True)
    values = [distance["val"] for distance in distances]
    return {
        "frechet_texture_val": [round(value, 1) for value in values],
        "mean": round(statistics.mean(values), 1),
        "sd": round(statistics.stdev(values), 1),
        "floor": round(distances[0]["floor"], 1),
        "settings": STUDIES[name].variants[variant],
    }


def _distance_to_val(name: str, variant: str, seed: int) -> dict[str, float]:
    """Train a variant; the samples' distance to val, and that of train to val."""
    from cinegan.data.cohort import Cohort
    from cinegan.evaluation.frechet import frechet_at_size
    from cinegan.evaluation.report import standardised_features
    from cinegan.params import Budget, load_params
    from cinegan.sampling import draw_cycles
    from cinegan.tracking import Run
    from cinegan.training.loop import train
    from cinegan.training.networks import load_generator
    from cinegan.training.runtime import configure

    model, study = load_params(PARAMS).model_named(name), STUDIES[name]
    changes = study.variants[variant]
    of_network = {k: v for k, v in changes.items() if k in type(model.network).model_fields}
    of_training = {k: v for k, v in changes.items() if k not in of_network}
    model = model.model_copy(
        update={
            "network": model.network.model_copy(update=of_network),
            "training": model.training.model_copy(update=of_training),
        }
    )
    cohort = Cohort(PARAMS.parent / model.folder)
    real = {split: cohort.split(split, model.size)[0] for split in ("train", "val")}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        train(
            lambda size: real["train"],
            cohort.patient_of_each("train"),
            name="variant",
            model=model,
            budget=Budget(total_kimg=study.kimg, snapshot_kimg=study.kimg),
            seed=seed,
            threads=THREADS,
            devices="one",
            folder=Path("models/variant"),
            curves=Path("training.csv"),
            run=Run(None, ""),
        )
        configure(THREADS)
        made = draw_cycles(load_generator(Path("models/variant")), SAMPLES, seed, progress=False)
    features = standardised_features(made, real)
    count = min(len(cycles) for cycles in (made, *real.values()))

    def distance(one: str, other: str) -> float:
        return frechet_at_size(features[one], features[other], count, draws=20, seed=0).value

    return {"val": distance("synthetic", "val"), "floor": distance("train", "val")}
