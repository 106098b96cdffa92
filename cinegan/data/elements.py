"""Values of DICOM elements, read with the distrust that others' files deserve.

An element may be missing, empty, of another type than the standard says, or raise as it is asked
for. No message repeats its value, which may be a patient's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, MutableSequence
from typing import Any, TypeVar

from cinegan.data.refusal import RefusedError

Elements = Mapping[str, Any]  # or a pydicom data set: what matters here is its `get`
UNREADABLE = object()  # stands for a value that cannot be converted
_Absent = TypeVar("_Absent", float, None)
_AbsentWhole = TypeVar("_AbsentWhole", int, None)


def first_item(sequence: Any) -> Any:
    """The first item of a sequence; an empty one where there is none."""
    return sequence[0] if sequence else {}


def number(ds: Elements, keyword: str, absent: _Absent) -> float | _Absent:
    """The finite number of an element; `absent` where it is missing or empty."""
    values = values_of(ds, keyword)
    if not values:
        return absent
    if len(values) > 1:
        raise RefusedError(f"{keyword} is not a number")
    return values[0]


def whole_number(
    ds: Elements,
    keyword: str,
    absent: _AbsentWhole = 0,  # type: ignore[assignment]
) -> int | _AbsentWhole:
    """The whole number of an element; `absent` where it is missing or empty."""
    value = number(ds, keyword, None)
    if value is None:
        return absent
    if value != int(value):
        raise RefusedError(f"{keyword} is not a whole number")
    return int(value)


def seconds_of_day(time: str) -> float | None:
    """Seconds of the day of a DICOM time, HHMMSS.FFFFFF; None where it is none."""
    match = re.fullmatch(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(\.\d{1,6})?", time.strip())
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups(default="")
    return 3600.0 * int(hours) + 60.0 * int(minutes) + int(seconds) + float(f"0{fraction}")


def seconds_of_frame(frame_content: Elements) -> float | None:
    """Seconds of the day of FrameAcquisitionDateTime, YYYYMMDDHHMMSS.FFFFFF&ZZXX."""
    moment = text(frame_content, "FrameAcquisitionDateTime")
    return seconds_of_day(re.sub(r"[+-]\d{4}$", "", moment)[8:])


def text(ds: Elements, keyword: str) -> str:
    """What an element says; empty where it is missing or cannot be read."""
    try:
        value = ds.get(keyword)
        return "" if value is None or value is UNREADABLE else str(value).strip()
    except Exception:  # pydicom converts at this moment
        return ""


def values_of(ds: Elements, keyword: str) -> list[float]:
    """The finite numbers of an element, however many."""
    try:
        value = ds.get(keyword)
        if value is None or value == "":
            return []
        single = isinstance(value, str | int | float)  # quicker to ask than for a sequence
        many = not single and isinstance(value, MutableSequence)
        values = [float(v) for v in value] if many else [float(value)]
    except Exception:  # pydicom converts at this moment
        raise RefusedError(f"{keyword} is not a number") from None
    if not all(map(math.isfinite, values)):
        raise RefusedError(f"{keyword} is not a number")
    return values
