"""The loop: what it leaves, how it stops, and that it goes on to the same bytes."""

from __future__ import annotations

import os
import signal

import numpy as np
import pandas as pd
import pytest
from digests import sha256_of_folder

from cinegan.errors import CineganError
from cinegan.files import read_json
from cinegan.tracking import Run
from cinegan.training import loop
from cinegan.training.step import METRICS, TrainingStep


@pytest.fixture
def train(model, cycles, tmp_path, monkeypatch):
    """Train the tiny pair in a folder of its own; keywords replace what it is given."""
    monkeypatch.chdir(tmp_path)

    def run(name="tiny", **changes):
        given = {
            "name": "tiny",
            "model": model,
            "budget": model.budgets.smoke,
            "seed": 1,
            "threads": 2,
            "folder": tmp_path / name,
            "curves": tmp_path / name / "training.csv",
            "run": Run(None, ""),
        }
        patients = np.array(["a", "b"] * (len(cycles) // 2))
        loop.train(changes.pop("cycles", cycles), patients, **(given | changes))
        return sha256_of_folder(tmp_path / name)

    return run


def stopping_after(monkeypatch, steps, stop):
    """Make training call `stop` after so many steps."""
    whole = TrainingStep.__call__

    def call(self):
        metrics = whole(self)
        if self.step == steps:
            stop()
        return metrics

    monkeypatch.setattr(TrainingStep, "__call__", call)
    return lambda: monkeypatch.setattr(TrainingStep, "__call__", whole)


def test_training_leaves_networks_pictures_curves_and_record(train, tmp_path):
    train()
    record = read_json(tmp_path / "tiny/model.json")
    assert record["architecture"] == "dcgan"
    assert record["train_cycles"] == 10
    assert record["train_patients"] == 2
    curves = pd.read_csv(tmp_path / "tiny/training.csv")
    assert list(curves) == ["kimg", *METRICS]
    assert curves["kimg"].iloc[-1] == pytest.approx(0.04)
    pictures = sorted(path.name for path in (tmp_path / "tiny/snapshots").iterdir())
    assert pictures == ["00000.016.png", "00000.032.png", "00000.040.png"]
    assert not any((tmp_path / ".checkpoints").iterdir())


def test_same_inputs_same_bytes_and_another_seed_others(train):
    assert train("one") == train("two") != train("three", seed=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_goes_on_to_the_same_bytes(train, monkeypatch, capsys, number):
    whole = train("whole")
    restore = stopping_after(monkeypatch, 5, lambda: os.kill(os.getpid(), number))
    with pytest.raises(CineganError, match="interrupted after step 5 of 10; its state is saved"):
        train("stopped")
    restore()
    assert train("stopped") == whole
    assert "goes on from step 5 of 10" in capsys.readouterr().out


def test_a_kill_costs_no_more_than_what_came_after_the_last_state(train, monkeypatch, capsys):
    whole = train("whole")
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", 0)

    def die():
        raise SystemExit(137)  # nothing is saved on the way out

    restore = stopping_after(monkeypatch, 7, die)
    with pytest.raises(SystemExit):
        train("killed")
    restore()
    assert train("killed") == whole
    assert "goes on from step 6 of 10" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn"])
def test_a_damaged_state_is_not_trusted(train, tmp_path, monkeypatch, damage):
    whole = train("whole")
    restore = stopping_after(monkeypatch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(CineganError):
        train("stopped")
    restore()
    next((tmp_path / ".checkpoints").glob("*/state.npz")).write_bytes(damage)
    assert train("stopped") == whole


def test_another_recipe_does_not_take_up_a_state(train, monkeypatch, capsys):
    restore = stopping_after(monkeypatch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(CineganError):
        train("one")
    restore()
    train("two", seed=2)
    assert "goes on" not in capsys.readouterr().out


def test_a_loss_that_is_not_finite_stops_in_one_line(train, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingStep, "__call__", lambda self: np.array([np.nan] * 4))
    with pytest.raises(CineganError, match="a loss is not finite at step 1; lower the learning"):
        train()
    assert not (tmp_path / "tiny").exists()


def test_one_cycle_is_too_few(train, cycles):
    with pytest.raises(CineganError, match=r"1 train cycle\(s\); at least 2 are needed"):
        train(cycles=cycles[:1])
