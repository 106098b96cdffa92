"""The short-axis cine stacks among all images of a patient, found by geometry."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np

from cinegan.data.cycles import FEWEST_PHASES, LONGEST_MS, CineSlice, Frame, LeftOut, in_time
from cinegan.data.header import Header
from cinegan.data.orientation import BASE_TO_APEX

# Axial, coronal and sagittal planes stand 55 degrees off that axis; short-axis planes less.
MOST_OFF_AXIS_DEGREES = 50.0
FEWEST_SLICES = 3  # fewer parallel cines are long-axis views
SAME_ORIENTATION = 0.02  # largest difference of a direction's component
SAME_POSITION_MM = 1.0
OVERLAP = 0.75  # of the thickness: closer slices show the same muscle
VENTRICLE_MM = 80.0  # length of a left ventricle: to cover more is no merit
COMPLETE = 0.75  # of the most phases: fewer are an acquisition that was aborted
OTHER_KIND = 2.0  # times as many phases as usual, or as few: no cine, or a torn one

WORSE = (  # by the first merit that differs
    "covers less of the ventricle than",
    "has fewer phases than",
    "has fewer slices with all phases than",
    "was acquired before",
    "has a lower SeriesNumber than",
)


@dataclass(frozen=True)
class Stack:
    """Parallel cine slices from base to apex.

    Attributes
    ----------
    slices : tuple of CineSlice
    complete : bool
        Whether it has about as many phases as the fullest stack of the patient.
    """

    slices: tuple[CineSlice, ...]
    complete: bool = True

    @property
    def frames(self) -> Iterator[Frame]:
        """All images."""
        return chain.from_iterable(cine.frames for cine in self.slices)

    @property
    def first(self) -> Header:
        """Header of the first image: all share its orientation, matrix and spacing."""
        return self.slices[0].frames[0].header

    @property
    def merit(self) -> tuple[float, ...]:
        """What makes one stack of a patient better than another, in this order.

        It covers the ventricle, of which 80 mm count; it was not aborted; its slices have all their
        phases; it was acquired later, since operators repeat what went wrong; it has the higher
        SeriesNumber.
        """
        positions = [cine.position_mm for cine in self.slices]
        extent = positions[-1] - positions[0] + self.first.thickness_mm
        counts = Counter(len(cine.frames) for cine in self.slices)
        whole = counts.most_common(1)[0][1] / len(self.slices)
        headers = [cine.frames[0].header for cine in self.slices]
        return (
            round(min(extent, VENTRICLE_MM) - 0.2),  # whole mm: headers are rounded
            self.complete,
            round(whole, 1),
            max(header.acquired_s or 0.0 for header in headers),
            max(header.series_number for header in headers),
        )

    def why_not(self, better: Stack) -> str:
        """Why another stack is taken."""
        pairs = zip(WORSE, self.merit, better.merit, strict=True)
        return f"{next((w for w, a, b in pairs if a != b), 'is as good as')} {better}"

    def __str__(self) -> str:
        """The series it came from."""
        return ", ".join(dict.fromkeys(cine.frames[0].series_name for cine in self.slices))


def short_axis_stacks(frames: Iterable[Frame]) -> tuple[list[Stack], list[LeftOut]]:
    """Find the short-axis cine stacks among all images of one patient.

    Images are grouped by study, orientation and matrix, then by position along the normal. A stack
    is short-axis if it has several parallel slices that are cines and faces along the heart's long
    axis as it lies in a chest. Several series of one orientation make one stack: the fullest has
    its place, others fill in what it does not cover. A series that repeats the stack, or most of
    itself, also makes one of its own, so that images may be in two of them. One series for each
    slice counts as one series.

    Returns
    -------
    stacks : list of Stack
        By merit, the best first; empty if there is none.
    left_out : list of LeftOut
        What is in none of them, by series.
    """
    once, again = _distinct(frames)
    stacks, left_out = _stacks(once, lambda header: header.study)
    if not stacks and len({frame.header.study for frame in once}) >= FEWEST_SLICES:
        # Careless anonymisers give every slice or image a study of its own.
        merged, spare = _stacks(once, lambda _: "")
        stacks, left_out = (merged, spare) if merged else (stacks, left_out)
    most = max((_usual_count(stack.slices) for stack in stacks), default=0)
    stacks = [replace(s, complete=_usual_count(s.slices) >= COMPLETE * most) for s in stacks]
    left_out += summarise(again, "the same image again")
    return sorted(stacks, key=lambda stack: stack.merit, reverse=True), left_out


def _stacks(
    frames: list[Frame], study_of: Callable[[Header], str]
) -> tuple[list[Stack], list[LeftOut]]:
    """The stacks of all orientations, and what is in none."""
    stacks: list[Stack] = []
    left_out: list[LeftOut] = []
    for group in _by_orientation(frames, study_of):
        found, spare = _cine_stacks(group)
        why_not = _why_not(group, found[0] if found else [])
        if why_not:
            left_out += summarise(group, why_not)
        else:
            stacks += [Stack(tuple(slices)) for slices in found]
            left_out += spare
    return stacks, left_out


def summarise(frames: Iterable[Frame], why: str) -> list[LeftOut]:
    """Images that were left out for one reason, by series."""
    counts = Counter(frame.series_name for frame in frames)
    return [LeftOut(series, why, images) for series, images in counts.items()]


def _distinct(frames: Iterable[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Images in the order of their files, and those that are there already, by SOPInstanceUID."""
    found: dict[Hashable, Frame] = {}
    again = []
    for frame in sorted(frames, key=lambda f: (f.container, f.file, f.header.index)):
        header = frame.header
        # Careless anonymisers give one UID to all images.
        place = header.series_number, header.instance_number, *header.position_mm
        same = (header.uid, header.index, header.trigger_ms, place) if header.uid else id(frame)
        if found.setdefault(same, frame) is not frame:
            again.append(frame)
    return [*found.values()], again


