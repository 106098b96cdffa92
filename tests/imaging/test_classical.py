"""Classical augmentation: each kind by itself, alike for phases and maps, of the seed alone."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from cinegan.imaging.augment import affine, photometric
from cinegan.params import Affine, Photometric

SIDE, PHASES, SPACING = 48, 5, 2.0
STILL = {
    "rotation_deg": 0.0,
    "translation_mm": 0.0,
    "scale": 0.0,
    "shear_deg": 0.0,
    "elastic_mm": 0.0,
}
PLAIN = {
    "brightness": 0.0,
    "contrast": 0.0,
    "gamma": 0.0,
    "shading": 0.0,
    "noise": 0.0,
    "blur_mm": 0.0,
}


class Drawn:
    """A generator whose uniform numbers are all at one end, and whose normal ones are of a seed."""

    def __init__(self, end, seed=0):
        self.end, self.normal = end, np.random.default_rng(seed)

    def uniform(self, low, high, size):
        return np.full(size, high if self.end > 0 else low, float)

    def standard_normal(self, size):
        return self.normal.standard_normal(size)


def blob(row, column, radius=6.0):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    one = 1 / (1 + np.exp(np.hypot(rows - row, columns - column) - radius))
    return np.repeat(one[..., None], PHASES, axis=-1).astype(np.float32)


def moved(end, cycle, **change):
    return affine([cycle], Affine(**{**STILL, **change}), SPACING, Drawn(end))[0]


def shown(end, cycle, **change):
    return photometric(cycle, Photometric(**{**PLAIN, **change}), SPACING, Drawn(end))


@pytest.mark.parametrize("end", [-1, 1])
def test_nothing_asked_for_changes_nothing(end):
    cycle = np.random.default_rng(0).random((SIDE, SIDE, PHASES), dtype=np.float32)
    np.testing.assert_allclose(moved(end, cycle), cycle, atol=1e-5)
    np.testing.assert_allclose(shown(end, cycle), cycle, atol=1e-6)


@pytest.mark.parametrize("end", [-1, 1])
def test_translation_is_in_mm(end):
    found = center_of_mass(moved(end, blob(24, 20), translation_mm=10.0)[..., 0])
    assert found == pytest.approx((24 + 5 * end, 20 + 5 * end), abs=0.1)


@pytest.mark.parametrize("end", [-1, 1])
def test_rotation_is_about_the_middle_in_degrees(end):
    middle = (SIDE - 1) / 2
    found = center_of_mass(moved(end, blob(middle, middle + 12), rotation_deg=90.0)[..., 0])
    assert found == pytest.approx((middle + 12 * end, middle), abs=0.1)


@pytest.mark.parametrize(("end", "factor"), [(1, 1.25), (-1, 1 / 1.25)])
def test_scale_is_about_the_middle_and_as_much_down_as_up(end, factor):
    middle = (SIDE - 1) / 2
    before, after = blob(middle, middle), moved(end, blob(middle, middle), scale=0.25)
    assert after[..., 0].sum() / before[..., 0].sum() == pytest.approx(factor**2, rel=0.02)
    assert center_of_mass(after[..., 0]) == pytest.approx((middle, middle), abs=0.05)


@pytest.mark.parametrize("end", [-1, 1])
def test_shear_moves_rows_across_in_proportion_and_keeps_areas(end):
    middle = (SIDE - 1) / 2
    before = blob(middle - 10, middle)
    after = moved(end, before, shear_deg=20.0)
    assert after[..., 0].sum() == pytest.approx(before[..., 0].sum(), rel=0.01)
    row, column = center_of_mass(after[..., 0])
    assert row == pytest.approx(middle - 10, abs=0.1)
    assert abs(column - middle) == pytest.approx(10 * np.tan(np.deg2rad(20)), abs=0.1)
    other = center_of_mass(moved(-end, before, shear_deg=20.0)[..., 0])[1]
    assert (column - middle) * (other - middle) < 0


def test_elastic_deformation_is_as_far_as_it_says_and_smooth():
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    places = np.stack([rows, columns], axis=-1)
    middle = slice(12, -12)
    shifts = [
        (
            affine(
                [places], Affine(**{**STILL, "elastic_mm": 4.0}), SPACING, np.random.default_rng(k)
            )[0]
            - places
        )
        for k in range(60)
    ]
    inside = np.array(shifts)[:, middle, middle]
    # Of a cubic interpolation between control points, which vary by the whole.
    assert 0.5 < inside.std() * SPACING / 4.0 < 1.0
    assert abs(np.diff(inside, axis=1)).mean() < 0.2  # pixels of one pixel


def test_all_phases_and_maps_move_alike():
    cycle = np.random.default_rng(0).random((SIDE, SIDE, PHASES), dtype=np.float32)
    options = Affine(
        rotation_deg=30.0, translation_mm=8.0, scale=0.2, shear_deg=8.0, elastic_mm=3.0
    )
    both = affine([cycle, cycle[..., :2]], options, SPACING, np.random.default_rng(5))
    np.testing.assert_array_equal(both[0][..., :2], both[1])
    again = affine([cycle], options, SPACING, np.random.default_rng(5))
    np.testing.assert_array_equal(again[0], both[0])
    other = affine([cycle], options, SPACING, np.random.default_rng(6))
    assert abs(other[0] - both[0]).max() > 0.1


@pytest.mark.parametrize("kind", ["rotation_deg", "translation_mm", "scale", "shear_deg"])
def test_a_kind_that_is_left_out_does_not_change_how_others_are_drawn(kind):
    cycle = blob(20, 28)
    every = {"rotation_deg": 10.0, "translation_mm": 4.0, "scale": 0.1, "shear_deg": 3.0}
    hardly = dict.fromkeys((*every, "elastic_mm"), 1e-9)
    options = [Affine(**{**others, kind: every[kind]}) for others in (STILL, hardly)]
    one, other = (affine([cycle], each, SPACING, np.random.default_rng(1))[0] for each in options)
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("kind", ["brightness", "contrast", "gamma", "shading", "noise"])
def test_a_look_that_is_left_out_does_not_change_how_others_are_drawn(kind):
    every = {"brightness": 0.1, "contrast": 0.2, "gamma": 0.2, "shading": 0.3, "noise": 0.05}
    hardly = dict.fromkeys(PLAIN, 1e-9)
    options = [Photometric(**{**others, kind: every[kind]}) for others in (PLAIN, hardly)]
    one, other = (
        photometric(blob(20, 28), each, SPACING, np.random.default_rng(1)) for each in options
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("end", [-1, 1])
def test_grey_levels_change_as_they_say(end):
    cycle = np.full((SIDE, SIDE, PHASES), 0.5, np.float32)
    cycle[:24] = 0.3
    np.testing.assert_allclose(shown(end, cycle, brightness=0.1), cycle + 0.1 * end, atol=1e-6)
    np.testing.assert_allclose(shown(end, cycle, gamma=0.25), cycle ** (1.25**end), atol=1e-6)
    stretched = 0.4 + (cycle - 0.4) * 1.25**end
    np.testing.assert_allclose(shown(end, cycle, contrast=0.25), stretched, atol=1e-6)


def test_shading_is_smooth_and_at_most_what_it_says():
    cycle = np.full((SIDE, SIDE, PHASES), 0.5, np.float32)
    shaded = shown(1, cycle, shading=0.3)
    ratio = shaded / cycle
    assert abs(np.log(ratio)).max() == pytest.approx(np.log(1.3), rel=1e-4)
    assert abs(np.diff(ratio, axis=0)).max() < 0.06
    np.testing.assert_array_equal(shaded[..., 0], shaded[..., -1])


def test_noise_is_of_a_magnitude_and_each_phases_own():
    bright, dark = (np.full((SIDE, SIDE, PHASES), level, np.float32) for level in (0.6, 0.0))
    noisy = shown(1, bright, noise=0.05)
    assert noisy.std() == pytest.approx(0.05, rel=0.1)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.1
    # Rician where there is no signal, as Gudbjartsson and Patz have it.
    assert shown(1, dark, noise=0.05).mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.15)


def test_blur_is_in_mm():
    point = np.zeros((SIDE, SIDE, PHASES), np.float32)
    point[24, 24] = 1
    blurred = shown(1, point, blur_mm=4.0)[..., 0]
    rows = np.arange(SIDE) - 24
    assert np.sqrt((blurred.sum(axis=1) * rows**2).sum() / blurred.sum()) == pytest.approx(
        2, rel=0.05
    )


def test_what_comes_back_is_a_picture():
    cycle = np.random.default_rng(0).random((SIDE, SIDE, PHASES), dtype=np.float32)
    most = Photometric(brightness=0.5, contrast=0.9, gamma=0.9, shading=0.9, noise=0.3, blur_mm=5.0)
    for seed in range(20):
        found = photometric(cycle, most, SPACING, np.random.default_rng(seed))
        assert found.dtype == np.float32
        assert 0 <= found.min() <= found.max() <= 1
