"""The original's DCGAN-64 with one switch changed at a time, three seeds each, judged on val.

Each training lasts about two minutes of two cores. The cohort is that of `data/ventricles`, as the
pipeline left it; no test patient is read.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

from benchmarks.ours import PARAMS, THREADS
from cinegan.errors import CineganError

SEEDS = (1, 2, 3)
KIMG = 20.0  # about two minutes
SAMPLES = 256
# Of training, but for those that the network's file knows.
SWITCHES: dict[str, dict[str, Any]] = {
    "as the original": {},
    "soft labels": {"label_smoothing": 0.1},
    "label flips": {"label_flips": 0.05},
    "decaying input noise": {"input_noise": 0.2, "input_noise_kimg": KIMG},
    "generator dropout": {"generator_dropout": 0.3},
    "spectral normalisation": {"spectral_normalization": True},
}


def measure(only: str | None = None) -> dict[str, Any]:
    """Train and judge all variants, or `only` one."""
    if only is not None and only not in SWITCHES:
        raise CineganError(f"no variant {only!r}; there are {', '.join(SWITCHES)}")
    return {name: _judged(name) for name in SWITCHES if only in (None, name)}


def _judged(variant: str) -> dict[str, Any]:
    distances = []
    for seed in SEEDS:
        distances.append(_distance_to_val(SWITCHES[variant], seed))
        print(f"{variant}, seed {seed}: {distances[-1]['val']:.1f}", file=sys.stderr, flush=True)
    values = [distance["val"] for distance in distances]
    return {
        "frechet_texture_val": [round(value, 1) for value in values],
        "mean": round(statistics.mean(values), 1),
        "sd": round(statistics.stdev(values), 1),
        "floor": round(distances[0]["floor"], 1),
        "settings": SWITCHES[variant],
    }


def _distance_to_val(changes: dict[str, Any], seed: int) -> dict[str, float]:
    """Train with the changes; the samples' distance to val, and that of train to val."""
    from cinegan.data.cohort import Cohort
    from cinegan.evaluation.frechet import frechet_at_size
    from cinegan.evaluation.report import standardised_features
    from cinegan.params import Budget, load_params
    from cinegan.sampling import draw_cycles
    from cinegan.tracking import Run
    from cinegan.training.loop import train
    from cinegan.training.networks import load_generator
    from cinegan.training.runtime import configure

    model = load_params(PARAMS).model_named("dcgan64")
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
            budget=Budget(total_kimg=KIMG, snapshot_kimg=KIMG),
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
