"""From single images of one slice to its cycle: phases in the order of time, any number of them.

The clock is TriggerTime, the delay from the R wave. Where a study lacks it, the next of these that
tells the phases apart stands in: AcquisitionTime, InstanceNumber, TemporalPositionIdentifier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.interpolate import CubicSpline

from cinegan.data.header import Header

FEWEST_PHASES = 8  # fewer cannot show a cycle
SHORTEST_MS, LONGEST_MS = 200.0, 3000.0  # of a heartbeat: 300 and 20 beats a minute

CLOCKS: dict[str, Callable[[Header], float | None]] = {
    "TriggerTime": lambda header: header.trigger_ms,
    "AcquisitionTime": lambda header: header.acquired_s,
    "InstanceNumber": lambda header: header.instance_number,
    "TemporalPositionIdentifier": lambda header: header.temporal_position,
}
MS_PER_TICK = {"TriggerTime": 1.0, "AcquisitionTime": 1000.0}  # the others only count
HALF_A_DAY_S = 43200.0
SAME_HEART_RATE = 0.15  # largest difference of heartbeats in one stack


@dataclass(frozen=True, slots=True)
class Frame:
    """One image: its header and where its pixels are.

    Attributes
    ----------
    alone : bool
        Whether its file holds no other frame.
    alias : str
        What to call it instead where the names of folders and files may name the patient.
    """

    header: Header
    container: str
    file: str
    alone: bool = True
    alias: str = ""

    @property
    def series(self) -> tuple[str, str, int]:
        """What was acquired together: folder and SeriesNumber (UIDs are shared across series)."""
        return self.container, self.file.rpartition("/")[0], self.header.series_number

    @property
    def series_name(self) -> str:
        """The series' folder in its archive."""
        if self.alias:
            return f"{self.alias}/series_{self.header.series_number}"
        return "/".join(filter(None, self.series[:2])) or "."

    @property
    def name(self) -> str:
        """The file in its archive."""
        if self.alias:
            return f"{self.series_name}/image_{self.header.instance_number}"
        return "/".join(filter(None, (self.container, self.file)))


@dataclass(frozen=True)
class CineSlice:
    """The frames of one slice in the order of time."""

    position_mm: float
    frames: tuple[Frame, ...]

    @property
    def count(self) -> int:
        """Of its phases."""
        return len(self.frames)

    @property
    def span_ms(self) -> float:
        """From the first delay from the R wave to the last; 0 where no image tells it."""
        triggers = [f.header.trigger_ms for f in self.frames if f.header.trigger_ms is not None]
        return max(triggers, default=0.0) - min(triggers, default=0.0)


@dataclass(frozen=True)
class LeftOut:
    """Images that make no cycle, and why."""

    what: str
    why: str
    images: int


@dataclass(frozen=True)
class Timeline:
    """When the phases of a slice were scanned.

    Attributes
    ----------
    clock : str
        One of `CLOCKS`.
    times : (K,) float64
        Increasing; milliseconds after the R wave if the clock tells them, else steps.
    period : float
        Length of the cycle in the same unit.
    first : float
        When the cycle's first phase was due: earlier than `times[0]` if that one is lost.
    """

    clock: str
    times: np.ndarray
    period: float
    first: float

    @property
    def even(self) -> bool:
        """Whether the phases follow each other in equal steps, none of them lost."""
        steps = np.diff([*self.times, self.times[0] + self.period])
        return bool(steps.max() < 1.5 * np.median(steps))

    def phase_at(self, time: float, phases: int) -> int | None:
        """Which of equally spaced phases is due at a time; None where it lies between two."""
        place = (time - self.first) / self.period * phases
        return round(place) % phases if abs(place - round(place)) < 0.05 else None


