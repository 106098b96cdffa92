"""Masks label what is drawn, agree with the contours, and measure the group's volumes."""

import numpy as np
import pytest

from cinegan.data.phantom.cohort import GROUPS, cohort, group_of
from cinegan.data.phantom.left_ventricle import MYOCARDIAL_DENSITY_G_PER_ML
from cinegan.data.phantom.masks import CAVITY, MUSCLE, RIGHT, draw_masks, label_stack
from cinegan.data.phantom.stack import plan_stack
from cinegan.data.phantom.subject import lie_down

from .helpers import COHORT, PHASES, SIZE, SLICES, area, draw, mask


def test_masks_agree_with_the_contours_within_a_pixel(studies):
    for original_id in ("PH-HF-I-1", "PH-HYP-2", "PH-N-3"):
        study = studies[original_id]
        phases = [0, study.es_phase]
        masks = draw_masks(
            7, COHORT[original_id], size=SIZE, slices=SLICES, phases=PHASES, shown=phases
        )
        for index in range(SLICES):
            for number, phase in enumerate(phases):
                labels = masks[index, number]
                for drawn, contour in (
                    (labels == CAVITY, study.endocardium[index][phase]),
                    ((labels == CAVITY) | (labels == MUSCLE), study.epicardium[index][phase]),
                    (labels == RIGHT, study.right_ventricle[index][phase]),
                ):
                    if contour is None:
                        assert not drawn.any()
                        continue
                    perimeter = np.linalg.norm(np.diff(contour, axis=0), axis=1).sum()
                    assert np.sum(drawn ^ mask(contour)) < 0.5 * perimeter + 3
                    assert drawn.sum() == pytest.approx(area(contour), abs=0.3 * perimeter + 3)


def test_masks_label_what_is_bright_and_what_is_dark():
    study = draw("PH-N-2", size=128)
    masks = draw_masks(7, COHORT["PH-N-2"], size=128, slices=SLICES, phases=PHASES)
    assert masks.shape == study.images.shape and masks.dtype == np.uint8
    left, muscle, right = (study.images[1][masks[1] == k].mean() for k in (CAVITY, MUSCLE, RIGHT))
    assert min(left, right) > 1.8 * muscle


@pytest.fixture(scope="module")
def measured() -> dict[str, np.ndarray]:
    """EDV, ESV, EF and mass of 24 patients a group, from masks at end-diastole and end-systole."""
    values: dict[str, list[tuple[float, ...]]] = {group.code: [] for group in GROUPS}
    for patient in cohort(5, 24):
        subject = lie_down(5, patient, 96, 20)
        stack = plan_stack(subject, 8)
        systole = int(np.argmin(subject.heart.left.volumes_ml))
        masks = label_stack(subject, stack, [0, systole])
        pixel_ml = subject.scan.spacing_mm**2 * stack.spacing_mm / 1000
        edv, esv = np.sum(masks == CAVITY, axis=(0, 2, 3)) * pixel_ml
        mass = np.sum(masks[:, 0] == MUSCLE) * pixel_ml * MYOCARDIAL_DENSITY_G_PER_ML
        values[group_of(patient).code].append((edv, esv, 1 - esv / edv, mass))
    return {code: np.array(rows).T for code, rows in values.items()}


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.code)
def test_measured_volumes_are_the_published_ones(measured, group):
    published = (group.edv_ml[:2], group.esv_ml, group.ejection_fraction[:2], group.mass_g[:2])
    for values, (mean, sd) in zip(measured[group.code], published, strict=True):
        assert values.mean() == pytest.approx(mean, rel=0.1)
        assert values.std(ddof=1) == pytest.approx(sd, rel=0.25)
