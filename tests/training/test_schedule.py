"""The schedule is a pure function of images shown."""

from __future__ import annotations

import pytest
from recipes import model_with, training_with

from cinegan.models import pggan
from cinegan.params import Budget
from cinegan.training.schedule import (
    CURVE_POINTS,
    Schedule,
    ema_decay,
    noise_deviation,
    warp_deviation,
)


def constant(model, batch, total_kimg, snapshot_kimg=1.0):
    block = model.model_copy(update={"training": training_with(batch=batch)})
    return Schedule.of(block, Budget(total_kimg=total_kimg, snapshot_kimg=snapshot_kimg))


def growing(total_kimg, size=32, batch=(16, 16, 16, 8), **options):
    network = pggan.Network(latent=8, filters=64, most_filters=16, group=4)
    budget = Budget(total_kimg=total_kimg, snapshot_kimg=1.0, fade_kimg=0.8, stable_kimg=1.6)
    model = model_with(network, training_with(batch=list(batch)), budget, size)
    return Schedule.of(model, budget, **options)


def table(schedule):
    """(size, fading, batch, first step, steps, cycles shown before) of each level."""
    return [(x.size, x.fading, x.batch, x.first, x.steps, x.images) for x in schedule.levels]


@pytest.mark.parametrize(
    ("batch", "total_kimg", "steps"), [(32, 16, 500), (32, 0.128, 4), (32, 0.1, 4), (64, 1e-3, 1)]
)
def test_steps_show_at_least_the_total(model, batch, total_kimg, steps):
    schedule = constant(model, batch, total_kimg)
    assert table(schedule) == [(16, False, batch, 0, steps, 0)]
    assert schedule.kimg(steps) >= total_kimg > schedule.kimg(steps - 1)


def test_a_pair_grows_by_fades_and_the_last_size_takes_the_rest():
    assert table(growing(12.0)) == [
        (4, False, 16, 0, 100, 0),
        (8, True, 16, 100, 50, 1600),
        (8, False, 16, 150, 100, 2400),
        (16, True, 16, 250, 50, 4000),
        (16, False, 16, 300, 100, 4800),
        (32, True, 8, 400, 100, 6400),
        (32, False, 8, 500, 600, 7200),
    ]


def test_a_budget_may_end_before_the_last_growth_and_within_a_fade():
    assert table(growing(2.0)) == [(4, False, 16, 0, 100, 0), (8, True, 16, 100, 25, 1600)]
    assert growing(2.0).levels[-1].share(125) == 0.5  # a fade that is cut short stays half done


def test_the_original_schedule():
    """800 kimg to fade in and 800 to train each resolution, 16 a step: 10.4 million to 256x256."""
    network = pggan.Network(latent=512, filters=2048, most_filters=512, group=4)
    budget = Budget(total_kimg=10_400, snapshot_kimg=100, fade_kimg=800, stable_kimg=800)
    model = model_with(network, training_with(batch=[16] * 7), budget, 256)
    schedule = Schedule.of(model, budget)
    assert len(schedule.levels) == 13
    assert {level.steps for level in schedule.levels} == {50_000}
    assert schedule.kimg(schedule.steps) == 10_400


def test_a_trained_pair_goes_on_from_its_own_size():
    assert table(growing(12.0, first_size=16))[:2] == [
        (16, False, 16, 0, 100, 0),
        (32, True, 8, 100, 100, 1600),
    ]


@pytest.mark.parametrize(
    ("step", "size", "fading", "share", "shown"),
    [
        (0, 4, False, 1.0, 0),
        (99, 4, False, 1.0, 1584),
        (100, 8, True, 0.0, 1600),
        (125, 8, True, 0.5, 2000),
        (150, 8, False, 1.0, 2400),
        (499, 32, True, 0.99, 7192),
        (1099, 32, False, 1.0, 11_992),
    ],
)
def test_what_a_step_sees_is_a_function_of_the_steps_before_it(step, size, fading, share, shown):
    schedule = growing(12.0)
    level = schedule.level_after(step)
    assert (level.size, level.fading) == (size, fading)
    assert level.share(step) == pytest.approx(share)
    assert schedule.shown(step) == shown


def test_snapshots_fall_where_a_multiple_of_the_interval_is_passed(model):
    schedule = constant(model, 32, total_kimg=0.3, snapshot_kimg=0.1)
    assert [s for s in range(1, schedule.steps + 1) if schedule.is_snapshot(s)] == [4, 7, 10]
    schedule = constant(model, 20, total_kimg=0.4, snapshot_kimg=0.1)  # 0.3 // 0.1 is 2
    assert [s for s in range(1, schedule.steps + 1) if schedule.is_snapshot(s)] == [5, 10, 15, 20]


@pytest.mark.parametrize("total_kimg", [0.128, 16, 300])
def test_curves_have_points_enough_and_end_at_the_last_step(model, total_kimg):
    schedule = constant(model, 32, total_kimg)
    points = [s for s in range(1, schedule.steps + 1) if schedule.is_curve_point(s)]
    assert points[-1] == schedule.steps
    assert min(schedule.steps, CURVE_POINTS / 2) <= len(points) <= CURVE_POINTS + 1


@pytest.mark.parametrize(("step", "decay"), [(0, 0.1), (10, 0.55), (10**6, 0.999)])
def test_moving_average_is_short_at_first(step, decay):
    assert float(ema_decay(0.999, step)) == pytest.approx(decay)
    assert float(ema_decay(0.999, step, fresh=False)) == pytest.approx(0.999)


@pytest.mark.parametrize(("shown", "left"), [(0, 0.4), (5000, 0.2), (10_000, 0), (10**6, 0)])
def test_noise_falls_linearly_to_nothing(shown, left):
    assert noise_deviation(0.4, 10.0, shown) == pytest.approx(left)


@pytest.mark.parametrize(("shown", "bend"), [(0, 0), (5000, 0.02), (10_000, 0.04), (10**6, 0.04)])
def test_bending_grows_linearly_to_its_whole(shown, bend):
    assert warp_deviation(0.04, 10.0, shown) == pytest.approx(bend)
    assert warp_deviation(0.04, 0.0, shown) == 0.04
