"""The short-axis stacks among all images of a patient."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from dicom_factory import AXIAL, FOUR_CHAMBER, SHORT_AXIS
from frame_factory import PHASES, frame, stack
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegan.data.cycles import Frame
from cinegan.data.stacks import Stack, short_axis_stacks


def found(frames):
    """Stacks and reasons, whatever the order of the files; every image has its place or reason."""
    shuffled = [*frames]
    random.Random(1).shuffle(shuffled)
    stacks, left_out = short_axis_stacks(shuffled)
    used = {id(f) for s in stacks for f in s.frames}
    assert len(used) + sum(o.images for o in left_out) == len(frames)
    reasons = Counter()
    for item in left_out:
        reasons[item.what.rpartition("/")[2], item.why.partition(":")[0]] += item.images
    return stacks, reasons


def best(frames):
    stacks, reasons = found(frames)
    return stacks[0], reasons


def positions(one):
    return pytest.approx([cine.position_mm for cine in one.slices], abs=1e-6)


def folders(one):
    return [cine.frames[0].series_name.rpartition("/")[2] for cine in one.slices]


def spread(positions, step_ms, phases=PHASES, **changes):
    """A stack whose images follow each other in such steps."""
    return [
        frame(p, t, trigger_ms=step_ms * t, **changes) for p in positions for t in range(phases)
    ]


COVERED = "a fuller or later series covers this position"
SAX = stack([0, 10, 20, 30])


def test_a_shuffled_stack_is_ordered_from_base_to_apex_and_by_time():
    one, left_out = best(SAX)
    assert positions(one) == [0, 10, 20, 30]
    assert [c.frames for c in one.slices] == [
        tuple(SAX[i * PHASES : (i + 1) * PHASES]) for i in range(4)
    ]
    assert left_out == {}


def test_a_stack_seen_from_the_other_side_still_runs_from_base_to_apex():
    row, column = np.array(SHORT_AXIS).reshape(2, 3)
    for orientation in ((*row, *-column), (*column, *row), (*-row, *column)):
        one, _ = best(stack([0, 10, 20], orientation=orientation))
        along = [c.frames[0].header.position_mm @ np.array([1, -1, -1]) for c in one.slices]
        assert along == sorted(along)


@pytest.mark.parametrize("layout", ["slice by slice", "phase by phase", "arbitrary", "none"])
def test_phases_follow_trigger_times_whatever_the_instance_numbers_say(layout):
    places = [(p, t) for p in range(3) for t in range(PHASES)]
    draws = random.Random(3).sample(range(10_000), len(places))
    numbers = {
        "slice by slice": lambda p, t: p * PHASES + t + 1,
        "phase by phase": lambda p, t: t * 3 + p + 1,
        "arbitrary": lambda p, t: draws[p * PHASES + t],
        "none": lambda p, t: 0,
    }[layout]
    frames = [
        frame(10.0 * p, t, instance=numbers(p, t), trigger_ms=80.0 * ((t + 4) % PHASES))
        for p, t in places
    ]
    frames = [replace(f, file=f"P1/CINESAX_300/{i}.dcm") for i, f in enumerate(frames)]
    one, left_out = best(frames)
    for cine in one.slices:
        assert [f.header.trigger_ms for f in cine.frames] == [80.0 * t for t in range(PHASES)]
    assert left_out == {}


def test_where_files_lie_does_not_matter():
    scattered = [
        replace(f, container=f"{i % 3}.zip", file=f"{i:03d}/image") for i, f in enumerate(SAX)
    ]
    one, left_out = best(scattered)
    assert [c.count for c in one.slices] == [PHASES] * 4
    assert left_out == {}


def test_series_that_differ_in_number_only_are_apart():
    here = [replace(f, file=f"DICOM/{i}") for i, f in enumerate(SAX)]
    again = stack([0, 10, 20, 30], number=301)
    again = [replace(f, file=f"DICOM/{i + 500}") for i, f in enumerate(again)]
    stacks, left_out = found(here + again)
    assert [s.first.series_number for s in stacks] == [301, 300]
    assert left_out == {}


LOCALIZERS = [
    frame(10.0 * i, 0, 1, "Localizers_1", instance=100 * plane + i, orientation=o)
    for plane, o in enumerate([AXIAL, (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1)])
    for i in range(5)
]
LONG_AXIS = stack([0], number=200, name="CINELAX_200", orientation=FOUR_CHAMBER)
LONG_AXES = stack([0, 8, 16, 24], number=201, name="CINELAX_201", orientation=FOUR_CHAMBER)


@pytest.mark.parametrize(
    ("others", "left_out"),
    [
        (LOCALIZERS, {("Localizers_1", "no cine"): 15}),
        (LONG_AXIS, {("CINELAX_200", "1 parallel cine slice(s), fewer than 3"): PHASES}),
        (
            LONG_AXES,
            {("CINELAX_201", "stands 90 degrees off the heart's long axis"): 4 * PHASES},
        ),
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
    ],
    ids=["localizers", "long axis", "long axes", "axial", "parallel localizer", "plan", "few"],
)  # fmt: skip
def test_what_is_no_short_axis_cine_is_left_out_with_the_reason(others, left_out):
    (one,), reasons = found(SAX + others)
    assert sorted(map(id, one.frames)) == sorted(map(id, SAX))
    assert reasons == left_out


@pytest.mark.parametrize(
    "frames", [[], LOCALIZERS, LONG_AXIS, LOCALIZERS + LONG_AXIS, stack([0, 10]), SAX[:7]]
)
def test_a_patient_without_a_stack_has_none(frames):
    assert found(frames)[0] == []


@pytest.mark.parametrize(("phases", "slices"), [(7, 0), (8, 4), (30, 4)])
def test_a_cycle_needs_eight_phases(phases, slices):
    stacks, _ = found(stack([0, 10, 20, 30], phases))
    assert sum(len(one.slices) for one in stacks) == slices


def test_a_stack_without_orientation_may_face_anywhere():
    (one,), _ = found(stack([0, 10, 20], orientation=AXIAL, oriented=False))
    assert positions(one) == [-20, -10, 0]  # along its own normal


def identified(frames):
    return [
        replace(f, header=replace(f.header, uid=f"1.2.{i}", index=0)) for i, f in enumerate(frames)
    ]


def test_the_same_image_twice_counts_once_wherever_it_lies():
    scanned = identified(SAX)
    copies = [
        replace(f, container="backup.zip", file=f"copy/{i}.dcm") for i, f in enumerate(scanned[:13])
    ]
    (one,), reasons = found(scanned + copies)
    assert sorted(map(id, one.frames)) == sorted(map(id, scanned))
    assert reasons == {("copy", "the same image again"): 13}


def test_one_uid_for_all_images_does_not_make_them_one():
    careless = [replace(f, header=replace(f.header, uid="1.2.3")) for f in SAX]
    (one,), reasons = found(careless)
    assert [c.count for c in one.slices] == [PHASES] * 4
    assert reasons == {}


def test_frames_of_one_file_share_its_uid_and_are_not_the_same():
    multi = [
        Frame(replace(f.header, uid="1.2.3", index=i), "a.zip", "P1/enhanced.dcm", alone=False)
        for i, f in enumerate(SAX)
    ]
    (one,), reasons = found(multi + [replace(f, file="P1/z_copy.dcm") for f in multi])
    assert sorted(map(id, one.frames)) == sorted(map(id, multi))
    assert sum(reasons.values()) == len(multi)


def test_of_two_short_axis_series_the_larger_has_its_place_and_the_other_fills_in():
    larger = stack([0, 10, 20, 30], number=400, name="CINESAX_400")
    smaller = stack([-40, 0.2, 19.7], number=303, name="CINESAX_303")
    one, _ = best(larger + smaller)
    assert positions(one) == [-40, 0, 10, 20, 30]
    assert folders(one) == ["CINESAX_303", *["CINESAX_400"] * 4]
    assert all(len({f.series for f in c.frames}) == 1 for c in one.slices)


def test_a_single_slice_acquired_again_does_not_take_the_fuller_series_place():
    (one,), reasons = found(SAX + stack([10], number=301, name="AGAIN_301"))
    assert set(folders(one)) == {"CINESAX_300"}
    assert reasons == {("AGAIN_301", COVERED): PHASES}


def test_a_series_between_the_slices_of_the_larger_one_adds_none():
    (one,), reasons = found(SAX + stack([4.5, 14.5], number=7, name="SAX_7"))
    assert len(one.slices) == 4
    assert reasons == {("SAX_7", COVERED): 2 * PHASES}


def test_series_that_complete_each_other_make_one_stack():
    # As series 400, 401 and 402 of SC-HF-NI-36 do.
    parts = [
        *stack([0, 8, 16, 24, 32, 40], number=400, name="CINESAX_400"),
        *stack([48, 56, 64, 72, 80, 88], number=401, name="CINESAX_401"),
        *stack([96, 104, 112, 120, 128, 136], number=402, name="CINESAX_402"),
    ]
    (one,), reasons = found(parts)
    assert np.diff([c.position_mm for c in one.slices]) == pytest.approx([8.0] * 17)
    assert Counter(folders(one)) == {f"CINESAX_{n}": 6 for n in (400, 401, 402)}
    assert str(one).count("CINESAX_") == 3
    assert reasons == {}


def test_interleaved_series_make_one_stack():
    even, odd = stack([0, 16, 32, 48], number=5, name="A"), stack([8, 24, 40], number=6, name="B")
    (one,), reasons = found(even + odd)
    assert np.diff([c.position_mm for c in one.slices]) == pytest.approx([8.0] * 6)
    assert folders(one) == ["A", "B", "A", "B", "A", "B", "A"]
    assert reasons == {}


def test_one_series_for_each_slice_makes_one_stack_of_the_latest_ones():
    singles = [f for i in range(6) for f in stack([8 * i], number=10 + i, name=f"S{10 + i}")]
    again = stack([16], number=30, name="S30")
    (one,), reasons = found(singles + again)
    assert sorted(folders(one)) == ["S10", "S11", "S13", "S14", "S15", "S30"]
    assert reasons == {("S12", COVERED): PHASES}


def test_overlapping_slices_of_one_series_are_all_kept():
    (one,), reasons = found(stack([0, 4, 8, 12, 16], thickness_mm=8.0))
    assert len(one.slices) == 5
    assert reasons == {}


@pytest.mark.parametrize("again", [[], [15], [0, 5, 10, 15, 20, 25]])
def test_overlapping_slices_of_one_series_each_are_all_kept(again):
    singles = [f for i in range(6) for f in stack([5 * i], number=10 + i, name=f"S{10 + i}")]
    later = [f for p in again for f in stack([p], number=30 + p, name=f"S{30 + p}")]
    one, _ = best(singles + later)
    assert positions(one) == [0, 5, 10, 15, 20, 25]
    expected = [f"S{30 + 5 * i}" if 5 * i in again else f"S{10 + i}" for i in range(6)]
    assert folders(one) == expected


@pytest.mark.parametrize("positions_of_perfusion", [[40, 60, 80], [5, 25, 45], [40], [0, 10]])
@pytest.mark.parametrize("each", [True, False])
def test_perfusion_of_the_same_orientation_fills_in_nothing(positions_of_perfusion, each):
    cine = [f for i in range(4) for f in stack([10 * i], number=10 + i * each, name="CINE")]
    perfusion = [
        f
        for i, p in enumerate(positions_of_perfusion)
        for f in spread([p], 800.0, 40, number=20 + i * each, name="PERF", acquired_s=43000.0)
    ]
    (one,), reasons = found(cine + perfusion)
    assert positions(one) == [0, 10, 20, 30]
    assert set(folders(one)) == {"CINE"}
    assert reasons == {("PERF", "spans 31 s"): 40 * len(positions_of_perfusion)}


def test_images_of_many_heartbeats_are_no_cine():
    stacks, reasons = found(spread([0, 10, 20], 800.0, 40, name="PERF"))
    assert stacks == []
    assert reasons == {("PERF", "spans 31 s"): 120}
    # The moment of the day may lie seconds apart in a segmented cine.
    slow = [
        frame(p, t, trigger_ms=None, acquired_s=43000.0 + 60 * p + t)
        for p in (0, 10, 20)
        for t in range(PHASES)
    ]
    assert len(found(slow)[0]) == 1


@pytest.mark.parametrize("phases", [8, 40])
def test_a_slice_of_far_fewer_or_more_phases_fills_in_nothing(phases):
    cine = spread([0, 10, 20, 30], 40.0, 20)
    (one,), reasons = found(cine + spread([40], 20.0, phases, number=7, name="OTHER"))
    assert positions(one) == [0, 10, 20, 30]
    assert reasons == {("OTHER", f"{phases} phases where the stack has 20"): phases}
    (one,), reasons = found(cine + spread([40], 40.0, 18, number=7, name="LIKE"))
    assert positions(one) == [0, 10, 20, 30, 40]


@pytest.mark.parametrize(("phases", "kept"), [(9, 20), (14, 20), (18, 18)])
def test_an_aborted_slice_does_not_take_the_place_of_a_complete_one(phases, kept):
    singles = [
        f for i in range(5) for f in spread([10 * i], 40.0, 20, number=10 + i, acquired_s=100.0)
    ]
    again = spread([20], 40.0, phases, number=30, name="AGAIN_30", acquired_s=200.0)
    (one,), _ = found(singles + again)
    assert [c.count for c in one.slices] == [20, 20, kept, 20, 20]


@pytest.mark.parametrize("shape", [(64, 64), (32, 32)])
@pytest.mark.parametrize(("phases", "kept"), [(12, 20), (18, 18)])
def test_an_aborted_stack_does_not_take_the_place_of_a_complete_one(shape, phases, kept):
    whole = spread([0, 10, 20], 40.0, 20, acquired_s=100.0)
    again = spread([0, 10, 20], 40.0, phases, number=400, name="B", acquired_s=200.0, shape=shape)
    first, second = found(whole[1:] + again)[0]  # whole but for one image
    assert first.slices[-1].count == kept
    why = "has fewer phases than" if kept == 20 else "has fewer slices with all phases than"
    assert second.why_not(first).startswith(why)


def test_a_stack_acquired_again_stands_beside_the_first_and_is_better():
    again = stack([0, 10, 20, 30], number=301, name="CINESAX_301")
    stacks, reasons = found(SAX + again)
    assert [set(folders(s)) for s in stacks] == [{"CINESAX_301"}, {"CINESAX_300"}]
    assert stacks[1].why_not(stacks[0]) == f"has a lower SeriesNumber than {stacks[0]}"
    assert reasons == {}


@pytest.mark.parametrize(
    ("worse", "better", "why"),
    [
        (stack([0, 10, 20]), stack([0, 10, 20, 30], number=2, shape=(32, 32)), "covers less"),
        (
            [f for i, f in enumerate(stack([0, 10, 20], number=9)) if i % 9],
            stack([0, 10, 20], number=2, shape=(32, 32)),
            "has fewer slices with all phases",
        ),
        (
            stack([0, 10, 20], number=9, acquired_s=43000.0),
            stack([0, 10, 20], number=2, shape=(32, 32), acquired_s=43500.0),
            "was acquired before",
        ),
        (stack([0, 10, 20]), stack([0, 10, 20], number=301, shape=(32, 32)), "has a lower Series"),
        # Headers are rounded.
        (stack([0, 10, 20.004]), stack([0, 10, 20], number=301, shape=(32, 32)), "has a lower"),
        # Beyond the ventricle's length, more is no merit.
        (
            stack([10 * i for i in range(15)]),
            stack([10 * i for i in range(9)], number=301, shape=(32, 32)),
            "has a lower Series",
        ),
    ],
    ids=["extent", "phases", "later", "number", "rounded", "enough"],
)
def test_merits_come_in_their_order(worse, better, why):
    first, second = found(worse + better)[0]
    assert {id(f) for f in first.frames} == {id(f) for f in better}
    assert second.why_not(first).startswith(why)
    assert second.why_not(first).endswith(str(first))


def test_two_studies_of_one_patient_are_never_merged():
    other = stack([40, 50, 60, 70], number=300, name="LATER", study="1.3")
    stacks, reasons = found(SAX + other)
    assert sorted(len(s.slices) for s in stacks) == [4, 4]
    assert all(len({f.header.study for f in s.frames}) == 1 for s in stacks)
    assert reasons == {}


def test_a_study_for_each_slice_or_image_is_an_anonymisers_mistake():
    for every in (PHASES, 1):
        careless = [
            replace(f, header=replace(f.header, study=f"1.2.{i // every}"))
            for i, f in enumerate(SAX)
        ]
        (one,), reasons = found(careless)
        assert positions(one) == [0, 10, 20, 30]
        assert reasons == {}


def test_a_few_slices_of_two_studies_are_no_stack():
    stacks, reasons = found(stack([0, 10]) + stack([20, 30], study="1.3"))
    assert stacks == []
    assert reasons == {("CINESAX_300", "2 parallel cine slice(s), fewer than 3"): 4 * PHASES}


def test_an_orientation_that_drifts_from_slice_to_slice_makes_one_stack():
    row, column = np.array(SHORT_AXIS, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    frames = []
    for i in range(9):
        angle = np.radians(0.8 * i)
        turned = np.cos(angle) * row + np.sin(angle) * normal
        frames += stack([10 * i], orientation=(*turned, *column))
    random.Random(4).shuffle(frames)
    frames = [replace(f, file=f"P1/CINESAX_300/{i}.dcm") for i, f in enumerate(frames)]
    (one,), reasons = found(frames)
    assert len(one.slices) == 9
    assert reasons == {}
    # A gap in the drift parts them.
    apart = [f for f in frames if f.header.instance_number // 100 not in (4, 5)]
    assert sorted(len(s.slices) for s in found(apart)[0]) == [3, 4]


def test_other_matrices_and_spacings_stand_beside_the_stack():
    for changes in ({"shape": (64, 32)}, {"spacing_mm": (1.4, 1.5)}):
        assert len(found(SAX + stack([40, 50, 60], number=7, **changes))[0]) == 2


def test_rounded_headers_share_a_slice_and_a_stack():
    jitter = random.Random(2)
    frames = [
        frame(p + jitter.uniform(-0.3, 0.3), t, instance=int(p) * 10 + t,
              orientation=np.array(SHORT_AXIS) + [jitter.uniform(-1e-3, 1e-3) for _ in range(6)])
        for p in (0, 10, 20) for t in range(PHASES)
    ]  # fmt: skip
    (one,), left_out = found(frames)
    assert [c.count for c in one.slices] == [PHASES] * 3
    assert left_out == {}


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_every_image_has_a_place_or_a_reason_and_order_does_not_matter(data):
    frames = []
    for number in range(data.draw(st.integers(1, 4))):
        places = data.draw(st.lists(st.integers(-8, 8), min_size=1, max_size=7, unique=True))
        phases = data.draw(st.integers(6, 12))
        frames += stack([5.0 * p for p in places], phases, number=number, name=f"S{number}")
    stacks, _ = found(frames)  # counts them
    data.draw(st.randoms(use_true_random=False)).shuffle(frames)
    again, _ = short_axis_stacks(frames)
    assert [[*s.frames] for s in again] == [[*s.frames] for s in stacks]
    assert all(isinstance(s, Stack) and len(s.slices) >= 3 for s in stacks)
