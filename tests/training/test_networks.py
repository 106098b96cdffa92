"""Networks kept and loaded by name; statistics that belong to the weights."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.models import WEIGHTS
from cinegan.sampling import draw_cycles, latents
from cinegan.training.networks import (
    SETTLING_LATENTS,
    build_discriminator,
    build_generator,
    load_generator,
    save_networks,
    settle_statistics,
)
from cinegan.training.runtime import configure, set_seed


@pytest.fixture
def record(model):
    return model.model_dump(exclude={"budgets"}) | {"phases": 6}


@pytest.fixture
def kept(record, tmp_path):
    configure(2)
    set_seed(0)
    pair = build_generator(record), build_discriminator(record)
    folder = tmp_path / "dcgan64"
    folder.mkdir()
    save_networks(folder, record, *pair)
    return folder, pair[0]


def test_a_loaded_generator_makes_the_same_cycles(kept):
    folder, generator = kept
    np.testing.assert_array_equal(
        draw_cycles(load_generator(folder), 5, 0, progress=False),
        draw_cycles(generator, 5, 0, progress=False),
    )


def test_weights_saved_twice_are_the_same_bytes(kept, record, tmp_path):
    folder, generator = kept
    again = tmp_path / "again"
    again.mkdir()
    save_networks(again, record, generator, build_discriminator(record))
    digests = [hashlib.sha256((f / WEIGHTS).read_bytes()).hexdigest() for f in (folder, again)]
    assert digests[0] == digests[1]


def test_a_missing_generator_is_one_line(tmp_path):
    with pytest.raises(CineganError, match=r"not found; `dvc repro train@dcgan64` trains it"):
        load_generator(tmp_path / "dcgan64")


@pytest.mark.parametrize("content", [b"", b"not weights"])
def test_damaged_weights_are_one_line(kept, content):
    folder, _ = kept
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(CineganError, match=r"no usable generator .* trains it anew"):
        load_generator(folder)


def test_settled_statistics_are_those_of_the_batches(record):
    configure(2)
    set_seed(0)
    generator = build_generator(record)
    settle_statistics(generator, 0)
    first = [w.copy() for w in generator.get_weights()]
    settle_statistics(generator, 0)
    for a, b in zip(first, generator.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    norm = generator.get_layer("norm_0")
    dense = generator.get_layer("dense").kernel.numpy()
    drawn = latents(0, SETTLING_LATENTS, 8 * 32, len(dense)) @ dense
    drawn = drawn.reshape(8, 32, -1)  # batches, latents in each, features
    np.testing.assert_allclose(norm.moving_mean, drawn.mean(axis=(0, 1)), atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, drawn.var(axis=1).mean(axis=0), rtol=1e-3)
    # Of a dense layer on standard normal latents the variance is the sum of squared weights.
    found = norm.moving_variance.numpy() / (dense**2).sum(axis=0)
    assert found.mean() == pytest.approx(31 / 32, abs=0.02)
    assert norm.momentum == 0.99


@pytest.mark.parametrize("kind", ["model", "growing_model"])
def test_what_cycles_are_told_by_comes_behind_latents_and_behind_all_channels(kind, request):
    block = request.getfixturevalue(kind)
    record = block.model_dump(exclude={"budgets"}) | {"phases": 6, "label_channels": ["endo"]}
    record |= {"condition_inputs": ["level base", "level apex"]}
    for fading in [{}, {"fading": True}] if block.network.grows else [{}]:
        generator, discriminator = build_generator(record | fading), build_discriminator(record)
        assert (generator.input_shape[-1], generator.output_shape[-1]) == (8 + 2, 6 + 1)
        assert discriminator.input_shape[-1] == 6 + 1 + 2


def test_half_a_folder_is_no_generator(kept):
    folder, _ = kept
    shutil.copy(folder / WEIGHTS, folder / "spare")
    (folder / "model.json").unlink()
    with pytest.raises(CineganError, match="not found"):
        load_generator(folder)
