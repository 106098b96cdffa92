"""Sources of exports, read from a small project."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import NAME, PLAIN, make_project

from cinegan.export.source import read_source
from cinegan.params import load_params


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The project, in which the test runs."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def source(project):
    """The first two cycles with labels."""
    return read_source(NAME, load_params(), 2)


@pytest.fixture
def plain(project):
    """The first two cycles of a model without labels."""
    return read_source(PLAIN, load_params(), 2, labelled=False)
