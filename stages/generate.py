"""Labelled synthetic cycles of a share of the train patients: data/study/<share>-<seed>."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cinegan import tracking
from cinegan.data import conditions, labels
from cinegan.data.cohort import Cohort
from cinegan.errors import run_command
from cinegan.files import atomic_folder
from cinegan.params import load_params
from cinegan.sampling import draw_cycles, write_samples
from cinegan.study.arms import subset
from cinegan.training.loop import train
from cinegan.training.networks import load_generator


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the share and the seed named in the arguments."""
    params = load_params()
    share, seed = map(int, arguments)
    name = params.study.gan
    model = params.model_named(name)
    with atomic_folder(Path("data/study") / f"{share}-{seed}") as folder:
        if share == 100:  # the pipeline's own saw the same patients
            shutil.copytree(Path("data/samples") / name, folder / "samples")
            return
        cohort = Cohort(Path(model.folder))
        source = labels.source_for(cohort, model.labels)
        owners = cohort.patient_of_each("train")
        kept = np.isin(owners, subset(owners.tolist(), share, seed))
        names = labels.channels(source, cohort.phases)
        told = conditions.of_cycles(cohort, owners[kept], model.conditions)
        sample, known = params.sample, conditions.Conditions.among(told)
        wanted = known.only(sample.groups, sample.levels)
        with tracking.new_run(f"{name} {share} % of the patients, {seed}") as run:
            train(
                lambda size: labels.joint(cohort, "train", size, source)[kept],
                owners[kept],
                names,
                told,
                name=name,
                model=model,
                budget=getattr(model.budgets, params.budget),
                seed=params.seed + seed,
                threads=params.threads,
                devices=params.devices,
                folder=folder / "model",
                curves=folder / "training.csv",
                run=run,
            )
        generator = load_generator(folder / "model")
        drawn = draw_cycles(generator, sample.cycles, params.seed + seed, wanted)
        asked = wanted.draw(params.seed + seed, 0, len(drawn))
        write_samples(folder / "samples", drawn, names, sample.shown, asked)


if __name__ == "__main__":
    run_command(main)
