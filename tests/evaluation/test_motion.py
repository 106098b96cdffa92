import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.motion import MOTION_NAMES, motion, quantities

SIZE, PHASES = 48, 20
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
RADIUS = np.hypot(ROWS, COLUMNS)


def heart(strength=0.3, systole=0.4, noise=2.0, seed=0, phases=PHASES):
    """A bright disc that is smallest at `systole` (share of the cycle), (H, W, T) uint8."""
    generator = np.random.default_rng(seed)
    beat = np.cos(2 * np.pi * (np.arange(phases) / phases - systole))  # 1 at systole
    edge = 8 * (1 - strength * (beat + 1) / 2)
    disc = 150 / (1 + np.exp(RADIUS[..., None] - edge))
    cycle = 40 + disc + 20 * np.sin(COLUMNS / 3)[..., None]
    return np.clip(cycle + generator.normal(0, noise, cycle.shape), 0, 255).astype(np.uint8)


def column(name, cycles):
    return motion(np.stack(cycles))[:, MOTION_NAMES.index(name)]


def test_one_finite_row_a_cycle_which_does_not_depend_on_the_others():
    cycles = np.stack([heart(seed=k) for k in range(4)])
    features = motion(cycles)
    assert features.shape == (4, len(MOTION_NAMES))
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(motion(cycles[2:3])[0], features[2])
    assert motion(cycles[:0]).shape == (0, len(MOTION_NAMES))


@pytest.mark.parametrize("systole", [0.2, 0.4, 0.6, 0.85])
def test_end_systole_is_found(systole):
    assert quantities(heart(systole=systole))["end_systole"] == pytest.approx(systole, abs=0.05)


def test_contraction_is_the_area_change():
    # Radii of 8 and 8 * 0.7: the area falls to about 0.49.
    assert quantities(heart(strength=0.3))["contraction"] == pytest.approx(0.51, abs=0.08)
    assert quantities(heart(strength=0.1))["contraction"] == pytest.approx(0.19, abs=0.08)


def test_amplitude_grows_with_motion_and_freezing_takes_it():
    weak, strong = heart(strength=0.1), heart(strength=0.4)
    frozen = np.repeat(strong[..., :1], PHASES, axis=-1)
    values = [quantities(cycle)["amplitude"] for cycle in (frozen, weak, strong)]
    assert values == sorted(values)
    assert values[0] < values[1] - 1


def test_shuffled_phases_are_rough():
    cycle = heart()
    shuffled = cycle[..., np.random.default_rng(0).permutation(PHASES)]
    assert quantities(shuffled)["roughness"] > quantities(cycle)["roughness"] + 0.2
    # By definition: steps that alternate in sign have second differences of twice their size.
    alternating = np.zeros((SIZE, SIZE, PHASES), np.uint8)
    alternating[..., ::2] = 200
    assert quantities(alternating)["roughness"] == pytest.approx(np.log(2), abs=0.01)


def test_closure_is_the_jump_from_the_last_phase_to_the_first():
    ramp = np.zeros((SIZE, SIZE, PHASES), np.uint8) + np.arange(PHASES, dtype=np.uint8) * 5
    floor = np.sqrt(1 / 12) / 16
    expected = np.log((5 * (PHASES - 1) + floor) / (5 + floor))
    assert quantities(ramp)["closure"] == pytest.approx(expected)
    assert abs(quantities(heart())["closure"]) < 0.3


def test_harmonics_are_told_apart_ring_by_ring():
    time = 2 * np.pi * np.arange(PHASES) / PHASES
    cycle = np.full((SIZE, SIZE, PHASES), 100.0)
    cycle[RADIUS < 6] += 50 * np.cos(3 * time)
    features = dict(
        zip(MOTION_NAMES, motion(np.rint(cycle)[None].astype(np.uint8))[0], strict=True)
    )
    assert max(features, key=features.get) == "inner_harmonic_3"
    assert features["outer_harmonic_3"] < features["inner_harmonic_3"] - 10


def test_what_stands_still_does_not_matter():
    cycle = heart(noise=0)
    still = np.where((RADIUS > 20)[..., None], 0, cycle).astype(np.uint8)
    rings = [k for k, name in enumerate(MOTION_NAMES) if "harmonic" in name]
    features = motion(np.stack([cycle, still]))[:, rings]
    np.testing.assert_allclose(features[0], features[1], atol=0.05)


@pytest.mark.parametrize(
    ("cycles", "message"),
    [
        (np.zeros((2, 32, 32, 1), np.uint8), "cycles of one phase have no motion"),
        (np.zeros((2, 32, 32, 20)), "must be uint8"),
    ],
)
def test_what_cannot_be_described_is_refused(cycles, message):
    with pytest.raises(CineganError, match=message):
        motion(cycles)


@pytest.mark.parametrize("phases", [2, 5, 20])
def test_constant_cycles_and_few_phases_are_finite(phases):
    assert np.isfinite(motion(np.zeros((1, 32, 32, phases), np.uint8))).all()
    assert np.isfinite(motion(heart(phases=phases)[None])).all()
