"""Trainings with one switch changed at a time, a few seeds each, judged on val.

Three studies: GANHacks on the original's DCGAN-64; the parts of our own pair, each left out or done
otherwise; and our own pair beside the sketch that it began from. The cohort is that of
`data/ventricles`, as the pipeline left it; no test patient is read.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.ours import PARAMS, THREADS
from cinegan.errors import CineganError

SEEDS = (1, 2, 3)
SAMPLES = 256


class Study(NamedTuple):
    """What is changed, of a network or of its training, and how long each variant trains."""

    model: str
    kimg: float
    variants: dict[str, dict[str, Any]]


STUDIES = {
    "dcgan64": Study(
        model="dcgan64",
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
        model="cinegan64",
        kimg=10.0,
        variants={
            "as it is": {},
            "all harmonics alike": {"smoothness": 0.0},
            "motion not shown": {"motion": 0.0},
            "motion amplified by 4": {"motion": 4.0},
            "no augmentation": {"augment": [], "augment_target": None},
            "no R1": {"r1": 0.0},
            "bent wholly from the start": {"warp_kimg": 0.0},
        },
    ),
    "sketch": Study(
        model="cinegan64",
        kimg=10.0,
        variants={
            "cinegan64": {},
            # With all harmonics alike at first, these are phases in other coordinates.
            "the sketch": {
                "generator": [384, 256, 192, 96, 64],
                "discriminator": [64, 128, 256, 384],
                "smoothness": 0.0,
                "motion": 0.0,
                "batch": 32,
                "augment": ["brightness", "contrast", "translation", "cutout"],
                "augment_strength": 1.0,
                "augment_target": None,
                "warp": 0.0,
            },
        },
    ),
}


def measure(only: str | None = None) -> dict[str, Any]:
    """Train and judge all variants of all studies, or of `only` one."""
    if only is not None and only not in STUDIES:
        raise CineganError(f"no study {only!r}; there are {', '.join(STUDIES)}")
    return {
        name: {
            "real train cycles": _floor(name),
            **{variant: _judged(name, variant) for variant in study.variants},
        }
        for name, study in STUDIES.items()
        if only in (None, name)
    }


def _floor(name: str) -> dict[str, float]:
    """What the train cycles themselves score in the place of samples."""
    from benchmarks.against_val import against_val
    from cinegan.data.cohort import Cohort
    from cinegan.params import load_params

    model = load_params(PARAMS).model_named(STUDIES[name].model)
    cohort = Cohort(PARAMS.parent / model.folder)
    figures = against_val(cohort.split("train", model.size)[0], cohort)
    return {measure: round(value, 2) for measure, value in figures.items()}


def _judged(name: str, variant: str) -> dict[str, Any]:
    runs = []
    for seed in SEEDS:
        runs.append(_against_val(name, variant, seed))
        told = ", ".join(f"{measure} {value:.3g}" for measure, value in runs[-1].items())
        print(f"{name}, {variant}, seed {seed}: {told}", file=sys.stderr, flush=True)
    columns = {measure: [run[measure] for run in runs] for measure in runs[0]}
    return {
        "settings": STUDIES[name].variants[variant],
        **{
            measure: {
                "mean": round(statistics.mean(values), 2),
                "sd": round(statistics.stdev(values), 2),
                "of each seed": [round(value, 2) for value in values],
            }
            for measure, values in columns.items()
        },
    }


def _against_val(name: str, variant: str, seed: int) -> dict[str, float]:
    """Train a variant and judge its samples."""
    from benchmarks.against_val import against_val
    from cinegan.data.cohort import Cohort
    from cinegan.params import Budget, load_params
    from cinegan.sampling import draw_cycles
    from cinegan.tracking.runs import Run
    from cinegan.training.loop import train
    from cinegan.training.networks import load_generator
    from cinegan.training.runtime import configure

    study = STUDIES[name]
    model = load_params(PARAMS).model_named(study.model)
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
    real, patients = cohort.split("train", model.size)
    # What a training says is no part of the result.
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(sys.stderr):
        train(
            lambda size: real,
            patients,
            name="variant",
            model=model,
            budget=Budget(total_kimg=study.kimg, snapshot_kimg=study.kimg),
            seed=seed,
            threads=THREADS,
            devices="one",
            folder=Path("models/variant"),
            curves=Path("training.csv"),
            run=Run(),
        )
        configure(THREADS)
        made = draw_cycles(load_generator(Path("models/variant")), SAMPLES, seed, progress=False)
    return against_val(made, cohort)
