"""Pictures of cycles: exact layouts, files that open, GIFs that loop."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from cinegan import figures


def counting(n, height, width, phases):
    """Every pixel says which cycle and phase it belongs to: 10 (cycle + 1) + phase."""
    cycles = np.zeros((n, height, width, phases), np.uint8)
    cycles += 10 * (np.arange(n, dtype=np.uint8)[:, None, None, None] + 1)
    return cycles + np.arange(phases, dtype=np.uint8)


def test_a_phase_grid_has_a_cycle_a_row_and_phases_from_left_to_right():
    grid = figures.phase_grid(counting(2, 2, 1, 3))
    np.testing.assert_array_equal(
        grid,
        [
            [10, 0, 11, 0, 12, 0],
            [10, 0, 11, 0, 12, 0],
            [0, 0, 0, 0, 0, 0],
            [20, 0, 21, 0, 22, 0],
            [20, 0, 21, 0, 22, 0],
            [0, 0, 0, 0, 0, 0],
        ],
    )


@pytest.mark.parametrize(
    ("phases", "columns", "chosen"),
    [
        (20, 10, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]),
        (8, 4, [0, 2, 4, 6]),
        (4, 10, [0, 1, 2, 3]),
        (6, 1, [0]),
    ],
)
def test_a_phase_grid_takes_equally_spaced_phases_from_the_first_on(phases, columns, chosen):
    grid = figures.phase_grid(counting(1, 1, 1, phases), columns)
    assert (grid[0, ::2] - 10).tolist() == chosen


def test_tiles_move_all_cycles_at_once_and_fill_up_with_black():
    movie = figures.tiles(counting(3, 1, 2, 2), columns=2)
    assert movie.shape == (2, 2, 4)
    np.testing.assert_array_equal(movie[0], [[10, 10, 20, 20], [30, 30, 0, 0]])
    np.testing.assert_array_equal(movie[1], [[11, 11, 21, 21], [31, 31, 0, 0]])


@pytest.mark.parametrize(("side", "factor"), [(16, 8), (64, 2), (100, 1), (128, 1), (256, 1)])
def test_small_frames_are_magnified_by_whole_pixels(side, factor):
    picture = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    larger = figures.magnify(picture, side)
    assert larger.shape == (1, 2 * factor, 3 * factor)
    np.testing.assert_array_equal(larger[:, ::factor, ::factor], picture)


def test_a_png_gives_its_pixels_back_and_the_same_bytes_twice(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (9, 7), np.uint8)
    figures.write_png(tmp_path / "a.png", picture)
    figures.write_png(tmp_path / "b.png", picture)
    np.testing.assert_array_equal(iio.imread(tmp_path / "a.png"), picture)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_gif_loops_for_ever_with_a_frame_per_phase_and_the_same_bytes_twice(tmp_path):
    movie = np.random.default_rng(1).integers(0, 256, (20, 16, 24), np.uint8)
    figures.write_gif(tmp_path / "a.gif", movie)
    figures.write_gif(tmp_path / "b.gif", movie)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size) == (20, (24, 16))
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == figures.GIF_FRAME_MS
        for t in range(20):
            gif.seek(t)
            np.testing.assert_array_equal(np.asarray(gif.convert("L")), movie[t])
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


def test_real_cycles_stand_above_synthetic_ones():
    real = np.stack([np.full((4, 4, 3), k, np.uint8) for k in range(11)])
    movie = figures.real_above_synthetic(real, real[::-1], columns=3)
    factor = figures.SHOWN_SIDE // 4
    assert movie.shape == (3, 2 * 4 * factor, 3 * 4 * factor)
    assert movie[0, ::128, ::128].tolist() == [[0, 5, 10], [10, 9, 8]]
