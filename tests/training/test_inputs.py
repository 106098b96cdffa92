"""Real cycles come in an order that the seed and the place fix."""

from __future__ import annotations

import numpy as np

from cinegan.training.inputs import batches


def numbers(cycles, seed=(3, 0), shown=0, count=5):
    """Which of the cycles are in the next batches of four."""
    found = []
    source = batches((cycles,), 4, shown, seed)
    for _ in range(count):
        (real,) = next(source)
        real = np.asarray(real)
        assert real.dtype == np.float32
        assert real.min() >= -1
        assert real.max() <= 1
        grey = np.rint((real + 1) * 127.5).astype(np.uint8)
        found += [np.flatnonzero((cycles == one).all(axis=(1, 2, 3))).item() for one in grey]
    return found


def test_each_epoch_shows_each_cycle_once_in_an_order_of_its_own(cycles):
    seen = numbers(cycles)  # two epochs of ten
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert numbers(cycles, seed=(4, 0)) != seen


def test_the_order_goes_on_from_any_place(cycles):
    assert numbers(cycles, shown=8, count=3) == numbers(cycles)[8:]


def test_two_resolutions_come_in_one_order(cycles):
    pair = next(batches((cycles, cycles[:, ::2, ::2]), 4, 0, (3, 0)))
    np.testing.assert_array_equal(pair[0][:, ::2, ::2], pair[1])


def test_numbers_after_two_to_the_31_cycles_are_still_those_of_the_set(cycles):
    assert sorted(numbers(cycles, shown=10 * 2**40, count=5)[:10]) == list(range(10))


def test_what_goes_with_the_cycles_comes_in_their_order_as_it_is(cycles):
    beside = np.arange(20, dtype=np.float32).reshape(10, 2)
    real, told = next(batches((cycles, beside), 4, 0, (3, 0)))
    places = np.flatnonzero((beside[None] == np.asarray(told)[:, None]).all(axis=2)) % 10
    np.testing.assert_array_equal(np.rint((np.asarray(real) + 1) * 127.5), cycles[places])
