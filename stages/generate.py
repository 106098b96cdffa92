"""Labelled synthetic cycles of a share of the patients: data/study/<share>-<seed>."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from cinegan.data import conditions, labels
from cinegan.data.cohort import Cohort
from cinegan.errors import CineganError, run_command
from cinegan.files import atomic_folder, sha256
from cinegan.models import WEIGHTS
from cinegan.params import load_params
from cinegan.sampling import draw_cycles, write_samples
from cinegan.study.arms import fold_of, share_and_seed
from cinegan.tracking.runs import new_run
from cinegan.tracking.store import STUDIES
from cinegan.training.loop import train
from cinegan.training.networks import load_generator


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the share and the seed named in the arguments."""
    params = load_params()
    study, (share, seed) = params.study, share_and_seed(arguments)
    name, model = study.gan, params.model_named(study.gan)
    cohort = Cohort(Path(model.folder))
    fold = fold_of(cohort, study.protocol, share, seed)
    with atomic_folder(Path("data/study") / f"{share}-{seed}") as folder:
        if fold.skipped:
            print(f"{fold.skipped}; skipped")
            return
        if study.protocol == "split" and share == 100:  # the pipeline's own saw these patients
            shutil.copytree(Path("data/samples") / name, folder / "samples")
            return
        if params.devices == "workers":
            raise CineganError(
                "devices: workers train the pipeline's GANs only; for shares below 100 and for "
                "leave_one_out, set it to one or all"
            )
        source, owners = labels.source_for(cohort, model.labels), cohort.cycles_of(fold.learn)
        behind = labels.channels_of(cohort, owners, source)
        told = conditions.of_cycles(cohort, owners, model.conditions)
        sample, known = params.sample, conditions.Conditions.among(told)
        wanted = known.only(sample.groups, sample.levels)
        title = f"{name} of {share} % of the patients, {seed}"
        with new_run(title, STUDIES, monitored=True) as run:
            train(
                lambda size: labels.joint(cohort, owners, size, source),
                owners,
                behind,
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
        drawn = draw_cycles(load_generator(folder / "model"), sample.cycles, params.seed, wanted)
        asked = wanted.draw(params.seed, 0, len(drawn))
        made = {"seed": params.seed, "weights_sha256": sha256(folder / "model" / WEIGHTS)}
        write_samples(folder / "samples", drawn, behind, sample.shown, asked, made)


if __name__ == "__main__":
    run_command(main)
