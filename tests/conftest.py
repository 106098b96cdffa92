"""Shared by all tests: in which order they run, the real studies, and small beginnings."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace

import pytest

from cinegan.conversion import convert
from cinegan.params import Data, Phantom, Split
from cinegan.tracking.store import quiet_mlflow

ROOT = Path(__file__).resolve().parents[1]
SUNNYBROOK = ROOT.parent / "shared" / "sunnybrook"
# Files and folders of files that take minutes, the longest first.
LONG = (
    *("test_pipeline.py", "test_commands.py", "training/", "team/", "models/", "tracking/"),
    "test_serve.py",
)


def pytest_collection_modifyitems(config, items):
    """Where several processes share the tests, let none be left with a long file at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place(item.path.relative_to(ROOT / "tests").as_posix()))


def place(file: str) -> int:
    """Rank of a file of tests by how long it takes; all that take little share the last."""
    return next((k for k, name in enumerate(LONG) if file.startswith(name)), len(LONG))


def pytest_collection_finish():
    """Spare the garbage collector all that was imported, which stays.

    With TensorFlow that is so much that looking through it takes longer than a small training
    step, and trainings ask for it at each level.
    """
    gc.freeze()


@pytest.fixture(scope="session")
def blank_store(tmp_path_factory) -> Path:
    """A SQLite file with MLflow's tables and no run: to make them takes seconds, to copy none."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    quiet_mlflow().MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def sunnybrook() -> Path:
    """The folder with four real patients; tests that need it skip where it is absent."""
    if not (SUNNYBROOK / "SHA256SUMS").is_file():
        pytest.skip(f"real studies are not at {SUNNYBROOK}")
    return SUNNYBROOK


@pytest.fixture(scope="session")
def data_options():
    """A maker of the `data` block of params.yaml: `data_options(strict=True)`."""

    def make(**changes: object) -> Data:
        options = {
            "source": "phantom",
            "mirror": None,
            "folder": "data/incoming",
            "phases": 20,
            "spacing_mm": None,
            "exclude": [],
            "strict": False,
            "split": Split(val=0.2, test=0.2),
            "phantom": Phantom(patients_per_group=1, slices=3, size=64),
        }
        return Data(**{**options, **changes})

    return make


@pytest.fixture(scope="session")
def real_cycles(sunnybrook, data_options, tmp_path_factory) -> SimpleNamespace:
    """The real studies converted once: `folder` and `report`."""
    folder = tmp_path_factory.mktemp("real") / "cycles"
    report = convert(sunnybrook, folder, data_options(), seed=1)
    return SimpleNamespace(folder=folder, report=report)
