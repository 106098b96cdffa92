"""How the store is reached, and what is told of it."""

from __future__ import annotations

import time

import pytest
import requests
from filelock import FileLock
from journals import silent_server

from cinegan.tracking import store
from cinegan.tracking.runs import linked, new_run
from cinegan.tracking.store import connect, public, reason


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://ana:secret@host:5000", "http://host:5000"),
        ("http://ana:p@ss@host", "http://host"),
        ("http://token@host/mlflow", "http://host/mlflow"),
        ("postgresql://mlflow:Ab/Cd+e=@db.lab/mlflow", "postgresql://db.lab/mlflow"),
        ("postgresql://mlflow:a?b@db.lab/mlflow", "postgresql://db.lab/mlflow"),
        ("postgresql://db.lab/mlflow?user=u&password=secret", "postgresql://db.lab/mlflow"),
        ("postgresql:///mlflow?host=/run&user=u&password=p@ss", "postgresql:///mlflow"),
        ("http://host/some@path", "http://host/some@path"),
        ("sqlite:////home/a:b@c/mlflow.db", "sqlite:////home/a:b@c/mlflow.db"),
        ("/home/ana@lab/mlruns", "/home/ana@lab/mlruns"),
    ],
)
def test_an_address_is_told_without_user_and_password(uri, told):
    assert public(uri) == told


def test_a_reason_that_is_cut_has_no_part_of_a_password(monkeypatch):
    uri = "postgresql://ana:" + "secret" * 5 + "@host/mlflow"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert reason(ValueError("x" * 170 + uri)).endswith("xpostgresql://host/mlflow")


def test_a_reason_has_no_password_in_the_spelling_of_a_library_either(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ana:p@ss@host")
    asked = requests.Request("GET", "http://ana:p@ss@host/api").prepare().url
    assert reason(ValueError(f"413 for url: {asked}")) == "413 for url: http://host/api"


@pytest.fixture
def silent(bare_checkout, monkeypatch):
    """Connections to a server that never answers, which is the checkout's."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with silent_server() as (url, taken):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        yield taken


def test_a_silent_server_is_asked_by_a_stage_once_and_at_the_end_of_a_run(silent, capsys):
    with new_run("comparison") as run:
        for name in "abcde":
            run.metrics({name: 1.0})
            assert linked(name, "0" * 64) == name
        run.best("model", "figure", {})
        with new_run("another"):
            assert len(silent) == 1
    assert len(silent) == 3  # at the end of either run
    assert "what it does not have of comparison lies in .mlflow-unsent" in capsys.readouterr().err


def test_a_silent_server_is_asked_again_after_some_times_its_silence(silent, monkeypatch):
    monkeypatch.setattr(store, "PAUSE", 0)
    monkeypatch.setattr(store, "PATIENCE", 3)
    begun = time.monotonic()
    while len(silent) < 2:
        linked("a", "0" * 64)
        time.sleep(0.05)
    assert time.monotonic() - begun > 4


def test_who_waits_for_a_server_keeps_nobody_else_waiting(silent, bare_checkout):
    with (
        FileLock(bare_checkout / ".mlflow.lock"),
        pytest.raises(Exception, match="timed out"),
    ):
        connect()
