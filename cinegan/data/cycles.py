"""From single images to cycles: find the short-axis stack, order it, complete its phases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline

from cinegan.data.dicom import Header

# From the base of the heart to its apex: to the left, forward and down (x, -y, -z in LPS).
BASE_TO_APEX = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)
# Axial, coronal and sagittal planes stand 55 degrees off that axis; short-axis planes less.
MOST_OFF_AXIS_DEGREES = 50.0
FEWEST_SLICES = 3  # fewer parallel cines are long-axis views
FEWEST_PHASES = 8  # fewer cannot show a cycle
SAME_ORIENTATION = 0.02  # largest difference of a direction's component
SAME_POSITION_MM = 1.0


@dataclass(frozen=True)
class Frame:
    """One image: its header and where its pixels are."""

    header: Header
    archive: str
    member: str

    @property
    def series(self) -> tuple[str, str, int]:
        """What was acquired together: folder and SeriesNumber (UIDs are shared across series)."""
        return self.archive, self.member.rpartition("/")[0], self.header.series_number

    @property
    def series_name(self) -> str:
        """The series' folder in its archive."""
        return f"{self.archive}/{self.series[1]}"


@dataclass(frozen=True)
class CineSlice:
    """The frames of one slice in the order of time."""

    position_mm: float
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class LeftOut:
    """Images that make no cycle, and why."""

    what: str
    why: str
    images: int


def short_axis_stack(frames: Iterable[Frame]) -> tuple[list[CineSlice], list[LeftOut]]:
    """Find the short-axis cine stack among all images of one patient.

    Images are grouped by orientation and matrix, then by position along the normal. A stack is
    short-axis if it has several parallel slices that are cines and faces along the heart's long
    axis as it lies in a chest; the one with most slices is taken. At one position the series that
    covers most positions is taken: a repeated acquisition stands beside the stack, not in it.

    Returns
    -------
    stack : list of CineSlice
        From base to apex; empty if there is none.
    left_out : list of LeftOut
        What was not used, by series.
    """
    groups = _by_orientation(frames)
    stacks = [_cine_slices(group) for group in groups]
    chosen = max(
        range(len(groups)),
        key=lambda i: (len(stacks[i][0]) if _is_short_axis(groups[i], stacks[i][0]) else 0, -i),
        default=None,
    )
    stack: list[CineSlice] = []
    left_out: list[LeftOut] = []
    for i, (group, (slices, spare)) in enumerate(zip(groups, stacks, strict=True)):
        if i == chosen and _is_short_axis(group, slices):
            stack, left_out = slices, left_out + spare
        else:
            left_out += _summarise(group, _why_not(group, slices))
    return stack, left_out


def resample_phases(
    frames_hwt: np.ndarray,
    times_ms: np.ndarray,
    period_ms: float,
    phases: int,
    first_ms: float | None = None,
) -> np.ndarray:
    """Bring a cycle to `phases` equally spaced phases by a periodic cubic spline in time.

    Parameters
    ----------
    frames_hwt : (H, W, K)
    times_ms : (K,) float64
        Increasing, spanning less than `period_ms`.
    first_ms : float or None
        Time of the first phase wanted; None: that of the first one given.

    Returns
    -------
    (H, W, phases) float32; where K is `phases`, the input itself, untouched.
    """
    if frames_hwt.shape[-1] == phases:
        return frames_hwt
    closed = np.concatenate([frames_hwt, frames_hwt[..., :1]], axis=-1).astype(np.float64)
    times = np.append(times_ms, times_ms[0] + period_ms)
    spline = CubicSpline(times, closed, axis=-1, bc_type="periodic")
    first = times_ms[0] if first_ms is None else first_ms
    return spline(first + np.arange(phases) * period_ms / phases).astype(np.float32)


def phase_times(frames: tuple[Frame, ...]) -> tuple[np.ndarray, float]:
    """Times of a slice's phases and the length of its cycle, ms.

    The cycle ends one usual step after its last phase. Without trigger times phases count as
    equally spaced.
    """
    triggers = [frame.header.trigger_ms for frame in frames]
    if any(t is None for t in triggers):
        return np.arange(len(frames), dtype=float), float(len(frames))
    times = np.array(triggers, dtype=float)
    return times, float(times[-1] - times[0] + np.median(np.diff(times)))


