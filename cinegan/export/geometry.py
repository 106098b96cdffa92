"""Where synthetic cycles would lie in a patient, and how long they would last.

Networks make pixels without a place. What can be told is told by the means of the patients that
they learnt from; the rest is nominal: a plane through the isocentre that faces along the heart's
usual axis, anterior up and the right ventricle on the left of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cinegan.data.cohort import Cohort
from cinegan.data.orientation import BASE_TO_APEX, RIGHTWARDS, Plane
from cinegan.errors import CineganError

DIGITS = 6  # what DICOM's decimal strings hold; all formats have these numbers
LIKELY_MS = (200.0, 3000.0)  # how long a heartbeat may last


@dataclass(frozen=True)
class Geometry:
    """What all cycles of an export share.

    Attributes
    ----------
    size, phases : int
    spacing_mm, thickness_mm : float
        Means over the train patients of whom they are known.
    interval_ms : float or None
        Mean length of their heartbeats; None where times were not recorded.
    spacing_range_mm : tuple of float
        Least and largest of the patients.
    """

    size: int
    phases: int
    spacing_mm: float
    thickness_mm: float
    interval_ms: float | None
    spacing_range_mm: tuple[float, float]

    @property
    def step_ms(self) -> float | None:
        """Time between phases."""
        return None if self.interval_ms is None else self.interval_ms / self.phases

    @cached_property
    def plane(self) -> Plane:
        """The nominal short axis, its middle at the isocentre."""
        row = RIGHTWARDS - (RIGHTWARDS @ BASE_TO_APEX) * BASE_TO_APEX
        row /= np.linalg.norm(row)
        # Seen from the apex, into the picture means towards the base.
        column = np.cross(-BASE_TO_APEX, row)
        row, column = _rounded(row), _rounded(column)
        origin = _rounded(-(self.size - 1) / 2 * self.spacing_mm * (row + column))
        spacing = (self.spacing_mm, self.spacing_mm)
        return Plane(origin, row, column, spacing, (self.size, self.size))


def geometry_of(cohort: Cohort, size: int, phases: int) -> Geometry:
    """Means over the train patients of a cohort, of whose cycles some of this size were made.

    Raises
    ------
    CineganError
        If no slice thickness was told of any.
    """
    patients = list(dict.fromkeys(cohort.patient_of_each("train").tolist()))
    spacings = [_side_mm(cohort, patient) / size for patient in patients]
    thickness = [_thickness_mm(cohort.rows(patient)) for patient in patients]
    if not any(thickness):
        raise CineganError(
            f"{cohort.folder}: the scans of no train patient tell how thick slices are, so cycles "
            "cannot be laid in space"
        )
    intervals = [_interval_ms(cohort.rows(patient)) for patient in patients]
    known = [interval for interval in intervals if interval is not None]
    return Geometry(
        size,
        phases,
        _mean(spacings),
        _mean([each for each in thickness if each]),
        _mean(known) if known else None,
        (round(min(spacings), DIGITS), round(max(spacings), DIGITS)),
    )


def _side_mm(cohort: Cohort, patient: str) -> float:
    """Side of the square field that `Cohort.grey` gives."""
    sides = zip(cohort.stack(patient).shape[1:3], cohort.spacing_mm(patient), strict=True)
    return max(pixels * spacing for pixels, spacing in sides)


def _thickness_mm(rows: pd.DataFrame) -> float:
    """Mean thickness of one patient's slices; 0 where none was told."""
    told = rows["thickness_mm"][rows["thickness_mm"] > 0]
    return float(told.mean()) if len(told) else 0.0


def _interval_ms(rows: pd.DataFrame) -> float | None:
    """Mean length of one patient's heartbeats, a step longer than from first to last phase."""
    lengths = []
    for told, scanned in zip(rows["trigger_times_ms"], rows["phases_scanned"], strict=True):
        times = [float(time) for time in str(told).split() if time != "nan"]
        length = float(np.median(np.diff(times))) * scanned if len(times) > 1 else 0.0
        if LIKELY_MS[0] <= length <= LIKELY_MS[1]:
            lengths.append(length)
    return float(np.mean(lengths)) if lengths else None


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), DIGITS)


def _rounded(vector: np.ndarray) -> np.ndarray:
    return np.round(vector, DIGITS) + 0.0  # no negative zero
