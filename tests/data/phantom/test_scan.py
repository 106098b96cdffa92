"""Planes map there and back, and noise is Rician."""

import numpy as np
import pytest

from cinegan.data.phantom.cohort import cohort
from cinegan.data.phantom.scan import draw_scan, field_edge, plane_at, receive

X, Y, _ = np.eye(3)


def test_pixels_are_the_inverse_of_points():
    plane = plane_at(np.array([5.0, -3.0, 20.0]), X, Y, 1.5, 9)
    np.testing.assert_allclose(plane.points[:, 4, 4], [5, -3, 20])
    points = plane.points.reshape(3, -1).T
    rows, columns = np.divmod(np.arange(81), 9)
    np.testing.assert_allclose(plane.pixels(points), np.column_stack([columns, rows]), atol=1e-9)


def test_the_hearts_axes_are_a_right_handed_frame():
    for patient in cohort(1, 2):
        axes = draw_scan(1, patient, 256).heart_axes
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)


def test_noise_without_signal_is_rayleigh():
    image = receive(np.zeros((200, 200), dtype=np.float32), 0.1, 0.13, np.random.default_rng(0))
    assert image.min() >= 0
    assert image.mean() / image.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.05)


def test_a_signal_keeps_its_level():
    signal = np.full((64, 64), -1, dtype=np.float32)
    image = receive(signal, 0.02, 0.13, np.random.default_rng(0))
    assert np.median(image) == pytest.approx(1, abs=0.01)


def test_the_field_is_round():
    field = field_edge(64, 0.9)
    assert field[0, 32] == field[0, 0] == 0
    assert field[32, 32] == 1
    assert field_edge(64, 9.0).all()
