"""The right ventricle beside the left one."""

import numpy as np
import pytest

from cinegan.data.phantom.left_ventricle import LeftVentricle
from cinegan.data.phantom.right_ventricle import RightVentricle

from .helpers import COHORT, subject


def cross_section(left: LeftVentricle, right: RightVentricle, phase: int, w: float) -> float:
    """Area of the crescent at a depth, in square millimetres."""
    septum = left.radii(phase, w)[1][:-1]
    wall = septum + (right.outline * right.width_mm[phase] * right.taper(np.array(w)))[:-1]
    return float(np.mean(wall**2 - septum**2) * np.pi)


@pytest.mark.parametrize("original_id", ["PH-N-1", "PH-HF-I-2"])
def test_it_holds_its_volume_and_ejects_the_stroke(original_id):
    heart = subject(original_id, phases=20).heart
    left, right = heart.left, heart.right
    np.testing.assert_allclose(np.ptp(right.volumes_ml), np.ptp(left.volumes_ml))
    for phase in (0, int(np.argmin(left.volumes_ml))):
        depths = np.arange(right.base_w[phase] + 0.25, right.end_w, 0.5)
        volume = sum(cross_section(left, right, phase, w) for w in depths) * 0.5 / 1000
        assert volume == pytest.approx(right.volumes_ml[phase], rel=0.02)


def test_it_ejects_the_usual_fraction_in_healthy_hearts_and_less_in_failing_ones():
    def fraction(code: str) -> float:
        volumes = [subject(i).heart.right.volumes_ml for i in COHORT if f"PH-{code}-" in i]
        return float(np.mean([1 - v.min() / v.max() for v in volumes]))

    assert fraction("N") == pytest.approx(0.59, abs=0.06)
    assert fraction("HF-NI") < fraction("N") - 0.05
