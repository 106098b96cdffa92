"""The heartbeat is physiological."""

import numpy as np
import pytest

from cinegan.data.phantom.motion import volume_curve


@pytest.mark.parametrize("systole", [0.33, 0.38, 0.43])
def test_the_volume_curve_is_physiological(systole):
    curve = volume_curve(200, systole)
    end_systole = np.argmin(curve)
    assert curve.max() == curve[0] == 1
    assert curve.min() == 0
    assert end_systole / 200 == pytest.approx(systole, abs=0.03)
    assert np.all(np.diff(curve[:end_systole]) <= 1e-12)  # ejection only empties
    assert np.all(np.diff(curve[end_systole:]) >= -1e-12)  # diastole only fills
    early, diastasis, kick = (
        np.diff(curve)[int(200 * (systole + f * (1 - systole)))] for f in (0.2, 0.65, 0.9)
    )
    assert early > kick > 2 * diastasis


@pytest.mark.parametrize("phases", [10, 20, 25])
def test_an_image_falls_on_either_end_of_the_stroke(phases):
    curve = volume_curve(phases, 0.375)
    assert curve[0] == 1 and curve.min() == 0
