"""Checkpoints: the whole state of a training, in a place that DVC does not clear."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from cinegan.errors import CineganError
from cinegan.files import atomic_file, sha256

LIBRARIES = ("tensorflow", "keras", "numpy")
STATE = "state.npz"
EVERY_S = 60.0
MOST_TIME = 0.02  # share of the training's time that writing states may take


class Checkpoints:
    """A training's state on disk: a folder of its own for each recipe.

    The recipe is the record (parameters and data), the code of the training and of the network,
    and the library versions: a change in any starts a training of its own.

    Attributes
    ----------
    key : str
        What stands for the recipe, 16 hexadecimal digits.
    snapshots : Path
        Folder of the pictures so far.
    """

    def __init__(self, checkout: Path, name: str, record: dict[str, Any]) -> None:
        self.name, self.key = name, _key(record)
        self._folder = checkout / ".checkpoints" / f"{name}-{self.key}"
        self.snapshots = self._folder / "snapshots"
        self._saved_at, self._write_s = time.monotonic(), 0.0

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Wait until no other process trains by this recipe."""
        self.snapshots.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self._folder}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(
                f"cinegan: {self.name}: another process trains by this recipe; waiting for its end",
                file=sys.stderr,
                flush=True,
            )
            lock.acquire()
        try:
            self.snapshots.mkdir(parents=True, exist_ok=True)
            yield
        finally:
            lock.release()

    def due(self) -> bool:
        """Whether the last state is old enough, and writing the next one cheap beside that."""
        age = time.monotonic() - self._saved_at
        return age > max(EVERY_S, self._write_s / MOST_TIME)

    def save(self, state: dict[str, np.ndarray], begun: float | None = None) -> None:
        """Write the state; a kill or a power cut leaves the one before it.

        Parameters
        ----------
        begun : float, optional
            When the state began to be gathered (`time.monotonic`), which is part of its cost.

        Raises
        ------
        CineganError
            If it holds a number that is not finite: the state before it is kept.
        """
        begun = time.monotonic() if begun is None else begun
        self.check(state)
        with atomic_file(self._folder / STATE) as partial, partial.open("wb") as stream:
            np.savez(stream, **state)  # type: ignore[arg-type]
            stream.flush()
            os.fsync(stream.fileno())
        self._saved_at = time.monotonic()
        self._write_s = self._saved_at - begun

    def check(self, state: dict[str, np.ndarray]) -> None:
        """Refuse a state that no training can go on from.

        Raises
        ------
        CineganError
            If it holds a number that is not finite.
        """
        broken = [name for name, value in state.items() if not np.isfinite(value).all()]
        if broken:
            raise CineganError(
                f"{self.name}: {broken[0]} is not finite; lower the learning rate or train in "
                f"float32 ({self.last_good()})"
            )

    def load(self) -> dict[str, np.ndarray] | None:
        """Read the state of an interrupted training; None if there is none."""
        try:
            with np.load(self._folder / STATE) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            return None
        except (zipfile.BadZipFile, ValueError, EOFError):
            shutil.rmtree(self._folder)  # not ours, or damaged on disk: training starts anew
            self.snapshots.mkdir(parents=True)
            return None

    def last_good(self) -> str:
        """Where the last good state is, in words."""
        path = self._folder / STATE
        return f"the last good state is {path}" if path.exists() else "no state was saved yet"

    def delete(self) -> None:
        """Leave nothing of a training that has ended.

        The state goes first: a kill in between must not leave one without its pictures.
        """
        (self._folder / STATE).unlink(missing_ok=True)
        shutil.rmtree(self._folder)
        Path(f"{self._folder}.lock").unlink()


def _key(record: dict[str, Any]) -> str:
    package = Path(__file__).resolve().parents[1]
    code = [
        package / "params.py",
        *sorted((package / "training").glob("*.py")),
        package / "models" / f"{record['architecture']}.py",
        *sorted((package / "models" / "layers").glob("*.py")),
        package / "data" / "cohort.py",
        package / "data" / "conditions.py",
        package / "data" / "intensity.py",
        package / "data" / "resizing.py",
        package / "sampling.py",
        package / "figures.py",
    ]
    recipe = {
        "record": record,
        "code": [sha256(path) for path in code],
        "libraries": [version(library) for library in LIBRARIES],
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
