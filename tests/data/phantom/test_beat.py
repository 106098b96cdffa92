"""The heart in the picture agrees with its contours."""

import numpy as np

from .helpers import PHASES, area, draw, mask, whole_cycle_slices


def test_blood_is_bright_and_muscle_dark_within_the_contours(studies):
    for study in studies.values():
        for index in whole_cycle_slices(study):
            for phase in range(0, PHASES, 3):
                image = study.images[index, phase]
                cavity = mask(study.endocardium[index][phase])
                wall = mask(study.epicardium[index][phase]) & ~cavity
                if cavity.sum() > 12:
                    assert np.median(image[cavity]) > 1.8 * np.median(image[wall])


def test_the_drawn_edge_lies_on_the_endocardial_contour():
    study = draw("PH-N-2", size=192)
    index = whole_cycle_slices(study)[0]  # above the papillary muscles
    contour, image = study.endocardium[index][0], study.images[index, 0].astype(float)
    outward = contour - contour.mean(0)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    steps = np.arange(-3, 4)
    around = np.rint(contour[:, None] + steps[None, :, None] * outward[:, None]).astype(int)
    profile = np.median(image[around[..., 1], around[..., 0]], axis=0)
    edge = np.interp(-(profile[0] + profile[-1]) / 2, -profile, steps)
    assert abs(edge) < 1


def test_the_right_ventricle_is_bright_beside_the_left_one_and_ejects(studies):
    for study in studies.values():
        index = whole_cycle_slices(study)[0]
        relaxed = study.right_ventricle[index][0]
        assert relaxed[:, 0].mean() < study.endocardium[index][0][:, 0].mean()
        wall = mask(study.epicardium[index][0]) & ~mask(study.endocardium[index][0])
        image = study.images[index, 0]
        assert np.median(image[mask(relaxed)]) > 1.8 * np.median(image[wall])
        contracted = study.right_ventricle[index][study.es_phase]
        if contracted is not None:
            assert area(contracted) < area(relaxed)
