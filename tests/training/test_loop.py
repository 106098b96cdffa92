"""The loop: what it leaves, how it stops, and that it goes on to the same bytes."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
from contextlib import ExitStack, chdir

import numpy as np
import pandas as pd
import pytest
from digests import sha256_of_folder
from journals import Server, runs_of

from cinegan.data.conditions import Conditions
from cinegan.errors import CineganError
from cinegan.files import read_json
from cinegan.models import dcgan
from cinegan.sampling import draw_cycles
from cinegan.tracking import store
from cinegan.tracking.outbox import kept
from cinegan.tracking.runs import Run, new_run
from cinegan.training import loop, networks
from cinegan.training.checkpoint import Checkpoints
from cinegan.training.networks import load_generator
from cinegan.training.runtime import precision_of
from cinegan.training.step import METRICS, TrainingStep

COUNT = itertools.count()
BROKEN = np.full(len(METRICS), np.nan), False  # what a step that diverges returns
TOLD = pd.DataFrame({"group": ["ill", "well"] * 5, "level": ["base"] * 4 + ["apex"] * 6})


def train_in(folder, name, block, cycles_at, **changes):
    """Train in the current folder; return the hash of what it leaves in `folder`."""
    given = {
        "name": "tiny",
        "model": block,
        "budget": block.budgets.smoke,
        "seed": 1,
        "threads": 2,
        "devices": "one",
        "folder": folder / "models" / name,
        "curves": folder / "models" / name / "training.csv",
        "run": Run(),
    }
    patients = changes.pop("patients", np.array(["a", "b"] * 5))
    loop.train(cycles_at, patients, **(given | changes))
    return sha256_of_folder(folder / "models" / name)


@pytest.fixture(scope="module", autouse=True)
def settled_soon():
    """Statistics are settled in two batches: eight would take a quarter of each training."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(networks, "SETTLING_BATCHES", 2)
        yield


@pytest.fixture
def train(model, cycles_at, tmp_path, monkeypatch):
    """Train the tiny pair in a folder of its own; keywords replace what it is given."""
    monkeypatch.chdir(tmp_path)

    def run(name="tiny", **changes):
        return train_in(tmp_path, name, changes.pop("model", model), cycles_at, **changes)

    return run


@pytest.fixture(scope="module")
def left(model, cycles_at, tmp_path_factory):
    """Folder that the tiny pair's undisturbed training leaves, in a checkout of its own."""
    folder = tmp_path_factory.mktemp("whole")
    with chdir(folder):
        train_in(folder, "whole", model, cycles_at)
    return folder / "models/whole"


@pytest.fixture(scope="module")
def whole(left):
    """Hash of the tiny pair's undisturbed training."""
    return sha256_of_folder(left)


@pytest.fixture
def first(left, tmp_path):
    """The trained tiny pair as `models/first`, to start from."""
    shutil.copytree(left, tmp_path / "models/first")


@pytest.fixture(scope="module")
def left_told(model, cycles_at, tmp_path_factory):
    """Folder that a training leaves that is told what cycles are."""
    folder = tmp_path_factory.mktemp("told")
    with chdir(folder):
        train_in(folder, "told", model, cycles_at, told=TOLD)
    return folder / "models/told"


