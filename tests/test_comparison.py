"""The comparison's figure."""

from __future__ import annotations

import imageio.v3 as iio

from cinegan.comparison import draw_comparison


def test_a_comparison_is_drawn_with_missing_values_and_the_same_bytes_twice(tmp_path):
    table = [
        {
            "model": "dcgan64",
            "d_train": 1.0,
            "d_test": 1.5,
            "d_floor": 0.2,
            "d_floor_low": 0.1,
            "d_floor_high": 0.4,
        },
        {"model": "pggan64", "d_train": 0.5, "d_test": None, "d_floor": None},
    ]
    table = [{"input": "frame", "size": 64, **row} for row in table]
    for name in ("a.png", "b.png"):
        draw_comparison(tmp_path / name, table, "d")
    picture = iio.imread(tmp_path / "a.png")
    assert min(picture.shape[:2]) > 200
    assert picture[..., :3].std() > 10  # something is drawn
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
