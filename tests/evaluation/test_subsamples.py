import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.frechet import frechet, frechet_distance, statistics
from cinegan.evaluation.subsamples import Group, at_size


def gaps(a, b):
    """Two figures, simple enough to follow by hand."""
    return {"between": float(b.mean() - a.mean()), "within": float(np.ptp(a))}


def rows(*values):
    return np.array(values, float)[:, None]


def test_whole_sets_need_one_draw():
    x, y = np.random.default_rng(1).normal(size=(2, 40, 5))
    calls = []

    def counted(a, b):
        calls.append(len(a))
        return frechet(a, b)

    estimate = at_size(counted, Group(x), Group(y), 40, draws=10, seed=0)["frechet"]
    assert estimate.value == pytest.approx(frechet_distance(statistics(x), statistics(y)))
    assert calls == [40] + 10 * [20]  # then halves, for the interval


def test_every_figure_is_averaged_over_subsamples_without_replacement():
    a, b = Group(np.zeros((9, 1))), Group(rows(0, 1, 2, 3))
    estimates = at_size(gaps, a, b, 4, draws=10, seed=0)
    assert estimates["between"].value == 1.5  # all four, each once
    assert estimates["within"].value == 0


def test_the_value_is_the_mean_of_the_draws():
    seen = []

    def total(a, b):
        seen.append((len(a), float(a.sum() + b.sum())))
        return {"total": seen[-1][1]}

    a, b = Group(np.arange(10.0)[:, None]), Group(np.arange(7.0)[:, None])
    estimate = at_size(total, a, b, 5, draws=6, seed=5)["total"]
    whole = [value for size, value in seen if size == 5]
    assert len(whole) == 6
    assert estimate.value == pytest.approx(np.mean(whole))


def test_an_interval_leaves_out_whole_patients():
    """Patients differ, their own samples do not: all that can vary is who is kept."""
    patients = np.repeat(["A", "B", "C", "D"], 5)
    judged = Group(np.repeat([0.0, 0.0, 10.0, 10.0], 5)[:, None], patients)
    reference = Group(np.zeros((20, 1)), np.repeat(["E", "F", "G", "H"], 5))

    def mean_gap(a, b):
        return {"gap": float(a.mean() - b.mean())}

    estimate = at_size(mean_gap, judged, reference, 20, draws=400, seed=0)["gap"]
    # Of two patients kept, both are at 0, both at 10 (a sixth of the time each), or one at each:
    # a standard deviation of the root of 25 / 3.
    assert estimate == pytest.approx((5, 0, 10, 2.89), abs=0.5)
    assert estimate.high - estimate.low == 10
    alike = Group(np.full((20, 1), 5.0), patients)
    assert at_size(mean_gap, alike, reference, 20, draws=50, seed=0)["gap"] == (5, 5, 5, 0)


def test_a_samples_patients_are_drawn_without_replacement():
    patients = np.repeat(["A", "B", "C"], 4)
    group = Group(np.arange(12.0)[:, None], patients)
    assert group.least_of_half() == 8
    for seed in range(20):
        drawn = group.of_half(8, np.random.default_rng(seed))[:, 0]
        assert len(set(drawn)) == 8
        assert len(set(patients[drawn.astype(int)])) == 2


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Many cohorts of patients around a mean that is known."""
    generator, inside = np.random.default_rng(0), 0
    reference = Group(np.zeros((40, 1)), np.repeat([*"ABCDEFGH"], 5))

    def mean_gap(a, b):
        return {"gap": float(a.mean() - b.mean())}

    for _ in range(200):
        means = generator.normal(0, 1, 8)
        values = np.repeat(means, 5) + generator.normal(0, 0.1, 40)
        judged = Group(values[:, None], reference.patients)
        found = at_size(mean_gap, judged, reference, 40, draws=60, seed=1)["gap"]
        inside += found.low <= 0 <= found.high
    assert 0.75 < inside / 200 < 0.95


@pytest.mark.parametrize("least", [2, 12])
def test_one_patient_or_too_small_halves_have_no_interval(least):
    patients = np.repeat(["A"], 20) if least == 2 else np.repeat([*"ABCD"], 5)
    group = Group(np.arange(20.0)[:, None], patients)
    estimate = at_size(gaps, group, group, 20, draws=5, seed=0, least=least)["within"]
    assert np.isnan(estimate.low)
    assert np.isnan(estimate.high)


def test_subsamples_are_the_seeds_and_distances_biased_upwards_when_small():
    x, y = np.random.default_rng(0).normal(size=(2, 2000, 10))

    def distance(size, seed):
        return at_size(frechet, Group(x), Group(y), size, draws=20, seed=seed)["frechet"]

    small, large = distance(20, seed=3), distance(500, seed=3)
    assert distance(20, seed=3) == small
    assert distance(20, seed=4) != small
    assert small.value > 10 * large.value
    assert large.high - large.low < small.high - small.low


def test_more_than_there_is_cannot_be_drawn():
    with pytest.raises(CineganError, match="cannot draw 5 samples from sets of 9 and 4"):
        at_size(gaps, Group(np.ones((9, 2))), Group(np.ones((4, 2))), 5, draws=1, seed=0)
