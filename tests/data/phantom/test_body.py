"""The still anatomy, in an axial plane through the chest."""

import numpy as np

from cinegan.data.phantom.body import draw_body, paint_body
from cinegan.data.phantom.cohort import cohort
from cinegan.data.phantom.painting import FAT, Canvas
from cinegan.data.phantom.scan import plane_at

SIDE = 100


def paint(z: float) -> tuple[np.ndarray, np.ndarray]:
    """Signal and lung distances in an axial plane, 4 mm a pixel."""
    body = draw_body(1, cohort(1, 1)[0])
    x, y, _ = np.eye(3)
    points = plane_at(np.array([0, 0, z]), x, y, 4.0, SIDE).points.astype(np.float32)
    canvas = Canvas(np.zeros((SIDE, SIDE), dtype=np.float32), 4.0)
    return canvas.signal, paint_body(canvas, points, body, np.random.default_rng(0))


def test_air_surrounds_fat_surrounds_lungs():
    signal, lung_mm = paint(20)
    assert not signal[0].any() and not signal[:, 0].any()
    assert signal.min() < 0.7 * FAT
    lungs = (lung_mm > 8).all(0)
    assert 0.1 < lungs.mean() < 0.6
    assert np.median(signal[lungs]) < 0.1


def test_there_is_no_lung_below_the_diaphragm():
    _, lung_mm = paint(-150)
    inside = lung_mm[0] > 30
    assert inside.any() and np.mean(lung_mm[1][inside] < 0) > 0.9
