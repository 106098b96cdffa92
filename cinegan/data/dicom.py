"""Reading DICOM: the one file of the project that does."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

# Conforming identifiers are not asked of others' data: published cohorts were anonymised by hand.
warnings.filterwarnings("ignore", module=r"pydicom\.")

_Absent = TypeVar("_Absent", float, None)

_HEADER_TAGS = [
    "PatientID",
    "SeriesNumber",
    "InstanceNumber",
    "TriggerTime",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
]


@dataclass(frozen=True)
class Header:
    """What the project needs to know of one image.

    Attributes
    ----------
    position_mm : (3,) float64
        Centre of the first pixel in patient coordinates, LPS (PS3.3 C.7.6.2.1.1).
    row_direction, column_direction : (3,) float64
        Unit vectors along a row (to the right in the picture) and along a column (downwards).
    spacing_mm : tuple of float
        Distance between rows, and between columns (PixelSpacing, PS3.3 10.7.1.3).
    trigger_ms : float or None
        Delay from the R wave (TriggerTime, PS3.3 C.8.3.1).
    """

    patient_id: str
    series_number: int
    instance_number: int
    trigger_ms: float | None
    position_mm: np.ndarray
    row_direction: np.ndarray
    column_direction: np.ndarray
    spacing_mm: tuple[float, float]
    thickness_mm: float
    shape: tuple[int, int]

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the slice plane, (3,) float64."""
        return np.cross(self.row_direction, self.column_direction)


def read_header(content: bytes) -> Header:
    """Read the header of one DICOM file.

    Raises
    ------
    ValueError
        If this is not an image of one slice with a place in space; the message says why.
    """
    ds = parse(content, stop_before_pixels=True, specific_tags=_HEADER_TAGS)
    try:
        return _header_of(ds)
    except Exception as error:  # pydicom converts values as they are asked for
        raise ValueError(f"unusable header ({_first_line(error)})") from None


def read_pixels(content: bytes) -> np.ndarray:
    """Read the pixels of one DICOM file, (H, W), as stored; float32 after a rescale slope.

    Raises
    ------
    ValueError
        If there are no whole pixel data that can be decoded.
    """
    ds = parse(content)
    if "PixelData" not in ds:
        raise ValueError("no pixel data")
    try:
        pixels = ds.pixel_array
    except Exception as error:  # decoders raise whatever they like on damaged data
        raise ValueError(f"pixel data cannot be decoded ({_first_line(error)})") from None
    if pixels.ndim != 2:
        raise ValueError(f"pixel data of shape {pixels.shape}, not one grey image")
    slope, intercept = _number(ds, "RescaleSlope", 1.0), _number(ds, "RescaleIntercept", 0.0)
    if (slope, intercept) != (1.0, 0.0):
        return (pixels * slope + intercept).astype(np.float32)
    return pixels


def is_dicom(content: bytes) -> bool:
    """Whether a file begins as DICOM files do (PS3.10 7.1)."""
    return content[128:132] == b"DICM"


def parse(content: bytes, **options: Any) -> pydicom.Dataset:
    """Parse one DICOM file.

    Raises
    ------
    ValueError
        If it is not a whole DICOM file; the message says why.
    """
    try:
        return pydicom.dcmread(io.BytesIO(content), **options)
    except InvalidDicomError:
        raise ValueError("not a DICOM file") from None
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise ValueError(f"not a whole DICOM file ({_first_line(error)})") from None


def _header_of(ds: pydicom.Dataset) -> Header:
    if "PixelSpacing" not in ds or "ImageOrientationPatient" not in ds:
        raise ValueError("no place in space: PixelSpacing or ImageOrientationPatient missing")
    orientation = np.array(ds.ImageOrientationPatient, dtype=float)
    position = np.array(ds.ImagePositionPatient, dtype=float)
    spacing = tuple(float(s) for s in ds.PixelSpacing)
    directions = orientation.reshape(2, 3)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise ValueError("ImagePositionPatient is not three numbers")
    if not np.allclose(directions @ directions.T, np.eye(2), atol=1e-3):
        raise ValueError("ImageOrientationPatient is not two perpendicular unit vectors")
    if len(spacing) != 2 or not all(0.05 < s < 20 for s in spacing):
        raise ValueError(f"PixelSpacing {spacing} is not two lengths in mm")
    if int(ds.get("NumberOfFrames") or 1) != 1 or int(ds.get("SamplesPerPixel", 1)) != 1:
        raise ValueError("not a single grey frame")
    shape = int(ds.Rows), int(ds.Columns)
    if not all(8 <= side <= 4096 for side in shape):
        raise ValueError(f"{shape[0]} x {shape[1]} pixels is no plausible frame")
    return Header(
        patient_id=str(ds.get("PatientID", "")).strip(),
        series_number=int(ds.get("SeriesNumber") or 0),
        instance_number=int(ds.get("InstanceNumber") or 0),
        trigger_ms=_number(ds, "TriggerTime", None),
        position_mm=position,
        row_direction=directions[0],
        column_direction=directions[1],
        spacing_mm=(spacing[0], spacing[1]),
        thickness_mm=float(ds.get("SliceThickness") or 0),
        shape=shape,
    )


def _number(ds: pydicom.Dataset, keyword: str, absent: _Absent) -> float | _Absent:
    """Read the finite number of an element; `absent` where it is missing or empty."""
    try:
        value = ds.get(keyword)
        number = absent if value in (None, "") else float(value)
    except Exception as error:  # pydicom converts at this moment
        raise ValueError(f"{keyword} is not a number ({_first_line(error)})") from None
    if number is not None and not np.isfinite(number):
        raise ValueError(f"{keyword} is not a number ({number})")
    return number


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