def _by_orientation(frames: list[Frame], study_of: Callable[[Header], str]) -> list[list[Frame]]:
    """Group images that share study, orientation and matrix, in order of SeriesNumber.

    An orientation is shared with the nearest one in the group: it may drift from slice to slice.
    """
    planes: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        header = frame.header
        directions = (*header.row_direction.round(3), *header.column_direction.round(3))
        planes[study_of(header), header.shape, header.spacing_mm, directions].append(frame)
    groups: list[list[list[Frame]]] = []  # of planes
    for plane in planes.values():
        joined, apart = [plane], []
        for group in groups:
            if any(_same_plane(other[0].header, plane[0].header, study_of) for other in group):
                joined += group
            else:
                apart.append(group)
        groups = [*apart, joined]
    found = [sorted(chain.from_iterable(group), key=_in_order) for group in groups]
    return sorted(found, key=lambda group: _in_order(group[0]))


def _in_order(frame: Frame) -> tuple[int, str, str, int]:
    return frame.header.series_number, frame.container, frame.file, frame.header.index


def _same_plane(a: Header, b: Header, study_of: Callable[[Header], str]) -> bool:
    return (
        study_of(a) == study_of(b)
        and a.shape == b.shape
        and all(abs(x - y) < 1e-3 * x for x, y in zip(a.spacing_mm, b.spacing_mm, strict=True))
        and float(np.abs(a.row_direction - b.row_direction).max()) < SAME_ORIENTATION
        and float(np.abs(a.column_direction - b.column_direction).max()) < SAME_ORIENTATION
    )


def _why_not(group: list[Frame], slices: list[CineSlice]) -> str:
    """Why a group of parallel images is no short-axis stack; empty if it is one."""
    if not slices:
        return f"no cine: fewer than {FEWEST_PHASES} phases at every position (localizer or still)"
    if len(slices) < FEWEST_SLICES:
        return f"{len(slices)} parallel cine slice(s), fewer than {FEWEST_SLICES}: long-axis view"
    if _usual_span_ms(slices) > LONGEST_MS:
        return _too_long(_usual_span_ms(slices))
    header = group[0].header
    cosine = abs(float(header.normal @ BASE_TO_APEX))
    angle = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if header.oriented and angle > MOST_OFF_AXIS_DEGREES:
        return f"stands {angle:.0f} degrees off the heart's long axis"
    return ""


def _cine_stacks(group: list[Frame]) -> tuple[list[list[CineSlice]], list[LeftOut]]:
    """Stacks of one orientation, the fullest first, from base to apex, and what is in none."""
    by_series, left_out = _cines(group)
    series = _as_one(by_series)
    cines = [*chain.from_iterable(series)]
    most = max((cine.count for cine in cines if cine.span_ms <= LONGEST_MS), default=0)
    stacks: list[list[CineSlice]] = []
    for own in sorted(series, key=lambda s: _fullness(s, most), reverse=True):
        filled = [_fill(stack, own, group[0].header.thickness_mm) for stack in stacks]
        enough = max(FEWEST_SLICES, 2 * max(filled, default=0) + 1)
        if not stacks or (len(own) >= enough and _usual_span_ms(own) <= LONGEST_MS):
            stacks.append([*own])
    used = {id(cine) for stack in stacks for cine in stack}
    for cine in cines:
        if id(cine) not in used:
            covered = "a fuller or later series covers this position"
            why = _other_kind(cine, _usual_count(stacks[0])) or covered
            left_out += summarise(cine.frames, why)
    return [sorted(stack, key=lambda s: s.position_mm) for stack in stacks], left_out


