"""The journal: a real store, a real server, and none at all."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from imports import ROOT

from cinegan import tracking
from cinegan.errors import CineganError


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def runs_of(uri):
    import mlflow

    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return client, client.search_runs(
        [experiment.experiment_id], order_by=["attributes.start_time ASC"]
    )


def record_something(folder):
    weights = folder / "generator.weights.h5"
    weights.write_bytes(b"weights")
    with tracking.new_run("dcgan64 smoke phantom") as run:
        run.params({"training": {"batch": 32}, "seed": 1})
        run.metrics({"loss": 0.5, "ok": True, "none": None}, kimg=0.032)
        run.picture(np.zeros((4, 6), np.uint8), "samples", 0.032)
        run.artifact(weights, "model")
        run.tags({tracking.WEIGHTS_TAG: tracking.sha256(weights)})
    with tracking.run_of_weights(weights, "dcgan64") as run:
        run.metrics({"frechet": 7.0})
    return weights


MODEL, SHAPE = "cinegan-ventricles-64", (64, 64, 20)


def register(folder, weights, *, name="dcgan64", card="what it is", **figures):
    """A judged generator of some weights."""
    made = folder / name
    made.mkdir(exist_ok=True)
    files = [made / each for each in ("generator.weights.h5", "model.json", "card.md")]
    for file, content in zip(files, (weights, "{}", card), strict=True):
        file.write_text(content)
    judged = {"kid_texture_test": 3.0, "kid_texture_floor": 0.2, **figures}
    with tracking.run_of_weights(files[0], name) as run:
        run.register(MODEL, name, files, SHAPE, judged)


def registry_of(uri):
    """The versions that aliases point to, and all versions by number."""
    import mlflow

    client = mlflow.MlflowClient(uri)
    found = client.search_model_versions(f"name = '{MODEL}'")
    aliases = client.get_registered_model(MODEL).aliases
    return (
        {alias: int(version) for alias, version in aliases.items()},
        {int(each.version): each for each in found},
    )


def test_a_run_lands_in_the_store_of_the_main_checkout_also_from_a_copy(checkout, monkeypatch):
    copy = checkout / ".dvc/tmp/exps/tmpabc"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    record_something(copy)
    client, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.info.status == "FINISHED"
    assert run.data.params == {"training.batch": "32", "seed": "1"}
    assert run.data.metrics == {"loss": 0.5, "frechet": 7.0}
    assert client.get_metric_history(run.info.run_id, "loss")[0].step == 32
    assert {a.path for a in client.list_artifacts(run.info.run_id)} == {"images", "model"}
    assert (checkout / "mlartifacts").is_dir()
    assert not (copy / "mlflow.db").exists()


def test_weights_without_a_run_get_one(checkout):
    weights = checkout / "w.h5"
    weights.write_bytes(b"restored from the cache")
    for value in (1.0, 2.0):
        with tracking.run_of_weights(weights, "dcgan64") as run:
            run.metrics({"frechet": value})
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.data.tags["restored"] == "true"
    assert run.data.metrics == {"frechet": 2.0}


def test_the_newest_run_of_the_same_weights_is_added_to(checkout):
    record_something(checkout)
    time.sleep(0.01)
    record_something(checkout)
    _, (first, second) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert "frechet" in first.data.metrics
    assert "frechet" in second.data.metrics


def test_a_failed_training_is_a_failed_run(checkout):
    with pytest.raises(ValueError, match="boom"), tracking.new_run("x"):
        raise ValueError("boom")
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.info.status == "FAILED"


def test_git_and_dvc_are_recorded(checkout, monkeypatch):
    def git(*words):
        subprocess.run(["git", *words], check=True, capture_output=True)

    git("init", "-q")
    (checkout / "a").write_text("1")
    git("add", "a")
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "a")
    (checkout / "a").write_text("2")
    monkeypatch.setenv("DVC_STAGE", "train@dcgan64")
    monkeypatch.setenv("DVC_EXP_NAME", "brave-heart")
    with tracking.new_run("x"):
        pass
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert len(run.data.tags["git_commit"]) == 40
    assert run.data.tags["git_dirty"] == "true"
    assert run.data.tags["dvc_stage"] == "train@dcgan64"
    assert run.data.tags["dvc_exp_name"] == "brave-heart"


def _train(folder: str) -> None:
    import os

    os.chdir(folder)
    with tracking.new_run("x") as run:
        run.metrics({"loss": 1.0})


def test_processes_that_meet_at_an_empty_store_do_not_break_it(checkout):
    context = get_context("spawn")
    processes = [context.Process(target=_train, args=(str(checkout),)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    _, runs = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert [run.data.metrics for run in runs] == [{"loss": 1.0}] * 2


def test_a_judged_generator_is_a_version_with_signature_example_card_and_figures(checkout):
    import mlflow

    register(checkout, "weights", copied=None)
    uri = f"sqlite:///{checkout}/mlflow.db"
    aliases, versions = registry_of(uri)
    assert aliases == {"dcgan64": 1}
    tags = versions[1].tags
    assert tags["model"] == "dcgan64"
    assert (tags["kid_texture_test"], tags["copied"]) == ("3.0", "null")
    assert versions[1].run_id == runs_of(uri)[1][0].info.run_id
    kept = Path(versions[1].source.removeprefix("file://"))
    files = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    weights = {f"data/dcgan64/{each}" for each in ("generator.weights.h5", "model.json", "card.md")}
    assert weights < files
    assert not [file for file in files if file.endswith((".pkl", ".pickle"))]
    told = mlflow.models.Model.load(str(kept))
    assert told.signature.outputs.inputs[0].shape == (-1, *SHAPE)
    assert told.signature.inputs.input_names() == ["n", "seed"]
    assert told.load_input_example(str(kept)).to_dict("list") == {"n": [2], "seed": [0]}
    assert told.flavors["python_function"]["loader_module"] == tracking.LOADER
    assert (ROOT / f"{tracking.LOADER.replace('.', '/')}.py").is_file()


def test_the_same_weights_are_one_version_that_is_told_anew(checkout):
    register(checkout, "weights", card="first")
    register(checkout, "weights", card="second", kid_texture_test=2.5)
    register(checkout, "others")
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert aliases == {"dcgan64": 2}
    assert set(versions) == {1, 2}
    assert versions[1].tags["kid_texture_test"] == "2.5"
    card = Path(versions[1].source.removeprefix("file://")) / "data/dcgan64/card.md"
    assert card.read_text() == "second"
    register(checkout, "weights")  # back to what was there before
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert (aliases, set(versions)) == ({"dcgan64": 1}, {1, 2})


def test_the_best_is_the_lowest_of_those_judged_on_the_same_real_cycles(checkout):
    uri, real = f"sqlite:///{checkout}/mlflow.db", {"kid_texture_floor": 0.2}
    tracking.mark_best(MODEL, "kid_texture_test", real)  # nothing is there yet
    register(checkout, "a", kid_texture_test=10.0)
    register(checkout, "b", kid_texture_test=9.5, name="cinegan64")
    register(checkout, "c", kid_texture_test=0.1, kid_texture_floor=0.3)
    register(checkout, "d", kid_texture_test=None)
    tracking.mark_best(MODEL, "kid_texture_test", real)
    assert registry_of(uri)[0] == {"dcgan64": 4, "cinegan64": 2, "best": 2}
    register(checkout, "e", kid_texture_test=-0.25)
    tracking.mark_best(MODEL, "kid_texture_test", real)
    assert registry_of(uri)[0]["best"] == 5
    tracking.mark_best(MODEL, "kid_texture_test", {"kid_texture_floor": 0.4})  # no rivals
    assert registry_of(uri)[0]["best"] == 5


def test_a_registered_version_is_fetched_to_another_folder(checkout, monkeypatch, tmp_path_factory):
    register(checkout, "weights")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{checkout}/mlflow.db")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    folder = tracking.fetch(f"models:/{MODEL}@dcgan64", elsewhere / "got")
    assert folder.name == "dcgan64"
    assert (folder / "generator.weights.h5").read_text() == "weights"
    for path in (checkout / "mlartifacts").rglob("generator.weights.h5"):
        path.write_text("other weights")
    with pytest.raises(CineganError, match="are not those that were registered"):
        tracking.fetch(f"models:/{MODEL}/1", elsewhere / "again")
    for uri in (f"models:/{MODEL}@nobody", f"models:/{MODEL}/9", "models:/nothing/1", "models:/x"):
        with pytest.raises(CineganError, match="cannot be had from MLflow at") as refused:
            tracking.fetch(uri, elsewhere / "none")
        assert "\n" not in str(refused.value)
    assert not list(elsewhere.glob("*.db"))


def test_nothing_is_fetched_or_made_where_there_is_no_store(checkout):
    with pytest.raises(CineganError, match="no MLflow store; set MLFLOW_TRACKING_URI"):
        tracking.fetch(f"models:/{MODEL}@best", checkout / "got")
    assert not list(checkout.iterdir())


@pytest.fixture
def server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--workers", "1"]
    command += ["--artifacts-destination", str(tmp_path / "served")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240  # a busy machine takes its time
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", port)) != 0:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_a_real_server_takes_runs_and_serves_their_artifacts(server, checkout, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    record_something(checkout)
    client, (run,) = runs_of(server)
    assert run.data.metrics["frechet"] == 7.0
    local = client.download_artifacts(run.info.run_id, "model/generator.weights.h5", str(checkout))
    assert Path(local).read_bytes() == b"weights"
    register(checkout, "weights")
    tracking.mark_best(MODEL, "kid_texture_test", {"kid_texture_floor": 0.2})
    folder = tracking.fetch(f"models:/{MODEL}@best", checkout / "got")
    assert (folder / "generator.weights.h5").read_text() == "weights"
    assert not (checkout / "mlflow.db").exists()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nonsense://somewhere"])
def test_without_a_store_work_goes_on_and_one_line_says_so(checkout, monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    record_something(checkout)
    register(checkout, "weights")
    tracking.mark_best(MODEL, "kid_texture_test", {})
    told = capsys.readouterr().err.strip().splitlines()
    assert told
    assert all(line.startswith(f"MLflow at {uri}") for line in told)
    assert all(line.endswith("going on") for line in told)
