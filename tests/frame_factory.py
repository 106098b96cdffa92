"""Images as conversion knows them, headers alone: for tests of where and when they were taken."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from dicom_factory import NORMAL, SHORT_AXIS

from cinegan.data.cycles import Frame
from cinegan.data.header import Header

PHASES = 10
PERIOD_MS = 800.0
OPTIONAL = ("index", "pixels", "oriented")  # of a header's fields


def frame(position, phase, number=300, name="CINESAX_300", instance=None, **changes):
    """One image at a distance towards the apex, mm, and a phase of the cycle."""
    row, column = np.array(changes.pop("orientation", SHORT_AXIS), dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    normal = normal if normal @ NORMAL >= 0 else -normal
    values = {
        **dict.fromkeys(field.name for field in fields(Header) if field.name not in OPTIONAL),
        "patient_id": "P1",
        "identifying": (),
        "study": "1.2",
        "uid": "",
        "series_number": number,
        "instance_number": instance if instance is not None else int(10 * position) + phase + 1,
        "trigger_ms": PERIOD_MS * phase / PHASES,
        "position_mm": position * normal + 3 * row - 40 * column,
        "row_direction": row,
        "column_direction": column,
        "spacing_mm": (1.5, 1.5),
        "thickness_mm": 8.0,
        "shape": (64, 64),
    }
    header = Header(**{**values, **changes})
    return Frame(header, "a.zip", f"P1/{name}/IM-{number}-{header.instance_number:05d}.dcm")


def stack(positions, phases=PHASES, **changes):
    """Slices at these positions, all phases of each."""
    return [frame(p, phase, **changes) for p in positions for phase in range(phases)]
