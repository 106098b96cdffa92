"""The short-axis cine stacks among all images of a patient, found by geometry."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np

from cinegan.data.cycles import FEWEST_PHASES, CineSlice, Frame, LeftOut, in_time
from cinegan.data.header import Header
from cinegan.data.orientation import BASE_TO_APEX

# Axial, coronal and sagittal planes stand 55 degrees off that axis; short-axis planes less.
MOST_OFF_AXIS_DEGREES = 50.0
FEWEST_SLICES = 3  # fewer parallel cines are long-axis views
SAME_ORIENTATION = 0.02  # largest difference of a direction's component
SAME_POSITION_MM = 1.0
OVERLAP = 0.75  # of the thickness: closer slices show the same muscle
VENTRICLE_MM = 80.0  # length of a left ventricle: to cover more is no merit


WORSE = (  # by the first merit that differs
    "covers less of the ventricle than",
    "has fewer slices with all phases than",
    "was acquired before",
    "has a lower SeriesNumber than",
)


@dataclass(frozen=True)
class Stack:
    """Parallel cine slices from base to apex."""

    slices: tuple[CineSlice, ...]

    @property
    def frames(self) -> Iterator[Frame]:
        """All images."""
        return chain.from_iterable(cine.frames for cine in self.slices)

    @property
    def first(self) -> Header:
        """Header of the first image: all share its orientation, matrix and spacing."""
        return self.slices[0].frames[0].header

    @property
    def merit(self) -> tuple[float, float, float, float]:
        """What makes one stack of a patient better than another, in this order.

        It covers the ventricle, of which 80 mm count; its slices have all their phases; it was
        acquired later, since operators repeat what went wrong; it has the higher SeriesNumber.
        """
        positions = [cine.position_mm for cine in self.slices]
        extent = positions[-1] - positions[0] + self.first.thickness_mm
        counts = Counter(len(cine.frames) for cine in self.slices)
        whole = counts.most_common(1)[0][1] / len(self.slices)
        headers = [cine.frames[0].header for cine in self.slices]
        return (
            round(min(extent, VENTRICLE_MM) - 0.2),  # whole mm: headers are rounded
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
    itself, also makes one of its own, so that images may be in two of them.

    Returns
    -------
    stacks : list of Stack
        By merit, the best first; empty if there is none.
    left_out : list of LeftOut
        What is in none of them, by series.
    """
    stacks: list[Stack] = []
    once, again = _distinct(frames)
    left_out = summarise(again, "the same image again")
    for group in _by_orientation(once):
        found, spare = _cine_stacks(group)
        why_not = _why_not(group, found[0] if found else [])
        if why_not:
            left_out += summarise(group, why_not)
        else:
            stacks += [Stack(tuple(slices)) for slices in found]
            left_out += spare
    return sorted(stacks, key=lambda stack: stack.merit, reverse=True), left_out


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


def _by_orientation(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Group images that share study, orientation and matrix, in order of SeriesNumber."""
    groups: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: (f.header.series_number, f.container, f.file)):
        for group in reversed(groups):  # most often the last one
            if _same_plane(group[0].header, frame.header):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _same_plane(a: Header, b: Header) -> bool:
    return (
        a.study == b.study
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
    header = group[0].header
    cosine = abs(float(header.normal @ BASE_TO_APEX))
    angle = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if header.oriented and angle > MOST_OFF_AXIS_DEGREES:
        return f"stands {angle:.0f} degrees off the heart's long axis"
    return ""


def _cine_stacks(group: list[Frame]) -> tuple[list[list[CineSlice]], list[LeftOut]]:
    """Stacks of one orientation, the fullest first, from base to apex, and what is in none."""
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
    stacks: list[list[CineSlice]] = []
    for cines in sorted(by_series.values(), key=_fullness, reverse=True):
        filled = [_fill(stack, cines, header.thickness_mm) for stack in stacks]
        if not stacks or len(cines) >= max(FEWEST_SLICES, 2 * max(filled) + 1):
            stacks.append([*cines])
    used = {id(cine) for stack in stacks for cine in stack}
    for cine in chain.from_iterable(by_series.values()):
        if id(cine) not in used:
            left_out += summarise(cine.frames, "a fuller or later series covers this position")
    return [sorted(stack, key=lambda s: s.position_mm) for stack in stacks], left_out


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
    new = [c for c in cines if all(abs(c.position_mm - other) > apart for other in there)]
    stack += new
    return len(new)


def _fullness(cines: list[CineSlice]) -> tuple[int, float, int]:
    """Most slices first, then the latest: operators repeat what went wrong."""
    headers = [cine.frames[0].header for cine in cines]
    latest = max(header.acquired_s or 0.0 for header in headers)
    return len(cines), latest, max(header.series_number for header in headers)


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
