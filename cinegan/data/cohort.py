"""Cycles on disk: one array per patient, one index row per slice, contours and grey windows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from skimage.transform import resize

from cinegan.data import intensity
from cinegan.errors import CineganError
from cinegan.files import atomic_folder, read_json

INDEX, CONTOURS = "index.csv", "contours.json"


@dataclass(frozen=True)
class PlacedContour:
    """A contour with its place in a patient's stack.

    Attributes
    ----------
    row, phase : int
        First and last axis of the stack: `stack[row, :, :, phase]`.
    kind : str
        "endo", "epi", "papillary1" or "papillary2".
    points_px : (n, 2) float64
        x, y in pixels of that stack's frames.
    """

    row: int
    phase: int
    kind: str
    points_px: np.ndarray


@dataclass(frozen=True)
class PatientCycles:
    """All cycles of one patient.

    Attributes
    ----------
    stack : (slices, H, W, phases)
        Intensities, from base to apex.
    rows : list of dict
        One index row per slice, in the order of the stack.
    """

    patient: str
    stack: np.ndarray
    rows: list[dict[str, Any]]
    contours: list[PlacedContour] = field(default_factory=list)


def write_cohort(
    folder: Path,
    patients: Iterable[PatientCycles],
    split: Callable[[list[str]], dict[str, str]] | None = None,
) -> None:
    """Write patients as they come; the folder appears whole or not at all.

    Parameters
    ----------
    split : callable, optional
        Says each patient's split, once it is known who is in the cohort. None where the rows have
        it already.

    Raises
    ------
    CineganError
        If no patient comes.
    """
    rows: list[dict[str, Any]] = []
    windows: dict[str, tuple[float, float]] = {}
    contours: dict[str, list[dict[str, Any]]] = {}
    with atomic_folder(folder) as partial:
        for cycles in patients:
            np.save(partial / f"{cycles.patient}.npy", cycles.stack)
            rows += cycles.rows
            windows[cycles.patient] = intensity.window(cycles.stack)
            contours[cycles.patient] = [
                {
                    "row": c.row,
                    "phase": c.phase,
                    "kind": c.kind,
                    "points_px": np.round(c.points_px, 3).tolist(),
                }
                for c in cycles.contours
            ]
        if not rows:
            raise CineganError(f"{folder}: not one patient has cycles with readable pixels")
        if split is not None:
            chosen = split(list(windows))
            rows = [row | {"split": chosen[row["patient"]]} for row in rows]
        pd.DataFrame(rows).to_csv(partial / INDEX, index=False, lineterminator="\n")
        intensity.write_windows(partial, windows)
        (partial / CONTOURS).write_text(json.dumps(contours, separators=(",", ":")) + "\n")


class Cohort:
    """The cycles that a stage left in a folder.

    Raises
    ------
    CineganError
        If the folder holds no cycles.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.index = pd.read_csv(  # a patient may be called NA
                folder / INDEX, dtype={"patient": str}, keep_default_na=False, na_values=[""]
            )
        except (FileNotFoundError, pd.errors.EmptyDataError):
            raise CineganError(
                f"{folder}: no {INDEX} here; `dvc repro` makes the cycles first"
            ) from None

    @cached_property
    def patients(self) -> list[str]:
        """Patients in the order of the index."""
        return list(dict.fromkeys(self.index["patient"]))

    @cached_property
    def _contours(self) -> dict[str, Any]:
        return read_json(self.folder / CONTOURS)

    @cached_property
    def _windows(self) -> dict[str, Any]:
        return read_json(self.folder / intensity.FILE_NAME)["patients"]

    def rows(self, patient: str) -> pd.DataFrame:
        """Index rows of one patient, in the order of its stack."""
        return self.index[self.index["patient"] == patient]

    def stack(self, patient: str) -> np.ndarray:
        """One patient's intensities, (slices, H, W, phases), mapped from disk."""
        return np.load(self.folder / f"{patient}.npy", mmap_mode="r")

    def contours(self, patient: str) -> list[PlacedContour]:
        """One patient's contours; empty where there are none."""
        return [
            PlacedContour(c["row"], c["phase"], c["kind"], np.array(c["points_px"], dtype=float))
            for c in self._contours.get(patient, [])
        ]

    def grey(self, patient: str, size: int) -> np.ndarray:
        """One patient's cycles as grey levels, (slices, size, size, phases) uint8.

        Frames of another size are resized with an antialiasing filter before they are quantised.
        """
        stack = self.stack(patient)
        window = self._windows[patient]
        if stack.shape[1:3] != (size, size):
            shape = (stack.shape[0], size, size, stack.shape[3])
            stack = resize(stack.astype(np.float32), shape, order=1, anti_aliasing=True)
        return intensity.to_grey(stack, window["low"], window["high"])

    def split(self, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
        """All cycles of a split.

        Returns
        -------
        cycles : (n, size, size, phases) uint8
        patients : (n,) str
            The patient of each cycle.
        """
        chosen = self.index[self.index["split"] == name]
        patients = list(dict.fromkeys(chosen["patient"]))
        if not patients:
            raise CineganError(f"{self.folder}: no patients in split {name!r}")
        return (
            np.concatenate([self.grey(patient, size) for patient in patients]),
            chosen["patient"].to_numpy(dtype=str),
        )
