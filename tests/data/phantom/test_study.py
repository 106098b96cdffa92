"""A study depends on its arguments only, and its geometry is a stack's."""

from dataclasses import replace

import numpy as np
import pytest

from cinegan.data.phantom.study import draw_study
from cinegan.errors import CineganError

from .helpers import COHORT, PHASES, SIZE, SLICES, draw


def test_a_study_depends_on_seed_and_patient_only(studies):
    again = draw("PH-N-2")
    np.testing.assert_array_equal(again.images, studies["PH-N-2"].images)
    assert not np.array_equal(draw("PH-N-2", seed=8).images, again.images)
    assert not np.array_equal(studies["PH-N-1"].images, again.images)


def test_age_does_not_change_the_picture():
    patient = COHORT["PH-N-1"]
    older = replace(patient, age=patient.age + 10)
    sizes = {"size": 32, "slices": 2, "phases": 2}
    np.testing.assert_array_equal(
        draw_study(7, patient, **sizes).images, draw_study(7, older, **sizes).images
    )


@pytest.mark.parametrize("sizes", [{"size": 8}, {"slices": 0}, {"phases": 1}])
def test_sizes_that_show_nothing_are_refused(sizes):
    with pytest.raises(CineganError, match="a phantom needs at least"):
        draw("PH-N-1", **sizes)


def test_intensities_and_geometry(studies):
    for study in studies.values():
        assert study.images.shape == (SLICES, PHASES, SIZE, SIZE)
        assert study.images.dtype == np.int16
        assert study.images.min() >= 0 and study.images.max() < 2500
        row, column = study.orientation[:3], study.orientation[3:]
        np.testing.assert_allclose([row @ row, column @ column, row @ column], [1, 1, 0], atol=1e-9)
        steps = np.diff(study.positions_mm, axis=0)
        np.testing.assert_allclose(np.linalg.norm(steps, axis=1), study.slice_spacing_mm)
        np.testing.assert_allclose(steps @ row, 0, atol=1e-9)
        assert study.trigger_times_ms.shape == (SLICES, PHASES)
        assert np.all(np.diff(study.trigger_times_ms) > 0)
        intervals_ms = 60_000 / np.array(study.heart_rates_bpm)
        assert np.all(study.trigger_times_ms[:, -1] < intervals_ms)


def test_the_heart_stays_in_the_field(studies):
    for study in studies.values():
        polygons = [p for by_phase in study.right_ventricle + study.epicardium for p in by_phase]
        everything = np.concatenate([p for p in polygons if p is not None])
        assert everything.min() > 3 and everything.max() < SIZE - 4
