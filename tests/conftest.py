"""Shared by all tests: where the real studies are, and the options of a small conversion."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cinegan.conversion import convert
from cinegan.params import Data, Phantom, Split

ROOT = Path(__file__).resolve().parents[1]
SUNNYBROOK = ROOT.parent / "shared" / "sunnybrook"


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
