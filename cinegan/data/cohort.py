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

from cinegan.data import intensity
from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.files import atomic_folder, read_json

INDEX = "index.csv"
CONTOURS = {"expert": "contours.json", "truth": "truth.json"}


@dataclass(frozen=True)
class PlacedContour:
    """A contour with its place in a patient's stack.

    Attributes
    ----------
    row, phase : int
        First and last axis of the stack: `stack[row, :, :, phase]`.
    kind : str
        "endo", "epi", "rv", "papillary1" or "papillary2".
    points_px : (n, 2) float64
        x, y in pixels of that stack's frames.
    source : str
        "expert", or "truth" of a phantom, which knows all phases.
    """

    row: int
    phase: int
    kind: str
    points_px: np.ndarray
    source: str = "expert"


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
    contours: dict[str, dict[str, list[dict[str, Any]]]] = {source: {} for source in CONTOURS}
    with atomic_folder(folder) as partial:
        for cycles in patients:
            np.save(partial / f"{cycles.patient}.npy", cycles.stack)
            rows += cycles.rows
            windows[cycles.patient] = intensity.window(cycles.stack)
            for source, by_patient in contours.items():
                by_patient[cycles.patient] = [
                    {
                        "row": c.row,
                        "phase": c.phase,
                        "kind": c.kind,
                        "points_px": np.round(c.points_px, 2).tolist(),
                    }
                    for c in cycles.contours
                    if c.source == source
                ]
        if not rows:
            raise CineganError(f"{folder}: not one patient has cycles with readable pixels")
        if split is not None:
            chosen = split(list(windows))
            rows = [row | {"split": chosen[row["patient"]]} for row in rows]
        pd.DataFrame(rows).to_csv(partial / INDEX, index=False, lineterminator="\n")
        intensity.write_windows(partial, windows)
        for source, by_patient in contours.items():
            text = json.dumps(by_patient, separators=(",", ":"))
            (partial / CONTOURS[source]).write_text(text + "\n")


class Cohort:
    """The cycles that a stage left in a folder.

    Raises
    ------
    CineganError
        If the folder holds no cycles.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._contours: dict[str, dict[str, Any]] = {}
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
    def phases(self) -> int:
        """Phases of each cycle."""
        return int(self.stack(self.patients[0]).shape[-1])

    @cached_property
    def _windows(self) -> dict[str, Any]:
        return read_json(self.folder / intensity.FILE_NAME)["patients"]

    def rows(self, patient: str) -> pd.DataFrame:
        """Index rows of one patient, in the order of its stack."""
        return self.index[self.index["patient"] == patient]

    def stack(self, patient: str) -> np.ndarray:
        """One patient's intensities, (slices, H, W, phases), mapped from disk."""
        return np.load(self.folder / f"{patient}.npy", mmap_mode="r")

    def contours(self, patient: str, source: str = "expert") -> list[PlacedContour]:
        """One patient's contours, an expert's or a phantom's truth; empty where there are none."""
        return [
            PlacedContour(
                c["row"], c["phase"], c["kind"], np.array(c["points_px"], dtype=float), source
            )
            for c in self._drawn(source).get(patient, [])
        ]

    def _drawn(self, source: str) -> dict[str, Any]:
        """All contours of a source; a phantom's truth is large, and read only if asked for."""
        if source not in self._contours:
            self._contours[source] = read_json(self.folder / CONTOURS[source])
        return self._contours[source]

    def window(self, patient: str) -> tuple[float, float]:
        """Intensities of one patient that become black and white."""
        window = self._windows[patient]
        return window["low"], window["high"]

    def spacing_mm(self, patient: str) -> tuple[float, float]:
        """Distance between one patient's rows and between its columns, mm."""
        return self._spacings[patient]

    @cached_property
    def _spacings(self) -> dict[str, tuple[float, float]]:
        """All patients', looked up once: labels ask for each contour."""
        firsts = self.index.drop_duplicates("patient")
        columns = (firsts[name] for name in ("patient", "spacing_row_mm", "spacing_column_mm"))
        return {p: (float(row), float(column)) for p, row, column in zip(*columns, strict=True)}

    def grey(self, patient: str, size: int) -> np.ndarray:
        """One patient's cycles as grey levels, (slices, size, size, phases) uint8.

        A field that is not square is padded with black on both sides, so that hearts keep their
        shape. Frames of another size are resized with an antialiasing filter before they are
        quantised.
        """
        low, high = self.window(patient)
        stack = self.stack(patient)
        margins = _margins(stack.shape[1:3], self.spacing_mm(patient))
        if any(map(any, margins)):
            stack = np.pad(stack, ((0, 0), *margins, (0, 0)), constant_values=round(low))
        if stack.shape[1:3] != (size, size):
            stack = resize_frames(stack, size, size)
        return intensity.to_grey(stack, low, high)

    def in_grey(self, patient: str, points_px: np.ndarray, size: int) -> np.ndarray:
        """Points in pixels of a patient's stack, (n, 2) x and y, in pixels of `grey`."""
        rows, columns = self.stack(patient).shape[1:3]
        (top, bottom), (left, right) = _margins((rows, columns), self.spacing_mm(patient))
        sides = np.array([left + columns + right, top + rows + bottom])
        return (points_px + 0.5 + [left, top]) * (size / sides) - 0.5

    def split(self, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
        """All cycles of a split.

        Returns
        -------
        cycles : (n, size, size, phases) uint8
        patients : (n,) str
            The patient of each cycle.
        """
        patients = self.patient_of_each(name)
        stacks = [self.grey(patient, size) for patient in dict.fromkeys(patients)]
        return np.concatenate(stacks), patients

    def cycles_of(self, patients: Iterable[str]) -> np.ndarray:
        """The patient of each cycle of some patients, (n,) str, in the order of the index."""
        owners = self.index["patient"].to_numpy(dtype=str)
        return owners[np.isin(owners, list(patients))]

    def levels(self, name: str) -> np.ndarray:
        """Each cycle's place in its stack, (n,) float64: 0 at the base, 1 at the apex."""
        return self.places(self.index.loc[self.index["split"] == name, "patient"])

    def places(self, patients: Iterable[str]) -> np.ndarray:
        """Place in its stack of each cycle of some patients, (n,) float64, as in `levels`."""
        chosen = self.index[self.index["patient"].isin(list(patients))]
        place = chosen.groupby("patient", sort=False).cumcount()
        last = chosen.groupby("patient", sort=False)["row"].transform("size") - 1
        return np.asarray(place / last.clip(lower=1), dtype=np.float64)

    def patient_of_each(self, name: str) -> np.ndarray:
        """The patient of each cycle of a split, (n,) str.

        Raises
        ------
        CineganError
            If no patient is in the split.
        """
        patients = self.index.loc[self.index["split"] == name, "patient"].to_numpy(dtype=str)
        if not len(patients):
            raise CineganError(f"{self.folder}: no patients in split {name!r}")
        return patients


Margin = tuple[int, int]


def _margins(shape: tuple[int, ...], spacing_mm: tuple[float, float]) -> tuple[Margin, Margin]:
    """Pixels that a field lacks above and below, left and right, to have equal sides in mm.

    None where the sides differ by rounding only.
    """
    sides_mm = [n * s for n, s in zip(shape, spacing_mm, strict=True)]
    if max(sides_mm) < 1.02 * min(sides_mm):
        return (0, 0), (0, 0)
    missing = [round(max(sides_mm) / s) - n for n, s in zip(shape, spacing_mm, strict=True)]
    down, across = ((m // 2, m - m // 2) for m in missing)
    return down, across
