import numpy as np
import pytest
from scipy.linalg import sqrtm

from cinegan.errors import CineganError
from cinegan.evaluation.frechet import Statistics, frechet_distance, statistics


def gaussian(mean, covariance):
    return Statistics(np.array(mean, float), np.array(covariance, float), n=100)


def correlated(n, d, seed):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, d)) @ generator.normal(size=(d, d)) + generator.normal(size=d)


def scale(a, b):
    return np.trace(a.covariance) + np.trace(b.covariance)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # one dimension: (m1 - m2)^2 + (s1 - s2)^2
        (gaussian([1], [[4]]), gaussian([4], [[25]]), 3**2 + 3**2),
        (gaussian([0], [[0]]), gaussian([0], [[9]]), 9),
        # independent dimensions add up
        (
            gaussian([0, 0, 1], np.diag([1, 4, 9])),
            gaussian([0, 2, 1], np.diag([4, 4, 0])),
            1 + 4 + 9,
        ),
        # equal covariances leave the means
        (gaussian([3, 4], [[2, 1], [1, 2]]), gaussian([0, 0], [[2, 1], [1, 2]]), 25),
        # S and 4 S: the roots differ by a factor of two, tr(S) is left
        (gaussian([0, 0], [[2, 1], [1, 3]]), gaussian([0, 0], [[8, 4], [4, 12]]), 5),
    ],
)
def test_hand_computed_distances(a, b, expected):
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


def test_statistics_by_hand():
    found = statistics(np.array([[0.0, 0.0], [2.0, 4.0]]))
    assert found.n == 2
    np.testing.assert_allclose(found.mean, [1, 2])
    np.testing.assert_allclose(found.covariance, [[2, 4], [4, 8]])  # divided by n - 1 = 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "d"), [(60, 5), (100, 30), (300, 100)])
def test_equals_the_matrix_square_root_formula(n, d, seed):
    a, b = statistics(correlated(n, d, seed)), statistics(correlated(n, d, seed + 100))
    root = np.real(sqrtm(a.covariance @ b.covariance))
    expected = np.sum((a.mean - b.mean) ** 2) + scale(a, b) - 2 * np.trace(root)
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-6 * scale(a, b))


@pytest.mark.parametrize(("n", "d"), [(100, 30), (10, 30), (2, 30)])
def test_identical_sets_have_no_distance_whatever_their_rank(n, d):
    features = correlated(n, d, seed=0)
    a, b = statistics(features), statistics(features[::-1])
    assert frechet_distance(a, b) <= 1e-9 * scale(a, b)


@pytest.mark.parametrize("n", [50, 8])
def test_symmetric_and_independent_of_row_order(n):
    x, y = correlated(n, 20, seed=1), correlated(n, 20, seed=2)
    a, b = statistics(x), statistics(y)
    tolerance = {"abs": 1e-9 * scale(a, b)}
    distance = frechet_distance(a, b)
    assert frechet_distance(b, a) == pytest.approx(distance, **tolerance)
    order = np.random.default_rng(0).permutation(n)
    assert frechet_distance(statistics(x[order]), b) == pytest.approx(distance, **tolerance)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((1, 3)), "at least 2 samples, not 1"),
        (np.empty((0, 3)), "at least 2 samples, not 0"),
        (np.array([[1.0], [np.nan]]), "not finite"),
        (np.array([[1.0], [np.inf]]), "not finite"),
        (np.ones(3), r"must have shape \(n, d\), not \(3,\)"),
    ],
)
def test_wrong_features_are_refused(features, message):
    with pytest.raises(CineganError, match=message):
        statistics(features)


def test_different_dimensions_are_refused():
    a, b = statistics(np.eye(2)), statistics(np.eye(3))
    with pytest.raises(CineganError, match="different dimensions, 2 and 3"):
        frechet_distance(a, b)