def in_time(frames: Iterable[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Images of one slice in the order of time, and those that show a phase again.

    Of a slice that was acquired repeatedly the fullest repetition is taken, and of equally full
    ones the last: operators repeat what went wrong.
    """
    ordered = sorted(frames, key=lambda f: (f.header.instance_number, f.container, f.file))
    times = _ticks(ordered, clock_of(ordered)) if ordered else []
    repetitions = _repetitions(ordered, times)
    cycles = [r for r in repetitions if len(r) >= FEWEST_PHASES]
    # Delays differ between repetitions, as heartbeats do.
    unlike = any(
        2 * len(a.keys() & b.keys()) < min(len(a), len(b)) for a, b in combinations(cycles, 2)
    )
    if not unlike and len(repetitions) > max(Counter(times).values(), default=0):
        # Not one repetition after the other: one at each phase after the other, or in no order.
        repetitions = []
        for frame, time in zip(ordered, times, strict=True):
            free = next((r for r in repetitions if time not in r), None)
            if free is None:
                repetitions.append(free := {})
            free[time] = frame
    chosen = max(reversed(repetitions), key=len, default={})
    doubles = [f for r in repetitions if r is not chosen for f in r.values()]
    return [chosen[time] for time in sorted(chosen)], doubles


def _repetitions(frames: Sequence[Frame], times: Sequence[float]) -> list[dict[float, Frame]]:
    """Images by time; wherever time comes back to what is there, another repetition begins.

    Images that follow, and that lie before all others or after them, belong to the same: numbers
    may begin in the middle of a cycle.
    """
    runs: list[dict[float, Frame]] = []
    last = np.inf
    for frame, time in zip(frames, times, strict=True):
        if time <= last:
            runs.append({})
        runs[-1][time] = frame
        last = time
    repetitions: list[dict[float, Frame]] = []
    for run in runs:
        there = repetitions[-1] if repetitions else run
        if max(there) < min(run) or max(run) < min(there):
            there |= run
        else:
            repetitions.append(run)
    return repetitions


def clock_of(frames: Sequence[Frame]) -> str:
    """The first clock that all images have and that tells the phases of a cycle apart."""
    for name, tick in CLOCKS.items():
        times = {tick(frame.header) for frame in frames}
        # A moment of the day never comes again, a delay from the R wave does in a repetition.
        fewest = len(frames) if name == "AcquisitionTime" else min(FEWEST_PHASES, len(frames))
        if None not in times and len(times) >= fewest:
            return name
    return "InstanceNumber"


def _ticks(frames: Sequence[Frame], clock: str) -> list[float]:
    """When images were taken, as their clock says, which may have passed midnight."""
    ticks = [float(CLOCKS[clock](frame.header) or 0.0) for frame in frames]
    if clock == "AcquisitionTime" and max(ticks) - min(ticks) > HALF_A_DAY_S:
        ticks = [tick + 2 * HALF_A_DAY_S * (tick < HALF_A_DAY_S) for tick in ticks]
    return ticks


def timelines(slices: Sequence[CineSlice], phases: int) -> list[Timeline]:
    """Timelines of a stack's slices: those that lost phases learn from those that did not.

    Where the fullest slices have just the wanted number of phases, evenly spaced, these are the
    cycle: prospective gating leaves out the end of a heartbeat, and nothing is made up for it.
    """
    fullest = max(cine.count for cine in slices)
    whole = [cine for cine in slices if cine.count == fullest]
    lines = [timeline(cine.frames, complete=fullest == phases) for cine in whole]
    usual = sorted(lines, key=lambda line: line.period)[len(lines) // 2]
    found = iter(lines)
    return [
        next(found) if c.count == fullest else timeline(c.frames, usual, _left_out_before(c, whole))
        for c in slices
    ]


def _left_out_before(cine: CineSlice, whole: Sequence[CineSlice]) -> int:
    """How many phases a slice's numbers leave out before its first; 0 where they do not tell.

    Numbers run through the phases of one slice after the other, or through the slices of one phase
    after the other, or begin anew with each slice. In all of these, complete slices begin within
    one step from where the cycle begins, but for whole cycles.
    """
    clock = clock_of(cine.frames)
    clock = "InstanceNumber" if clock in MS_PER_TICK else clock
    if CLOCKS[clock](whole[0].frames[0].header) is None:
        return 0
    steps = np.diff(_ticks(cine.frames, clock))
    step = float(np.median(steps))
    if step <= 0 or not np.allclose(steps / step, np.rint(steps / step)):
        return 0
    own, *firsts = (_ticks(c.frames[:1], clock)[0] for c in (cine, *whole))
    for begin in (1.0, min(firsts)):  # usually 1; the slice that begins the count may be torn
        late = [(first - begin) % (step * whole[0].count) // step for first in (own, *firsts)]
        if not any(late[1:]):
            return int(late[0])
    return 0


def timeline(
    frames: Sequence[Frame],
    usual: Timeline | None = None,
    before: int = 0,
    complete: bool = False,
) -> Timeline:
    """Times of a slice's phases, and the cycle that they belong to.

    The cycle lasts one step longer than from the first phase to the last, unless NominalInterval
    or the stack's other slices say that phases are lost at its ends.

    Parameters
    ----------
    usual : Timeline, optional
        Of a slice of the same stack that has more phases.
    before : int
        How many phases are missing before the first, as far as numbers tell.
    complete : bool
        Whether none is lost, unless there is a gap between two of them.
    """
    clock = clock_of(frames)
    times = np.array(_ticks(frames, clock)) * MS_PER_TICK.get(clock, 1.0)
    if clock == "AcquisitionTime":
        times = times - times[0]
    span, step = float(times[-1] - times[0]), float(np.median(np.diff(times)))
    if clock not in MS_PER_TICK or not SHORTEST_MS / 2 < span < LONGEST_MS:
        # Numbers count the phases, with gaps where one is lost, or tell their order only.
        steps = np.diff(times) / step
        counts = np.allclose(steps, np.rint(steps)) and steps.sum() < 1.5 * len(times)
        times = np.concatenate([[0.0], np.cumsum(steps if counts else np.ones(len(steps)))])
        span, step = float(times[-1]), 1.0
    line = Timeline(clock, times, span + step, float(times[0]))
    if complete and line.even:
        return line
    period, lost = line.period, 0
    intervals = {frame.header.interval_ms for frame in frames} if clock in MS_PER_TICK else set()
    nominal = intervals.pop() if len(intervals) == 1 else None
    # What is lost before the first phase lies between it and the R wave, or the usual delay.
    delay = usual.first if usual is not None and usual.clock == clock else 0.0
    early = int((times[0] - delay) / step + 0.1) if clock == "TriggerTime" else before
    for candidate in (nominal, _as_usual(usual, line, step, early)):
        if candidate is not None:
            more = round((candidate - span) / step) - 1
            if (
                0 <= more <= len(times) // 2
                and abs(candidate - span - (1 + more) * step) < step / 3
            ):
                period, lost = candidate, more
                break
    if clock != "TriggerTime" and early > lost:
        early = 0  # numbers that do not count all phases of all slices
    return replace(line, period=period, first=line.first - max(0, min(lost, early)) * step)


def _as_usual(usual: Timeline | None, own: Timeline, step: float, early: int) -> float | None:
    """How long a cycle of the usual number of phases is, at this slice's heart rate.

    None if the slice does not seem to have lost any: its heartbeat is more alike without.
    """
    if usual is None:
        return None
    period = step * round(usual.period / float(np.median(np.diff(usual.times))))
    if usual.clock != own.clock:
        return period
    off, off_without = (abs(p / usual.period - 1) for p in (period, own.period))
    return period if off < SAME_HEART_RATE and (early > 0 or off <= off_without) else None


def resample_phases(frames_hwt: np.ndarray, line: Timeline, phases: int) -> np.ndarray:
    """Bring a cycle to `phases` equally spaced phases by a periodic cubic spline in time.

    Parameters
    ----------
    frames_hwt : (H, W, K)
    line : Timeline
        Of the K phases.

    Returns
    -------
    (H, W, phases) float32; where K is `phases` and none is lost, the input itself, untouched.
    """
    if len(line.times) == phases and line.even:
        return frames_hwt
    closed = np.eye(len(line.times) + 1)[:, :-1]
    closed[-1, 0] = 1  # the cycle ends as it begins
    spline = CubicSpline([*line.times, line.times[0] + line.period], closed, bc_type="periodic")
    weights = spline(line.first + np.arange(phases) * line.period / phases)  # (phases, K)
    # Where a phase was scanned it is that phase, not its sum with others' rounding errors.
    weights[np.abs(weights) < 1e-9] = 0
    return np.asarray(frames_hwt.astype(np.float32) @ weights.T.astype(np.float32))
