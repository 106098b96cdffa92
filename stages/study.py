"""The scores of all arms -> what they say: metrics/study.json and, in full, metrics/plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from cinegan.comparison import contest
from cinegan.data.cohort import Cohort
from cinegan.errors import run_command
from cinegan.export.origin import source_of_data
from cinegan.files import atomic_file, read_json, sha256, write_json
from cinegan.model_card import CARD, write_card
from cinegan.models import RECORD, WEIGHTS
from cinegan.params import Params, load_params
from cinegan.sampling import RECORD as SAMPLES_RECORD
from cinegan.study.analysis import compare_arms, headline, mean_scores
from cinegan.study.cells import Cell, read_scores, remove_others
from cinegan.study.figure import draw_study
from cinegan.study.table import table_of
from cinegan.tracking.runs import linked, new_run, run_of_weights
from cinegan.tracking.store import STUDIES, tell

SCORES, GENERATED, METRICS = Path("data/scores"), Path("data/study"), Path("metrics")


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    study, arms = params.study, [*params.study.arms, *params.study.gan_arms]
    cells = [Cell(a, share, s) for a in arms for share in study.shares for s in study.seeds]
    remove_others(SCORES, cells)
    tables = {cell: read_scores(SCORES, cell) for cell in cells}
    scores = pd.concat(tables.values())
    found = compare_arms(scores, study.protocol, params.seed)
    told = table_of(found, arms, study.shares)
    print(found.get("skipped", told))
    plots = METRICS / "plots"
    rows, table, picture = plots / "study.csv", plots / "study.md", plots / "study.png"
    whole = plots / "study.json"
    write_json(METRICS / "study.json", headline(found, arms, study.shares))
    write_json(whole, found)
    with atomic_file(rows) as partial:
        scores.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    with atomic_file(table) as partial:
        partial.write_text(told)
    draw_study(picture, found, arms, study.shares)
    with new_run(f"study of {study.gan}", STUDIES) as run:
        run.params(study.model_dump())
        run.metrics(headline(found, arms, study.shares))
        run.describe(
            "\n\n".join([found.get("skipped", told), *_generators(study.shares, study.seeds)])
        )
        for path in (whole, rows, table, picture):
            run.artifact(path)
        for cell, of_cell in tables.items():
            with new_run(str(cell), STUDIES, within=run) as child:
                child.params(cell._asdict())
                child.metrics(mean_scores(of_cell))
    for share in study.shares:
        for seed in study.seeds:
            _register(params, share, seed, tables)


def _generators(shares: Sequence[int], seeds: Sequence[int]) -> list[str]:
    """Links to the runs whose generators made the synthetic cycles; for the journal alone."""
    cells = [f"{share}-{seed}" for share in shares for seed in seeds]
    made = {cell: GENERATED / cell / "samples" / SAMPLES_RECORD for cell in cells}
    return [
        linked(f"the generator of {cell}", read_json(path)["weights_sha256"])
        for cell, path in made.items()
        if path.exists()
    ]


def _register(params: Params, share: int, seed: int, tables: Mapping[Cell, pd.DataFrame]) -> None:
    """Register the generator that a part of the patients taught, with what it taught in turn.

    What it reads beside the scores is for the journal alone: it may not be here.
    """
    study, name = params.study, params.study.gan
    trained = GENERATED / f"{share}-{seed}" / "model"
    cycles = Path(params.model_named(name).folder)
    cells = [Cell(arm, share, seed) for arm in study.gan_arms]
    if study.protocol == "split" and share == 100:  # the pipeline's own, which `evaluate` registers
        return
    if not any(len(tables[cell]) for cell in cells):  # nobody could be taught
        return
    if missing := [str(folder) for folder in (trained, cycles) if not folder.exists()]:
        tell(f"{name}-{share}-{seed} is not registered, since {missing[0]} is not here")
        return
    record, digest = read_json(trained / RECORD), sha256(trained / WEIGHTS)
    figures = {
        f"{cell.arm}.{key}": value
        for cell in cells
        for key, value in mean_scores(tables[cell]).items()
    }
    told = {"protocol": study.protocol, "share": share, "seed": seed, **figures}
    title = f"{name} of {share} % of the patients, {seed}"
    with (
        TemporaryDirectory() as folder,
        run_of_weights(trained / WEIGHTS, title, kind=STUDIES) as run,
    ):
        card = Path(folder) / CARD
        write_card(card, name, record, digest, source_of_data(Cohort(cycles), params.data.source))
        run.version(
            f"{contest(record)}-study",
            name,
            (trained / WEIGHTS, trained / RECORD, card),
            (record["size"], record["size"], record["phases"]),
            told,
            alias=f"{name}-{share}-{seed}",
            provisional=True,
        )


if __name__ == "__main__":
    run_command(main)
