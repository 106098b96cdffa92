"""The heartbeat is physiological, and the shape holds the volumes it should."""

import numpy as np
import pytest

from cinegan.data.phantom.heart import draw_heart, outlines, volume_curve
from cinegan.data.phantom.study import Study

from .helpers import COHORT, area, cavity_areas, draw, whole_cycle_slices


def thickening(study: Study) -> np.ndarray:
    """Relative wall thickening from end-diastole to end-systole by angle, in a middle slice."""
    middle = whole_cycle_slices(study)[1]
    diastole, systole = (
        np.linalg.norm(study.epicardium[middle][p] - study.endocardium[middle][p], axis=1)
        for p in (0, study.es_phase)
    )
    return systole / diastole - 1


@pytest.mark.parametrize("systole", [0.33, 0.38, 0.43])
def test_the_volume_curve_is_physiological(systole):
    curve = volume_curve(200, systole)
    end_systole = np.argmin(curve)
    assert curve.max() == curve[0] == 1
    assert 0 <= curve.min() < 0.01
    assert end_systole / 200 == pytest.approx(systole, abs=0.03)
    assert np.all(np.diff(curve[:end_systole]) <= 1e-12)  # ejection only empties
    assert np.all(np.diff(curve[end_systole:]) >= -1e-12)  # diastole only fills
    early, diastasis, kick = (
        np.diff(curve)[int(200 * (systole + f * (1 - systole)))] for f in (0.2, 0.65, 0.9)
    )
    assert early > kick > 2 * diastasis


def test_the_cavity_shrinks_to_end_systole_and_returns(studies):
    for study in studies.values():
        areas = cavity_areas(study)
        assert np.argmin(areas) == pytest.approx(study.es_phase, abs=1)
        assert areas[study.es_phase] < 0.92 * areas[0]
        assert areas[-1] == pytest.approx(areas[0], rel=0.1)
        assert study.lv_volumes_ml[0] == study.lv_volumes_ml.max()


def test_end_systole_falls_near_the_eighth_of_twenty_phases():
    assert {draw(i, phases=20, slices=1, size=16).es_phase for i in COHORT} <= {6, 7, 8, 9}


def test_failing_hearts_are_larger_and_eject_less(studies):
    def ejection(code: str) -> list[float]:
        volumes = [s.lv_volumes_ml for i, s in studies.items() if i.startswith(f"PH-{code}-")]
        return [1 - v.min() / v.max() for v in volumes]

    assert max(ejection("HF-I") + ejection("HF-NI")) < min(ejection("N") + ejection("HYP"))


def test_contours_hold_the_models_volume():
    study = draw("PH-N-1", slices=24, size=64)
    slice_ml = study.spacing_mm**2 * study.slice_spacing_mm / 1000
    volumes_ml = cavity_areas(study) * slice_ml
    for phase in (0, study.es_phase):
        assert volumes_ml[phase] == pytest.approx(study.lv_volumes_ml[phase], rel=0.08)


def test_muscle_keeps_its_volume():
    study = draw("PH-HYP-1", slices=24, size=64)
    muscle = [
        sum(area(by_phase[p]) for by_phase in study.epicardium if by_phase[p] is not None)
        - cavity_areas(study)[p]
        for p in (0, study.es_phase)
    ]
    assert muscle[1] == pytest.approx(muscle[0], rel=0.1)


def test_infarcted_muscle_does_not_thicken_and_the_rest_does(studies):
    for number in (1, 2, 3):
        infarcted, failing = (
            thickening(studies[f"PH-{code}-{number}"]) for code in ("HF-I", "HF-NI")
        )
        assert infarcted.min() < 0.05
        assert infarcted.max() > 0.15
        assert np.ptp(infarcted) > 2 * np.ptp(failing)


def test_the_right_ventricle_lies_beside_the_septum_with_a_flat_free_wall():
    for patient in COHORT.values():
        heart = draw_heart(7, patient, 4)
        _, epicardium, right = outlines(heart, 0, 0.4 * heart.length_mm)
        wall = right[: len(right) // 2]
        assert right[:, 0].mean() < epicardium[:, 0].mean()
        # The middle of the half that faces the sternum lies near the chord between its ends.
        half = wall[len(wall) // 2 : -len(wall) // 8]
        chord = half[-1] - half[0]
        across = (half - half[0]) @ np.array([chord[1], -chord[0]]) / (chord @ chord)
        assert np.abs(across).max() < 0.3
