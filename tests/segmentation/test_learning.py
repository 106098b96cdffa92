"""A small network learns to outline discs; batches are of the seed and the step, of both kinds."""

import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.params import Affine, Photometric, Segmenter
from cinegan.segmentation import learning
from cinegan.segmentation.frames import Frames
from cinegan.segmentation.learning import batch, loss_of, outlined, teach
from cinegan.segmentation.scores import patient_scores

SIZE, PHASES = 32, 4
OPTIONS = Segmenter(filters=[16, 32], batch=16, steps=150, learning_rate=5e-3)
MOVES = Affine(rotation_deg=20.0, translation_mm=4.0, scale=0.1, shear_deg=5.0, elastic_mm=0.0)
LOOKS = Photometric(brightness=0.1, contrast=0.1, gamma=0.1, shading=0.1, noise=0.02, blur_mm=1.0)


def hearts(count, seed, known=True):
    """Bright discs in a grey ring on black, which contract."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    cycles, maps = [], []
    for _ in range(count):
        row, column = draw.uniform(13, 19, 2)
        radius = draw.uniform(5, 7) - np.array([0, 1, 2, 1])
        away = np.hypot(rows - row, columns - column)[..., None]
        endo, epi = (np.clip(r - away + 0.5, 0, 1) for r in (radius, radius + 3))
        cycles.append(40 + 60 * epi + 120 * endo + draw.normal(0, 5, endo.shape))
        maps.append(np.stack([endo, epi], axis=-1))
    grey = np.clip(np.rint(cycles), 0, 255).astype(np.uint8)
    told = np.full((count, PHASES, 2), known)
    return Frames(grey, np.rint(255 * np.array(maps)).astype(np.uint8), told, np.full(count, 2.0))


@pytest.mark.parametrize("arm", ["none", "both", "synthetic"])
def test_a_network_learns_to_outline(arm):
    classical = arm == "both"
    network = teach(
        hearts(24, 0),
        hearts(12, 1) if arm == "synthetic" else None,
        OPTIONS,
        moves=MOVES if classical else None,
        looks=LOOKS if classical else None,
        augmented=0.5,
        ratio=1.0,
        seed=0,
    )
    unseen = hearts(3, 2)
    found = outlined(network, unseen.cycles)
    assert found.shape == unseen.maps.shape
    scores = patient_scores(found, unseen.maps, unseen.known, 2.0)
    assert scores["dice_endo"] > 0.85
    assert scores["dice_epi"] > 0.85


def test_the_same_seed_gives_the_same_network():
    short = OPTIONS.model_copy(update={"steps": 3})
    made = [
        teach(
            hearts(4, 0), None, short, moves=MOVES, looks=LOOKS, augmented=1.0, ratio=1.0, seed=seed
        )
        for seed in (0, 0, 1)
    ]
    first, again, other = ([w.tobytes() for w in each.get_weights()] for each in made)
    assert first == again != other


def test_a_batch_is_of_what_is_known_and_moves_with_its_maps():
    frames = hearts(6, 0)
    frames.known[:] = False
    frames.known[2, 1] = True
    frames.known[4, 3, 0] = True
    pictures, told = batch(frames, 20, None, None, 1.0, np.random.default_rng(0))
    assert (pictures.shape, told.shape) == ((20, 32, 32, 1), (20, 32, 32, 4))
    wanted = {frames.cycles[2, :, :, 1].tobytes(), frames.cycles[4, :, :, 3].tobytes()}
    assert {np.rint((p[..., 0] + 1) * 127.5).astype(np.uint8).tobytes() for p in pictures} == wanted
    assert set(map(tuple, told[:, 0, 0, 2:].tolist())) == {(1.0, 1.0), (1.0, 0.0)}
    moved = batch(hearts(6, 0), 20, MOVES, None, 1.0, np.random.default_rng(0))
    for picture, map_ in zip(*moved, strict=True):
        inside, outside = (
            picture[..., 0][each] for each in (map_[..., 0] > 0.9, map_[..., 1] < 0.1)
        )
        assert inside.mean() > outside.mean() + 0.8
    again = batch(hearts(6, 0), 20, MOVES, LOOKS, 1.0, np.random.default_rng(1))
    for one, other in zip(
        again, batch(hearts(6, 0), 20, MOVES, LOOKS, 1.0, np.random.default_rng(1)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_share_of_the_frames_is_augmented_by_each_alone():
    frames = hearts(1, 0)
    as_it_is = {frames.cycles[0, :, :, t].tobytes() for t in range(PHASES)}
    its_maps = {frames.maps[0, :, :, t].tobytes() for t in range(PHASES)}
    pictures, told = batch(frames, 400, MOVES, LOOKS, 0.3, np.random.default_rng(0))
    kept = [
        np.rint((p[..., 0] + 1) * 127.5).astype(np.uint8).tobytes() in as_it_is for p in pictures
    ]
    still = [np.rint(m[..., :2] * 255).astype(np.uint8).tobytes() in its_maps for m in told]
    assert np.mean(still) == pytest.approx(0.7, abs=0.07)
    assert np.mean(kept) == pytest.approx(0.49, abs=0.07)
    never, _ = batch(frames, 50, MOVES, LOOKS, 0.0, np.random.default_rng(0))
    assert {np.rint((p[..., 0] + 1) * 127.5).astype(np.uint8).tobytes() for p in never} <= as_it_is


def test_what_is_not_known_does_not_count():
    draw = np.random.default_rng(0)
    logits, maps = draw.normal(size=(2, 4, 6, 6, 2)).astype(np.float32)
    maps = (maps > 0).astype(np.float32)
    known = np.ones((4, 6, 6, 2), np.float32)
    known[0, ..., 1] = 0
    other = maps.copy()
    other[0, ..., 1] = 1 - other[0, ..., 1]

    def loss(given, told):
        return float(loss_of(np.concatenate([told, known], axis=-1), given))

    assert loss(logits, maps) == pytest.approx(loss(logits, other))
    sure = 40 * (2 * maps - 1)
    assert loss(sure, maps) == pytest.approx(0, abs=1e-3)
    assert loss(-sure, maps) > 20


def test_synthetic_frames_fill_their_share_of_each_batch(monkeypatch):
    asked = []

    def recorded(frames, count, *others):
        asked.append((frames is real, count))
        return batch(frames, count, *others)

    monkeypatch.setattr(learning, "batch", recorded)
    real, made = hearts(4, 0), hearts(4, 1)
    short = OPTIONS.model_copy(update={"steps": 2})
    for ratio, counts in ((1.0, (8, 8)), (0.33, (12, 4)), (3.0, (4, 12))):
        asked.clear()
        teach(real, made, short, moves=None, looks=None, augmented=0.0, ratio=ratio, seed=0)
        assert asked[:2] == [(True, counts[0]), (False, counts[1])]


def test_a_loss_that_is_not_finite_ends_in_one_line():
    wild = OPTIONS.model_copy(update={"learning_rate": 1e30, "steps": 20})
    with pytest.raises(CineganError, match=r"^x: the loss is not finite at step .* lower study"):
        options = {"moves": None, "looks": None, "augmented": 0.0, "ratio": 0.0, "seed": 0}
        teach(hearts(4, 0), None, wild, **options, name="x")
