import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation import cardiac
from cinegan.evaluation.cardiac import (
    ABOUT,
    BATCH,
    FEATURES,
    SHIFT,
    SIZE,
    WEIGHTS,
    encode,
    lesson,
    load_encoder,
    teach,
    write_encoder,
)
from cinegan.training.runtime import configure

PHASES = 8


def beating(n, seed=0, size=SIZE):
    """Discs that contract fast and relax slowly, larger at the base."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    beat = np.array([1, 0.8, 0.62, 0.6, 0.7, 0.8, 0.9, 0.97])
    levels = np.linspace(0, 1, n)
    cycles = []
    for level in levels:
        radius = size / 64 * (22 - 12 * level + draw.normal()) * beat
        disc = 150 / (1 + np.exp(np.hypot(rows, columns)[..., None] - radius))
        cycles.append(np.clip(50 + disc + draw.normal(0, 4, disc.shape), 0, 255))
    return np.array(cycles).astype(np.uint8), levels


@pytest.fixture(scope="module")
def taught():
    configure(2)
    cycles, levels = beating(24)
    return teach(cycles, levels, seed=3, steps=60)


def test_a_lesson_says_what_was_done():
    cycles, levels = beating(6)
    seen = cycles.astype(np.float32) / 127.5 - 1
    given, asked, counts = lesson(seen, levels, np.random.default_rng(0))
    assert given.shape == (BATCH, SIZE, SIZE, PHASES)
    assert set(asked["order"]) == {0, 1, 2}
    np.testing.assert_array_equal(counts["start"], asked["order"] == 0)
    np.testing.assert_allclose(np.hypot(*asked["start"].T), 1)
    # The pool is smallest at phase 3, so in a cycle in its order that comes `roll` phases later.
    middle = given[:, SIZE // 2 - 20 : SIZE // 2 + 20, SIZE // 2 - 20 : SIZE // 2 + 20]
    for k in np.flatnonzero(asked["order"] == 0):
        roll = round(np.arctan2(*asked["start"][k, ::-1]) * PHASES / (2 * np.pi)) % PHASES
        assert middle[k].mean(axis=(0, 1)).argmin() == (3 + roll) % PHASES
        whole = np.roll(seen[np.flatnonzero(levels == asked["level"][k, 0])[0]], roll, axis=-1)
        assert np.corrcoef(given[k, :, :, 0].ravel(), whole[..., 0].ravel())[0, 1] > 0.5
    assert SHIFT > 0


def test_lessons_are_functions_of_their_draw():
    cycles, levels = beating(6)
    seen = cycles.astype(np.float32)
    first, again, other = (lesson(seen, levels, np.random.default_rng(k))[0] for k in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def separation(features):
    """How far shuffled and frozen cycles lie from real ones, in spreads of the real ones."""
    real = features["real"]
    return {
        name: np.linalg.norm((values.mean(axis=0) - real.mean(axis=0)) / (real.std(axis=0) + 1e-6))
        for name, values in features.items()
    }


def test_what_was_learnt_answers_to_motion(taught):
    cycles, _ = beating(16, seed=9)
    order = np.random.default_rng(1).permutation(PHASES)
    features = {
        "real": encode(taught, cycles),
        "other real": encode(taught, beating(16, seed=10)[0]),
        "shuffled": encode(taught, cycles[..., order]),
        "frozen": encode(taught, np.repeat(cycles[..., :1], PHASES, axis=-1)),
    }
    apart = separation(features)
    assert apart["shuffled"] > 3 * apart["other real"]
    assert apart["frozen"] > 3 * apart["other real"]


def test_features_of_a_cycle_do_not_depend_on_the_others_or_on_chunks(taught, monkeypatch):
    cycles, _ = beating(10, seed=2)
    whole = encode(taught, cycles)
    assert whole.shape == (10, FEATURES)
    assert whole.dtype == np.float64
    monkeypatch.setattr(cardiac, "CHUNK", 3)
    np.testing.assert_allclose(encode(taught, cycles), whole, atol=1e-5)
    assert encode(taught, cycles[:0]).shape == (0, FEATURES)


def test_cycles_of_another_size_are_resized(taught):
    small, _ = beating(4, seed=2, size=32)
    large, _ = beating(4, seed=2, size=128)
    for cycles in (small, large):
        assert np.isfinite(encode(taught, cycles)).all()


def test_the_same_seed_gives_the_same_bytes_and_what_is_kept_is_what_was_taught(taught, tmp_path):
    cycles, levels = beating(24)
    write_encoder(tmp_path / "a", taught, {"steps": 60})
    write_encoder(tmp_path / "b", teach(cycles, levels, seed=3, steps=60), {"steps": 60})
    for name in (WEIGHTS, ABOUT):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    np.testing.assert_array_equal(
        encode(load_encoder(tmp_path / "a"), cycles), encode(taught, cycles)
    )


def test_a_missing_encoder_and_another_number_of_phases_are_refused(taught, tmp_path):
    with pytest.raises(CineganError, match="no encoder here; `dvc repro` teaches it"):
        load_encoder(tmp_path)
    with pytest.raises(CineganError, match="cycles of 5 phases, but the encoder was taught with 8"):
        encode(taught, beating(2)[0][..., :5])
