"""Classes of pixels: what is told, and nothing more."""

import numpy as np

from cinegan.export.classes import (
    BACKGROUND,
    CAVITY,
    IGNORE,
    MYOCARDIUM,
    classes_of,
    masks_of,
)


def of(endo, epi, knows_endo, knows_epi):
    maps = np.array([endo, epi], np.uint8)[None, :, :, None].transpose(0, 2, 3, 1)  # (1, W, 1, 2)
    maps = maps[:, None]  # (1, 1, W, 1, 2)
    return classes_of(maps, np.array([[[knows_endo, knows_epi]]]))[0, 0, :, 0].tolist()


def test_each_pixel_is_what_more_than_half_of_it_is_in():
    endo, epi = [255, 128, 127, 0], [255, 255, 128, 127]
    assert of(endo, epi, True, True) == [CAVITY, CAVITY, MYOCARDIUM, BACKGROUND]


def test_what_nobody_told_is_ignored():
    endo, epi = [255, 0, 0], [255, 255, 0]
    assert of(endo, epi, True, False) == [CAVITY, IGNORE, IGNORE]
    assert of(endo, epi, False, True) == [IGNORE, IGNORE, BACKGROUND]
    assert of(endo, epi, False, False) == [IGNORE] * 3


def test_outlines_lie_at_the_phases_that_they_fit(source):
    known = source.labels.known
    for of_cycle, classes in zip(known, source.labels.classes, strict=True):
        (diastole,) = np.flatnonzero(of_cycle[:, 1])
        (systole,) = set(np.flatnonzero(of_cycle[:, 0])) - {diastole}
        assert 6 <= systole <= 10
        assert IGNORE not in classes[..., diastole]
        assert set(np.unique(classes[..., systole])) == {CAVITY, IGNORE}


def test_a_mask_of_nothing_is_known_and_a_lack_of_one_is_not():
    classes = np.full((2, 2, 3), BACKGROUND, np.uint8)
    known = np.array([[True, True], [True, False], [False, True]])
    found = [(m.segment, m.phase, m.mask.any()) for m in masks_of(classes, known)]
    assert found == [(0, 0, False), (1, 0, False), (0, 1, False)]
