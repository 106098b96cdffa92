"""One arm: who judges is scored, the tables can be compared; without contours all is skipped."""

import shutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from imports import ROOT

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.labels import EXPERT, KINDS, NO_CHANNELS, Channels, channels
from cinegan.errors import CineganError
from cinegan.files import read_json
from cinegan.params import Segmenter, load_params
from cinegan.sampling import write_samples
from cinegan.study import judging
from cinegan.study.analysis import SCORES, compare_arms, mean_scores
from cinegan.study.arms import ARMS, fold_of
from cinegan.study.cells import Cell, read_scores, remove_others, write_scores
from cinegan.study.figure import draw_study
from cinegan.study.judging import scores_of

SIDE, PHASES = 16, 4
SPLITS = {"A1": "train", "A2": "train", "A3": "val", "A4": "test", "A5": "test", "A6": "test"}
JUDGED = ("val", "test")
PARAMS = load_params(ROOT / "params.yaml")
STUDY = PARAMS.study.model_copy(
    update={
        "protocol": "split",
        "segmenter": Segmenter(filters=[4, 8], batch=4, steps=2, learning_rate=1e-2),
        "augmented": 0.25,
        "ratio": 0.5,
    }
)
GAN = PARAMS.models[STUDY.gan].model_copy(update={"size": SIDE})
PARAMS = PARAMS.model_copy(
    update={"seed": 5, "study": STUDY, "models": PARAMS.models | {STUDY.gan: GAN}}
)


def circle(radius):
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.stack([8 + radius * np.cos(angle), 8 + radius * np.sin(angle)], axis=1)


def cohort_in(folder, without=(), others=(), alike=True):
    """Without contours, with others than the ventricle's, and with pictures of their own."""

    def stack_of(patient):
        draw = np.random.default_rng(0 if alike else list(SPLITS).index(patient))
        return draw.integers(0, 900, (2, SIDE, SIDE, PHASES)).astype(np.int16)

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
                stack_of(patient),
                [{"patient": patient, "split": split, **rows}] * 2,
                [PlacedContour(0, 0, "papillary", circle(2))]
                if patient in others
                else []
                if patient in without
                else contours,
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
        scores = scores_of(cell, cohort, PARAMS)
        assert scores.groupby("split")["patient"].apply(list).to_dict() == {
            "val": ["A3"],
            "test": ["A4", "A5", "A6"],
        }
        write_scores(tmp_path, cell, scores)
        tables.append(read_scores(tmp_path, cell))
        assert set(SCORES) < set(tables[-1].columns)
        assert set(mean_scores(tables[-1])) == {f"{s}_{on}" for s in SCORES for on in JUDGED}
    table = pd.concat(tables)
    found = compare_arms(table, "split", 0)
    assert found["n_patients"] == 3
    assert found["dice_endo_classical_over_none_100"] is not None
    draw_study(tmp_path / "study.png", found, ["none", "classical"], [100])
    first = (tmp_path / "study.png").read_bytes()
    draw_study(tmp_path / "study.png", found, ["none", "classical"], [100])
    assert (tmp_path / "study.png").read_bytes() == first


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_taught_by_train_patients_alone_as_it_says_and_judged_on_the_others(
    tmp_path, monkeypatch, arm
):
    cohort, asked, seen = cohort_in(tmp_path / "cohort", alike=False), [], []
    at = {patient: cohort.grey(patient, SIDE).tobytes() for patient in SPLITS}

    def taught(real, synthetic, options, **others):
        asked.append((real, synthetic, others))
        return "network"

    def outlines(network, cycles):
        seen.append(cycles.tobytes())
        return np.zeros((*cycles.shape, len(KINDS)), np.float32)

    monkeypatch.setattr(judging, "teach", taught)
    monkeypatch.setattr(judging, "outlined", outlines)
    given = np.zeros((3, SIDE, SIDE, PHASES + len(EXPERT)), np.uint8)
    given[:, 4:12, 4:12, PHASES:] = 255
    labels = Channels(channels("expert", PHASES), {"ED": [0], "ES": [2]})
    write_samples(tmp_path / "samples", given, labels, 2)
    takes = ARMS[arm]
    samples = tmp_path / "samples" if takes.synthetic else None
    scores_of(Cell(arm, 100, 2), cohort, PARAMS, samples)
    ((real, synthetic, others),) = asked
    assert real.cycles.tobytes() == at["A1"] + at["A2"]
    assert real.spacing_mm.tolist() == [2.0] * 4
    assert (synthetic is not None and len(synthetic.cycles) == 3) == takes.synthetic
    assert others == {
        "moves": STUDY.affine if takes.affine else None,
        "looks": STUDY.photometric if takes.photometric else None,
        "augmented": 0.25,
        "ratio": 0.5 if takes.synthetic else 0.0,
        "seed": 7,
        "name": f"{arm}-100-2",
    }
    assert seen == [at[patient] for patient in ("A3", "A4", "A5", "A6")]