@pytest.fixture(scope="module")
def stopped(model, cycles_at, tmp_path_factory):
    """Checkout in which the tiny pair's training was stopped after step 6 of 10."""
    folder = tmp_path_factory.mktemp("stopped")
    with chdir(folder), pytest.MonkeyPatch.context() as patched:
        stopping_after(patched, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(CineganError, match="interrupted after step 6 of 10"):
            train_in(folder, "stopped", model, cycles_at)
    return folder


@pytest.fixture
def state(stopped, tmp_path):
    """File of the state of that training, brought to where a test trains."""
    shutil.copytree(stopped / ".checkpoints", tmp_path / ".checkpoints")
    return next((tmp_path / ".checkpoints").glob("*/state.npz"))


@pytest.fixture(scope="module")
def whole_growing(growing_model, cycles_at, tmp_path_factory):
    """Folder of the growing pair's undisturbed training, and its hash."""
    folder = tmp_path_factory.mktemp("growing")
    with chdir(folder):
        return folder / "models/whole", train_in(folder, "whole", growing_model, cycles_at)


def stopping_after(monkeypatch, steps, stop):
    """Make training call `stop` after so many steps."""
    whole = TrainingStep.__call__

    def call(self, *arguments):
        told = whole(self, *arguments)
        if self.done == steps:
            stop()
        return told

    monkeypatch.setattr(TrainingStep, "__call__", call)
    return lambda: monkeypatch.setattr(TrainingStep, "__call__", whole)


def test_training_leaves_networks_pictures_curves_and_record(left):
    record = read_json(left / "model.json")
    assert record["architecture"] == "dcgan"
    assert record["train_cycles"] == 10
    assert record["train_patients"] == 2
    assert record["training"]["precision"] == precision_of("auto")
    curves = pd.read_csv(left / "training.csv")
    assert list(curves) == ["kimg", "size", *METRICS]
    assert curves["kimg"].iloc[-1] == pytest.approx(0.04)
    pictures = sorted(path.name for path in (left / "snapshots").iterdir())
    assert pictures == ["00000.016.png", "00000.032.png", "00000.040.png"]
    assert not any((left.parents[1] / ".checkpoints").iterdir())


def test_same_inputs_same_bytes_and_another_seed_others(train, whole):
    assert whole == train("again") != train("other", seed=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_goes_on_to_the_same_bytes(
    train, whole, monkeypatch, capsys, number
):
    restore = stopping_after(monkeypatch, 5, lambda: os.kill(os.getpid(), number))
    with pytest.raises(CineganError, match="interrupted after step 6 of 10; its state is saved"):
        train("stopped")
    restore()
    assert train("stopped") == whole
    assert "goes on from step 6 of 10" in capsys.readouterr().out


def test_a_stop_after_the_last_step_is_too_late(train, whole, monkeypatch):
    restore = stopping_after(monkeypatch, 10, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert train("done") == whole
    restore()


def test_a_kill_costs_no_more_than_what_came_after_the_last_state(
    train, whole, monkeypatch, capsys
):
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)

    def die():
        raise SystemExit(137)  # nothing is saved on the way out

    restore = stopping_after(monkeypatch, 7, die)
    with pytest.raises(SystemExit):
        train("killed")
    restore()
    assert train("killed") == whole
    assert "goes on from step 6 of 10" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn"])
def test_a_damaged_state_is_not_trusted(train, whole, state, damage):
    state.write_bytes(damage)
    assert train("stopped") == whole


@pytest.mark.parametrize(("seed", "step"), [(1, 7), (2, 1)])
def test_another_recipe_does_not_take_up_a_state(train, state, monkeypatch, capsys, seed, step):
    monkeypatch.setattr(TrainingStep, "__call__", lambda self, *_: BROKEN)
    with pytest.raises(CineganError, match=f"not finite at step {step};"):
        train("stopped", seed=seed)
    assert ("goes on" in capsys.readouterr().out) == (seed == 1)


@pytest.mark.parametrize("stop", [1, 3])
def test_a_growing_pair_goes_on_from_any_step_to_the_same_bytes(
    train, whole_growing, growing_model, monkeypatch, capsys, stop
):
    """After step 2, the end of a level, and after step 4, within a fade."""
    restore = stopping_after(monkeypatch, stop, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(CineganError, match=f"interrupted after step {stop + 1} of 14"):
        train("stopped", model=growing_model)
    restore()
    assert train("stopped", model=growing_model) == whole_growing[1]
    assert f"goes on from step {stop + 1} of 14" in capsys.readouterr().out


def test_a_growing_pair_ends_at_its_full_size_or_where_its_budget_ends(
    train, whole_growing, growing_model, tmp_path, capsys
):
    whole, _ = whole_growing
    record = read_json(whole / "model.json")
    assert (record["size"], record["fading"], record["grows_to"]) == (16, False, 16)
    curves = pd.read_csv(whole / "training.csv")
    assert curves["size"].tolist() == [4] * 2 + [8] * 5 + [16] * 7
    short = growing_model.budgets.smoke.model_copy(update={"total_kimg": 0.016})
    train("short", model=growing_model, budget=short)
    assert "growing 4x4, 8x8; which ends before 16x16" in capsys.readouterr().out
    record = read_json(tmp_path / "models/short/model.json")
    assert (record["size"], record["fading"], record["grows_to"]) == (8, True, 16)
    generator = load_generator(tmp_path / "models/short")
    assert generator.output_shape[1:3] == (8, 8)
    assert float(generator.get_layer("fade").share) == pytest.approx(1 / 3)  # of the second of 3


def test_training_goes_on_from_the_weights_of_another(train, first, model, tmp_path):
    block = model.model_copy(update={"start_from": "models/first"})
    short = model.budgets.smoke.model_copy(update={"total_kimg": 0.004})
    train("second", model=block, budget=short)
    train("fresh", budget=short)
    before, after, fresh = (
        load_generator(tmp_path / "models" / name).get_weights()
        for name in ("first", "second", "fresh")
    )

    def distance(a, b):
        return sum(float(np.abs(x - y).sum()) for x, y in zip(a, b, strict=True))

    assert 0 < distance(before, after) < distance(before, fresh) / 2


def test_a_growing_pair_goes_on_at_the_size_it_had(train, whole_growing, growing_model, tmp_path):
    shutil.copytree(whole_growing[0], tmp_path / "models/first")
    block = growing_model.model_copy(update={"start_from": "models/first"})
    short = growing_model.budgets.smoke.model_copy(update={"total_kimg": 0.004})
    train("second", model=block, budget=short)
    assert read_json(tmp_path / "models/second/model.json")["size"] == 16
    first, second = (load_generator(tmp_path / "models" / name) for name in ("first", "second"))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        # One step of Adam moves a weight by its learning rate, and the average by less.
        assert np.abs(a - b).max() <= 1e-3


def test_a_growing_pair_that_is_told_what_cycles_are_goes_on_to_the_same_bytes(
    train, growing_model, tmp_path, monkeypatch
):
    """After step 4 of 7, within the fade to 8x8, which is grown to here."""
    short = growing_model.budgets.smoke.model_copy(update={"total_kimg": 0.028})
    given = {"model": growing_model, "budget": short, "told": TOLD}
    expected = train("whole", **given)
    restore = stopping_after(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(CineganError, match="interrupted after step 4 of 7"):
        train("stopped", **given)
    restore()
    assert train("stopped", **given) == expected
    record = read_json(tmp_path / "models/whole/model.json")
    names = ["group ill", "group well", "level base", "level apex"]
    assert record["condition_inputs"] == names
    known = Conditions(record["condition_counts"])
    assert known.names == names
    assert known.counts[-1] == {"group": "well", "level": "base", "cycles": 2}
    generator = load_generator(tmp_path / "models/whole")
    ill, well = (draw_cycles(generator, 8, 0, known.only([g], [])) for g in ("ill", "well"))
    assert not np.array_equal(ill, well)


def test_what_each_cycle_is_told_to_be_belongs_to_the_recipe(train, left_told, tmp_path):
    other = TOLD.iloc[::-1].reset_index(drop=True)
    assert Conditions.among(other).names == Conditions.among(TOLD).names
    assert sha256_of_folder(left_told) != train("other", told=other)
    records = [read_json(each / "model.json") for each in (left_told, tmp_path / "models/other")]
    assert records[0]["train_sha256"] != records[1]["train_sha256"]


def test_training_goes_on_from_a_pair_that_is_told_the_same(train, left_told, model, tmp_path):
    shutil.copytree(left_told, tmp_path / "models/first")
    block = model.model_copy(update={"start_from": "models/first"})
    short = model.budgets.smoke.model_copy(update={"total_kimg": 0.004})
    train("second", model=block, budget=short, told=TOLD)
    with pytest.raises(CineganError, match=r"has condition_inputs .*, this model \[\]; start"):
        train("third", model=block)


def test_weights_of_other_networks_are_refused(train, first, model, growing_model):
    block = growing_model.model_copy(update={"start_from": "models/first"})
    with pytest.raises(CineganError, match="start_from: models/first has architecture dcgan, this"):
        train("second", model=block)
    block = model.model_copy(update={"start_from": "models/none"})
    with pytest.raises(CineganError, match="not found; `dvc repro train@none` trains it"):
        train("second", model=block)


def test_a_loss_that_is_not_finite_stops_in_one_line(train, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingStep, "__call__", lambda self, *_: BROKEN)
    with pytest.raises(
        CineganError, match="loss_discriminator is not finite at step 1; lower the learning"
    ):
        train()
    assert not (tmp_path / "models/tiny").exists()


def test_a_state_that_is_not_finite_is_never_written(train, monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)

    whole = TrainingStep.state
    spoiled = {"generator/dense/kernel": np.array([np.nan], "float32")}
    calls = []

    def state(self):
        calls.append(self.done)
        return whole(self) | (spoiled if self.done == 3 else {})

    monkeypatch.setattr(TrainingStep, "state", state)
    expected = r"generator/dense/kernel is not finite; .*the last good state is .*state\.npz"
    with pytest.raises(CineganError, match=expected):
        train()
    assert calls == [1, 2, 3]


def test_a_last_update_that_is_not_finite_leaves_no_model(train, tmp_path, monkeypatch):
    whole = TrainingStep.state
    spoiled = {"generator/dense/kernel": np.array([np.nan], "float32")}
    monkeypatch.setattr(TrainingStep, "state", lambda self: whole(self) | spoiled)
    with pytest.raises(CineganError, match="generator/dense/kernel is not finite; lower the learn"):
        train()
    assert not (tmp_path / "models/tiny").exists()


def test_weights_are_not_taken_from_layers_of_other_names(train, first, model, monkeypatch):
    block = model.model_copy(update={"start_from": "models/first"})
    named = dcgan.discriminator
    monkeypatch.setattr(dcgan, "discriminator", lambda *_: renamed(named(*_)))
    with pytest.raises(CineganError, match="start_from: the trained discriminator has no conv_0_"):
        train("second", model=block)


def renamed(network):
    """Let each network that is built name its variables anew, as layers without a name do."""
    for v in network.variables:
        v._path = f"{v.path.replace('/', f'_{next(COUNT)}/')}"
    return network


def test_one_cycle_is_too_few(train):
    with pytest.raises(CineganError, match=r"1 train cycle\(s\); at least 2 are needed"):
        train(patients=np.array(["a"]))


def test_a_state_stays_until_all_is_told(train, monkeypatch):
    told = []

    class Told(Run):
        def tags(self, values):
            told.extend(values)

        def artifact(self, path, folder=None):
            told.append(path.name)

    monkeypatch.setattr(Checkpoints, "delete", lambda self: told.append("the state goes"))
    train(run=Told())
    assert told == ["weights_sha256", "tiny", "training.csv", "the state goes"]


def test_a_server_that_goes_and_comes_back_costs_a_training_nothing(
    train, whole, left, blank_store, tmp_path_factory, monkeypatch, capsys
):
    server = Server(tmp_path_factory.mktemp("server"), blank_store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(store, "PAUSE", 0)  # who did not answer is asked again at once
    monkeypatch.setattr(store, "PATIENCE", 0)
    with ExitStack() as running:
        running.enter_context(server.running())
        stopping_after(monkeypatch, 3, running.close)
        stopping_after(monkeypatch, 7, lambda: running.enter_context(server.running()))
        with new_run("tiny", monitored=True) as run:
            assert train(run=run) == whole
        client, (found,) = runs_of(server.url)
        loss = client.get_metric_history(found.info.run_id, "training/loss_generator")
        size = client.get_metric_history(found.info.run_id, "training/size")
        files = client.list_artifacts(found.info.run_id)
        pictures = client.list_artifacts(found.info.run_id, "images")
    told = capsys.readouterr().err
    assert told.count("going on, what it does not have is kept") == 1
    assert told.count("answers again, and has all that was kept") == 1
    curves = pd.read_csv(left / "training.csv")
    assert [point.step for point in loss] == (1000 * curves["kimg"]).round().tolist()
    assert [point.value for point in loss] == pytest.approx(curves["loss_generator"], rel=1e-5)
    assert [point.value for point in size] == curves["size"].tolist()
    assert found.info.status == "FINISHED"
    assert "system/cpu_utilization_percentage" in found.data.metrics
    assert {"model", "images"} <= {file.path for file in files}
    assert {re.search(r"step\W(\d+)", each.path)[1] for each in pictures} == {"16", "32", "40"}
    assert kept() == []
