import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.feature import local_binary_pattern

from cinegan.errors import CineganError
from cinegan.evaluation.features import (
    FRAME_NAMES,
    TEXTURE_NAMES,
    Standardiser,
    pool_areas,
    texture,
)


def beating_discs(n, *, size=32, phases=20, seed=0, timing=0.0):
    """Bright discs of varied size, brightness and strength that contract, on a noisy ground."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(rows, columns)[..., None]  # (H, W, 1)
    phase = 2 * np.pi * np.arange(phases) / phases - timing
    cycles = np.empty((n, size, size, phases), dtype=np.uint8)
    for cycle in cycles:
        radius, strength, bright = generator.uniform([0.22, 0.1, 120], [0.3, 0.25, 180])
        edge = size * radius * (1 + strength * np.cos(phase))  # (T,)
        ground = 50 + generator.normal(0, 6, (size, size, 1))
        cycle[...] = np.clip(ground + bright / (1 + np.exp(distance - edge)), 0, 255)
    return cycles


CYCLES = beating_discs(6)


def column(features, name):
    return features[:, TEXTURE_NAMES.index(name)]


@pytest.mark.parametrize(
    "shape",
    [(1, 16, 16, 2), (2, 17, 40, 3), (2, 32, 32, 7), (1, 48, 32, 30), (0, 32, 32, 20)],
)
def test_any_size_and_number_of_phases(shape):
    cycles = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    features = texture(cycles)
    assert features.shape == (shape[0], len(TEXTURE_NAMES))
    assert features.dtype == np.float64
    assert np.isfinite(features).all()


def test_names_are_distinct():
    assert len(set(TEXTURE_NAMES)) == len(TEXTURE_NAMES)


def test_batch_size_and_row_order_do_not_matter():
    together = texture(CYCLES)
    np.testing.assert_array_equal(np.concatenate([texture(c[None]) for c in CYCLES]), together)
    np.testing.assert_array_equal(texture(CYCLES[::-1]), together[::-1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", [0, 77, 255])
def test_constant_cycles_are_finite_and_still(level):
    features = texture(np.full((1, 32, 32, 20), level, dtype=np.uint8))
    assert np.isfinite(features).all()
    for name in ("skewness", "lbp_entropy", "concentration", "log_closure", "pool_change"):
        assert column(features, name) == pytest.approx(0, abs=1e-12)
    assert column(features, "mean") == level
    assert column(features, "log_detail_2") == pytest.approx(np.log(1 / 12))


def test_hand_computed_checkerboard():
    board = (np.indices((16, 16)).sum(axis=0) % 2 * 255).astype(np.uint8)
    features = texture(np.repeat(board[None, ..., None], 4, axis=-1))
    assert column(features, "mean") == 127.5
    assert column(features, "log_variance") == pytest.approx(np.log(127.5**2 + 1 / 12))
    # All of its energy is in the finest detail, and its Laplacian is 4 x 255 everywhere.
    assert column(features, "log_detail_2") == column(features, "log_variance")
    assert column(features, "log_detail_4") == pytest.approx(np.log(1 / 12))
    assert column(features, "log_laplacian") == pytest.approx(np.log(1020**2 + 1 / 12))
    # Neighbours along rows and columns differ by 15 levels, along diagonals not at all.
    assert column(features, "log_glcm_contrast_1") == pytest.approx(np.log(225 / 2 + 1 / 12))


@pytest.mark.parametrize(
    ("harmonic", "name"),
    [(1, "log_harmonic_1"), (2, "log_harmonic_2"), (3, "log_harmonic_3"), (6, "log_flicker")],
)
@pytest.mark.parametrize("phases", [20, 25])
def test_energy_of_a_pulsating_field_lies_in_its_harmonic(harmonic, name, phases):
    wave = 100 * np.cos(2 * np.pi * harmonic * np.arange(phases) / phases)
    cycles = np.broadcast_to(np.round(128 + wave), (1, 16, 16, phases)).astype(np.uint8)
    features = texture(cycles)
    assert column(features, name) == pytest.approx(np.log(100**2 / 2), abs=0.01)
    assert column(features, "concentration") == pytest.approx(0)
    for other in {"log_harmonic_1", "log_harmonic_2", "log_harmonic_3", "log_flicker"} - {name}:
        assert column(features, other) < 0


def test_blur_lowers_sharpness():
    blurred = gaussian_filter(CYCLES, (0, 1, 1, 0))
    for name in ("log_laplacian", "log_detail_2", "log_glcm_contrast_1"):
        assert (column(texture(blurred), name) < column(texture(CYCLES), name)).all()


def test_shuffled_phases_change_motion_alone():
    order = np.random.default_rng(1).permutation(20)
    plain, shuffled = texture(CYCLES), texture(CYCLES[..., order])
    frames = len(FRAME_NAMES)
    np.testing.assert_allclose(shuffled[:, :frames], plain[:, :frames], rtol=1e-9)
    for name in ("log_flicker", "log_step"):
        assert (column(shuffled, name) > column(plain, name) + 0.5).all()


def test_frozen_cycles_do_not_move():
    frozen = texture(np.repeat(CYCLES[..., :1], 20, axis=-1))
    still = np.log(1 / 12)
    for name in ("log_harmonic_1", "log_harmonic_2", "log_harmonic_3", "log_flicker"):
        np.testing.assert_allclose(column(frozen, name), still, atol=1e-9)
    for name in ("log_closure", "pool_change", "pool_cosine", "pool_sine"):
        np.testing.assert_allclose(column(frozen, name), 0, atol=1e-9)


def test_a_cycle_cut_short_does_not_close():
    assert (column(texture(CYCLES[..., :8]), "log_closure") > 0.5).all()
    assert (column(texture(CYCLES), "log_closure") < 0).all()


def test_pool_follows_the_disc_in_size_and_time():
    areas = pool_areas(CYCLES[0])
    assert areas.argmax() == 0
    assert areas.argmin() == 10
    late = texture(beating_discs(6, timing=np.pi / 2))
    plain = texture(CYCLES)
    assert (column(plain, "pool_cosine") > 0.1).all()
    assert (np.abs(column(plain, "pool_sine")) < 0.05).all()
    assert (column(late, "pool_sine") > 0.1).all()
    assert (column(plain, "pool_change") > 0.2).all()


def test_motion_at_the_rim_lies_farther_out():
    still = np.full((1, 32, 32, 20), 100, dtype=np.uint8)
    wave = np.round(50 * np.cos(2 * np.pi * np.arange(20) / 20))
    centre, rim = still.copy(), still.copy()
    centre[:, 14:18, 14:18] += wave.astype(np.int8).view(np.uint8)
    rim[:, :4, :4] += wave.astype(np.int8).view(np.uint8)
    assert column(texture(centre), "radius_1") < 0.3
    assert column(texture(rim), "radius_1") > 1
    assert column(texture(centre), "concentration") > 3


def test_standardiser_on_hand_computed_values():
    train = np.array([[1.0, 0.1], [3.0, 0.1], [5.0, 0.1]])
    standardiser = Standardiser.fit(train)
    sd = np.sqrt(8 / 3)
    np.testing.assert_allclose(standardiser.scale, [sd, 1])
    np.testing.assert_allclose(standardiser.apply(np.array([[3 + sd, 2.1]])), [[1, 2]], rtol=1e-12)


@pytest.mark.parametrize(
    ("cycles", "message"),
    [
        (np.zeros((2, 32, 32, 20)), r"the cycles must be uint8 .* not float64"),
        (np.zeros((32, 32, 20), np.uint8), r"must be uint8 of shape \(n, H, W, T\)"),
        (np.zeros((2, 8, 32, 20), np.uint8), r"8x32x20 are too small .* at least 16x16"),
        (np.zeros((2, 32, 32, 1), np.uint8), r"32x32x1 are too small"),
    ],
)
def test_wrong_cycles_are_refused(cycles, message):
    with pytest.raises(CineganError, match=message):
        texture(cycles)


def test_standardiser_needs_train_cycles():
    with pytest.raises(CineganError, match="no real cycles of train patients"):
        Standardiser.fit(np.empty((0, 3)))


def test_patterns_are_those_of_scikit_image():
    entropies = column(texture(CYCLES), "lbp_entropy")
    for cycle, entropy in zip(CYCLES, entropies, strict=True):
        inner = [
            local_binary_pattern(frame, 4, 1)[1:-1, 1:-1] for frame in np.moveaxis(cycle, -1, 0)
        ]
        shares = np.unique(inner, return_counts=True)[1] / np.size(inner)
        assert entropy == pytest.approx(-np.sum(shares * np.log2(shares)), rel=1e-12)
