"""Checkouts with a store that has its tables, but no run."""

from __future__ import annotations

import shutil

import pytest
from journals import Server

from cinegan.tracking import store


@pytest.fixture
def bare_checkout(tmp_path, monkeypatch):
    """A checkout in which nothing has run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(store, "_faults", {})  # of other tests
    return tmp_path


@pytest.fixture
def checkout(bare_checkout, blank_store):
    """A checkout with a store."""
    shutil.copy(blank_store, bare_checkout / "mlflow.db")
    return bare_checkout


@pytest.fixture
def server(tmp_path_factory, blank_store):
    """A server of a team's, which `with server.running():` starts."""
    return Server(tmp_path_factory.mktemp("server"), blank_store)
