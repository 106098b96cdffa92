"""The phases of one slice: their clock, their order, what is lost, and any number of them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from frame_factory import PERIOD_MS, PHASES, frame, stack
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegan.data.cycles import (
    CLOCKS,
    CineSlice,
    Frame,
    Timeline,
    clock_of,
    in_time,
    resample_phases,
    timeline,
    timelines,
)

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def times_of(frames):
    """The phase that each frame was made for, by its AcquisitionTime or TriggerTime."""
    return [f.header.trigger_ms for f in frames]


def shuffled(frames):
    frames = [*frames]
    random.Random(1).shuffle(frames)
    return frames


def clocked(phase, **clocks):
    """A frame of a phase that has these clocks only; its file's name is the phase."""
    lacking = {"trigger_ms": None, "acquired_s": None, "temporal_position": None}
    made = frame(0, phase, instance=clocks.pop("instance_number", 0), **{**lacking, **clocks})
    return replace(made, file=f"P1/CINESAX/{phase:02d}.dcm")


def phases_of(frames):
    return [int(f.file[-6:-4]) for f in frames]


TICKS = {
    "TriggerTime": lambda t: {"trigger_ms": 13.0 + 40 * t},
    "AcquisitionTime": lambda t: {"acquired_s": 43000.5 + 0.04 * t},
    "InstanceNumber": lambda t: {"instance_number": 5 + 3 * t},
    "TemporalPositionIdentifier": lambda t: {"temporal_position": 1 + t},
}
CONTRADICTION = {
    "TriggerTime": lambda t: {"trigger_ms": 900.0 - 40 * t},
    "AcquisitionTime": lambda t: {"acquired_s": 43000.5 - 0.04 * t},
    "InstanceNumber": lambda t: {"instance_number": 100 - t},
    "TemporalPositionIdentifier": lambda t: {"temporal_position": 100 - t},
}
NAMES = [*CLOCKS]
CONSTANT = {"trigger_ms": 0.0, "acquired_s": 43000.0, "instance_number": 1}


@pytest.mark.parametrize("rank", range(4), ids=NAMES)
@pytest.mark.parametrize("above", ["missing", "constant", "partly missing"])
def test_the_first_clock_that_tells_the_phases_apart_is_believed(rank, above):
    own = NAMES[rank]
    frames = []
    for t in range(20):
        clocks = {}
        for name in NAMES[:rank]:
            ((keyword, value),) = CONTRADICTION[name](t).items()
            if above == "constant":
                clocks[keyword] = CONSTANT[keyword]
            elif above == "partly missing" and keyword != "instance_number" and t != 3:
                clocks[keyword] = value
        for name in NAMES[rank + 1 :]:
            clocks |= CONTRADICTION[name](t)
        frames.append(clocked(t, **clocks, **TICKS[own](t)))
    assert clock_of(frames) == own
    ordered, doubles = in_time(shuffled(frames))
    assert phases_of(ordered) == list(range(20))
    assert doubles == []
    line = timeline(ordered)
    assert line.clock == own
    assert line.even
    in_ms = own in ("TriggerTime", "AcquisitionTime")
    assert line.period == pytest.approx(800 if in_ms else 20, rel=1e-6)


def test_a_slice_that_was_acquired_over_midnight_stays_in_order():
    frames = [clocked(t, acquired_s=(86399.7 + 0.04 * t) % 86400) for t in range(20)]
    ordered, _ = in_time(shuffled(frames))
    assert phases_of(ordered) == list(range(20))
    line = timeline(ordered)
    assert line.clock == "AcquisitionTime"
    np.testing.assert_allclose(line.times, 40.0 * np.arange(20), atol=1e-4)
    assert line.period == pytest.approx(800)


