"""Geometry: means of the patients, a nominal plane that is upright."""

import numpy as np
import pandas as pd
import pytest

from cinegan.data.cohort import Cohort
from cinegan.data.orientation import edge_letters, turn_to_convention
from cinegan.export.geometry import geometry_of


def test_spacing_and_times_are_means_over_patients(project):
    geometry = geometry_of(Cohort(project / "data/ventricles"), size=32, phases=20)
    assert geometry.spacing_mm == 5.0  # twice (2 + 3) / 2: half as many pixels
    assert geometry.spacing_range_mm == (4.0, 6.0)
    assert geometry.thickness_mm == 8.0
    assert geometry.interval_ms == pytest.approx(900)
    assert geometry.step_ms == pytest.approx(45)


def test_times_that_nobody_recorded_are_not_made_up(project):
    index = project / "data/ventricles/index.csv"
    table = pd.read_csv(index)
    table["trigger_times_ms"] = " " * 19
    table.to_csv(index, index=False)
    geometry = geometry_of(Cohort(project / "data/ventricles"), 32, 20)
    assert geometry.interval_ms is None
    assert geometry.step_ms is None


def test_the_plane_is_a_short_axis_as_the_house_lays_it(source):
    plane = source.geometry.plane
    assert str(turn_to_convention(plane.row, plane.column)) == "as scanned"
    assert edge_letters(plane.row, plane.column)["right"] == "L"
    assert abs(plane.row @ plane.column) < 1e-6
    middle = plane.origin_mm + 31.5 * plane.spacing_mm[0] * (plane.row + plane.column)
    np.testing.assert_allclose(middle, 0, atol=1e-4)
