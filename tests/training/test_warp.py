import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from cinegan.training.warp import DRAWS, _displacement, warp

SIDE, PHASES = 32, 5
RNG = np.random.default_rng(0)


def smooth(n, height=SIDE, width=SIDE):
    noise = RNG.normal(size=(n, height, width, PHASES))
    cycles = gaussian_filter(noise, (0, 4, 4, 0), mode="reflect")
    return (cycles / np.abs(cycles).max()).astype(np.float32)


def bends(n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, *DRAWS)).astype(np.float32)


def test_nothing_is_the_identity():
    cycles = smooth(3)
    np.testing.assert_array_equal(warp(cycles, bends(3), 0.0), cycles)
    np.testing.assert_array_equal(warp(cycles, 0 * bends(3), 0.05), cycles)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40)])
def test_displacement_is_smooth_of_mean_square_one_and_without_a_translation(height, width):
    fields = np.asarray(_displacement(bends(4000)[:, 0], height, width))
    assert fields.shape == (4000, height, width)
    assert np.mean(fields**2) == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(fields.mean(axis=(1, 2)), 0, atol=1e-5)
    steps = np.abs(np.diff(fields, axis=2)).max(axis=(1, 2)) * width * 0.05
    assert np.quantile(steps, 0.99) < 1  # bent by a twentieth, rows do not fold over


def test_pixels_come_from_where_the_displacement_points():
    """Against scipy's cubic splines, in the same two passes."""
    cycles, draws, deviation = smooth(2), bends(2), 0.04
    across, down = (
        SIDE * deviation * np.asarray(_displacement(draws[:, axis], SIDE, SIDE)) for axis in (0, 1)
    )
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(float)
    expected = np.empty_like(cycles)
    for n, phase in np.ndindex(2, PHASES):
        frame = cycles[n, :, :, phase].astype(float)
        bent = map_coordinates(frame, [rows, columns + across[n]], order=3, mode="mirror")
        bent = map_coordinates(bent, [rows + down[n], columns], order=3, mode="mirror")
        expected[n, :, :, phase] = bent
    made = np.asarray(warp(cycles, draws, deviation))
    np.testing.assert_allclose(made, expected, atol=0.01)  # also at the edges, where it mirrors
    assert np.abs(made - cycles).max() > 0.1


def test_all_phases_are_bent_alike_and_each_cycle_by_itself():
    still = np.repeat(smooth(3)[..., :1], PHASES, axis=-1)
    made = np.asarray(warp(still, bends(3), 0.05))
    np.testing.assert_array_equal(made, np.repeat(made[..., :1], PHASES, axis=-1))
    np.testing.assert_allclose(warp(still[1:2], bends(3)[1:2], 0.05)[0], made[1], atol=1e-6)


def test_a_constant_stays_and_the_range_is_kept():
    flat = np.full((2, SIDE, SIDE, PHASES), -0.7, np.float32)
    np.testing.assert_allclose(warp(flat, bends(2), 0.1), flat, atol=1e-5)
    hard = np.sign(smooth(2))
    made = np.asarray(warp(hard, bends(2), 0.1))
    assert made.min() >= -1
    assert made.max() <= 1