def test_a_patient_with_other_contours_than_the_ventricles_does_not_judge(tmp_path):
    cohort = cohort_in(tmp_path / "cohort", others=("A4",))
    assert fold_of(cohort, "split", 100, 0).judge["test"] == ["A5", "A6"]


def test_without_contours_there_is_nothing_to_score(tmp_path, capsys):
    cohort, cell = cohort_in(tmp_path / "cohort", without=SPLITS), Cell("none", 100, 0)
    scores = scores_of(cell, cohort, PARAMS)
    assert (
        "no contours, so there is nothing to learn to outline; skipped" in capsys.readouterr().out
    )
    write_scores(tmp_path, cell, scores)
    assert not len(read_scores(tmp_path, cell))
    found = compare_arms(read_scores(tmp_path, cell), "split", 0)
    assert "nothing to compare" in found["skipped"]
    draw_study(tmp_path / "study.png", found, ["none", "gan"], [100])
    with pytest.raises(CineganError, match="`dvc repro study` makes it"):
        read_scores(tmp_path, Cell("gan", 100, 0))


def test_the_stages_of_a_study_without_contours_skip_it_and_say_so(tmp_path, monkeypatch, capsys):
    cohort_in(tmp_path / "data/ventricles", without=SPLITS)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    cells = {"generate": ["100", "0"]}
    cells |= {f"segment {arm}": [arm, "100", "0"] for arm in PARAMS.study.arms}
    cells |= {f"segment_gan {arm}": [arm, "100", "0"] for arm in PARAMS.study.gan_arms}
    for stage, arguments in cells.items():
        module = import_module(f"stages.{stage.split()[0]}")
        if hasattr(module, "configure"):  # whose threads cannot change within a process
            monkeypatch.setattr(module, "configure", lambda threads: None)
        module.main(arguments)
        assert "; skipped" in capsys.readouterr().out, stage
    assert list((tmp_path / "data/study/100-0").iterdir()) == []
    import_module("stages.study").main([])
    assert "nothing to compare" in capsys.readouterr().out
    assert "nothing to compare" in read_json(tmp_path / "metrics/study.json")["skipped"]
    assert {path.name for path in (tmp_path / "metrics/plots").iterdir()} == {
        f"study.{kind}" for kind in ("csv", "json", "md", "png")
    }


def test_an_arm_of_a_gan_without_labels_is_refused(tmp_path):
    cohort = cohort_in(tmp_path / "cohort")
    write_samples(tmp_path / "samples", np.zeros((2, SIDE, SIDE, PHASES), np.uint8), NO_CHANNELS, 2)
    with pytest.raises(CineganError, match="samples without labels, which cannot teach"):
        scores_of(Cell("gan", 100, 0), cohort, PARAMS, tmp_path / "samples")


def test_a_cell_is_named_by_a_commands_arguments():
    assert Cell.of(["classical_gan", "25", "3"], synthetic=True) == ("classical_gan", 25, 3)
    assert str(Cell.of(["none", "100", "0"], synthetic=False)) == "none-100-0"
    with pytest.raises(CineganError, match="arm 'gan': there are none, affine, photometric, class"):
        Cell.of(["gan", "25", "3"], synthetic=False)
    with pytest.raises(CineganError, match="arm 'none': there are gan, classical_gan"):
        Cell.of(["none", "25", "3"], synthetic=True)
    with pytest.raises(CineganError, match="arm ''"):
        Cell.of([], synthetic=False)
    with pytest.raises(CineganError, match="name a share"):
        Cell.of(["none", "all"], synthetic=False)


def test_a_val_patient_without_contours_does_not_judge(tmp_path):
    cohort = cohort_in(tmp_path / "cohort", without=("A3",))
    scores = scores_of(Cell("none", 100, 0), cohort, PARAMS)
    assert set(scores["split"]) == {"test"}
    write_scores(tmp_path, Cell("none", 100, 0), scores)


def test_a_patient_may_be_called_NA(tmp_path):  # noqa: N802
    table = pd.DataFrame([{"patient": "NA", "split": "test", "dice_endo": np.nan}])
    write_scores(tmp_path, Cell("none", 100, 0), table)
    assert read_scores(tmp_path, Cell("none", 100, 0))["patient"].tolist() == ["NA"]


def test_scores_of_former_arms_are_removed(tmp_path):
    kept, other = Cell("none", 100, 0), Cell("gan", 25, 0)
    for cell in (kept, other):
        write_scores(tmp_path, cell, pd.DataFrame())
    (tmp_path / ".gitignore").write_text("")
    remove_others(tmp_path, [kept])
    assert sorted(p.name for p in tmp_path.iterdir()) == [".gitignore", "none-100-0.csv"]
