"""Shapes know their distance, and paint covers what lies within."""

import numpy as np
import pytest

from cinegan.data.phantom.painting import Canvas, ellipsoid, stripes, texture, tube


def at(*points: tuple[float, ...]) -> np.ndarray:
    return np.array(points, dtype=np.float32).T


def test_distances_are_negative_inside():
    ball = ellipsoid(at((0, 0, 0), (3, 0, 0), (0, 5, 0)), (0, 0, 0), (3, 3, 3))
    np.testing.assert_allclose(ball, [-3, 0, 2], atol=1e-6)
    cylinder = ellipsoid(at((0, 0, 1e4)), (0, 0, 0), (3, 3, np.inf))
    np.testing.assert_allclose(cylinder, [-3])
    vessel = tube(at((5, 0, 0), (5, 4, 0), (12, 0, 0)), (0, 0, 0), (10, 0, 0), 1)
    np.testing.assert_allclose(vessel, [-1, 3, 1], atol=1e-6)


def test_paint_blends_over_the_width_of_an_edge():
    canvas = Canvas(np.zeros(5, dtype=np.float32), edge_mm=2)
    canvas.paint(np.array([-9, -0.5, 0, 0.5, 9], dtype=np.float32), 1.0)
    np.testing.assert_allclose(canvas.signal, [1, 0.75, 0.5, 0.25, 0])


def test_stripes_are_periodic():
    x = np.array([0, 5, 10, 20], dtype=np.float32)
    np.testing.assert_allclose(stripes(x, 10), [0, 1, 0, 0], atol=1e-6)


def test_texture_is_standardised():
    field = texture(np.random.default_rng(0), (40, 50), 2.0)
    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-4)
