"""The journal in a real store: one run of each kind, and what people compare."""

from __future__ import annotations

import json
import subprocess
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from journals import mark_best, runs_of

from cinegan.files import sha256
from cinegan.tracking import machine
from cinegan.tracking.outbox import PARENT_TAG
from cinegan.tracking.runs import Run, linked, new_run, run_of_weights
from cinegan.tracking.store import COMPARISONS, NOTE_TAG, STUDIES, WEIGHTS_TAG


def record_something(folder):
    """A training, which is then judged."""
    weights = folder / "generator.weights.h5"
    weights.write_bytes(b"weights")
    with new_run("dcgan64 smoke") as run:
        run.params({"training": {"batch": 32}, "seed": 1})
        run.dataset("ventricles, train", "ab" * 32, "data/ventricles", "training", {"cycles": 6})
        run.metrics({"loss": 0.5, "ok": True, "none": None}, kimg=0.032, group="training")
        run.picture(np.zeros((4, 6), np.uint8), "samples", 0.032)
        run.artifact(weights, "model")
        run.tags({WEIGHTS_TAG: sha256(weights)})
    with run_of_weights(weights, "dcgan64") as run:
        run.metrics({"kid": 7.0})
    return weights


def test_a_run_lands_in_the_store_of_the_main_checkout_also_from_a_copy(checkout, monkeypatch):
    copy = checkout / ".dvc/tmp/exps/tmpabc"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    record_something(copy)
    client, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.info.status == "FINISHED"
    assert run.data.params == {"training.batch": "32", "seed": "1"}
    assert run.data.metrics == {"training/loss": 0.5, "kid": 7.0}
    assert client.get_metric_history(run.info.run_id, "training/loss")[0].step == 32
    assert {a.path for a in client.list_artifacts(run.info.run_id)} == {"images", "model"}
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("ventricles, train", "ab" * 8)
    assert json.loads(data.dataset.source) == {"uri": "data/ventricles"}
    assert json.loads(data.dataset.profile) == {"cycles": 6}
    assert [(tag.key, tag.value) for tag in data.tags] == [("mlflow.data.context", "training")]
    assert (checkout / "mlartifacts").is_dir()
    assert not (copy / "mlflow.db").exists()
    assert not (checkout / ".mlflow-unsent").exists()


def test_weights_without_a_run_get_one(checkout):
    weights = checkout / "w.h5"
    weights.write_bytes(b"restored from the cache")
    for value in (1.0, 2.0):
        with run_of_weights(weights, "dcgan64") as run:
            run.metrics({"kid": value})
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert (run.data.tags["restored"], run.info.status) == ("true", "FINISHED")
    assert run.data.metrics == {"kid": 2.0}


def test_the_newest_run_of_the_same_weights_is_added_to(checkout):
    record_something(checkout)
    time.sleep(0.01)
    weights = record_something(checkout)
    _, (first, second) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert "kid" in first.data.metrics
    assert "kid" in second.data.metrics
    where = f"#/experiments/{second.info.experiment_id}/runs/{second.info.run_id}"
    assert linked("dcgan64", sha256(weights)) == f"[dcgan64]({where})"
    assert linked("nobody", "0" * 64) == "nobody"


def test_an_experiment_adds_to_its_own_run_of_weights_that_others_trained_too(
    checkout, monkeypatch
):
    for name in ("brave-heart", "slow-heart"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        weights = record_something(checkout)
        time.sleep(0.01)
    monkeypatch.setenv("DVC_EXP_NAME", "brave-heart")
    with run_of_weights(weights, "dcgan64") as run:
        run.metrics({"fid": 3.0})
    _, runs = runs_of(f"sqlite:///{checkout}/mlflow.db")
    own, other = sorted(runs, key=lambda run: run.data.tags["dvc_exp_name"])
    assert (own.data.metrics["fid"], "fid" in other.data.metrics) == (3.0, False)
    assert own.info.run_id in linked("dcgan64", sha256(weights))


def test_a_failed_training_is_a_failed_run(checkout):
    with pytest.raises(ValueError, match="boom"), new_run("x"):
        raise ValueError("boom")
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.info.status == "FAILED"


def test_a_study_is_one_run_with_others_nested_in_it(checkout):
    with new_run("study", STUDIES) as study:
        study.metrics({"dice": 0.9})
        for name in ("none-100-0", "gan-100-0"):
            with new_run(name, STUDIES, within=study) as arm:
                arm.metrics({"dice": 0.8})
    client, (run, *arms) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.info.run_name == "study"
    assert sorted(arm.info.run_name for arm in arms) == ["gan-100-0", "none-100-0"]
    assert {arm.data.tags[PARENT_TAG] for arm in arms} == {run.info.run_id}
    assert {arm.info.status for arm in arms} == {"FINISHED"}
    assert {each.info.experiment_id for each in (run, *arms)} == {
        client.get_experiment_by_name(STUDIES).experiment_id
    }


def test_git_dvc_and_the_command_are_recorded(checkout, monkeypatch):
    def git(*words):
        subprocess.run(["git", *words], check=True, capture_output=True)

    git("init", "-q")
    (checkout / "params.yaml").write_text("seed: 4\n")
    git("add", "params.yaml")
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "a")
    (checkout / "params.yaml").write_text("seed: 5\n")
    monkeypatch.setenv("DVC_STAGE", "train@dcgan64")
    monkeypatch.setenv("DVC_EXP_NAME", "brave-heart")
    with new_run("dcgan64 smoke", COMPARISONS) as run:
        run.describe("What it is.")
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    tags = run.data.tags
    assert run.info.run_name == "dcgan64 smoke brave-heart"
    assert len(tags["git_commit"]) == 40
    assert (tags["git_dirty"], tags["dvc_stage"]) == ("true", "train@dcgan64")
    assert tags["dvc_exp_name"] == "brave-heart"
    assert tags[NOTE_TAG].startswith("What it is.\n\nMade again by:")
    assert ".venv/bin/dvc exp run -S seed=5 train@dcgan64\n" in tags[NOTE_TAG]


