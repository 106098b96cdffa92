"""Checkouts with a store that has its tables, but no run."""

from __future__ import annotations

import shutil

import mlflow
import pytest
from journals import Server


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A SQLite store with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def bare_checkout(tmp_path, monkeypatch):
    """A checkout in which nothing has run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return tmp_path


@pytest.fixture
def checkout(bare_checkout, empty_store):
    """A checkout with a store."""
    shutil.copy(empty_store, bare_checkout / "mlflow.db")
    return bare_checkout


@pytest.fixture
def server(tmp_path_factory, empty_store):
    """A server of a team's, which `with server.running():` starts."""
    return Server(tmp_path_factory.mktemp("server"), empty_store)
