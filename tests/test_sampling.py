"""A cycle comes from (seed, i) alone; samples become files that people can open."""

import json

import numpy as np
import pytest
from PIL import Image

from cinegan import sampling
from cinegan.data.conditions import Conditions
from cinegan.data.labels import NO_CHANNELS, Channels

ASKED = Conditions([{"level": "base", "cycles": 1}, {"level": "apex", "cycles": 1}])


class Generator:
    """Latents to cycles that say which latent they came from, (n, 8, 8, 6) in [-1, 1]."""

    input_shape = (None, 5)

    def __init__(self):
        self.batches = []

    def __call__(self, latents, training):
        assert not training
        self.batches.append(latents.shape)
        wave = np.sin(np.arange(6) + latents.sum(axis=1, keepdims=True))  # (n, 6)
        ramp = np.linspace(-0.9, 0.9, 64).reshape(8, 8)
        return np.tanh(ramp[None, :, :, None] + 0.1 * wave[:, None, None, :])


def test_a_latent_depends_on_seed_and_index_alone():
    whole = sampling.latents(seed=3, first=0, count=7, size=5)
    assert (whole.shape, whole.dtype) == ((7, 5), np.float32)
    for i in range(7):
        np.testing.assert_array_equal(sampling.latents(3, i, 1, 5)[0], whole[i])
    assert len(np.unique(whole)) == whole.size
    assert not np.isin(sampling.latents(4, 0, 7, 5), whole).any()


def test_what_a_cycle_is_asked_to_be_stands_behind_its_latent():
    found = sampling.latents(3, first=2, count=7, size=5, conditions=ASKED)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, :3], sampling.latents(3, 2, 7, 3))
    np.testing.assert_array_equal(found[:, 3:], ASKED.vectors(ASKED.draw(3, 2, 7)))


def test_latents_are_standard_normal():
    draws = sampling.latents(seed=1, first=0, count=500, size=40)
    assert abs(draws.mean()) < 0.02
    assert abs(draws.std() - 1) < 0.02


@pytest.mark.parametrize("count", [1, 31, 32, 33, 70])
@pytest.mark.parametrize("chunk", [32, 7, 100])
def test_cycle_i_does_not_depend_on_how_many_are_drawn_or_in_which_chunks(
    monkeypatch, count, chunk
):
    expected = sampling.draw_cycles(Generator(), 100, seed=1, progress=False)
    monkeypatch.setattr(sampling, "CHUNK", chunk)
    generator = Generator()
    drawn = sampling.draw_cycles(generator, count, seed=1, progress=False)
    assert (drawn.shape, drawn.dtype) == ((count, 8, 8, 6), np.uint8)
    np.testing.assert_array_equal(drawn, expected[:count])
    assert set(generator.batches) == {(chunk, 5)}  # always the same shape: the same arithmetic


def test_a_cycle_that_is_not_finite_is_black_and_told(capsys):
    class Broken(Generator):
        def __call__(self, latents, training):
            made = np.array(super().__call__(latents, training))
            made[1, 2, 3, 4], made[3, 0, 0, 0] = np.nan, np.inf
            return made

    whole = sampling.draw_cycles(Generator(), 11, seed=1, progress=False)
    drawn = sampling.draw_cycles(Broken(), 11, seed=1, progress=False)
    broken = np.isin(np.arange(11), [1, 3, sampling.CHUNK + 1])
    assert (drawn[broken] == 0).all()
    np.testing.assert_array_equal(drawn[~broken], whole[~broken])
    assert "3 of 11 cycles hold values that are not finite" in capsys.readouterr().err


def test_samples_are_an_array_a_grid_and_a_looping_movie_of_all_phases(tmp_path):
    cycles = sampling.draw_cycles(Generator(), 5, seed=1, progress=False)
    sampling.write_samples(tmp_path / "samples", cycles, NO_CHANNELS, shown=3)
    files = {p.name for p in (tmp_path / "samples").iterdir()}
    assert files == {"cycles.npy", "preview.png", "preview.gif", "samples.json"}
    np.testing.assert_array_equal(np.load(tmp_path / "samples" / "cycles.npy"), cycles)
    with Image.open(tmp_path / "samples" / "preview.png") as grid:
        assert grid.size == (16 * 6 * 9, 16 * 3 * 9)  # columns, rows; 8 pixels and a line, 16-fold
    with Image.open(tmp_path / "samples" / "preview.gif") as movie:
        assert (movie.n_frames, movie.size) == (6, (3 * 128, 128))
        assert movie.info["loop"] == 0


def test_labels_stand_beside_the_cycles(tmp_path):
    drawn = sampling.draw_cycles(Generator(), 3, seed=1, progress=False)
    labels = Channels(["endo ED", "epi ED"], {"ED": [0, 3]})
    sampling.write_samples(tmp_path / "samples", drawn, labels, shown=3, made={"seed": 1})
    folder = tmp_path / "samples"
    np.testing.assert_array_equal(np.load(folder / "cycles.npy"), drawn[..., :4])
    np.testing.assert_array_equal(np.load(folder / "labels.npy"), drawn[..., 4:])
    assert json.loads((folder / "samples.json").read_text()) == {
        "seed": 1,
        "label_channels": ["endo ED", "epi ED"],
        "label_phases": {"ED": [0, 3]},
    }


def test_what_cycles_were_asked_to_be_is_a_table_beside_them(tmp_path):
    drawn = sampling.draw_cycles(Generator(), 9, 1, ASKED, progress=False)
    assert not np.array_equal(drawn, sampling.draw_cycles(Generator(), 9, 1, progress=False))
    asked = ASKED.draw(1, 0, 9)
    sampling.write_samples(tmp_path / "samples", drawn, NO_CHANNELS, 3, asked)
    lines = (tmp_path / "samples" / "conditions.csv").read_text().splitlines()
    assert lines == ["level", *asked["level"]]
    assert set(lines[1:]) == {"base", "apex"}
    sampling.write_samples(tmp_path / "samples", drawn, NO_CHANNELS, 3, Conditions().draw(1, 0, 9))
    assert not (tmp_path / "samples" / "conditions.csv").exists()


def test_the_same_samples_give_the_same_bytes_and_replace_what_was_there(tmp_path):
    cycles = sampling.draw_cycles(Generator(), 4, seed=1, progress=False)
    contents = []
    for _ in range(2):
        sampling.write_samples(tmp_path / "samples", cycles, NO_CHANNELS, shown=4)
        contents.append({p.name: p.read_bytes() for p in (tmp_path / "samples").iterdir()})
        (tmp_path / "samples" / "stray").write_text("left by hand")
    assert contents[0] == contents[1]


def test_nothing_is_left_where_samples_cannot_be_drawn_as_pictures(tmp_path):
    with pytest.raises(Exception, match=r".+"):
        sampling.write_samples(
            tmp_path / "samples", np.zeros((2, 8, 8, 0), np.uint8), NO_CHANNELS, shown=2
        )
    assert list(tmp_path.iterdir()) == []
