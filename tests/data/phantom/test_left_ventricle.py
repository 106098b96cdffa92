"""The left ventricle holds its volumes, and a scar stays still."""

import numpy as np
import pytest

from cinegan.data.phantom.cohort import Function
from cinegan.data.phantom.left_ventricle import (
    LEVEL_SHARES,
    MYOCARDIAL_DENSITY_G_PER_ML,
    LeftVentricle,
    draw_left_ventricle,
)
from cinegan.data.phantom.motion import volume_curve

STEP_MM = 0.25


def ventricle(seed: int, ejection: float = 0.35, infarcted: bool = True) -> LeftVentricle:
    function = Function(edv_ml=220.0, ejection_fraction=ejection, mass_g=190.0)
    rng = np.random.default_rng(seed)
    return draw_left_ventricle(rng, function, volume_curve(20, 0.38), infarcted)


def volumes_ml(left: LeftVentricle, phase: int) -> tuple[float, float]:
    """Of the cavity and of the muscle, summed over thin slices."""
    depths = np.arange(left.base_w[phase] + STEP_MM / 2, left.tip_w, STEP_MM)
    endo, epi = (
        sum(np.mean(left.radii(phase, w)[i][:-1] ** 2) * np.pi * STEP_MM for w in depths) / 1000
        for i in (0, 1)
    )
    return endo, epi - endo


@pytest.mark.parametrize("seed", range(4))
def test_cavity_and_muscle_hold_their_volumes_at_every_phase(seed):
    left = ventricle(seed, ejection=0.45, infarcted=seed % 2 == 0)
    for phase in (0, 4, 7, 12):
        cavity, muscle = volumes_ml(left, phase)
        assert cavity == pytest.approx(left.volumes_ml[phase], rel=0.015)
        assert muscle * MYOCARDIAL_DENSITY_G_PER_ML == pytest.approx(190, rel=0.025)


@pytest.mark.parametrize("seed", range(6))
def test_a_scar_neither_moves_nor_thickens_and_the_rest_does_both(seed):
    left = ventricle(seed)
    systole = int(np.argmin(left.volumes_ml))
    at = (LEVEL_SHARES * left.length_mm)[LEVEL_SHARES * left.length_mm > left.base_w[systole]]
    scar = left.scar[-len(at) :]
    relaxed, contracted = (np.stack([left.radii(p, w) for w in at], axis=1) for p in (0, systole))
    moved = contracted[0] - relaxed[0]
    thickened = (contracted[1] - contracted[0]) - (relaxed[1] - relaxed[0])
    core, remote = scar == 1, (scar == 0) & (at / left.length_mm < 0.8)[:, None]
    assert core.sum() > 20
    assert np.abs(moved[core]).max() < 0.01 and np.abs(thickened[core]).max() < 0.01
    assert np.median(moved[remote]) < -3 and np.median(thickened[remote]) > 1


def test_a_scar_is_a_territory_and_not_the_whole_height():
    for seed in range(12):
        scar = ventricle(seed).scar
        assert 0.04 < scar.mean() < 0.35
        assert np.any(scar.max(axis=1) == 0)  # some levels are spared
        assert np.all(scar.min(axis=1) == 0)  # no level is scarred all around
    assert not ventricle(0, infarcted=False).scar.any()
