"""The scores of all arms -> what they say: metrics/study.json and, in full, metrics/plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cinegan import tracking
from cinegan.errors import run_command
from cinegan.files import atomic_file, write_json
from cinegan.params import load_params
from cinegan.study.analysis import compare_arms, headline, mean_scores
from cinegan.study.figure import draw_study
from cinegan.study.judging import Cell, read_scores, remove_others
from cinegan.study.table import table_of

SCORES, METRICS = Path("data/scores"), Path("metrics")


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
    with tracking.new_run("study") as run:
        run.params(study.model_dump())
        run.metrics(found)
        for path in (whole, rows, table, picture):
            run.artifact(path)
        for cell, of_cell in tables.items():
            with tracking.new_run(str(cell), within=run) as child:
                child.params(cell._asdict())
                child.metrics(mean_scores(of_cell))


if __name__ == "__main__":
    run_command(main)
