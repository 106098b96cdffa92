"""The one mapping from scanner intensities to grey levels and to what a network sees."""

import json

import numpy as np
import pytest

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
