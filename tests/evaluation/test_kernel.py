import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.kernel import kernel_distance


def test_hand_computed_distance():
    # One dimension, k(x, y) = (x y + 1)^3. Within a: k(0, 1) = 1. Within b: k(1, 2) = 27.
    # Between: k(0, 1) = k(0, 2) = 1, k(1, 1) = 8, k(1, 2) = 27; their mean is 37 / 4.
    a, b = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert kernel_distance(a, b) == pytest.approx(1 + 27 - 2 * 37 / 4)


def by_pairs(a, b):
    """The published definition, pair by pair."""
    d = a.shape[1]

    def k(x, y):
        return (x @ y / d + 1) ** 3

    n, m = len(a), len(b)
    within_a = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_b = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_a + within_b - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (20, 20, 8), (13, 21, 30)])
def test_equals_the_definition_pair_by_pair(seed, n, m, d):
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=(n, d)), generator.normal(1, 2, (m, d))
    assert kernel_distance(a, b) == pytest.approx(by_pairs(a, b), rel=1e-9, abs=1e-9)


def test_unbiased_at_any_size():
    generator = np.random.default_rng(0)
    distances = [kernel_distance(*generator.normal(size=(2, 8, 5))) for _ in range(4000)]
    error = np.std(distances) / np.sqrt(len(distances))
    assert abs(np.mean(distances)) < 3 * error
    assert min(distances) < 0


def test_rows_may_stand_in_any_order_and_sets_change_places():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 15, 4))
    expected = kernel_distance(a, b)
    assert kernel_distance(generator.permutation(a), b) == pytest.approx(expected)
    assert kernel_distance(b, a) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((1, 3)), np.ones((5, 3)), "needs 2 samples of each, not 1 and 5"),
        (np.ones((5, 3)), np.ones((5, 2)), "different dimensions, 3 and 2"),
        (np.ones((5, 3)), np.full((5, 3), np.inf), "not finite"),
    ],
)
def test_wrong_features_are_refused(a, b, message):
    with pytest.raises(CineganError, match=message):
        kernel_distance(a, b)
