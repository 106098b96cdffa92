import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.frechet import frechet, frechet_distance, statistics
from cinegan.evaluation.subsamples import at_size


def gaps(a, b):
    """Two figures, simple enough to follow by hand."""
    return {"between": float(b.mean() - a.mean()), "within": float(np.ptp(a))}


def test_whole_sets_need_one_draw_and_have_no_spread():
    x, y = np.random.default_rng(1).normal(size=(2, 40, 5))
    estimate = at_size(frechet, x, y, 40, draws=10, seed=0)["frechet"]
    assert estimate.value == frechet_distance(statistics(x), statistics(y))
    assert np.isnan(estimate.sd)


def test_every_figure_is_averaged_over_subsamples_without_replacement():
    a, b = np.zeros((9, 1)), np.arange(4.0)[:, None]
    estimates = at_size(gaps, a, b, 4, draws=10, seed=0)
    assert estimates["between"] == (1.5, 0)  # all four, each once
    assert estimates["within"] == (0, 0)


def test_mean_and_spread_are_those_of_the_draws():
    seen = []

    def total(a, b):
        seen.append(float(a.sum() + b.sum()))
        return {"total": seen[-1]}

    a, b = np.arange(10.0)[:, None], np.arange(7.0)[:, None]
    estimate = at_size(total, a, b, 3, draws=6, seed=5)["total"]
    assert len(seen) == 6
    assert estimate.value == pytest.approx(np.mean(seen))
    assert estimate.sd == pytest.approx(np.std(seen, ddof=1))


def test_one_draw_has_no_spread():
    a, b = np.arange(10.0)[:, None], np.arange(7.0)[:, None]
    assert np.isnan(at_size(gaps, a, b, 3, draws=1, seed=0)["within"].sd)


def test_subsamples_are_the_seeds_and_distances_biased_upwards_when_small():
    x, y = np.random.default_rng(0).normal(size=(2, 2000, 10))

    def distance(size, seed):
        return at_size(frechet, x, y, size, draws=20, seed=seed)["frechet"]

    small, large = distance(20, seed=3), distance(500, seed=3)
    assert distance(20, seed=3) == small
    assert distance(20, seed=4) != small
    assert small.value > 10 * large.value
    assert 0 < large.sd < small.sd


def test_more_than_there_is_cannot_be_drawn():
    with pytest.raises(CineganError, match="cannot draw 5 samples from sets of 9 and 4"):
        at_size(gaps, np.ones((9, 2)), np.ones((4, 2)), 5, draws=1, seed=0)
