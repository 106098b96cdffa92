"""What is exported: a model's samples with their labels, and what they were made from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cinegan
from cinegan.data.cohort import Cohort
from cinegan.data.conditions import Conditions, of_cycles
from cinegan.data.labels import Channels, joint, source_for
from cinegan.errors import CineganError
from cinegan.export.classes import classes_of
from cinegan.export.geometry import Geometry, geometry_of
from cinegan.export.origin import source_of_data
from cinegan.files import read_json, sha256, sha256_of_arrays
from cinegan.models import RECORD, WEIGHTS
from cinegan.params import Params
from cinegan.sampling import CONDITIONS, CYCLES, LABELS
from cinegan.sampling import RECORD as SAMPLES_RECORD
from cinegan.segmentation.synthetic import placed


@dataclass(frozen=True)
class Labelled:
    """Labels of some cycles.

    Attributes
    ----------
    maps : (n, H, W, L) uint8
        As sampled: shares of pixels.
    channels : list of str
        What each of them is.
    classes : (n, H, W, T) uint8
        See `classes_of`.
    known : (n, T, len(KINDS)) bool
    digest : str
        SHA-256 of the file.
    """

    maps: np.ndarray
    channels: list[str]
    classes: np.ndarray
    known: np.ndarray
    digest: str


@dataclass(frozen=True)
class Source:
    """Synthetic cycles, and all that a card says of them.

    Attributes
    ----------
    name : str
        Of the model.
    cycles : (n, H, W, T) uint8
        Those that are exported, the first of `drawn`.
    labels : Labelled or None
    record : dict
        The model's own.
    weights_sha256, cycles_sha256 : str
    sampling_seed : int
    data_source : str
        "phantom", "sunnybrook" or "folder".
    conditions : DataFrame or None
        What each of `cycles` was asked to be; None of a model that is not told.
    figures : dict or None
        What was measured of these samples; None if nothing was.
    """

    name: str
    cycles: np.ndarray
    drawn: int
    labels: Labelled | None
    geometry: Geometry
    record: dict[str, Any]
    weights_sha256: str
    cycles_sha256: str
    sampling_seed: int
    data_source: str
    conditions: pd.DataFrame | None
    figures: dict[str, Any] | None

    @cached_property
    def key(self) -> str:
        """Differs wherever anything differs that the files tell of."""
        labels = self.labels.digest if self.labels else ""
        parts = (
            *(self.name, self.weights_sha256, self.cycles_sha256, labels, self.geometry),
            *(json.dumps(self.record, sort_keys=True), self.sampling_seed, cinegan.__version__),
        )
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def read_source(
    name: str, params: Params, count: int | None = None, labelled: bool = True
) -> Source:
    """Read what the pipeline left of a model in the current folder.

    Parameters
    ----------
    count : int, optional
        How many cycles, the first ones; all if not given.
    labelled : bool
        Whether labels are asked for.

    Raises
    ------
    CineganError
        If the model, its samples or their labels are not there or do not belong together, or if the
        cohort is not the one that it learnt from.
    """
    model = params.model_named(name)
    trained, folder = Path("models") / name, Path("data/samples") / name
    _require(trained / RECORD, f"`dvc repro train@{name}` trains it first")
    for file in (CYCLES, SAMPLES_RECORD):
        _require(folder / file, f"`dvc repro sample@{name}` draws them first")
    record = read_json(trained / RECORD)
    cycles = _array(folder / CYCLES)
    count = len(cycles) if count is None else count
    if count > len(cycles):
        raise CineganError(f"{folder}: {count} cycles asked for, there are {len(cycles)}")
    if cycles.shape[-1] != record["phases"]:
        raise CineganError(
            f"{folder}: cycles of {cycles.shape[-1]} phases, the model makes {record['phases']}; "
            f"`dvc repro sample@{name}` draws them anew"
        )
    broken = int((cycles[:count].reshape(count, -1).max(axis=1) == 0).sum())
    if broken:
        raise CineganError(
            f"{folder}: {broken} of {count} cycles are black, since the model's values were not "
            "finite; train it again"
        )
    weights, made = sha256(trained / WEIGHTS), read_json(folder / SAMPLES_RECORD)
    if made["weights_sha256"] != weights:
        raise CineganError(
            f"{folder}: samples of other weights than those in {trained}; `dvc repro "
            f"sample@{name}` draws them anew"
        )
    cohort = Cohort(Path(model.folder))
    _check_cohort(cohort, record, model.size, name)
    geometry = geometry_of(cohort, cycles.shape[1], cycles.shape[-1])
    asked = _conditions(folder / CONDITIONS) if (folder / CONDITIONS).exists() else None
    asked = None if asked is None else asked[:count]
    labels = None
    if labelled:
        labels = _labels(name, folder, record, cycles[:count], geometry.spacing_mm)
    return Source(
        name=name,
        cycles=cycles[:count],
        drawn=len(cycles),
        labels=labels,
        geometry=geometry,
        record=record,
        weights_sha256=weights,
        cycles_sha256=sha256(folder / CYCLES),
        sampling_seed=made["seed"],
        data_source=source_of_data(cohort, params.data.source),
        conditions=asked,
        figures=_figures(Path("metrics/models") / f"{name}.json", cycles),
    )


def _conditions(path: Path) -> pd.DataFrame:
    """What each cycle was asked to be; a group may be called NA."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _labels(
    name: str, folder: Path, record: dict[str, Any], cycles: np.ndarray, spacing_mm: float
) -> Labelled:
    channels = record.get("label_channels", [])
    if not channels:
        raise CineganError(
            f"{name}: label channels asked of a model trained without them (refused); "
            "--without-labels exports the cycles alone"
        )
    _require(folder / LABELS, f"`dvc repro sample@{name}` draws them first")
    maps = _array(folder / LABELS)
    if maps.shape[1:] != (*cycles.shape[1:3], len(channels)) or len(maps) < len(cycles):
        raise CineganError(
            f"{folder}: labels of other cycles or channels than the model makes; `dvc repro "
            f"sample@{name}` draws them anew"
        )
    maps = maps[: len(cycles)]
    labels = Channels(channels, record["label_phases"])
    at_phases, known = placed(maps, labels, cycles, spacing_mm)
    return Labelled(maps, channels, classes_of(at_phases, known), known, sha256(folder / LABELS))