def test_an_acquisition_time_in_whole_seconds_is_no_clock():
    # 20 phases of a breath-hold of ten seconds: two of them in each.
    frames = [clocked(t, acquired_s=43000.0 + t // 2, instance_number=t + 1) for t in range(20)]
    assert clock_of(frames) == "InstanceNumber"
    ordered, doubles = in_time(shuffled(frames))
    assert phases_of(ordered) == list(range(20))
    assert doubles == []


def test_without_any_clock_nothing_is_a_cycle():
    frames = [clocked(t) for t in range(20)]
    ordered, doubles = in_time(frames)
    assert (len(ordered), len(doubles)) == (1, 19)


@pytest.mark.parametrize("last_is_whole", [True, False])
def test_of_repetitions_the_fullest_counts(last_is_whole):
    first = [clocked(t, trigger_ms=40.0 * t, instance_number=t + 1) for t in range(20)]
    again = [clocked(t, trigger_ms=40.0 * t, instance_number=t + 21) for t in range(20)]
    lost = first if last_is_whole else again
    del lost[5:9]
    ordered, doubles = in_time(shuffled(first + again))
    assert ordered == (again if last_is_whole else first)
    assert sorted(map(id, doubles)) == sorted(map(id, lost))


def test_of_equally_full_repetitions_the_last_counts():
    first, second, third = (
        [clocked(t, trigger_ms=40.0 * t, instance_number=t + 20 * k) for t in range(20)]
        for k in range(3)
    )
    ordered, doubles = in_time(shuffled(first + second + third))
    assert ordered == third
    assert len(doubles) == 40


@pytest.mark.parametrize("phases", [(20, 20), (20, 12), (9, 20)])
def test_repetitions_at_other_heart_rates_are_not_mixed(phases):
    first, again = (
        [
            clocked(t, trigger_ms=delay + rr * t / 20, instance_number=20 * k + t)
            for t in range(count)
        ]
        for k, (rr, delay, count) in enumerate([(800, 0, phases[0]), (760, 7, phases[1])])
    )
    ordered, doubles = in_time(shuffled(first + again))
    better, worse = (again, first) if phases[1] >= phases[0] else (first, again)
    assert ordered == better
    assert sorted(map(id, doubles)) == sorted(map(id, worse))


def test_repetitions_whose_numbers_begin_in_the_middle_of_a_cycle_are_not_mixed():
    first, again = (
        [clocked(t, trigger_ms=40.0 * t, instance_number=20 * k + (t - 4) % 20) for t in range(20)]
        for k in range(2)
    )
    ordered, doubles = in_time(shuffled(first + again))
    assert ordered == again
    assert len(doubles) == 20


@pytest.mark.parametrize("numbers", ["later half first", "backwards", "one was sent later"])
def test_a_cycle_whose_numbers_are_in_another_order_is_one(numbers):
    order = {
        "later half first": lambda t: (t + 10) % 20,
        "backwards": lambda t: -t,
        "one was sent later": lambda t: 50 if t == 7 else t,
    }[numbers]
    frames = [clocked(t, trigger_ms=40.0 * t, instance_number=order(t)) for t in range(20)]
    ordered, doubles = in_time(shuffled(frames))
    assert phases_of(ordered) == list(range(20))
    assert doubles == []


def cine(lost=(), phases=25, interval=None, delay=0.0, rr=800.0, **changes):
    """A slice of which phases are lost."""
    times = {t: round(delay + rr * t / phases, 3) for t in range(phases) if t not in lost}
    frames = (
        frame(0, t, trigger_ms=time, interval_ms=interval, **changes) for t, time in times.items()
    )
    return CineSlice(0.0, tuple(frames))


LOST = [(0,), (12,), (24,), (0, 1), (23, 24), (0, 24), (3, 8, 13, 18, 23)]


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("known_by", ["NominalInterval", "the stack", "both"])
@pytest.mark.parametrize("delay", [0.0, 13.0])
def test_lost_phases_leave_their_place_free(lost, known_by, delay):
    interval = None if known_by == "the stack" else 800.0
    torn = cine(lost, interval=interval, delay=delay)
    others = [] if known_by == "NominalInterval" else [cine(interval=interval, delay=delay)] * 3
    line = timelines([*others, torn], 20)[-1]
    assert line.period == pytest.approx(800, abs=0.1)
    assert line.first == pytest.approx(delay, abs=0.1)
    whole = smooth_cycle(800.0 * np.arange(25) / 25)
    kept = [t for t in range(25) if t not in lost]
    made = resample_phases(whole[..., kept], line, 25)
    # Phases at their own times come out as they went in; the others are made of their neighbours.
    np.testing.assert_allclose(made[..., kept], whole[..., kept], atol=1e-3)
    assert np.abs(made - whole).max() < (0.2 if len(lost) > 1 else 0.05) * np.ptp(whole)


@pytest.mark.parametrize(("lost", "rr"), [((0,), 840.0), ((24,), 810.0)])
def test_at_another_heart_rate_the_stack_still_tells_what_was_lost(lost, rr):
    torn = cine(lost, rr=rr)
    line = timelines([cine(), cine(), torn], 20)[-1]
    assert line.period == pytest.approx(rr, abs=0.1)
    assert line.first == pytest.approx(0, abs=0.1)


def test_fewer_phases_of_the_same_heartbeat_are_all_there():
    slices = [cine(phases=30), cine(phases=28), cine(phases=30)]
    assert [line.period for line in timelines(slices, 20)] == pytest.approx([800] * 3, abs=0.1)
    assert all(line.even for line in timelines(slices, 20))


def test_a_faster_heart_has_lost_nothing():
    # Just one phase shorter than the others' cycle: but as full as theirs.
    slices = [cine(phases=20), cine(phases=20), cine(phases=20, rr=760.0)]
    assert [line.period for line in timelines(slices, 20)] == pytest.approx([800, 800, 760])
    assert all(line.even for line in timelines(slices, 20))


def test_as_many_phases_as_wanted_are_interpolated_where_others_are_lost():
    torn = cine((3, 8, 13, 18, 23), interval=800.0)
    assert len(torn.frames) == 20
    line = timelines([cine(), cine(), torn], 20)[-1]
    frames = smooth_cycle(line.times)
    made = resample_phases(frames, line, 20)
    assert made is not frames
    assert np.abs(made - smooth_cycle(40.0 * np.arange(20))).max() < 0.02 * np.ptp(frames)
    # The same where they are the last five, which only the stack can tell.
    line = timelines([cine(), cine(), cine(range(20, 25))], 20)[-1]
    assert line.period == pytest.approx(800)
    assert not line.even


def test_what_prospective_gating_leaves_out_is_not_made_up():
    # 20 phases in 900 of 1000 ms, in all slices: they are the cycle.
    slices = [cine(phases=20, rr=900.0, interval=1000.0)] * 3
    frames = smooth_cycle(np.arange(20.0))
    for line in timelines(slices, 20):
        assert resample_phases(frames, line, 20) is frames


def test_a_gap_in_numbers_is_a_lost_phase():
    numbers = [1, 2, 3, 5, 6, 7, 8, 9, 10]
    frames = [clocked(n, instance_number=40 + n) for n in numbers]
    assert timeline(frames).times.tolist() == [n - 1 for n in numbers]
    assert timeline(frames).period == 10
    # Numbers phase by phase, four slices apart.
    apart = [clocked(n, instance_number=4 * n + 2) for n in numbers]
    assert timeline(apart).times.tolist() == [n - 1 for n in numbers]
    # Numbers that only tell the order.
    wild = [clocked(n, instance_number=n * n * n) for n in numbers]
    assert timeline(wild).times.tolist() == list(range(9))


NUMBERINGS = {  # of slice s and phase t, of 5 slices of 20 phases
    "slice by slice": lambda s, t: {"instance_number": 20 * s + t + 1},
    "slice by slice, further on": lambda s, t: {"instance_number": 20 * s + t + 313},
    "each slice anew": lambda s, t: {"instance_number": t + 1},
    "phase by phase": lambda s, t: {"instance_number": 5 * t + s + 1},
    "phase by phase, further on": lambda s, t: {"instance_number": 5 * t + s + 313},
    "positions in time": lambda s, t: {"temporal_position": t + 1},
    "positions in time from 0": lambda s, t: {"temporal_position": t},
    "after the times": lambda s, t: {
        "acquired_s": 43000 + 60 * s + 0.04 * t,
        "instance_number": 20 * s + t + 1,
    },
}


def numbered(numbering, torn, lost):
    return [
        CineSlice(
            10.0 * s,
            tuple(
                clocked(t, **NUMBERINGS[numbering](s, t))
                for t in range(20)
                if s != torn or t not in lost
            ),
        )
        for s in range(5)
    ]


@pytest.mark.parametrize("numbering", NUMBERINGS)
@pytest.mark.parametrize("torn", [1, 2, 4])
@pytest.mark.parametrize("lost", [(0,), (0, 1), (0, 9), (0, 19), (19,), (9,)])
def test_numbers_tell_which_phase_was_lost(numbering, torn, lost):
    line = timelines(numbered(numbering, torn, lost), 20)[torn]
    step = line.period / 20
    assert step == pytest.approx(40 if numbering == "after the times" else 1)
    shown = [line.phase_at(time, 20) for time in line.times]
    assert shown == [t for t in range(20) if t not in lost]


def test_the_very_first_image_of_a_study_is_missed():
    line = timelines(numbered("phase by phase", 0, (0,)), 20)[0]
    assert (line.times[0], line.first) == (0, -1)


def test_numbers_that_do_not_count_every_phase_are_not_asked():
    # 30, 28, 29 and 30 phases, numbered without a gap.
    slices, number = [], 1
    for phases in (30, 28, 29, 30):
        frames = (clocked(t, instance_number=number + t) for t in range(phases))
        slices.append(CineSlice(0.0, tuple(frames)))
        number += phases
    assert [line.first for line in timelines(slices, 20)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("triggers", "times", "period"),
    [
        ([0, 40, 80, 120, 160, 200, 240, 280], None, 320),
        ([26, 79, 131, 184, 236, 289, 341, 394], None, 420.6),
        ([1, 2, 3, 4, 5, 6, 7, 8], list(range(8)), 8),  # in no unit of time
    ],
)
def test_a_cycle_ends_one_usual_step_after_its_last_phase(triggers, times, period):
    line = timeline([frame(0, i, trigger_ms=t) for i, t in enumerate(triggers)])
    assert line.times.tolist() == (times or triggers)
    assert line.period == pytest.approx(period, abs=0.6)


def test_a_phase_is_placed_where_its_time_comes_and_nowhere_between():
    line = Timeline("TriggerTime", np.arange(10) * 80.0, 800.0, 0.0)
    assert [line.phase_at(t, 20) for t in (0.0, 80.0, 81.0, 60.0, 799.0)] == [0, 2, 2, None, 0]


def steady(scanned, period=PERIOD_MS, first=13.0):
    return Timeline("TriggerTime", first + period * np.arange(scanned) / scanned, period, first)


def smooth_cycle(times_ms, period_ms=PERIOD_MS):
    """A band-limited cycle of 2 x 3 pixels: offsets and the first three harmonics."""
    draws = np.random.default_rng(5).standard_normal((2, 3, 7))
    angle = 2 * np.pi * np.asarray(times_ms) / period_ms
    waves = [np.ones_like(angle)]
    for k in (1, 2, 3):
        waves += [np.cos(k * angle) / k, np.sin(k * angle) / k]
    return draws @ np.array(waves)  # (2, 3, K)


def test_as_many_phases_as_wanted_are_left_untouched():
    frames = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    assert resample_phases(frames, steady(4), 4) is frames


@pytest.mark.parametrize(
    ("scanned", "tolerance"), [(16, 0.06), (25, 0.01), (30, 0.005), (50, 5e-4)]
)
def test_a_smooth_cycle_is_recovered_from_another_number_of_phases(scanned, tolerance):
    line = steady(scanned)
    made = resample_phases(smooth_cycle(line.times), line, 20)
    wanted = smooth_cycle(steady(20).times)
    assert (made.shape, made.dtype) == ((2, 3, 20), np.float32)
    np.testing.assert_allclose(made, wanted, atol=tolerance * np.ptp(wanted))


def test_phases_that_fall_on_scanned_ones_are_theirs():
    line = steady(40)
    frames = np.random.default_rng(2).integers(-500, 4000, (3, 3, 40)).astype(np.int16)
    np.testing.assert_allclose(resample_phases(frames, line, 20), frames[..., ::2], atol=1e-3)


def test_times_that_are_not_evenly_spaced_are_respected():
    rng = np.random.default_rng(7)
    times = np.sort(PERIOD_MS * (np.arange(30) + rng.uniform(-0.35, 0.35, 30)) / 30)
    wanted = smooth_cycle(times[0] + PERIOD_MS * np.arange(20) / 20)
    line = Timeline("TriggerTime", times, PERIOD_MS, times[0])
    made = resample_phases(smooth_cycle(times), line, 20)
    naive = resample_phases(smooth_cycle(times), steady(30), 20)
    error, naive_error = np.abs(made - wanted).max(), np.abs(naive - wanted).max()
    assert error < 0.02 * np.ptp(wanted)
    assert naive_error > 5 * error


@PROPERTY
@given(value=st.integers(-2000, 4000), scanned=st.integers(8, 40), phases=st.integers(4, 40))
def test_a_still_image_stays_still(value, scanned, phases):
    frames = np.full((2, 2, scanned), value, np.int16)
    made = resample_phases(frames, steady(scanned), phases)
    assert made.shape == (2, 2, phases)
    np.testing.assert_allclose(made, value, rtol=1e-5, atol=1e-3)


@PROPERTY
@given(scanned=st.integers(8, 40), phases=st.integers(8, 40), shift=st.integers(1, 39))
def test_a_cycle_has_no_beginning(scanned, phases, shift):
    # Starting to scan later turns the cycle on, and changes nothing else.
    line = steady(scanned, first=0.0)
    late = shift % scanned * PERIOD_MS / scanned
    times = (line.times + late) % PERIOD_MS
    later = Timeline("TriggerTime", np.sort(times), PERIOD_MS, 0.0)
    frames, moved = smooth_cycle(line.times), smooth_cycle(np.sort(times))
    np.testing.assert_allclose(
        resample_phases(frames, replace(line, first=late), phases),
        resample_phases(moved, replace(later, first=late), phases),
        atol=1e-5 * np.ptp(frames),
    )


def test_names_that_may_be_a_patients_are_not_shown():
    named = replace(frame(0, 3), alias="P01")
    assert (named.series_name, named.name) == ("P01/series_300", "P01/series_300/image_4")
    plain = frame(0, 3)
    assert (plain.series_name, plain.name) == ("a.zip/P1/CINESAX_300", f"a.zip/{plain.file}")
    assert Frame(plain.header, "", "1.dcm").series_name == "."


def test_a_stack_of_frames_has_all_its_phases():
    assert len(stack([0, 10])) == 2 * PHASES
    assert times_of(stack([0])) == [PERIOD_MS * t / PHASES for t in range(PHASES)]
