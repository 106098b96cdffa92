"""The one antialiased filter, held against Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cinegan.data.resizing import filter_matrix, resize_frames, resize_points

SIZES = [
    (64, 64, 16, 16),
    (64, 48, 23, 31),
    (17, 40, 64, 64),
    (40, 40, 64, 20),
    (256, 200, 128, 128),
]


def pillow(picture, height, width):
    return np.asarray(
        Image.fromarray(picture.astype(np.float32), mode="F").resize(
            (width, height), Image.Resampling.BICUBIC
        )
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_frames_come_out_as_pillow_resizes_them(size):
    old_height, old_width, height, width = size
    stack = np.random.default_rng(3).uniform(-500, 4000, (2, old_height, old_width, 3))
    resized = resize_frames(stack, height, width)
    assert (resized.shape, resized.dtype) == ((2, height, width, 3), np.float32)
    for i in range(2):
        for t in range(3):
            expected = pillow(stack[i, :, :, t], height, width)
            np.testing.assert_allclose(resized[i, :, :, t], expected, atol=0.01)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    old=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    new=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    value=st.integers(-3000, 30000),
)
def test_an_even_picture_stays_even_to_its_edges(old, new, value):
    resized = resize_frames(np.full((1, *old, 2), value, np.int16), *new)
    np.testing.assert_allclose(resized, value, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_the_same_size_is_the_same_picture(dtype):
    stack = np.random.default_rng(4).integers(0, 3000, (2, 9, 13, 2)).astype(dtype)
    np.testing.assert_array_equal(resize_frames(stack, 9, 13), stack)


def test_a_turned_view_is_resized_as_its_copy():
    stack = np.random.default_rng(5).integers(0, 3000, (2, 9, 13, 4)).astype(np.int16)
    view = np.rot90(stack, 1, axes=(1, 2))
    np.testing.assert_array_equal(
        resize_frames(view, 20, 8), resize_frames(np.ascontiguousarray(view), 20, 8)
    )


@pytest.mark.parametrize(("old", "new"), [(64, 16), (16, 64), (30, 30), (50, 33)])
def test_weights_sum_to_one_and_are_the_same_from_both_ends(old, new):
    weights = filter_matrix(old, new, old / new)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-6)


def test_shrinking_averages_what_it_cannot_show():
    checkered = (np.indices((64, 64)).sum(axis=0) % 2 * 100.0)[None, ..., None]
    assert np.abs(resize_frames(checkered, 16, 16) - 50).max() < 5
    noise = np.random.default_rng(6).normal(0, 1, (1, 128, 128, 1))
    assert resize_frames(noise, 32, 32).std() < 0.35  # without a filter: 1, or half of it


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    new=st.tuples(st.integers(20, 90), st.integers(20, 90)),
    x=st.floats(12, 28),
    y=st.floats(12, 34),
)
def test_points_stay_on_what_they_mark(new, x, y):
    rows, columns = np.indices((48, 40))
    blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 3.0**2))
    moved = resize_frames(blob[None, ..., None], *new)[0, ..., 0]
    rows, columns = np.indices(new)
    centre = [(columns * moved).sum() / moved.sum(), (rows * moved).sum() / moved.sum()]
    expected = resize_points(np.array([[x, y]]), (48, 40), new)[0]
    np.testing.assert_allclose(centre, expected, atol=0.03 * max(new) / 40)


@pytest.mark.parametrize(("old", "new", "step"), [(40, 27, 1.5), (40, 26, 1.5), (30, 43, 0.7)])
def test_a_step_of_ones_own_keeps_the_middle_in_place(old, new, step):
    rows, columns = np.indices((old, old))
    dot = np.exp(-((rows - old / 2 - 3) ** 2 + (columns - old / 2 + 5) ** 2) / 18)
    made = resize_frames(dot[None, :, :, None], new, new, (step, step))[0, :, :, 0]
    rows, columns = np.indices((new, new))
    found = [(columns * made).sum() / made.sum(), (rows * made).sum() / made.sum()]
    expected = resize_points(
        np.array([[old / 2 - 5, old / 2 + 3]]), (old, old), (new, new), (step, step)
    )
    np.testing.assert_allclose(found, expected[0], atol=0.02)
    assert expected[0][1] - expected[0][0] == pytest.approx(8 / step)


@pytest.mark.parametrize("step", [0.9, 1.1, 1.6])
def test_beyond_its_edges_a_picture_goes_on_as_it_ends(step):
    frames = np.full((1, 128, 128, 2), 77, np.uint8)
    frames[:, 4:-4, 4:-4] = np.random.default_rng(0).integers(256, size=(1, 120, 120, 2))
    seen = resize_frames(frames, 128, 128, (step, step))
    assert np.isfinite(seen).all()
    if step > 1:
        beyond = int((128 - 128 / step) / 2)  # rows that lie wholly outside
        np.testing.assert_allclose(seen[:, :beyond], 77, atol=1e-3)
        np.testing.assert_allclose(seen[:, :, -beyond:], 77, atol=1e-3)
