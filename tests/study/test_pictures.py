"""The pictures of what segmenters learn from show each frame with its own outlines."""

from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.params import Affine, Photometric
from cinegan.segmentation.frames import Frames
from cinegan.study.pictures import COLOURS, draw_augmentations, draw_outlines

MOVES = Affine(rotation_deg=20, translation_mm=10, scale=0.2, shear_deg=5, elastic_mm=0)
LOOKS = Photometric(brightness=0.1, contrast=0.2, gamma=0.2, shading=0.3, noise=0.05, blur_mm=2)
RGB = {k: tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for k, colour in COLOURS.items()}


@pytest.fixture
def frames():
    """Bright squares of 3, 4 and 5 pixels, of one cycle nothing known, of one the whole known."""
    cycles, maps = np.full((3, 24, 24, 4), 40, np.uint8), np.zeros((3, 24, 24, 4, 2), np.uint8)
    for row in range(3):
        for phase in range(4):
            inside = slice(8, 12 + row + phase)
            cycles[row, inside, inside, phase] = 200
            maps[row, inside, inside, phase, 0] = 255
            maps[row, 6 : 16 + row, 6 : 16 + row, phase, 1] = 255
    known = np.zeros((3, 4, 2), bool)
    known[0, [0, 3], 0] = True
    known[2] = True
    return Frames(cycles, maps, known, np.full(3, 2.0))


def coloured(path, kind):
    picture = iio.imread(path)[..., :3].astype(int)
    return (np.abs(picture - RGB[kind]).sum(axis=-1) < 60).sum()


def test_a_set_without_two_outlined_phases_is_refused(frames, tmp_path):
    one_phase = replace(frames, known=frames.known & (np.arange(4) == 0)[:, None])
    with pytest.raises(CineganError, match="synthetic: no cycle has its cavity outlined at two"):
        draw_outlines(tmp_path / "both.png", {"real": frames, "synthetic": one_phase})
    assert not list(tmp_path.iterdir())


def test_only_what_is_known_is_outlined(frames, tmp_path):
    nothing = frames.known.copy()
    nothing[2] = False
    draw_outlines(tmp_path / "both.png", {"real": frames, "synthetic": frames})
    partly = Frames(frames.cycles, frames.maps, nothing, frames.spacing_mm)
    draw_outlines(tmp_path / "endo.png", {"real": partly})
    assert coloured(tmp_path / "both.png", "endo") > 100
    assert coloured(tmp_path / "both.png", "epi") > 100
    assert coloured(tmp_path / "endo.png", "endo") > 50
    assert coloured(tmp_path / "endo.png", "epi") == 0


def test_pictures_are_the_same_bytes_each_time(frames, tmp_path):
    for name in ("a.png", "b.png"):
        draw_augmentations(tmp_path / name, frames, MOVES, LOOKS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert coloured(tmp_path / "a.png", "endo") > 200
