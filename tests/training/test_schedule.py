"""The schedule is a pure function of images shown."""

from __future__ import annotations

import pytest

from cinegan.training.schedule import CURVE_POINTS, Schedule, ema_decay


@pytest.mark.parametrize(
    ("batch", "total_kimg", "steps"), [(32, 16, 500), (32, 0.128, 4), (32, 0.1, 4), (64, 1e-3, 1)]
)
def test_steps_show_at_least_the_total(batch, total_kimg, steps):
    schedule = Schedule(batch, total_kimg, 1)
    assert schedule.steps == steps
    assert schedule.kimg(steps) >= total_kimg > schedule.kimg(steps - 1)


def test_snapshots_fall_where_a_multiple_of_the_interval_is_passed():
    schedule = Schedule(batch=32, total_kimg=0.3, snapshot_kimg=0.1)
    assert [s for s in range(1, schedule.steps + 1) if schedule.is_snapshot(s)] == [4, 7, 10]


@pytest.mark.parametrize("total_kimg", [0.128, 16, 300])
def test_curves_have_points_enough_and_end_at_the_last_step(total_kimg):
    schedule = Schedule(32, total_kimg, 1)
    points = [s for s in range(1, schedule.steps + 1) if schedule.is_curve_point(s)]
    assert points[-1] == schedule.steps
    assert min(schedule.steps, CURVE_POINTS / 2) <= len(points) <= CURVE_POINTS + 1


@pytest.mark.parametrize(("step", "decay"), [(0, 0.1), (10, 0.55), (10**6, 0.999)])
def test_moving_average_is_short_at_first(step, decay):
    assert float(ema_decay(0.999, step)) == pytest.approx(decay)
