"""The left ventricle is found as a beating ring around blood, wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest

from cinegan.data import contours
from cinegan.data.cohort import Cohort
from cinegan.imaging.heart import SURE, find_heart

PHASES = 12


def chest(
    centre: tuple[float, float],
    spacing: tuple[float, float] = (2.0, 2.0),
    shape: tuple[int, int] = (128, 128),
    radius_mm: float = 24.0,
    slices: int = 4,
    noise: float = 4.0,
) -> np.ndarray:
    """A stack with blood that contracts inside a dark wall, a still bright liver, and noise."""
    rows, columns = np.indices(shape)
    distance = np.hypot(
        (rows - centre[0]) * spacing[0], (columns - centre[1]) * spacing[1]
    )  # (H, W)
    draws = np.random.default_rng(3)
    frames = []
    for i in range(slices):
        size = radius_mm * (1 - 0.08 * i)
        cycle = []
        for phase in range(PHASES):
            inner = size * (1 - 0.3 * np.sin(np.pi * phase / PHASES) ** 2)
            picture = np.full(shape, 90.0)
            picture[: shape[0] // 5, :] = 10  # air
            picture[-shape[0] // 6 :, : shape[1] // 3] = 260  # liver, brighter than all but still
            picture[distance < size + 10] = 60
            picture[distance < inner] = 200
            cycle.append(picture + noise * draws.standard_normal(shape))
        frames.append(np.stack(cycle, axis=-1))
    return np.stack(frames).astype(np.int16)  # (slices, H, W, PHASES)


def miss_mm(heart, centre, spacing):
    return np.hypot(*((heart.left_ventricle - centre) * spacing))


@pytest.mark.parametrize("centre", [(64, 64), (50, 75), (80.5, 60), (70, 45)])
@pytest.mark.parametrize("radius_mm", [18.0, 24.0, 34.0])
def test_a_beating_ventricle_is_found_within_6_mm(centre, radius_mm):
    heart = find_heart(chest(centre, radius_mm=radius_mm), (2.0, 2.0))
    assert miss_mm(heart, centre, (2.0, 2.0)) < 6
    assert np.hypot(*(heart.middle - heart.left_ventricle)) * 2.0 < 15
    assert heart.confidence > 2 * SURE
    assert heart.fallback is None


@pytest.mark.parametrize(
    ("spacing", "shape", "centre"),
    [
        ((1.25, 1.25), (200, 200), (90, 120)),
        ((2.0, 1.0), (128, 250), (60, 140)),
        ((1.0, 2.0), (250, 128), (130, 60)),
        ((3.0, 3.0), (80, 90), (38, 50)),
    ],
)
def test_pixels_of_any_size_and_shape_give_the_same_place(spacing, shape, centre):
    heart = find_heart(chest(centre, spacing, shape), spacing)
    assert miss_mm(heart, centre, spacing) < 6


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_the_place_does_not_depend_on_the_scanners_unit(scale):
    stack = chest((55, 70))
    one, other = find_heart(stack, (2.0, 2.0)), find_heart(stack * np.float32(scale), (2.0, 2.0))
    np.testing.assert_allclose(one.left_ventricle, other.left_ventricle, atol=1e-6)


def test_the_place_does_not_depend_on_where_the_cycle_begins():
    stack = chest((55, 70))
    one = find_heart(stack, (2.0, 2.0))
    other = find_heart(np.roll(stack, 5, axis=-1), (2.0, 2.0))
    np.testing.assert_allclose(one.left_ventricle, other.left_ventricle, atol=1e-6)


def test_a_turned_picture_gives_a_turned_place():
    stack = chest((50, 75))
    one = find_heart(stack, (2.0, 2.0)).left_ventricle
    turned = find_heart(np.rot90(stack, axes=(1, 2)), (2.0, 2.0)).left_ventricle
    # A quarter turn to the left takes (row, column) to (127 - column, row).
    np.testing.assert_allclose(turned, [127 - one[1], one[0]], atol=1.5)


def with_vessel(stack, where, radius_mm=14.0):
    """The stack with a bright vessel in every slice that swells as the ventricle empties."""
    rows, columns = 2.0 * np.indices(stack.shape[1:3])
    distance = np.hypot(rows - 2.0 * where[0], columns - 2.0 * where[1])[..., None]
    wave = np.sin(np.pi * np.arange(PHASES) / PHASES) ** 2
    return np.where(distance < radius_mm + 4 * wave, 240, stack).astype(np.int16)


def with_ghost(stack):
    """The stack with its own left half folded over its right, shaking three times a cycle."""
    wave = 0.2 * (1 + 0.5 * np.sin(6 * np.pi * np.arange(PHASES) / PHASES))
    return (stack + np.roll(stack, 58, axis=2) * wave).astype(np.int16)


def with_stomach(stack):
    """The stack with a bright blob that drifts with the breath through the cycle."""
    moved = stack.copy()
    for phase in range(PHASES):
        moved[:, 95 + phase // 3 : 120 + phase // 3, 70:115, phase] = 230
    return moved


DISTURBED = {
    "vessel beside it": lambda stack: with_vessel(stack, (55, 112)),
    "vessel below it": lambda stack: with_vessel(stack, (100, 60)),
    "fold-over": with_ghost,
    "stomach": with_stomach,
    "coil on one side": lambda stack: stack * np.geomspace(3, 0.3, 128)[:, None, None],
    "air is not zero": lambda stack: stack - 1024,
    "8 bits": lambda stack: np.clip(stack, 0, 255).astype(np.uint8),
    "gamma": lambda stack: np.sqrt(np.clip(stack, 0, None).astype(np.float32)),
    "one slice": lambda stack: stack[1:2],
    "two phases": lambda stack: stack[..., [0, PHASES // 2]],
    "apex first": lambda stack: stack[::-1],
    "heart at the field's border": lambda stack: np.roll(stack, -30, axis=2),
}


@pytest.mark.parametrize("name", DISTURBED)
def test_what_else_moves_or_shines_barely_changes_the_place(name):
    centre = np.array([55.0, 70.0])
    heart = find_heart(DISTURBED[name](chest(tuple(centre))), (2.0, 2.0))
    moved = centre - [0, 30] if name == "heart at the field's border" else centre
    assert heart.fallback is None
    assert miss_mm(heart, moved, (2.0, 2.0)) < 6


def test_a_motionless_body_gives_the_middle_and_says_so():
    still = np.repeat(chest((50, 75), noise=0)[..., :1], PHASES, axis=-1)
    noisy = still + np.random.default_rng(2).normal(0, 6, still.shape)
    for stack in (still, noisy.astype(np.int16), still[..., :1]):
        heart = find_heart(stack, (2.0, 2.0))
        assert heart.confidence < SURE
        assert heart.fallback == "nothing beats; took the image's middle"
        np.testing.assert_array_equal(heart.middle, [63.5, 63.5])


def test_motion_without_a_chamber_gives_the_centre_of_motion_and_says_so():
    # A dark disc in bright surroundings: its edge beats, but it holds no blood.
    rows, columns = np.indices((128, 128))
    distance = 2.0 * np.hypot(rows - 60, columns - 70)[..., None]
    wave = np.sin(np.pi * np.arange(PHASES) / PHASES) ** 2
    stack = np.broadcast_to(np.where(distance < 24 - 6 * wave, 40, 200), (3, 128, 128, PHASES))
    heart = find_heart(stack.astype(np.int16), (2.0, 2.0))
    assert heart.confidence < SURE
    assert heart.fallback == "no round chamber; took the centre of motion"
    np.testing.assert_allclose(heart.middle, [60, 70], atol=2)


@pytest.mark.parametrize("value", [0, 7, -100])
def test_a_blank_picture_gives_the_middle_without_confidence(value):
    heart = find_heart(np.full((3, 64, 96, 8), value, np.int16), (2.0, 2.0))
    assert heart.confidence == 0.0
    assert heart.fallback is not None
    np.testing.assert_allclose(heart.left_ventricle, [31.5, 47.5])
    np.testing.assert_allclose(heart.middle, [31.5, 47.5])


def test_noise_alone_is_not_taken_for_a_heart():
    noise = np.random.default_rng(1).integers(0, 500, (3, 64, 64, 8)).astype(np.int16)
    heart = find_heart(noise, (2.0, 2.0))
    assert heart.fallback is not None
    assert ((heart.left_ventricle >= 0) & (heart.left_ventricle < 64)).all()


def test_a_clearer_beat_gives_more_confidence():
    clear = find_heart(chest((55, 70)), (2.0, 2.0)).confidence
    noisy = find_heart(chest((55, 70), noise=60), (2.0, 2.0)).confidence
    assert SURE < noisy < clear


def test_the_real_ventricles_are_found_however_the_stack_is_scanned(real_cycles):
    cohort = Cohort(real_cycles.folder)
    for patient in cohort.patients:
        pools = [c for c in cohort.contours(patient) if c.kind == "endo"]
        if not pools:
            continue
        stack, spacing = cohort.stack(patient), cohort.spacing_mm(patient)
        shape = stack.shape[1:3]
        truth = np.mean([contours.centre(c.points_px, shape) for c in pools], axis=0)
        turned_truth = np.array([shape[1] - 1 - truth[1], truth[0]])
        for scanned, place in (
            (stack, truth),
            (np.rot90(stack, axes=(1, 2)), turned_truth),
            (stack[::2, ..., ::2], truth),
            (np.pad(stack, ((0, 0), (0, 90), (0, 0), (0, 0))), truth),
        ):
            heart = find_heart(scanned, spacing)
            assert heart.fallback is None
            assert miss_mm(heart, place, spacing) < 8
