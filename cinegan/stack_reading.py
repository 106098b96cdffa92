"""The pixels of a patient's short-axis stack: which stack, and each slice's cycle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from cinegan.data import images
from cinegan.data.containers import Container
from cinegan.data.cycles import (
    FEWEST_PHASES,
    CineSlice,
    Frame,
    LeftOut,
    Timeline,
    resample_phases,
    timelines,
)
from cinegan.data.layout import Layout, plane_of
from cinegan.data.orientation import UNKNOWN
from cinegan.data.record import Record
from cinegan.data.refusal import told
from cinegan.data.stacks import Stack, summarise
from cinegan.errors import CineganError
from cinegan.imaging.heart import find_heart
from cinegan.params import Data

CLEAR_HEART = 0.5  # of the confidence in the clearest stack's heart


@dataclass(frozen=True)
class ReadSlice:
    """One slice as read.

    Attributes
    ----------
    number : int
        In the scanned stack.
    cycle : (H, W, phases)
    frames : tuple of Frame
        What it came from, in the order of time.
    shown_at : tuple of int or None
        The phase of the cycle that each frame is; None where it lies between two.
    """

    number: int
    position_mm: float
    cycle: np.ndarray
    frames: tuple[Frame, ...]
    shown_at: tuple[int | None, ...]
    clock: str
    untouched: bool

    def columns(self, layout: Layout) -> dict[str, Any]:
        """The index columns that say where a slice lies and where it came from."""
        first = self.frames[0]
        turned = layout.turn.plane(plane_of(first))
        spacing = layout.spacing_mm
        return {
            "slice": self.number,
            "position_mm": round(self.position_mm, 3),
            "spacing_row_mm": spacing[0],
            "spacing_column_mm": spacing[1],
            "thickness_mm": first.header.thickness_mm,
            "phases_scanned": len(self.frames),
            "clock": self.clock,
            "trigger_times_ms": _numbers(f.header.trigger_ms for f in self.frames),
            "orientation": _numbers([*turned.row, *turned.column]),
            "origin_mm": _numbers(layout.origin_mm(turned)),
            "turn": str(layout.turn) if first.header.oriented else UNKNOWN,
            "mirrored": int(layout.turn.mirrored),
            "quarter_turns": layout.turn.quarters,
            "rows_scanned": first.header.shape[0],
            "columns_scanned": first.header.shape[1],
            "spacing_row_scanned_mm": first.header.spacing_mm[0],
            "spacing_column_scanned_mm": first.header.spacing_mm[1],
            "resampled_in_time": int(not self.untouched),
            "resampled_in_plane": int(layout.resampled),
            "series": first.series_name,
            "instance_numbers": " ".join(str(f.header.instance_number) for f in self.frames),
        }


class Reader:
    """Reads the pixels of stacks."""

    def __init__(
        self,
        containers: dict[str, Container],
        options: Data,
        record: Record,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.options = options
        self.record = record
        self._containers = containers
        self._threads = threads
        self._one_at_a_time = Lock()
        self._last: tuple[tuple[str, str], np.ndarray] | None = None

    def slices_of(self, patient: str, candidates: list[Stack]) -> list[ReadSlice]:
        """The slices of a patient's best stack, from base to apex, less excluded ones."""
        stack = self._chosen(patient, candidates)
        _refuse_unknown_slices(patient, len(stack.slices), self.options.exclude)
        lines = timelines(stack.slices, self.options.phases)
        slices = []
        for number, (cine, line) in enumerate(zip(stack.slices, lines, strict=True)):
            name = f"{patient}:{number}"
            if name in self.options.exclude:
                by_hand = LeftOut(name, "excluded by data.exclude", len(cine.frames))
                self.record.leave_out(patient, [by_hand])
            elif (read := self._slice(patient, number, cine, line)) is not None:
                slices.append(read)
        return slices

    def _chosen(self, patient: str, candidates: list[Stack]) -> Stack:
        """The best stack by geometry of those that show a heart.

        Great vessels and perfusion are imaged in the same direction, so content has a say: a
        stack in which the heart stands out less than half as clearly as in another is none.
        """
        if len(candidates) == 1:
            return candidates[0]
        clear = [self._confidence(stack) for stack in candidates]
        limit = CLEAR_HEART * max(clear)
        best = next(s for s, c in zip(candidates, clear, strict=True) if c >= limit)
        told = {id(frame) for frame in best.frames}
        for stack, confidence in zip(candidates, clear, strict=True):
            spare = [frame for frame in stack.frames if id(frame) not in told]
            told |= {id(frame) for frame in spare}
            why = (
                f"short-axis stack that {stack.why_not(best)}"
                if confidence >= limit
                else f"short-axis stack whose heart stands out less clearly than in {best}"
            )
            self.record.leave_out(patient, summarise(spare, why))
        return best

    def _confidence(self, stack: Stack) -> float:
        """How clearly a stack shows a beating heart, from as many phases as all slices have.

        Slices that cannot be read have no say: whether that is an error is another question.
        """
        phases = min(len(cine.frames) for cine in stack.slices)
        cycles = []
        for cine in stack.slices:
            chosen = [cine.frames[k * len(cine.frames) // phases] for k in range(phases)]
            pictures = [self._pixels_or_why_not(frame) for frame in chosen]
            if not any(isinstance(picture, str) for picture in pictures):
                cycles.append(np.stack(pictures, axis=-1))
        if not cycles:
            return 0.0
        return find_heart(np.stack(cycles), stack.first.spacing_mm).confidence

    def _slice(
        self, patient: str, number: int, cine: CineSlice, line: Timeline
    ) -> ReadSlice | None:
        """Read one slice's cycle and bring it to the wanted number of phases."""
        phases = self.options.phases
        pictures, used, times = [], [], []
        read = self._threads.map(self._pixels_or_why_not, cine.frames)
        for frame, time, pixels in zip(cine.frames, line.times, read, strict=True):
            if isinstance(pixels, str):
                self.record.cannot_read(frame.name, pixels)
            else:
                pictures.append(pixels)
                used.append(frame)
                times.append(time)
        if len(pictures) < max(FEWEST_PHASES, cine.count / 2):
            few = LeftOut(f"{patient}:{number}", "too few readable phases", len(cine.frames))
            self.record.leave_out(patient, [few])
            return None
        frames_hwt = np.stack(pictures, axis=-1)
        cycle = resample_phases(frames_hwt, replace(line, times=np.array(times)), phases)
        untouched = cycle is frames_hwt
        if not untouched:
            self.record.resampled[patient][number] = len(pictures)
        shown_at = tuple(
            index if untouched else line.phase_at(time, phases) for index, time in enumerate(times)
        )
        return ReadSlice(
            number, cine.position_mm, cycle, tuple(used), shown_at, line.clock, untouched
        )

    def _pixels_or_why_not(self, frame: Frame) -> np.ndarray | str:
        """One frame's pixels, (H, W), or why there are none."""
        try:
            pixels = self._file_of(frame)[frame.header.index]
            if pixels.shape != frame.header.shape:
                raise ValueError(f"{pixels.shape} pixels where the header says differently")
        except (ValueError, IndexError) as error:
            return told(error, bool(frame.alias))
        return pixels

    def _file_of(self, frame: Frame) -> np.ndarray:
        """All frames of a file; one of many frames is decoded once in a row."""
        if frame.alone:
            return self._decoded(frame)
        place = frame.container, frame.file
        with self._one_at_a_time:
            if self._last is None or self._last[0] != place:
                self._last = None  # two volumes need not fit in memory
                self._last = place, self._decoded(frame)
            return self._last[1]

    def _decoded(self, frame: Frame) -> np.ndarray:
        return images.read_pixels(self._containers[frame.container], frame.file, frame.header)


def _refuse_unknown_slices(patient: str, slices: int, exclude: list[str]) -> None:
    for item in exclude:
        name, _, number = item.partition(":")
        if name == patient and number and int(number) >= slices:
            raise CineganError(
                f"params.yaml: data.exclude: no slice {number} of patient {patient}; there are "
                f"{slices}, counted from 0"
            )


def _numbers(values: Any) -> str:
    return " ".join("" if value is None else f"{value:.7g}" for value in values)
