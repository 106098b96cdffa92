"""Synthetic against real cycles -> figures of merit: metrics/models/<name>.json and plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cinegan import figures, tracking
from cinegan.data.cohort import Cohort
from cinegan.errors import run_command
from cinegan.evaluation.memorization import likeness
from cinegan.evaluation.report import (
    copying,
    counts,
    descriptor_table,
    figures_of_merit,
    pool_table,
    standardised_features,
)
from cinegan.files import atomic_file, write_json
from cinegan.models import WEIGHTS
from cinegan.params import load_params

NEAREST_SHOWN = 8  # synthetic cycles in nearest.gif, each below the train cycle nearest to it


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the model named in the arguments."""
    params = load_params()
    name = params.model_name(arguments)
    model = params.model_named(name)
    samples = np.load(Path("data/samples") / name / "cycles.npy")
    size = samples.shape[1]  # of a pair that grows, what its budget reached
    cohort = Cohort(Path(model.folder))
    splits = {split: cohort.split(split, size) for split in ("train", "val", "test")}
    real = {split: cycles for split, (cycles, _) in splits.items()}
    patients = {split: owners for split, (_, owners) in splits.items()}

    report = {"input": model.input, "size": size, **counts(samples, patients)}
    tables = []
    for extractor in params.evaluate.extractors:
        features = standardised_features(samples, real, extractor)
        report |= figures_of_merit(features, patients, seed=params.seed, extractor=extractor)
        tables.append(descriptor_table(features, extractor))
    report |= copying(samples, real, params.seed)

    metrics, plots = Path("metrics/models") / f"{name}.json", Path("metrics/plots") / name
    write_json(metrics, report)
    areas = pool_table(samples, real).pivot(index="phase", columns="set", values="mean")
    for table, file in (
        (pd.concat(tables), "descriptors.csv"),
        (areas.reset_index(), "pool.csv"),
    ):
        with atomic_file(plots / file) as partial:
            table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    figures.write_gif(plots / "heartbeats.gif", figures.real_above_synthetic(real["test"], samples))
    shown = samples[:NEAREST_SHOWN]
    alike = likeness(shown, real["train"]).argmax(axis=1)
    nearest = figures.real_above_synthetic(real["train"][alike], shown, NEAREST_SHOWN)
    figures.write_gif(plots / "nearest.gif", nearest)
    with tracking.run_of_weights(Path("models") / name / WEIGHTS, name) as run:
        run.metrics(report)
        run.artifact(metrics, "evaluation")
        for file in ("descriptors.csv", "pool.csv", "heartbeats.gif", "nearest.gif"):
            run.artifact(plots / file, "evaluation")
    print("\n".join(f"{key}: {value}" for key, value in report.items()))


if __name__ == "__main__":
    run_command(main)
