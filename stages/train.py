"""Real cycles -> a trained pair of networks: models/<name>."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from cinegan.data import conditions, labels
from cinegan.data.cohort import Cohort
from cinegan.errors import run_command
from cinegan.params import load_params
from cinegan.tracking.runs import Run, new_run
from cinegan.training.devices import is_chief
from cinegan.training.loop import train


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the model named in the arguments."""
    params = load_params()
    name = params.model_name(arguments)
    model = params.model_named(name)
    budget = getattr(model.budgets, params.budget)
    cohort = Cohort(Path(model.folder))
    source = labels.source_for(cohort, model.labels)
    owners = cohort.patient_of_each("train")
    told = conditions.of_cycles(cohort, owners, model.conditions)
    journal = (
        new_run(f"{name} {params.budget}", monitored=True)
        if is_chief(params.devices)
        else nullcontext(Run())
    )
    with journal as run:
        train(
            lambda size: labels.joint(cohort, owners, size, source),
            owners,
            labels.channels_of(cohort, owners, source),
            told,
            name=name,
            model=model,
            budget=budget,
            seed=params.seed,
            threads=params.threads,
            devices=params.devices,
            folder=Path("models") / name,
            curves=Path("metrics/plots") / name / "training.csv",
            run=run,
        )


if __name__ == "__main__":
    run_command(main)
