"""MLflow goes away in the middle of work: nothing stops, nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pytest
import requests
from imports import ROOT
from journals import forgetful_server, runs_of, silent_server

from cinegan.files import sha256
from cinegan.tracking import outbox, store
from cinegan.tracking.outbox import PARENT_TAG
from cinegan.tracking.runs import new_run, run_of_weights
from cinegan.tracking.store import STUDIES, WEIGHTS_TAG, connect

POINTS = 40


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A store that did not answer is asked again at once."""
    monkeypatch.setattr(store, "PAUSE", 0)
    monkeypatch.setattr(store, "PATIENCE", 0)


def send(checkout, uri):
    return subprocess.run(
        [sys.executable, "-m", "cinegan.tracking", "send"],
        cwd=checkout,
        env={
            "PATH": "/usr/bin:/bin",
            "MLFLOW_TRACKING_URI": uri,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def history(client, run):
    found = client.get_metric_history(run.info.run_id, "training/loss")
    return {point.step: point.value for point in found}


def test_a_server_that_comes_back_during_a_training_has_all_of_it(
    server, bare_checkout, monkeypatch, capsys
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    parts = np.array_split(np.arange(POINTS), 3)
    with new_run("dcgan64") as run:  # nobody is there yet
        run.params({"seed": 1})
        for part, there in zip(parts, (False, True, False), strict=True):
            if there:
                with server.running():
                    for i in part:
                        run.metrics({"loss": float(i)}, kimg=i / 1000, group="training")
                    client, (found,) = runs_of(server.url)
                    assert history(client, found) == {i: i for i in range(part[-1] + 1)}
                    assert found.data.params == {"seed": "1"}
                    assert found.info.status == "RUNNING"
            else:
                for i in part:
                    run.metrics({"loss": float(i)}, kimg=i / 1000, group="training")
        run.picture(np.full((4, 6), 9, np.uint8), "samples", 0.01)
    lost, back, again, kept = capsys.readouterr().err.splitlines()
    assert lost.endswith("going on, what it does not have is kept")
    assert back == f"MLflow at {server.url}: answers again, and has all that was kept"
    assert again.endswith("going on, what it does not have is kept")
    assert "what it does not have of dcgan64 lies in .mlflow-unsent/" in kept
    assert "python -m cinegan.tracking send" in kept
    began, ended = found.info.start_time, outbox.now_ms()

    refused = send(bare_checkout, server.url)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: MLflow at {server.url}: ")
    assert refused.stderr.endswith("; 1 of 1 runs are kept still\n")

    with server.running():
        sent = send(bare_checkout, server.url)
        assert (sent.returncode, sent.stdout) == (0, f"1 runs sent to {server.url}\n"), sent.stderr
        client, (found,) = runs_of(server.url)
        assert history(client, found) == {i: i for i in range(POINTS)}
        assert (found.info.status, found.info.start_time) == ("FINISHED", began)
        assert began <= found.info.end_time <= ended
        assert [a.path for a in client.list_artifacts(found.info.run_id)] == ["images"]
    assert outbox.kept() == []


def away(monkeypatch, checkout):
    """The store of the checkout, for a while out of reach."""
    shutil.move(checkout / "mlflow.db", checkout / "elsewhere.db")
    (checkout / "mlflow.db").mkdir()


def back(checkout):
    (checkout / "mlflow.db").rmdir()
    shutil.move(checkout / "elsewhere.db", checkout / "mlflow.db")


def test_the_next_run_brings_what_was_kept_and_files_are_as_they_were(
    checkout, monkeypatch, capsys
):
    away(monkeypatch, checkout)
    weights = checkout / "generator.weights.h5"
    for content in (b"first", b"second"):
        weights.write_bytes(content)
        with new_run("dcgan64") as run:
            run.metrics({"loss": float("nan"), "norm": float("inf"), "size": 64})
            run.artifact(weights, "model")
            run.tags({WEIGHTS_TAG: sha256(weights)})
        with run_of_weights(weights, "dcgan64") as run:
            run.metrics({"kid": float(len(content))})
    weights.unlink()
    assert len(outbox.kept()) == 4
    assert runs_of(f"sqlite:///{checkout}/elsewhere.db")[1] == []
    back(checkout)
    with new_run("the next"):
        pass
    client, found = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert [run.info.run_name for run in found] == ["dcgan64", "dcgan64", "the next"]
    for run, content in zip(found, (b"first", b"second"), strict=False):
        assert run.data.metrics["kid"] == len(content)
        assert np.isnan(run.data.metrics["loss"])
        assert run.data.metrics["size"] == 64
        file = client.download_artifacts(run.info.run_id, "model/generator.weights.h5")
        assert Path(file).read_bytes() == content
    assert outbox.kept() == []


def test_what_the_machine_was_busy_with_is_kept_too(checkout, monkeypatch):
    away(monkeypatch, checkout)
    with new_run("dcgan64", monitored=True) as run:  # of a training whose start no store heard of
        run.metrics({"loss": 1.0})
    back(checkout)
    with new_run("the next"):
        pass
    _, (found, _) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert {"loss", "system/cpu_utilization_percentage"} <= set(found.data.metrics)


def test_a_study_that_was_kept_is_nested_as_it_was(checkout, monkeypatch):
    away(monkeypatch, checkout)
    with new_run("study", STUDIES) as study:
        for name in ("none", "gan"):
            with new_run(name, STUDIES, within=study) as arm:
                arm.metrics({"dice": 0.9})
    (folder,) = outbox.kept()
    back(checkout)
    assert outbox.send(connect()) == []
    assert not folder.exists()
    _, (run, *arms) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert {arm.data.tags[PARENT_TAG] for arm in arms} == {run.info.run_id}
    assert [arm.data.metrics for arm in arms] == [{"dice": 0.9}] * 2


def test_what_arrived_before_a_second_fault_is_not_sent_again(checkout, monkeypatch):
    away(monkeypatch, checkout)
    with new_run("dcgan64") as run:
        for i in range(4):
            run.picture(np.full((4, 6), i, np.uint8), "samples", i)
    back(checkout)
    client = connect()
    whole, told = outbox.TELL["picture"], []

    def faulty(client, run_id, what):
        told.append(what["step"])
        if len(told) == 3:
            raise ConnectionError("gone again")
        whole(client, run_id, what)

    monkeypatch.setitem(outbox.TELL, "picture", faulty)
    (line,) = outbox.send(client)
    assert line.endswith("dcgan64: gone again")
    assert outbox.send(client) == []
    assert told == [0, 1000, 2000, 2000, 3000]
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    pictures = client.list_artifacts(run.info.run_id, "images")
    assert len([p for p in pictures if p.path.endswith(".png")]) == 4


@pytest.fixture
def answer_lost(monkeypatch):
    """Let the store make runs without an answer; what is called with the error to raise."""

    def lose(error):
        whole = mlflow.MlflowClient.create_run

        def create_run(*words, **named):
            whole(*words, **named)
            monkeypatch.setattr(mlflow.MlflowClient, "create_run", whole)
            raise error

        monkeypatch.setattr(mlflow.MlflowClient, "create_run", create_run)

    return lose


def test_a_run_whose_making_was_not_answered_is_not_made_again(checkout, answer_lost):
    answer_lost(ConnectionError("lost"))
    with new_run("x") as run:
        run.metrics({"loss": 1.0})
    weights = checkout / "w.h5"
    weights.write_bytes(b"restored from the cache")
    answer_lost(ConnectionError("lost"))
    with run_of_weights(weights, "y") as run:
        run.metrics({"loss": 1.0})
        run.metrics({"kid": 1.0})
    _, found = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert [(run.info.run_name, run.info.status) for run in found] == [
        ("x", "FINISHED"),
        ("y", "FINISHED"),
    ]
    assert outbox.kept() == []


def test_making_a_run_is_asked_for_once(bare_checkout, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    with forgetful_server() as (url, made):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with pytest.raises(mlflow.MlflowException):
            outbox.Draft("cinegan", "x", {}).deliver(connect())
    assert len(made) == 1
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"


def test_a_sending_that_is_killed_while_a_run_is_made_makes_one(checkout, monkeypatch, answer_lost):
    away(monkeypatch, checkout)
    with new_run("x"):
        pass
    back(checkout)
    client = connect()
    answer_lost(SystemExit())
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(outbox, "keep", None)  # nothing is written any more
        outbox.send(client)
    assert outbox.send(client) == []
    assert len(runs_of(f"sqlite:///{checkout}/mlflow.db")[1]) == 1


def test_what_arrived_before_a_sending_was_stopped_is_not_sent_again(checkout, monkeypatch):
    away(monkeypatch, checkout)
    with new_run("study", STUDIES) as study:
        for name in ("none", "gan"):
            with new_run(name, STUDIES, within=study) as arm:
                arm.tags({"who": name})
                arm.picture(np.zeros((4, 6), np.uint8), "samples", 0)
    back(checkout)
    client = connect()
    for error in (KeyboardInterrupt(), ConnectionError("gone again")):
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            failing(patch, "tags", error, "gan")
            assert outbox.send(client)
    assert outbox.send(client) == []
    _, (run, *arms) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert {arm.data.tags[PARENT_TAG] for arm in arms} == {run.info.run_id}
    for arm in arms:
        pictures = client.list_artifacts(arm.info.run_id, "images")
        assert len([p for p in pictures if p.path.endswith(".png")]) == 1
    assert sorted(arm.data.tags["who"] for arm in arms) == ["gan", "none"]


def test_a_run_whose_last_sending_is_interrupted_is_kept(checkout, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        failing(patch, "end", KeyboardInterrupt(), "FINISHED")
        with new_run("x"):
            pass  # what the run tells of is done, and is not undone
    assert "interrupted; what it does not have of x lies in" in capsys.readouterr().err
    assert outbox.send(connect()) == []
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.info.status == "FINISHED"


def test_an_interrupted_work_stays_interrupted_whatever_becomes_of_its_run(checkout, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        failing(patch, "end", KeyboardInterrupt(), "FAILED")
        with new_run("x"):
            raise KeyboardInterrupt
    assert outbox.send(connect()) == []
    _, (run,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert run.info.status == "FAILED"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_silent_server_and_the_work_is_done(bare_checkout, number, tmp_path):
    with silent_server() as (url, _):
        program = (
            "from cinegan.tracking.runs import new_run\n"
            "with new_run('x'): pass\n"  # asked in vain as it begins, and once more at its end
            "print('done')"
        )
        environment = {
            **os.environ,
            **{"MLFLOW_TRACKING_URI": url, "PYTHONPATH": str(ROOT)},
            **{"MLFLOW_HTTP_REQUEST_TIMEOUT": "2", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
        }
        with subprocess.Popen(
            [sys.executable, "-c", f"import cinegan.tracking.runs as r; r.SLOW_S = 0.1\n{program}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            told = ""
            while "is slow" not in told:
                told = process.stderr.readline()
                assert told, "it ended, and was not slow"
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "done\n")
    assert "interrupted; what it does not have of x lies in" in err
    assert len(outbox.kept()) == 1


def test_a_run_that_a_colleague_deleted_costs_nothing_but_a_line(checkout, monkeypatch, capsys):
    with new_run("dcgan64") as run:
        run.metrics({"loss": 1.0}, kimg=1)
        client, (found,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
        client.delete_run(found.info.run_id)
        run.metrics({"loss": 2.0}, kimg=2)
        run.metrics({"loss": 3.0}, kimg=3)
    first, last = capsys.readouterr().err.splitlines()
    remedy = f"`mlflow runs restore --run-id {found.info.run_id}` brings it back"
    assert remedy in first
    assert remedy in last
    (left,) = outbox.send(connect())
    assert remedy in left
    client.restore_run(found.info.run_id)
    assert outbox.send(connect()) == []
    points = client.get_metric_history(found.info.run_id, "loss")
    assert {point.step: point.value for point in points} == {1000: 1.0, 2000: 2.0, 3000: 3.0}
    assert client.get_run(found.info.run_id).info.status == "FINISHED"


def test_what_a_store_refuses_is_left_out_and_told(checkout, capsys):
    with new_run("x") as run:
        run.params({"seed": 1})
        run.params({"seed": 2})
        run.metrics({"loss": 1.0})
    told = capsys.readouterr().err
    assert "params of run x left out, since it refuses them" in told
    assert told.count("\n") == 1
    _, (found,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert (found.data.params, found.data.metrics) == ({"seed": "1"}, {"loss": 1.0})
    assert outbox.kept() == []


def answering(status):
    """The error that MLflow raises when a server, or a proxy before it, answers so."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} Client Error", response=response)


def failing(monkeypatch, kind, error, name):
    """Let the store fail at a kind of entry that has this among what it tells."""
    whole = outbox.TELL[kind]

    def tell(client, run_id, what):
        if name in str(what):
            raise error
        whole(client, run_id, what)

    monkeypatch.setitem(outbox.TELL, kind, tell)


def test_a_kept_run_that_cannot_be_sent_stops_no_other(checkout, monkeypatch, capsys):
    away(monkeypatch, checkout)
    for name in ("first", "second", "third"):
        with new_run(name) as run:
            run.tags({"who": name})
    back(checkout)
    failing(monkeypatch, "tags", answering(403), "second")
    capsys.readouterr()
    with new_run("the next") as run:
        run.tags({"who": "the next"})
    (folder,) = outbox.kept()
    told = capsys.readouterr().err
    assert f"kept still: .mlflow-unsent/{folder.name}: 403 Client Error; `" in told
    assert told.count("\n") == 1
    _, found = runs_of(f"sqlite:///{checkout}/mlflow.db")
    ended = [run.info.run_name for run in found if run.info.status == "FINISHED"]
    assert ended == ["first", "third", "the next"]


def test_a_store_that_is_gone_again_is_not_asked_for_every_kept_run(checkout, monkeypatch):
    away(monkeypatch, checkout)
    for name in ("first", "second"):
        with new_run(name):
            pass
    back(checkout)
    client, asked = connect(), []

    def gone(*_, **__):
        asked.append(1)
        raise ConnectionError("gone")

    for name in ("create_run", "get_experiment_by_name"):
        monkeypatch.setattr(client, name, gone)
    with pytest.raises(ConnectionError):
        outbox.send(client)
    assert len(asked) == 2
    assert len(outbox.kept()) == 2


def test_a_file_that_a_proxy_does_not_take_is_left_out_and_told(checkout, monkeypatch, capsys):
    failing(monkeypatch, "artifact", answering(413), "large")
    (checkout / "large").touch()
    with new_run("x") as run:
        run.artifact(checkout / "large")
        run.metrics({"loss": 1.0})
    assert "artifact of run x left out, since it refuses them: 413" in capsys.readouterr().err
    _, (found,) = runs_of(f"sqlite:///{checkout}/mlflow.db")
    assert (found.data.metrics, found.info.status) == ({"loss": 1.0}, "FINISHED")


def test_what_is_kept_for_another_store_stays(checkout, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://jane:secret@127.0.0.1:9")
    with new_run("x"):
        pass
    (folder,) = outbox.kept()
    assert "secret" not in (folder / outbox.DRAFT).read_text()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (line,) = outbox.send(connect())
    assert line.endswith("kept for http://127.0.0.1:9; set MLFLOW_TRACKING_URI to that")
    assert outbox.kept() == [folder]


@pytest.mark.parametrize(
    ("name", "content"),
    [(outbox.DRAFT, b"{"), (outbox.DRAFT, b"null"), (outbox.DRAFT, b""), ("*.npy", b"")],
)
def test_what_a_power_cut_left_half_written_stops_no_other(checkout, monkeypatch, name, content):
    away(monkeypatch, checkout)
    for run_name in ("first", "second"):
        with new_run(run_name) as run:
            run.picture(np.zeros((4, 6), np.uint8), "samples", 0)
    back(checkout)
    damaged, _ = outbox.kept()
    (file,) = damaged.glob(name)
    file.write_bytes(content)
    (line,) = outbox.send(connect())
    assert line.startswith(f".mlflow-unsent/{damaged.name}: cannot be read (")
    assert line.endswith("); remove it")
    assert [run.info.run_name for run in runs_of(f"sqlite:///{checkout}/mlflow.db")[1]] == [
        "second"
    ]
    assert outbox.kept() == [damaged]


def test_a_second_ctrl_c_loses_nothing(bare_checkout, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    stored = outbox._stored

    def impatient(*words):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return stored(*words)

    monkeypatch.setattr(outbox, "_stored", impatient)
    before = signal.getsignal(signal.SIGINT)
    with new_run("x") as run:
        run.metrics({"loss": 1.0})
    assert len(outbox.kept()) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_file_that_is_gone_before_it_could_be_kept_is_told(bare_checkout, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    file = bare_checkout / "report.html"
    file.touch()
    with new_run("x") as run:
        run.artifact(file)
        file.unlink()
    told = capsys.readouterr().err
    assert f"artifact of run x left out, since {file} is gone" in told
    assert len(outbox.kept()) == 1


def test_a_folder_that_is_being_written_is_not_sent(bare_checkout):
    partial = bare_checkout / outbox.FOLDER / ".1-x.partial"
    partial.mkdir(parents=True)
    (partial / outbox.DRAFT).touch()
    assert outbox.kept() == []


def test_a_fault_ends_the_run_and_is_kept_as_failed(checkout, monkeypatch):
    away(monkeypatch, checkout)
    with pytest.raises(ValueError, match="boom"), new_run("x"):
        raise ValueError("boom")
    (folder,) = outbox.kept()
    (entry,) = json.loads((folder / outbox.DRAFT).read_text())["entries"]
    assert (entry[0], entry[1]["status"]) == ("end", "FAILED")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "nonsense://somewhere"])
def test_without_a_store_work_goes_on_and_one_line_says_so(bare_checkout, monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with new_run("x") as run:
        run.metrics({"loss": 1.0})
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"MLflow at {uri}: ")
    assert first.endswith("; going on, what it does not have is kept")
    assert "lies in .mlflow-unsent/" in last


def test_a_disk_that_is_full_too_does_not_stop_the_work(bare_checkout, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (bare_checkout / outbox.FOLDER).write_text("a file stands where the folder would")
    with new_run("x"):
        done = True
    assert done
    assert "nothing can be kept" in capsys.readouterr().err.splitlines()[-1]


def test_unknown_commands_are_refused(bare_checkout):
    done = subprocess.run(
        [sys.executable, "-m", "cinegan.tracking", "post"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "error: usage: python -m cinegan.tracking ui|send\n"
