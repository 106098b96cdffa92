"""One arm: who judges is scored, the tables can be compared; without contours all is skipped."""

import numpy as np
import pandas as pd
import pytest

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.errors import CineganError
from cinegan.params import Affine, Photometric, Segmenter
from cinegan.sampling import write_samples
from cinegan.study.analysis import SCORES, compare_arms
from cinegan.study.figure import draw_study
from cinegan.study.judging import Cell, scores_of, write_scores
from stages.study import mean_scores, read_scores

SIDE, PHASES = 16, 4
SPLITS = {"A1": "train", "A2": "train", "A3": "val", "A4": "test", "A5": "test", "A6": "test"}
JUDGED = ("val", "test")
RECIPE = {
    "protocol": "split",
    "segmenter": Segmenter(filters=[4, 8], batch=4, steps=2, learning_rate=1e-2),
    "moves": Affine(rotation_deg=9, translation_mm=1, scale=0.1, shear_deg=1, elastic_mm=0),
    "looks": Photometric(brightness=0.1, contrast=0, gamma=0, shading=0, noise=0, blur_mm=0),
    "seed": 0,
}


def circle(radius):
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.stack([8 + radius * np.cos(angle), 8 + radius * np.sin(angle)], axis=1)


def cohort_in(folder, drawn=True):
    stack = np.random.default_rng(0).integers(0, 900, (2, SIDE, SIDE, PHASES)).astype(np.int16)
    contours = [
        PlacedContour(0, 0, "endo", circle(4)),
        PlacedContour(0, 0, "epi", circle(6)),
        PlacedContour(0, 2, "endo", circle(3)),
    ]
    rows = {"spacing_row_mm": 2.0, "spacing_column_mm": 2.0, "size": SIDE}
    write_cohort(
        folder,
        [
            PatientCycles(
                patient,
                stack,
                [{"patient": patient, "split": split, **rows}] * 2,
                contours if drawn else [],
            )
            for patient, split in SPLITS.items()
        ],
    )
    return Cohort(folder)


def test_all_who_judge_are_scored_and_arms_compared(tmp_path):
    cohort = cohort_in(tmp_path / "cohort")
    tables = []
    for arm in ("none", "classical"):
        cell = Cell(arm, 100, 0)
        scores = scores_of(cell, cohort, **RECIPE)
        assert scores.groupby("split")["patient"].apply(list).to_dict() == {
            "val": ["A3"],
            "test": ["A4", "A5", "A6"],
        }
        write_scores(tmp_path, cell, scores)
        tables.append(read_scores(tmp_path / f"{arm}-100-0.csv"))
        assert set(SCORES) < set(tables[-1].columns)
        assert set(mean_scores(tables[-1])) == {f"{s}_{on}" for s in SCORES for on in JUDGED}
    table = pd.concat(tables)
    found = compare_arms(table[table["split"] == "test"], seed=0)
    assert found["n_patients"] == 3
    assert found["dice_endo_classical_over_none_100"] is not None
    draw_study(tmp_path / "study.png", found, ["none", "classical"], [100])
    first = (tmp_path / "study.png").read_bytes()
    draw_study(tmp_path / "study.png", found, ["none", "classical"], [100])
    assert (tmp_path / "study.png").read_bytes() == first


def test_without_contours_there_is_nothing_to_score(tmp_path, capsys):
    cohort, cell = cohort_in(tmp_path / "cohort", drawn=False), Cell("none", 100, 0)
    scores = scores_of(cell, cohort, **RECIPE)
    assert (
        "no contours, so there is nothing to learn to outline; skipped" in capsys.readouterr().out
    )
    write_scores(tmp_path, cell, scores)
    assert not len(read_scores(tmp_path / "none-100-0.csv"))
    with pytest.raises(CineganError, match="`dvc repro study` makes it"):
        read_scores(tmp_path / "gan-100-0.csv")


def test_an_arm_of_a_gan_without_labels_is_refused(tmp_path):
    cohort = cohort_in(tmp_path / "cohort")
    write_samples(tmp_path / "samples", np.zeros((2, SIDE, SIDE, PHASES), np.uint8), [], 2)
    with pytest.raises(CineganError, match="samples without labels, which cannot teach"):
        scores_of(Cell("gan", 100, 0), cohort, **RECIPE, samples=tmp_path / "samples", ratio=1.0)


def test_a_cell_is_named_by_a_commands_arguments():
    assert Cell.of("classical_gan", "25", "3") == ("classical_gan", 25, 3)
    assert str(Cell.of("none", "100", "0")) == "none-100-0"
