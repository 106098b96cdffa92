"""The scores of all arms -> what they say: metrics/study.json, its table and its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cinegan import tracking
from cinegan.errors import CineganError, run_command
from cinegan.files import atomic_file, write_json
from cinegan.params import load_params
from cinegan.study.analysis import SCORES as COMPARED
from cinegan.study.analysis import compare_arms
from cinegan.study.figure import draw_study
from cinegan.study.table import table_of

SCORES, METRICS = Path("metrics/study"), Path("metrics")


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    study = params.study
    arms = [*study.arms, *study.gan_arms]
    names = [f"{arm}-{share}-{s}" for arm in arms for share in study.shares for s in study.seeds]
    tables = {name: read_scores(SCORES / f"{name}.csv") for name in names}
    scores = pd.concat(tables.values())
    plots = METRICS / "plots"
    rows, table, picture = plots / "study.csv", plots / "study.md", plots / "study.png"
    test = scores[scores["split"] == "test"] if len(scores) else scores
    found = (
        compare_arms(test, params.seed)
        if len(test)
        else {"n_patients": 0, "skipped": "no contours in the cohort, so nothing to outline"}
    )
    write_json(METRICS / "study.json", found)
    with atomic_file(rows) as partial:
        scores.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    told = table_of(found, arms, study.shares)
    with atomic_file(table) as partial:
        partial.write_text(told)
    print(found.get("skipped", told))
    draw_study(picture, found, arms, study.shares)
    with tracking.new_run("study") as run:
        run.params(study.model_dump())
        run.metrics(found)
        for path in (METRICS / "study.json", rows, table, picture):
            run.artifact(path)
        for name, of_one in tables.items():
            with tracking.new_run(name, within=run) as child:
                child.params(dict(zip(("arm", "share", "seed"), name.rsplit("-", 2), strict=True)))
                child.metrics(mean_scores(of_one))


def mean_scores(scores: pd.DataFrame) -> dict[str, float]:
    """Means over the patients of each split, as `<score>_<split>`."""
    if not len(scores):
        return {}
    means = scores.groupby("split")[list(COMPARED)].mean()
    return {f"{s}_{split}": float(means.loc[split, s]) for split in means.index for s in COMPARED}


def read_scores(path: Path) -> pd.DataFrame:
    """One arm's scores; none where the cohort has no contours."""
    try:
        return pd.read_csv(path, dtype={"patient": str})
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except FileNotFoundError:
        raise CineganError(f"{path}: not found; `dvc repro study` makes it") from None


if __name__ == "__main__":
    run_command(main)
