"""A patient in the scanner."""

import numpy as np

from cinegan.data.phantom.scan import plane_at
from cinegan.data.phantom.subject import lie_down, scan_cine

from .helpers import COHORT


def test_frames_of_reference_are_inverse():
    subject = lie_down(7, COHORT["PH-N-1"], 32, 4)
    points = np.random.default_rng(0).normal(0, 50, (6, 3))
    there = subject.to_patient(points)
    np.testing.assert_allclose(subject.to_heart(there.T[:, :, None])[..., 0].T, points, atol=1e-9)


def test_a_plane_that_misses_the_heart_stands_still_but_for_noise():
    subject = lie_down(7, COHORT["PH-N-1"], 48, 6)
    x, y, _ = np.eye(3)
    far, near = (
        np.stack(list(scan_cine(subject, plane_at(centre, x, y, 8.0, 48), 0, np.zeros(3))))
        for centre in (np.array([0.0, 0.0, -250.0]), subject.to_patient(np.array([0.0, 0.0, 40.0])))
    )
    assert np.ptp(far, axis=0).max() < 0.5 * np.ptp(near, axis=0).max()