def _by_orientation(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Group images that share orientation and matrix, in order of SeriesNumber."""
    groups: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: (f.header.series_number, f.archive, f.member)):
        for group in groups:
            if _same_plane(group[0].header, frame.header):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _same_plane(a: Header, b: Header) -> bool:
    return (
        a.shape == b.shape
        and np.allclose(a.spacing_mm, b.spacing_mm, rtol=1e-3)
        and np.allclose(a.row_direction, b.row_direction, atol=SAME_ORIENTATION)
        and np.allclose(a.column_direction, b.column_direction, atol=SAME_ORIENTATION)
    )


def _is_short_axis(group: list[Frame], slices: list[CineSlice]) -> bool:
    return len(slices) >= FEWEST_SLICES and _off_axis_degrees(group) <= MOST_OFF_AXIS_DEGREES


def _why_not(group: list[Frame], slices: list[CineSlice]) -> str:
    if not slices:
        return f"no cine: fewer than {FEWEST_PHASES} phases at every position (localizer or still)"
    if len(slices) < FEWEST_SLICES:
        return f"{len(slices)} parallel cine slice(s), fewer than {FEWEST_SLICES}: long-axis view"
    angle = _off_axis_degrees(group)
    if angle > MOST_OFF_AXIS_DEGREES:
        return f"stands {angle:.0f} degrees off the heart's long axis"
    return "another short-axis stack of this patient has as many slices or more"


def _off_axis_degrees(group: list[Frame]) -> float:
    cosine = abs(group[0].header.normal @ BASE_TO_APEX)
    return float(np.degrees(np.arccos(np.clip(cosine, 0, 1))))


def _cine_slices(group: list[Frame]) -> tuple[list[CineSlice], list[LeftOut]]:
    """Cines of one orientation from base to apex, one per position, and what was spare."""
    normal = group[0].header.normal
    normal = normal if normal @ BASE_TO_APEX >= 0 else -normal
    by_series: dict[tuple[str, str, int], list[CineSlice]] = defaultdict(list)
    left_out: list[LeftOut] = []
    for frames in _by_position(group, normal):
        for series in dict.fromkeys(f.series for f in frames):
            phases, doubles = _in_time([f for f in frames if f.series == series])
            left_out += _summarise(doubles, "the same phase again")
            if len(phases) < FEWEST_PHASES:
                left_out += _summarise(phases, f"only {len(phases)} phase(s) at this position")
            else:
                # Its own place: the group may have begun with another series, up to 1 mm off.
                position = float(phases[0].header.position_mm @ normal)
                by_series[series].append(CineSlice(position, tuple(phases)))
    if not by_series:
        return [], left_out
    stack: list[CineSlice] = []
    for cines in sorted(by_series.values(), key=len, reverse=True):
        gap = _usual_gap(stack)
        for cine in cines:
            if all(abs(cine.position_mm - other.position_mm) > gap / 2 for other in stack):
                stack.append(cine)
            else:
                left_out += _summarise(cine.frames, "a larger series covers this position")
    return sorted(stack, key=lambda s: s.position_mm), left_out


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


def _in_time(frames: list[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Images of one slice by trigger time (else by InstanceNumber), and the doubles."""
    timed = all(frame.header.trigger_ms is not None for frame in frames)

    def time_of(frame: Frame) -> float:
        header = frame.header
        return float(
            header.trigger_ms if timed and header.trigger_ms is not None else header.instance_number
        )

    ordered = sorted(frames, key=lambda f: (time_of(f), f.header.instance_number, f.member))
    phases: list[Frame] = []
    doubles: list[Frame] = []
    for frame in ordered:
        (doubles if phases and time_of(phases[-1]) == time_of(frame) else phases).append(frame)
    return phases, doubles


def _usual_gap(stack: list[CineSlice]) -> float:
    """Median distance between neighbouring slices, mm; that of "the same position" if unknown."""
    positions = sorted(cine.position_mm for cine in stack)
    gaps = [b - a for a, b in pairwise(positions)]
    return float(np.median(gaps)) if gaps else SAME_POSITION_MM


def _summarise(frames: Iterable[Frame], why: str) -> list[LeftOut]:
    counts = Counter(frame.series_name for frame in frames)
    return [LeftOut(series, why, images) for series, images in counts.items()]