def test_what_the_machine_does_is_recorded_beside(checkout, monkeypatch):
    monkeypatch.setattr(machine, "EVERY_S", 0.1)
    until = time.monotonic() + 1
    with new_run("x", monitored=True):
        while time.monotonic() < until:
            pass
    client, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    meters = {"cpu_utilization_percentage", "system_memory_usage_megabytes"}
    meters |= {"disk_usage_percentage", "network_receive_megabytes"}
    assert {f"system/{meter}" for meter in meters} <= set(run.data.metrics)
    read = client.get_metric_history(run.info.run_id, "system/system_memory_usage_megabytes")
    assert [point.step for point in read] == list(range(len(read)))
    assert 3 <= len(read) <= 11
    assert all(point.value > 0 for point in read)
    busy = client.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    assert max(point.value for point in busy) > 0
    times = [point.timestamp for point in read]
    assert times == sorted(times)
    assert run.info.start_time <= times[0] < times[-1] <= run.info.end_time


def test_a_meter_that_cannot_be_read_is_told_of_once_and_the_others_go_on(
    checkout, monkeypatch, capsys
):
    def unknown(*_):
        raise RuntimeError("no such counter")

    monkeypatch.setattr(machine, "EVERY_S", 0.1)
    monkeypatch.setattr("psutil.net_io_counters", lambda: None)  # a system without a network
    monkeypatch.setattr("psutil.disk_usage", unknown)
    with new_run("x", monitored=True) as run:
        time.sleep(0.5)
        run.metrics({"loss": 1.0})
    client, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert (run.info.status, run.data.metrics["loss"]) == ("FINISHED", 1.0)
    read = client.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    assert len(read) >= 3
    assert not [key for key in run.data.metrics if "disk" in key or "network" in key]
    network, disk = capsys.readouterr().err.splitlines()
    assert "what the network is busy with is not told: " in network
    assert disk.endswith("what the disk is busy with is not told: no such counter")


def test_without_a_draft_a_run_is_silent(bare_checkout, capsys):
    run = Run()
    run.params({"seed": 1})
    run.describe("x")
    run.end("FINISHED")
    assert not list(bare_checkout.iterdir())
    assert capsys.readouterr() == ("", "")


def test_a_persons_own_run_of_weights_that_others_trained_too_is_added_to(checkout, monkeypatch):
    weights = checkout / "w.h5"
    weights.write_bytes(b"the same recipe, the same bytes")
    for who in ("ann", "ben"):
        monkeypatch.setenv("LOGNAME", who)
        with new_run("dcgan64") as run:
            run.tags({WEIGHTS_TAG: sha256(weights)})
        time.sleep(0.01)
    monkeypatch.setenv("LOGNAME", "ann")
    with run_of_weights(weights, "dcgan64") as run:
        run.metrics({"kid": 3.0})
    _, (anns, bens) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert (anns.data.tags["mlflow.user"], anns.data.metrics) == ("ann", {"kid": 3.0})
    assert (bens.data.tags["mlflow.user"], bens.data.metrics) == ("ben", {})


def test_a_run_that_is_made_for_weights_is_of_the_kind_that_is_asked_for(checkout):
    weights = checkout / "w.h5"
    weights.write_bytes(b"of a part of the patients")
    with run_of_weights(weights, "dcgan64 of 50 % of the patients, 0", kind=STUDIES):
        pass
    client, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert client.get_experiment(run.info.experiment_id).name == STUDIES


def _train(folder: str, uri: str) -> None:
    import os

    os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = uri
    with new_run("x") as run:
        run.metrics({"loss": 1.0})


@pytest.mark.parametrize("checkouts", [["one", "one"], ["one", "two"]])
def test_processes_that_meet_at_an_empty_store_do_not_break_it(bare_checkout, checkouts):
    context, uri = get_context("spawn"), f"sqlite:///{bare_checkout}/shared.db"
    folders = [bare_checkout / name for name in checkouts]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    processes = [context.Process(target=_train, args=(str(folder), uri)) for folder in folders]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    _, runs = runs_of(uri)
    assert [run.data.metrics for run in runs] == [{"loss": 1.0}] * 2
    assert not list(bare_checkout.glob("*/.mlflow-unsent"))


def test_a_real_server_takes_runs_and_serves_their_artifacts(server, bare_checkout, monkeypatch):
    from test_registry import MODEL, fetch, register

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    with server.running():
        record_something(bare_checkout)
        client, (run,) = runs_of(server.url)
        assert run.data.metrics["kid"] == 7.0
        local = client.download_artifacts(
            run.info.run_id, "model/generator.weights.h5", str(bare_checkout)
        )
        assert Path(local).read_bytes() == b"weights"
        register(bare_checkout, "weights")
        mark_best(MODEL, {"kid_texture_floor": 0.2})
        folder = fetch(f"models:/{MODEL}@best", bare_checkout / "got")
    assert (folder / "generator.weights.h5").read_text() == "weights"
    assert not (bare_checkout / "mlflow.db").exists()