def _check_cohort(cohort: Cohort, record: dict[str, Any], size: int, name: str) -> None:
    """Refuse a cohort that the model did not learn from: its geometry would be another's."""
    source = source_for(cohort, record.get("labels", "none"))
    owners = cohort.patient_of_each("train")
    told = of_cycles(cohort, owners, record.get("conditions", ()))
    vectors = Conditions.among(told).vectors(told)
    digest = sha256_of_arrays(joint(cohort, owners, size, source), vectors)
    if digest != record["train_sha256"]:
        raise CineganError(
            f"{cohort.folder}: not the cycles that models/{name} was trained on, so spacing and "
            f"times cannot be told; `dvc repro train@{name}` trains it on them"
        )


def _figures(path: Path, cycles: np.ndarray) -> dict[str, Any] | None:
    """What was measured, if it was measured of so many cycles of this size."""
    if not path.exists():
        return None
    report = read_json(path)
    same = (report.get("n_synthetic"), report.get("size")) == cycles.shape[:2]
    return report if same and "copied" in report else None


def _array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError):
        raise CineganError(f"{path}: not a whole .npy file; `dvc repro` makes it anew") from None
    if array.ndim != 4 or array.dtype != np.uint8 or not len(array):
        raise CineganError(f"{path}: {array.shape} of {array.dtype}, not (n, H, W, T) of uint8")
    return array


def _require(path: Path, remedy: str) -> None:
    if not path.exists():
        raise CineganError(f"{path.parent}: no {path.name} here; {remedy}")
