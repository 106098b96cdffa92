"""The short-axis stack among all images of a patient, and its phases."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from dicom_factory import AXIAL, FOUR_CHAMBER, SHORT_AXIS
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegan.data.cycles import Frame, phase_times, resample_phases, short_axis_stack
from cinegan.data.dicom import Header

PHASES = 10
PERIOD_MS = 800.0


def frame(position, phase, number=300, name="CINESAX_300", instance=None, **changes):
    """One image at a distance along its normal and a phase of the cycle."""
    row, column = np.array(changes.pop("orientation", SHORT_AXIS)).reshape(2, 3)
    values = {
        "patient_id": "P1",
        "series_number": number,
        "instance_number": instance if instance is not None else int(10 * position) + phase + 1,
        "trigger_ms": PERIOD_MS * phase / PHASES,
        "position_mm": position * np.cross(row, column) + 3 * row - 40 * column,
        "row_direction": row,
        "column_direction": column,
        "spacing_mm": (1.5, 1.5),
        "thickness_mm": 8.0,
        "shape": (64, 64),
    }
    header = Header(**{**values, **changes})
    return Frame(header, "a.zip", f"P1/{name}/IM-{number}-{header.instance_number:05d}.dcm")


def stack(positions, phases=PHASES, **changes):
    return [frame(p, phase, **changes) for p in positions for phase in range(phases)]


def found(frames):
    """Positions, phases and reasons of what was found, whatever the order of the files."""
    shuffled = [*frames]
    random.Random(1).shuffle(shuffled)
    slices, left_out = short_axis_stack(shuffled)
    assert sum(len(s.frames) for s in slices) + sum(o.images for o in left_out) == len(frames)
    reasons = Counter()
    for item in left_out:
        reasons[item.what.rpartition("/")[2], item.why.partition(":")[0]] += item.images
    return slices, reasons


SAX = stack([0, 10, 20, 30])


def test_a_shuffled_stack_is_ordered_from_base_to_apex_and_by_time():
    slices, left_out = found(SAX)
    # The normal of SHORT_AXIS points from base to apex.
    assert [s.position_mm for s in slices] == pytest.approx([0, 10, 20, 30])
    assert [s.frames for s in slices] == [
        tuple(SAX[i * PHASES : (i + 1) * PHASES]) for i in range(4)
    ]
    assert left_out == {}


def test_a_stack_seen_from_the_other_side_still_runs_from_base_to_apex():
    row, column = np.array(SHORT_AXIS).reshape(2, 3)
    flipped = (*row, *-column)
    slices, _ = found(stack([0, 10, 20], orientation=flipped))
    along = [s.frames[0].header.position_mm @ np.array([1, -1, -1]) for s in slices]
    assert along == sorted(along)


@pytest.mark.parametrize("layout", ["slice by slice", "phase by phase", "no numbers"])
def test_phases_follow_trigger_times_whatever_the_instance_numbers_say(layout):
    places = [(p, t) for p in range(3) for t in range(PHASES)]
    numbers = {
        "slice by slice": lambda p, t: p * PHASES + t + 1,
        "phase by phase": lambda p, t: t * 3 + p + 1,
        "no numbers": lambda p, t: 0,
    }[layout]
    frames = [
        frame(10.0 * p, t, instance=numbers(p, t), trigger_ms=80.0 * ((t + 4) % PHASES))
        for p, t in places
    ]
    frames = [Frame(f.header, f.archive, f"P1/CINESAX_300/{i}.dcm") for i, f in enumerate(frames)]
    slices, left_out = found(frames)
    for cine in slices:
        assert [f.header.trigger_ms for f in cine.frames] == [80.0 * t for t in range(PHASES)]
    assert left_out == {}


def test_without_trigger_times_phases_follow_instance_numbers():
    slices, left_out = found(stack([0, 10, 20], trigger_ms=None))
    for cine in slices:
        numbers = [f.header.instance_number for f in cine.frames]
        assert numbers == sorted(numbers)
        assert len(numbers) == PHASES
    assert left_out == {}


def test_one_missing_trigger_time_makes_its_slice_follow_instance_numbers():
    frames = stack([0, 10, 20])
    frames[3] = frame(0, 3, trigger_ms=None)
    slices, left_out = found(frames)
    assert [f.header.instance_number for f in slices[0].frames] == list(range(1, PHASES + 1))
    assert left_out == {}


LARGER = "another short-axis stack of this patient has as many slices or more"
LOCALIZERS = [
    frame(10.0 * i, 0, 1, "Localizers_1", instance=100 * plane + i, orientation=o)
    for plane, o in enumerate([AXIAL, (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)])
    for i in range(5)
]
LONG_AXIS = stack([0], number=200, name="CINELAX_200", orientation=FOUR_CHAMBER)


@pytest.mark.parametrize(
    ("others", "left_out"),
    [
        (LOCALIZERS, {("Localizers_1", "no cine"): 15}),
        (LONG_AXIS, {("CINELAX_200", "1 parallel cine slice(s), fewer than 3"): PHASES}),
        (
            stack([0, 8, 16, 24, 32, 40], number=9, name="AXIAL_9", orientation=AXIAL),
            {("AXIAL_9", "stands 55 degrees off the heart's long axis"): 6 * PHASES},
        ),
        # A localizer planned parallel to the stack, at places of its own.
        (
            [frame(p, 0, 2, "Localizers_2") for p in (-40, 55)],
            {("Localizers_2", "only 1 phase(s) at this position"): 2},
        ),
        # The same at one of the stack's positions.
        ([frame(10, 0, 2, "PLAN_2")], {("PLAN_2", "only 1 phase(s) at this position"): 1}),
        (
            stack([0, 10, 20, 30], phases=7, number=5, name="PERF_5", shape=(32, 32)),
            {("PERF_5", "no cine"): 28},
        ),
        (
            stack([0, 10, 20], number=5, name="LOWRES_5", shape=(32, 32)),
            {("LOWRES_5", LARGER): 30},
        ),
    ],
    ids=["localizers", "long axis", "axial", "parallel localizer", "plan", "perfusion", "low"],
)  # fmt: skip
def test_what_is_no_short_axis_cine_is_left_out_with_the_reason(others, left_out):
    slices, reasons = found(SAX + others)
    assert [len(s.frames) for s in slices] == [PHASES] * 4
    assert [f for s in slices for f in s.frames] == SAX
    assert reasons == left_out


@pytest.mark.parametrize(
    "frames", [[], LOCALIZERS, LONG_AXIS, LOCALIZERS + LONG_AXIS, stack([0, 10]), SAX[:7]]
)
def test_a_patient_without_a_stack_has_none(frames):
    assert found(frames)[0] == []


@pytest.mark.parametrize(("phases", "slices"), [(7, 0), (8, 4), (30, 4)])
def test_a_cycle_needs_eight_phases(phases, slices):
    assert len(found(stack([0, 10, 20, 30], phases))[0]) == slices


def test_the_same_image_twice_counts_once():
    doubles = [Frame(f.header, f.archive, f.member + ".copy") for f in SAX[:3]]
    slices, reasons = found(SAX + doubles)
    assert slices[0].frames == tuple(SAX[:PHASES])
    assert reasons == {("CINESAX_300", "the same phase again"): 3}


def test_of_two_short_axis_series_the_larger_wins_and_the_other_fills_what_it_lacks():
    larger = stack([0, 10, 20, 30], number=400, name="CINESAX_400")
    smaller = stack([9.8, 20.3, 40], number=303, name="CINESAX_303")
    slices, reasons = found(larger + smaller)
    names = [s.frames[0].series_name.rpartition("/")[2] for s in slices]
    assert names == ["CINESAX_400"] * 4 + ["CINESAX_303"]
    assert [s.position_mm for s in slices] == pytest.approx([0, 10, 20, 30, 40])
    assert reasons == {("CINESAX_303", "a larger series covers this position"): 2 * PHASES}
    assert all(len({f.series for f in s.frames}) == 1 for s in slices)


def test_a_series_between_the_slices_of_the_larger_one_adds_none():
    larger, between = stack([0, 10, 20, 30]), stack([4.5, 14.5], number=7, name="SAX_7")
    slices, reasons = found(larger + between)
    assert len(slices) == 4
    assert reasons == {("SAX_7", "a larger series covers this position"): 2 * PHASES}


def test_a_repeated_series_in_a_folder_of_its_own_makes_no_second_stack():
    slices, reasons = found(SAX + stack([0, 10, 20, 30], number=301, name="CINESAX_301"))
    assert len(slices) == 4
    assert {s.frames[0].header.series_number for s in slices} == {300}
    assert reasons == {("CINESAX_301", "a larger series covers this position"): 4 * PHASES}


def test_rounded_headers_share_a_slice_and_a_stack():
    jitter = random.Random(2)
    frames = [
        frame(p + jitter.uniform(-0.3, 0.3), t, instance=int(p) * 10 + t,
              orientation=np.array(SHORT_AXIS) + [jitter.uniform(-1e-3, 1e-3) for _ in range(6)])
        for p in (0, 10, 20) for t in range(PHASES)
    ]  # fmt: skip
    slices, left_out = found(frames)
    assert [len(s.frames) for s in slices] == [PHASES] * 3
    assert left_out == {}


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
    assert resample_phases(frames, np.arange(4.0), 4.0, 4) is frames


@pytest.mark.parametrize(
    ("scanned", "tolerance"), [(16, 0.06), (25, 0.01), (30, 0.005), (50, 5e-4)]
)
def test_a_smooth_cycle_is_recovered_from_another_number_of_phases(scanned, tolerance):
    times = 13.0 + PERIOD_MS * np.arange(scanned) / scanned
    made = resample_phases(smooth_cycle(times), times, PERIOD_MS, 20)
    wanted = smooth_cycle(13.0 + PERIOD_MS * np.arange(20) / 20)
    assert (made.shape, made.dtype) == ((2, 3, 20), np.float32)
    np.testing.assert_allclose(made, wanted, atol=tolerance * np.ptp(wanted))


def test_times_that_are_not_evenly_spaced_are_respected():
    rng = np.random.default_rng(7)
    times = np.sort(PERIOD_MS * (np.arange(30) + rng.uniform(-0.35, 0.35, 30)) / 30)
    wanted = smooth_cycle(times[0] + PERIOD_MS * np.arange(20) / 20)
    made = resample_phases(smooth_cycle(times), times, PERIOD_MS, 20)
    naive = resample_phases(smooth_cycle(times), np.arange(30.0), 30.0, 20)
    error, naive_error = np.abs(made - wanted).max(), np.abs(naive - wanted).max()
    assert error < 0.02 * np.ptp(wanted)
    assert naive_error > 5 * error


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(value=st.integers(-2000, 4000), scanned=st.integers(8, 40), phases=st.integers(4, 40))
def test_a_still_image_stays_still(value, scanned, phases):
    frames = np.full((2, 2, scanned), value, np.int16)
    made = resample_phases(frames, np.arange(float(scanned)), float(scanned), phases)
    assert made.shape == (2, 2, phases)
    np.testing.assert_allclose(made, value, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("triggers", "times", "period"),
    [
        ([0, 40, 80, 120], [0, 40, 80, 120], 160),
        ([26, 79, 131, 184], [26, 79, 131, 184], 210.5),
        ([0, None, 80, 120], [0, 1, 2, 3], 4),
        ([None] * 4, [0, 1, 2, 3], 4),
    ],
)
def test_a_cycle_ends_one_usual_step_after_its_last_phase(triggers, times, period):
    frames = tuple(frame(0, i, trigger_ms=t) for i, t in enumerate(triggers))
    made, length = phase_times(frames)
    assert made.tolist() == times
    assert length == pytest.approx(period, abs=0.6)