def _cines(group: list[Frame]) -> tuple[list[list[CineSlice]], list[LeftOut]]:
    """Cine slices of each series, from base to apex, and what is none."""
    header = group[0].header
    normal = header.normal
    if header.oriented and normal @ BASE_TO_APEX < 0:
        normal = -normal
    series_of = _series_of(group)
    by_series: dict[Hashable, list[CineSlice]] = defaultdict(list)
    left_out: list[LeftOut] = []
    for frames in _by_position(group, normal):
        acquired: dict[Hashable, list[Frame]] = defaultdict(list)
        for frame in frames:
            acquired[series_of(frame)].append(frame)
        for series, own in acquired.items():
            phases, doubles = in_time(own)
            left_out += summarise(doubles, "the same phase again")
            if len(phases) < FEWEST_PHASES:
                left_out += summarise(phases, f"only {len(phases)} phase(s) at this position")
            else:
                # Its own place: the group may have begun with another series, up to 1 mm off.
                position = float(phases[0].header.position_mm @ normal)
                by_series[series].append(CineSlice(position, tuple(phases)))
    return [*by_series.values()], left_out


def _as_one(series: list[list[CineSlice]]) -> list[list[CineSlice]]:
    """Series; where most slices have one of their own, these together are one.

    Like those of any series its slices may overlap. Of those at one position the best is in it; the
    others make another.
    """
    singles = [cines[0] for cines in series if len(cines) == 1]
    if 2 * len(singles) <= sum(map(len, series)):
        return series
    usual = _usual_count(singles)
    alike = [cine for cine in singles if not _other_kind(cine, usual)]
    most = max((cine.count for cine in alike), default=0)
    layers: list[list[CineSlice]] = []
    for cine in sorted(alike, key=lambda c: _fullness([c], most), reverse=True):
        for layer in layers:
            if all(abs(cine.position_mm - c.position_mm) >= SAME_POSITION_MM for c in layer):
                layer.append(cine)
                break
        else:
            layers.append([cine])
    told = {id(cine) for cine in alike}
    return [*layers, *(cines for cines in series if id(cines[0]) not in told)]


def _usual_count(slices: Sequence[CineSlice]) -> int:
    """Of phases."""
    return sorted(cine.count for cine in slices)[len(slices) // 2]


def _usual_span_ms(slices: Sequence[CineSlice]) -> float:
    """From the first delay from the R wave to the last."""
    return sorted(cine.span_ms for cine in slices)[len(slices) // 2]


def _other_kind(cine: CineSlice, usual: int) -> str:
    """Why a cine cannot be a slice of a stack, whose slices usually have so many phases."""
    if cine.span_ms > LONGEST_MS:
        return _too_long(cine.span_ms)
    if not usual / OTHER_KIND < cine.count < usual * OTHER_KIND:
        return f"{cine.count} phases where the stack has {usual}"
    return ""


def _too_long(span_ms: float) -> str:
    return f"spans {span_ms / 1000:.0f} s: not one heartbeat (perfusion?)"


def _series_of(group: list[Frame]) -> Callable[[Frame], Hashable]:
    """What was acquired together: a SeriesNumber; where image numbers repeat in it, a folder of it.

    UIDs cannot tell, since cohorts are published that share them across series.
    """
    numbers = Counter((f.header.series_number, f.header.instance_number) for f in group)
    repeated = {series for (series, _), images in numbers.items() if images > 1}

    def series_of(frame: Frame) -> Hashable:
        number = frame.header.series_number
        return frame.series if number in repeated else number

    return series_of


def _fill(stack: list[CineSlice], cines: list[CineSlice], thickness_mm: float) -> int:
    """Add slices to a stack where it shows nothing yet, and count them."""
    apart = _least_distance(stack, thickness_mm)
    there = [cine.position_mm for cine in stack]
    usual = _usual_count(stack)
    new = [
        cine
        for cine in cines
        if not _other_kind(cine, usual)
        and all(abs(cine.position_mm - other) > apart for other in there)
    ]
    stack += new
    return len(new)


def _fullness(cines: list[CineSlice], most: int) -> tuple[bool, int, bool, float, int]:
    """Cycles first, most slices, not aborted, then the latest: operators repeat what went wrong."""
    headers = [cine.frames[0].header for cine in cines]
    return (
        _usual_span_ms(cines) <= LONGEST_MS,
        len(cines),
        _usual_count(cines) >= COMPLETE * most,
        max(header.acquired_s or 0.0 for header in headers),
        max(header.series_number for header in headers),
    )


def _by_position(group: list[Frame], normal: np.ndarray) -> list[list[Frame]]:
    """Cluster images along the normal, in the order of their positions."""
    placed = sorted(
        ((float(frame.header.position_mm @ normal), frame) for frame in group), key=lambda p: p[0]
    )
    clusters: list[list[tuple[float, Frame]]] = []
    for position, frame in placed:
        if clusters and position - clusters[-1][0][0] < SAME_POSITION_MM:
            clusters[-1].append((position, frame))
        else:
            clusters.append([(position, frame)])
    return [[frame for _, frame in cluster] for cluster in clusters]


def _least_distance(stack: list[CineSlice], thickness_mm: float) -> float:
    """How far from a stack's slices another one has to lie to show something else, mm."""
    if thickness_mm > 0:
        return OVERLAP * thickness_mm
    positions = sorted(cine.position_mm for cine in stack)
    gaps = [b - a for a, b in pairwise(positions)]
    return float(np.median(gaps)) / 2 if gaps else SAME_POSITION_MM
