"""What the project needs to know of one image, whatever format it came in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinegan.data.refusal import RefusedError


@dataclass(frozen=True, slots=True)
class Header:
    """Where one image of one slice lies, in space and in the cycle, and what it belongs to.

    Attributes
    ----------
    patient_id : str
        As the study names its patient; empty where it does not.
    identifying : tuple of str
        Keywords of the elements that seem to hold a real person's data; empty where the study
        has been de-identified.
    study : str
        StudyInstanceUID: what was examined in one visit.
    uid : str
        SOPInstanceUID: the same in another file means the same image again.
    series_number, instance_number : int
    trigger_ms : float or None
        Delay from the R wave (TriggerTime, PS3.3 C.8.3.1).
    interval_ms : float or None
        Length of the heartbeat (NominalInterval).
    acquired_s : float or None
        AcquisitionTime, seconds of the day.
    temporal_position : int or None
        TemporalPositionIdentifier (PS3.3 C.8.24.1).
    position_mm : (3,) float64
        Centre of the first pixel in patient coordinates, LPS (PS3.3 C.7.6.2.1.1).
    row_direction, column_direction : (3,) float64
        Unit vectors along a row (to the right in the picture) and along a column (downwards).
    spacing_mm : tuple of float
        Distance between rows, and between columns (PixelSpacing, PS3.3 10.7.1.3).
    thickness_mm : float
    shape : tuple of int
        Rows and columns.
    index : int
        Number of the frame in its file, from 0.
    pixels : object or None
        Where the pixels lie in the file, for the format's own reader.
    oriented : bool
        Whether the directions are the patient's; without, only distances can be relied on.
    """

    patient_id: str
    identifying: tuple[str, ...]
    study: str
    uid: str
    series_number: int
    instance_number: int
    trigger_ms: float | None
    interval_ms: float | None
    acquired_s: float | None
    temporal_position: int | None
    position_mm: np.ndarray
    row_direction: np.ndarray
    column_direction: np.ndarray
    spacing_mm: tuple[float, float]
    thickness_mm: float
    shape: tuple[int, int]
    index: int = 0
    pixels: object | None = None
    oriented: bool = True

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the slice plane, (3,) float64."""
        return np.cross(self.row_direction, self.column_direction)


def checked_geometry(
    position_mm: list[float],
    orientation: list[float],
    spacing_mm: list[float],
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    """Position, row and column direction, and spacing, if they describe a plausible frame.

    Raises
    ------
    ValueError
        If they do not; the message says what is wrong.
    """
    if len(position_mm) != 3 or not np.isfinite(position_mm).all():
        raise RefusedError("ImagePositionPatient is not three numbers")
    if len(orientation) != 6 or not _perpendicular(np.reshape(orientation, (2, 3))):
        raise RefusedError("ImageOrientationPatient is not two perpendicular unit vectors")
    if len(spacing_mm) != 2 or not all(0.05 < s < 20 for s in spacing_mm):
        raise RefusedError("PixelSpacing is not two plausible lengths in mm")
    if not all(8 <= side <= 4096 for side in shape):
        raise RefusedError(f"{shape[0]} x {shape[1]} pixels is no plausible frame")
    row, column = np.array(orientation, dtype=float).reshape(2, 3)
    return np.array(position_mm, dtype=float), row, column, (spacing_mm[0], spacing_mm[1])


def _perpendicular(directions: np.ndarray) -> bool:
    """Whether two vectors, (2, 3), are perpendicular and of length 1, as written with 4 digits."""
    return bool(np.abs(directions @ directions.T - np.eye(2)).max() < 2e-3)
