"""The left ventricle is found as a beating ring around blood, wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest

from cinegan.imaging.heart import find_heart

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
    assert heart.confidence > 0.5


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


@pytest.mark.parametrize("value", [0, 7, -100])
def test_a_still_picture_gives_the_middle_without_confidence(value):
    heart = find_heart(np.full((3, 64, 96, 8), value, np.int16), (2.0, 2.0))
    assert heart.confidence == 0.0
    assert np.isfinite(heart.left_ventricle).all()
    np.testing.assert_allclose(heart.middle, [31.5, 47.5], atol=2)


def test_noise_alone_gives_a_place_inside_the_frame():
    noise = np.random.default_rng(1).integers(0, 500, (3, 64, 64, 8)).astype(np.int16)
    heart = find_heart(noise, (2.0, 2.0))
    assert ((heart.left_ventricle >= 0) & (heart.left_ventricle < 64)).all()
    assert 0 <= heart.confidence <= 1
