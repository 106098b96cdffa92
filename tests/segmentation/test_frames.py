"""Frames of patients: what is known of them."""

import numpy as np
import pytest

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.errors import CineganError
from cinegan.segmentation.frames import of_patients

SIDE, PHASES = 24, 8


def circle(radius):
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return np.stack([12 + radius * np.cos(angle), 12 + radius * np.sin(angle)], axis=1)


def test_frames_of_patients_are_those_that_somebody_drew(tmp_path):
    stack = np.random.default_rng(0).integers(0, 900, (2, SIDE, SIDE, PHASES)).astype(np.int16)
    rows = [{"patient": "A", "split": "train", "spacing_row_mm": 2.0, "spacing_column_mm": 2.0}] * 2
    drawn = [PlacedContour(1, 0, "endo", circle(6)), PlacedContour(1, 0, "epi", circle(8))]
    drawn.append(PlacedContour(1, 3, "endo", circle(4)))
    made = [
        PatientCycles("A", stack, rows, drawn),
        PatientCycles("B", stack, [{**r, "patient": "B"} for r in rows]),
    ]
    write_cohort(tmp_path / "cycles", made)
    frames = of_patients(Cohort(tmp_path / "cycles"), ["A", "B"], 12)
    assert frames.places.tolist() == [[1, 0], [1, 3]]
    assert frames.spacing_mm.tolist() == [4.0] * 4  # half as many pixels
    assert frames.cycles.shape == (4, 12, 12, PHASES)
    with pytest.raises(CineganError, match="not one frame of these patients has a contour"):
        of_patients(Cohort(tmp_path / "cycles"), ["B"], 12)
