"""Synthetic against real cycles -> figures of merit: metrics/models/<name>.json, plots, a card."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cinegan.comparison import contest, headline, leading, row_of
from cinegan.data.cohort import Cohort
from cinegan.errors import run_command
from cinegan.evaluation.extractors import chosen
from cinegan.evaluation.judge import judge, pixels_told, write_plots
from cinegan.export.origin import source_of_data
from cinegan.files import read_json, sha256, sha256_of_arrays, write_json
from cinegan.model_card import CARD, write_card
from cinegan.models import RECORD, WEIGHTS
from cinegan.params import load_params
from cinegan.tracking.runs import run_of_weights
from cinegan.training.runtime import configure


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the model named in the arguments."""
    params = load_params()
    name = params.model_name(arguments)
    model, options = params.model_named(name), params.evaluate
    extractor = options.extractors[0]
    configure(params.threads)
    samples = np.load(Path("data/samples") / name / "cycles.npy")
    size = samples.shape[1]  # of a pair that grows, what its budget reached
    cohort = Cohort(Path(model.folder))
    data_source = source_of_data(cohort, params.data.source)
    splits = {split: cohort.split(split, size) for split in ("train", "val", "test")}
    real = {split: cycles for split, (cycles, _) in splits.items()}
    patients = {split: owners for split, (_, owners) in splits.items()}
    extractors = chosen(
        options.names,
        size=size,
        seed=params.seed,
        encoder=Path("data/encoders") / model.input,
        weights=options.inception_weights,
        required=options.required,
    )
    judged = judge(
        samples,
        real,
        patients,
        extractors,
        seed=params.seed,
        centred=model.input == "ventricles",
        extrapolate=options.extrapolate,
    )
    pixels = pixels_told(size, size)
    report = {"input": model.input, "size": size, "pixels": pixels, **judged.report}

    metrics, plots = Path("metrics/models") / f"{name}.json", Path("metrics/plots") / name
    trained, card = Path("models") / name, plots / CARD
    write_json(metrics, report)
    written = write_plots(plots, name, judged._replace(report=report), samples, real, params.seed)
    record = read_json(trained / RECORD)
    write_card(card, name, record, sha256(trained / WEIGHTS), data_source, report)
    row = row_of(report, extractor)
    with run_of_weights(trained / WEIGHTS, name) as run:
        first = headline(row, extractor)
        run.metrics(first, group="figures")
        run.metrics({k: v for k, v in row.items() if k not in first}, group="further figures")
        for path in (metrics, *written):
            run.artifact(path, "evaluation")
        of_test = {"cycles": len(real["test"]), "patients": len(set(patients["test"]))}
        digest = sha256_of_arrays(real["test"])
        run.dataset(f"{model.input}, test, {size}", digest, model.folder, "evaluation", of_test)
        files = (trained / WEIGHTS, trained / RECORD, card)
        run.version(contest(row), name, files, (size, size, record["phases"]), row)
        distance = leading(extractor)
        # Versions of the same floor were judged on the same real cycles.
        real = {key: row[key] for key in (f"{distance}_floor", f"n_compared_{extractor}")}
        run.best(contest(row), f"{distance}_test", real)
    reasons = {key: value for key, value in report.items() if key.endswith("_reason")}
    print("\n".join(f"{key}: {value}" for key, value in report.items() if key not in reasons))
    for reason in dict.fromkeys(reasons.values()):
        print(f"cinegan: some figures are missing: {reason}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
