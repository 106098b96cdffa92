import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.manifold import manifold, radii

LINE = np.array([0.0, 1.0, 3.0, 7.0])[:, None]


@pytest.mark.parametrize(
    ("nearest", "expected"), [(1, [1, 1, 2, 4]), (2, [3, 2, 3, 6]), (3, [7, 6, 4, 7])]
)
def test_radii_by_hand(nearest, expected):
    np.testing.assert_array_equal(radii(LINE, nearest), expected)


def test_hand_computed_figures():
    # Real balls: 0 +- 1, 1 +- 1, 3 +- 2, 7 +- 4. Synthetic: 0.5 +- 1, 1.5 +- 1, 20 +- 18.5.
    figures = manifold(np.array([[0.5], [1.5], [20.0]]), LINE, nearest=1)
    assert figures == {
        "precision": 2 / 3,  # 20 lies in no real ball
        "recall": 4 / 4,  # 0 and 1 in the first two, 3 and 7 in the outlier's large ball
        "density": (2 + 2) / 3,  # 0.5 in the balls of 0 and 1, 1.5 in those of 1 and 3
        "coverage": 3 / 4,  # the ball of 7 is empty
    }


def naively(synthetic, real, nearest):
    """The definitions, one sample at a time."""

    def ball(point, others):
        return sorted(np.linalg.norm(others - point, axis=1))[nearest]

    held = [
        [np.linalg.norm(s - r) < ball(r, real) for r in real] for s in synthetic
    ]  # by sample, by real ball
    holding = [any(np.linalg.norm(s - r) < ball(s, synthetic) for s in synthetic) for r in real]
    return {
        "precision": np.mean([any(row) for row in held]),
        "recall": np.mean(holding),
        "density": np.mean([sum(row) / nearest for row in held]),
        "coverage": np.mean(np.any(held, axis=0)),
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m", "d", "nearest"), [(30, 30, 3, 5), (20, 35, 10, 3)])
def test_equal_to_the_definitions(seed, n, m, d, nearest):
    generator = np.random.default_rng(seed)
    synthetic, real = generator.normal(0.5, 1, (n, d)), generator.normal(0, 1, (m, d))
    assert manifold(synthetic, real, nearest=nearest) == pytest.approx(
        naively(synthetic, real, nearest)
    )


def test_rows_may_stand_in_any_order():
    generator = np.random.default_rng(0)
    synthetic, real = generator.normal(size=(2, 40, 6))
    expected = manifold(synthetic, real)
    shuffled = manifold(generator.permutation(synthetic), generator.permutation(real))
    assert shuffled == pytest.approx(expected)


def test_one_sample_over_and_over_is_true_to_life_and_covers_nothing():
    real = np.random.default_rng(0).normal(size=(100, 4))
    collapsed = np.repeat(real[:1] + 1e-3, 100, axis=0)
    figures = manifold(collapsed, real)
    assert figures["precision"] == 1
    assert figures["recall"] == 0
    assert figures["coverage"] < 0.15


def test_noise_far_away_is_neither():
    real = np.random.default_rng(0).normal(size=(100, 4))
    figures = manifold(real + 100, real)
    assert set(figures.values()) == {0}


def test_alike_sets_are_dense_and_covered():
    real, synthetic = np.random.default_rng(0).normal(size=(2, 300, 4))
    figures = manifold(synthetic, real)
    assert figures["density"] == pytest.approx(1, abs=0.15)
    assert figures["coverage"] == pytest.approx(1 - 2**-5, abs=0.03)


@pytest.mark.parametrize(
    ("synthetic", "real", "message"),
    [
        (np.ones((9, 2)), np.ones((5, 2)), "5-th neighbour needs at least 6 samples, not 5"),
        (np.ones((2, 2)), np.ones((9, 2)), "5-th neighbour needs at least 6 samples, not 2"),
        (np.full((9, 2), np.nan), np.ones((9, 2)), "not finite"),
    ],
)
def test_what_has_no_neighbours_is_refused(synthetic, real, message):
    with pytest.raises(CineganError, match=message):
        manifold(synthetic, real)


@pytest.mark.parametrize("seed", range(20))
def test_identical_to_the_published_package(seed):
    from prdc import compute_prdc

    draw = np.random.default_rng(seed)
    n, m, d = draw.integers(8, (120, 120, 64))
    real, synthetic = draw.normal(size=(m, d)), draw.normal(0.3, draw.uniform(0.5, 2), (n, d))
    expected = compute_prdc(real, synthetic, nearest_k=5)
    assert manifold(synthetic, real) == pytest.approx(expected, abs=1e-12)
