"""Checkpoints: the whole state of a training, in a place that DVC does not clear."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cinegan.files import atomic_file, sha256

LIBRARIES = ("tensorflow", "keras", "numpy")
STATE = "state.npz"


def checkpoint_folder(checkout: Path, name: str, record: dict[str, Any]) -> Path:
    """Where a training keeps its state: a folder of its own for each recipe.

    The recipe is the record (parameters and data), the code of the training and of the network,
    and the library versions: a change in any starts a training of its own.
    """
    package = Path(__file__).resolve().parents[1]
    code = [
        *sorted((package / "training").glob("*.py")),
        package / "models" / f"{record['architecture']}.py",
        *sorted((package / "models" / "layers").glob("*.py")),
        package / "data" / "intensity.py",
        package / "sampling.py",
        package / "figures.py",
    ]
    recipe = {
        "record": record,
        "code": [sha256(path) for path in code],
        "libraries": [version(library) for library in LIBRARIES],
    }
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    return checkout / ".checkpoints" / f"{name}-{key[:16]}"


def save_state(folder: Path, state: dict[str, np.ndarray]) -> None:
    """Write the state; a kill leaves the one before it."""
    with atomic_file(folder / STATE) as partial, partial.open("wb") as stream:
        np.savez(stream, **state)  # type: ignore[arg-type]


def load_state(folder: Path) -> dict[str, np.ndarray] | None:
    """Read the state of an interrupted training; None if there is none."""
    try:
        with np.load(folder / STATE) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None
    except (zipfile.BadZipFile, ValueError, EOFError):
        shutil.rmtree(folder)  # not ours, or damaged on disk: training starts anew
        return None
