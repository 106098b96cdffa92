"""How the store is reached, and what is told of it."""

from __future__ import annotations

import pytest
import requests

from cinegan.tracking.store import public, reason


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
