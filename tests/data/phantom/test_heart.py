"""The shape of the heart in short-axis planes."""

import numpy as np

from cinegan.data.phantom.heart import draw_heart, outlines

from .helpers import COHORT, cavity_areas, draw, whole_cycle_slices


def test_the_cavity_shrinks_to_end_systole_and_returns(studies):
    for study in studies.values():
        areas = cavity_areas(study)
        assert abs(np.argmin(areas) - study.es_phase) <= 1
        assert areas[study.es_phase] < 0.95 * areas[0]
        assert abs(areas[-1] / areas[0] - 1) < 0.1
        assert study.lv_volumes_ml[0] == study.lv_volumes_ml.max()


def test_end_systole_falls_near_the_eighth_of_twenty_phases():
    assert {draw(i, phases=20, slices=1, size=16).es_phase for i in COHORT} <= {6, 7, 8, 9}


def test_walls_thicken(studies):
    for original_id, study in studies.items():
        middle = whole_cycle_slices(study)[len(whole_cycle_slices(study)) // 2]
        diastole, systole = (
            np.linalg.norm(study.epicardium[middle][p] - study.endocardium[middle][p], axis=1)
            for p in (0, study.es_phase)
        )
        thickening = systole / diastole - 1
        assert thickening.max() > 0.04
        if original_id.startswith("PH-N"):
            assert thickening.min() > 0.15


def test_the_right_ventricle_lies_beside_the_septum():
    for patient in COHORT.values():
        heart = draw_heart(7, patient, 4)
        _, epicardium, right = outlines(heart, 0, 0.4 * heart.left.length_mm)
        assert right[:, 0].min() < epicardium[:, 0].min() - 4
        assert right[:, 0].mean() < epicardium[:, 0].mean()


def test_some_hearts_lie_in_fluid_and_most_do_not():
    patients = list(COHORT.values())
    wet = [
        draw_heart(seed, patient, 2).effusion_mm.any() for seed in range(8) for patient in patients
    ]
    assert 0 < np.mean(wet) < 0.25
