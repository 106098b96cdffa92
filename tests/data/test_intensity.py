"""The one mapping from scanner intensities to grey levels and to what a network sees."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegan.data import intensity


@pytest.mark.parametrize(
    ("value", "grey"),
    [(-500, 0), (100, 0), (101, 1), (227.4, 127), (227.6, 128), (355, 255), (9999, 255)],
)
def test_intensities_become_grey_by_the_recorded_formula(value, grey):
    stack = np.array([value], np.float32)
    assert intensity.to_grey(stack, 100.0, 355.0).tolist() == [grey]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_no_integer_type_overflows(dtype):
    stack = np.array([0, np.iinfo(dtype).max if dtype != np.float32 else 1e6]).astype(dtype)
    assert intensity.to_grey(stack, 0.0, 100.0).tolist() == [0, 255]


def test_all_grey_levels_survive_the_way_to_the_network_and_back():
    grey = np.arange(256, dtype=np.uint8)
    values = intensity.to_network(grey.astype(np.float32))
    assert values.dtype == np.float32
    assert (values.min(), values.max()) == (-1.0, 1.0)
    np.testing.assert_array_equal(intensity.from_network(values), grey)


@pytest.mark.parametrize(("value", "grey"), [(-7, 0), (-1, 0), (0, 128), (1, 255), (3, 255)])
def test_what_a_network_makes_is_clipped_and_rounded(value, grey):
    assert intensity.from_network(np.array([value], np.float16)).tolist() == [grey]


def test_a_window_leaves_out_half_a_percent_at_each_end():
    stack = np.arange(1001).reshape(7, 11, 13)
    assert intensity.window(stack) == pytest.approx((5.0, 995.0))


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    dtype=st.sampled_from([np.uint8, np.int8, np.int16, np.uint16, np.int32]),
    shape=st.tuples(*[st.integers(1, 6)] * 4),
    spread=st.integers(1, 2**15),
    seed=st.integers(0, 999),
)
def test_counting_gives_the_percentiles_that_numpy_gives(dtype, shape, spread, seed):
    limits = np.iinfo(dtype)
    draws = np.random.default_rng(seed).normal(limits.min + spread, spread, shape)
    stack = np.clip(np.rint(draws), limits.min, limits.max).astype(dtype)
    low, high = np.percentile(stack.astype(float), (0.5, 99.5))
    found = intensity.window(stack)
    assert found[0] == pytest.approx(low, abs=1e-6)
    assert found[1] == pytest.approx(max(high, low + 1e-6), abs=1e-6)


def test_intensities_too_far_apart_to_count_have_a_window_too():
    stack = np.array([[-(2**31)], [0], [2**31 - 1]], np.int32)
    assert intensity.window(stack) == pytest.approx(
        tuple(np.percentile(stack.astype(float), (0.5, 99.5)))
    )


def test_a_stack_on_disk_and_a_turned_one_have_the_same_window(tmp_path):
    stack = np.random.default_rng(1).integers(-99, 2000, (3, 8, 9, 5)).astype(np.int16)
    np.save(tmp_path / "stack.npy", stack)
    expected = intensity.window(stack)
    assert intensity.window(np.load(tmp_path / "stack.npy", mmap_mode="r")) == expected
    assert intensity.window(np.rot90(stack, 1, axes=(1, 2))) == expected
    assert intensity.window(stack.astype(np.float32)) == pytest.approx(expected)


def test_an_even_picture_has_a_window_and_is_black():
    stack = np.full((2, 4, 4, 3), 7, np.int16)
    low, high = intensity.window(stack)
    assert high > low
    assert intensity.to_grey(stack, low, high).max() == 0


def test_the_windows_are_recorded_beside_the_data(tmp_path):
    intensity.write_windows(tmp_path, {"P1": (1.5, 300.0)})
    record = json.loads((tmp_path / intensity.FILE_NAME).read_text())
    assert record["patients"] == {"P1": {"low": 1.5, "high": 300.0}}
    assert "255 (intensity - low) / (high - low)" in record["mapping"]
    assert "0.5 and 99.5" in record["window"]
