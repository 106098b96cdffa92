"""The comparison's rows, contests and figure."""

from __future__ import annotations

import imageio.v3 as iio

from cinegan.comparison import contest, draw_comparison, row_of


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


def test_a_row_has_the_figures_that_lead_and_says_which_contest_it_is_of():
    report = {"input": "frame", "size": 128, "kid_texture_test": 2.0, "kid_motion_test": 3.0}
    row = row_of(report | {"swd_patches_test": 1.0}, "texture")
    assert (row["kid_texture_test"], row["kid_motion_test"], row["copied"]) == (2.0, 3.0, None)
    assert "swd_patches_test" not in row
    assert contest(row) == "cinegan-frame-128"
