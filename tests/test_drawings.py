"""Drawings follow what they draw, whatever its form."""

from __future__ import annotations

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import pytest

from cinegan import drawings
from cinegan.training.schedule import Level, Schedule

layers = keras.layers
SIZES = [4, 8, 16]


def generator(filters):
    latents = keras.Input((5,), name="latent")
    x = layers.Reshape((4, 4, 2))(layers.Dense(32)(latents))
    cycles = layers.Conv2D(filters, 3, padding="same", activation="tanh", name="cycles")(x)
    return keras.Model(latents, cycles, name="generator")


def discriminator(skip):
    cycles = x = keras.Input((4, 4, 3), name="cycles")
    for _ in range(2):
        x = layers.Conv2D(3, 3, padding="same")(x)
    x = layers.Add()([cycles, x]) if skip else x
    return keras.Model(cycles, layers.Dense(1)(layers.Flatten()(x)), name="discriminator")


def drawn(path, *pair):
    drawings.write_networks(path, *pair)
    return path.read_bytes()


def test_a_drawing_changes_with_a_filter_and_with_a_way(tmp_path):
    path = tmp_path / "networks.png"
    plain = drawn(path, generator(3), discriminator(skip=False))
    assert plain == drawn(path, generator(3), discriminator(skip=False))
    assert plain != drawn(path, generator(4), discriminator(skip=False))
    assert plain != drawn(path, generator(3), discriminator(skip=True))


def schedule(*plan):
    """Levels of (size, steps, steps that the fade takes), one cycle a step, 1000 steps a unit."""
    levels, done = [], 0
    for size, steps, fade in plan:
        levels.append(Level(size, bool(fade), 1, done, steps, done, fade))
        done += steps
    return Schedule(tuple(levels), 1.0)


@pytest.fixture
def axes(monkeypatch):
    """Draws a schedule and gives the axes above and below."""
    kept = []
    monkeypatch.setattr(drawings, "_save", lambda figure, path: kept.append(figure))

    def draw(*plan):
        drawings.write_schedule(Path("unused"), "title", schedule(*plan), SIZES)
        return kept[-1].axes

    yield draw
    for figure in kept:
        plt.close(figure)


def newest(above):
    """Corners of the area of the newest block, (kimg, log2 of pixels per side)."""
    return {tuple(corner) for corner in above.collections[1].get_paths()[0].vertices.tolist()}


def test_a_fade_rises_from_one_size_to_the_next(axes):
    above, below = axes((4, 1000, 0), (8, 2000, 2000), (8, 1000, 0))
    shares = [[0, 1], [1, 1], [1, 0], [3, 1], [3, 1], [4, 1]]
    assert below.lines[0].get_xydata().tolist() == shares
    assert newest(above) == {(0, 1), (0, 2), (1, 1), (1, 2), (3, 2), (3, 3), (4, 2), (4, 3)}
    assert [text.get_text() for text in above.texts] == ["4×4", "8×8"]


def test_a_fade_that_is_cut_short_ends_at_its_share(axes):
    above, below = axes((4, 1000, 0), (8, 500, 1000))
    assert below.lines[0].get_xydata().tolist()[-1] == [1.5, 0.5]
    assert (1.5, 2.5) in newest(above)
    assert [text.get_text() for text in above.texts] == ["4×4", "8×8: 50%"]


def test_the_scale_shows_sizes_that_are_not_reached(axes):
    above, _ = axes((4, 1000, 0))
    assert [label.get_text() for label in above.get_yticklabels()] == ["4", "8", "16"]
    assert above.get_ylim()[1] > 4
