"""Raw studies to a cohort of short-axis cycles."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from tqdm import tqdm

from cinegan.contact_sheet import write_sheets
from cinegan.data import contours, images, sunnybrook
from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.containers import Container, open_containers
from cinegan.data.cycles import (
    FEWEST_PHASES,
    CineSlice,
    Frame,
    LeftOut,
    Timeline,
    resample_phases,
    timelines,
)
from cinegan.data.deidentify import pseudonym
from cinegan.data.identity import identity_of, path_names_a_person
from cinegan.data.orientation import UNKNOWN, Plane, Turn, turn_to_convention
from cinegan.data.record import Record
from cinegan.data.refusal import OtherFileError, RefusedError
from cinegan.data.resizing import resize_frames, resize_points
from cinegan.data.splits import split_patients
from cinegan.data.stacks import Stack, short_axis_stacks, summarise
from cinegan.errors import CineganError
from cinegan.imaging.heart import find_heart
from cinegan.params import Data

# What lies beside studies and holds no image.
TEXTS = (".cfg", ".csv", ".htm", ".html", ".json", ".md", ".pdf", ".txt", ".xlsx", ".xml", "sums")
DIRECTORY = "dicomdir"  # what a disc holds
ZIP = re.compile(r"\.zip$", re.IGNORECASE)
CLEAR_HEART = 0.5  # of the confidence in the clearest stack's heart


def convert(
    raw: Path,
    folder: Path,
    options: Data,
    seed: int | None,
    sheets: Path | None = None,
    key: Callable[[], bytes] | None = None,
) -> dict[str, Any]:
    """Convert all studies in `raw` to cycles in `folder`; return what was kept and left out.

    Parameters
    ----------
    raw : Path
        Zip archives and loose files: DICOM or 4D NIfTI, contours and a patient table; or a single
        archive or file.
    seed : int or None
        Of the splits; None: patients are not split, and may be fewer than three.
    sheets : Path, optional
        Folder for the quality page: an index and a contact sheet per patient.
    key : callable, optional
        Gives the secret behind pseudonyms; asked only if a study seems to carry a real name.

    Raises
    ------
    CineganError
        If an archive is not whole, if no patient has a short-axis cine, if a study seems to carry
        a real name and there is no key, or, with `options.strict`, at the first file or patient
        that cannot be used.
    """
    record = Record(options.strict)
    # Inflating leaves the interpreter free: a second thread nearly doubles the rate.
    with open_containers(raw) as containers, ThreadPoolExecutor(2) as threads:
        frames, traced = _scan(containers, record)
        stacks = _stacks_of(_by_patient(frames, key), options.exclude, record)
        if not stacks:
            raise CineganError(f"{raw}: no short-axis cine in any study; {record.reasons()}")
        reader = _Reader(containers, options, record, threads)
        table = sunnybrook.read_patient_table(raw)
        shares = options.split.val, options.split.test
        write_cohort(
            folder,
            _convert_patients(reader, stacks, traced, table),
            split=None if seed is None else lambda names: split_patients(names, seed, *shares),
        )
    converted = Cohort(folder)
    if sheets is not None:
        write_sheets(sheets, converted, record.notes)
    return record.summary(converted)


def _scan(
    containers: dict[str, Container], record: Record
) -> tuple[list[Frame], list[contours.Contour]]:
    """Read every header and contour."""
    frames: list[Frame] = []
    traced: list[contours.Contour] = []
    unreadable: list[tuple[str, ValueError]] = []
    others: Counter[str] = Counter()
    for name, container in containers.items():
        for file in tqdm(container.files(), desc="reading headers", unit="file"):
            try:
                if contours.is_contour(file):
                    traced.append(contours.read_contour(container, file))
                elif not (
                    contours.is_beside_contours(file) or file.lower().endswith((*TEXTS, DIRECTORY))
                ):
                    headers = images.read_headers(container, file)
                    alone = len(headers) == 1
                    frames += [Frame(header, name, file, alone) for header in headers]
            except OtherFileError as error:
                others[str(error)] += 1
            except ValueError as error:
                unreadable.append(("/".join(filter(None, (name, file))), error))
    record.leave_out("", [LeftOut("other files", why, count) for why, count in others.items()])
    # Where a patient is named in headers, any file's name may do so too.
    named = any(frame.header.identifying for frame in frames)
    for number, (path, fault) in enumerate(unreadable, start=1):
        hidden = named or path_names_a_person(path)
        shown = f"unreadable file {number}" if hidden else path
        record.cannot_read(shown, _why(fault, hidden))
    record.contours_read = sum(contour.source == "expert" for contour in traced)
    return frames, traced


def _why(error: Exception, named: bool) -> str:
    """What is wrong with a file, without its text or name where these may name a patient."""
    return "damaged" if named and not isinstance(error, RefusedError) else str(error)


def _by_patient(frames: list[Frame], key: Callable[[], bytes] | None) -> dict[str, list[Frame]]:
    """Images of each patient, under a name that a file can bear and anyone may see."""
    found: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        found[_identity(frame)].append(frame)
    called = _called(found)
    shown: dict[str, list[Frame]] = {}
    for identity, own in found.items():
        identifying = {keyword for frame in own for keyword in frame.header.identifying}
        if called[identity] != identity and path_names_a_person(called[identity]):
            identifying.add("the name of its folder or archive")
        if not identifying:
            name = _file_name(called[identity])
            # A folder called after a patient tells no more than that name, if anything.
            shown[name] = [
                replace(frame, alias=name) if path_names_a_person(frame.name) else frame
                for frame in own
            ]
            continue
        elements = ", ".join(sorted(identifying))
        if key is None:
            raise CineganError(
                f"a study seems to carry a real person's data ({elements}); bring it "
                "in with data.source: folder, which removes them"
            )
        name = pseudonym(identity, key())
        warnings.warn(
            f"{name}: seemed to carry a real person's data; {elements}, PatientID "
            "and the names of its files were left out",
            stacklevel=3,
        )
        shown[name] = [replace(frame, alias=name) for frame in own]
    return dict(sorted(shown.items()))


def _identity(frame: Frame) -> str:
    """What tells a frame's patient from others; without an ID or a study, where its file lies."""
    header = frame.header
    place = "/".join(filter(None, (*frame.series[:2], header.patient_id)))
    return identity_of(header.patient_id, header.study) or place


def _called(found: dict[str, list[Frame]]) -> dict[str, str]:
    """What to call each patient: PatientID or, if it says nothing, a folder or archive.

    Of the folders in which all images of a patient lie it is the uppermost that holds no other
    patient's; without one, patients are unnamed, and told apart by a hash.
    """
    folders = {identity: _folders(own) for identity, own in found.items()}
    shared = Counter(name for own in folders.values() for name in set(own))
    called = {}
    for identity, own in found.items():
        if any(frame.header.patient_id == identity for frame in own):
            called[identity] = identity
        else:
            alone = (name for name in folders[identity] if shared[name] == 1)
            called[identity] = next(alone, own[0].header.patient_id or "unnamed")
    counts = Counter(called.values())
    return {
        identity: name if counts[name] == 1 or name == identity else f"{name}-{_hash(identity)}"
        for identity, name in called.items()
    }


def _folders(frames: list[Frame]) -> list[str]:
    """The archive and folders, from the uppermost, in which all of these images lie."""
    places = {frame.series[:2] for frame in frames}
    paths = [
        [part for part in (*re.sub(ZIP, "", container).split("/"), *folder.split("/")) if part]
        for container, folder in places
    ]
    levels = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    return [names[0] for names in levels]


def _hash(identity: str) -> str:
    return hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:8]


def _stacks_of(
    by_patient: dict[str, list[Frame]], exclude: list[str], record: Record
) -> dict[str, list[Stack]]:
    """Short-axis stacks of each patient by geometry, the best first, less excluded patients."""
    unknown = {item.partition(":")[0] for item in exclude} - set(by_patient)
    if unknown:
        raise CineganError(
            f"params.yaml: data.exclude: no patient {', '.join(sorted(unknown))} in data/raw; "
            f"there are {', '.join(list(by_patient)[:8])}"
        )
    stacks = {}
    for patient, frames in by_patient.items():
        if patient in exclude:
            by_hand = LeftOut(patient, "excluded by data.exclude", len(frames))
            record.leave_out(patient, [by_hand])
            continue
        stacks[patient], left_out = short_axis_stacks(frames)
        record.leave_out(patient, left_out)
        if not stacks[patient]:
            record.cannot_use(patient, "no short-axis cine")
    return {patient: found for patient, found in stacks.items() if found}


def _file_name(identity: str) -> str:
    """A patient's name as a file can bear it; one that has to change stays distinct by a hash."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", identity)[:80]
    if plain == identity and not plain.startswith("."):
        return plain
    return f"{plain.lstrip('.')}-{_hash(identity)}"


def _convert_patients(
    reader: _Reader,
    stacks: dict[str, list[Stack]],
    traced: list[contours.Contour],
    table: dict[str, sunnybrook.Patient],
) -> Iterator[PatientCycles]:
    """Read the pixels of one patient after the other."""
    by_original: dict[str, list[contours.Contour]] = defaultdict(list)
    for contour in traced:
        by_original[contour.original_id].append(contour)
    for patient, candidates in tqdm(stacks.items(), desc="writing cycles", unit="patient"):
        slices = reader.slices_of(patient, candidates)
        if not slices:
            reader.record.cannot_use(patient, "not one slice with readable pixels")
            continue
        known = table.get(patient, sunnybrook.Patient("", ""))
        who = {
            "patient": patient,
            "original_id": known.original_id,
            "pathology": known.pathology,
            "split": "",  # known once all patients are read
        }
        layout = Layout.of(slices[0].frames[0], reader.options.spacing_mm)
        rows = [{**who, "row": row, **s.columns(layout)} for row, s in enumerate(slices)]
        placed = _place(by_original.get(known.original_id, []), slices, layout)
        stack = layout.pictures(np.stack([s.cycle for s in slices]))
        yield PatientCycles(patient, stack, rows, placed)


@dataclass(frozen=True)
class Layout:
    """How a patient's frames are laid: turned to the convention, perhaps to another spacing.

    Attributes
    ----------
    turn : Turn
    scanned, turned : Plane
        Of the first slice, as scanned and as turned, before its spacing is changed.
    spacing_mm : tuple of float
        Distance between rows and between columns in the end.
    """

    turn: Turn
    scanned: Plane
    turned: Plane
    spacing_mm: tuple[float, float]

    @classmethod
    def of(cls, frame: Frame, spacing_mm: float | None) -> Layout:
        """The layout of a stack whose first image is given."""
        header = frame.header
        turn = (
            turn_to_convention(header.row_direction, header.column_direction)
            if header.oriented
            else Turn()
        )
        scanned = _plane(frame)
        turned = turn.plane(scanned)
        wanted = (spacing_mm, spacing_mm) if spacing_mm is not None else turned.spacing_mm
        return cls(turn, scanned, turned, wanted)

    @property
    def steps(self) -> tuple[float, float]:
        """Turned pixels from one row in the end, and from one column, to the next."""
        rows, columns = (
            new / old for new, old in zip(self.spacing_mm, self.turned.spacing_mm, strict=True)
        )
        return rows, columns

    @property
    def resampled(self) -> bool:
        """Whether frames are brought to another spacing."""
        return self.steps != (1.0, 1.0)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns in the end: the whole pixels nearest to the scanned field."""
        rows, columns = (
            max(8, round(side / step))
            for side, step in zip(self.turned.shape, self.steps, strict=True)
        )
        return rows, columns

    def pictures(self, stack: np.ndarray) -> np.ndarray:
        """Lay (n, H, W, T) as scanned."""
        turned = self.turn.pictures(stack)
        if self.resampled:
            return resize_frames(turned, *self.shape, self.steps)
        return np.ascontiguousarray(turned)

    def points(self, points_px: np.ndarray) -> np.ndarray:
        """Lay (k, 2) x, y in pixels of a frame as scanned."""
        turned = self.turn.points(points_px, self.scanned.shape)
        return resize_points(turned, self.turned.shape, self.shape, self.steps)

    def origin_mm(self, turned: Plane) -> np.ndarray:
        """Centre of the first pixel in the end, of a slice whose turned plane is given."""
        down, across = (
            (old - 1) * own / 2 - (new - 1) * wanted / 2
            for old, own, new, wanted in zip(
                turned.shape, turned.spacing_mm, self.shape, self.spacing_mm, strict=True
            )
        )
        return np.asarray(turned.origin_mm + across * turned.row + down * turned.column)


def _plane(frame: Frame) -> Plane:
    header = frame.header
    return Plane(
        header.position_mm,
        header.row_direction,
        header.column_direction,
        header.spacing_mm,
        header.shape,
    )


@dataclass(frozen=True)
class _Slice:
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
        turned = layout.turn.plane(_plane(first))
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


class _Reader:
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

    def slices_of(self, patient: str, candidates: list[Stack]) -> list[_Slice]:
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

    def _slice(self, patient: str, number: int, cine: CineSlice, line: Timeline) -> _Slice | None:
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
        return _Slice(number, cine.position_mm, cycle, tuple(used), shown_at, line.clock, untouched)

    def _pixels_or_why_not(self, frame: Frame) -> np.ndarray | str:
        """One frame's pixels, (H, W), or why there are none."""
        try:
            pixels = self._file_of(frame)[frame.header.index]
            if pixels.shape != frame.header.shape:
                raise ValueError(f"{pixels.shape} pixels where the header says differently")
        except (ValueError, IndexError) as error:
            return _why(error, bool(frame.alias))
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


def _place(
    traced: list[contours.Contour], stack: list[_Slice], layout: Layout
) -> list[PlacedContour]:
    """Find each contour's place in the stack by InstanceNumber; leave out those without one."""
    sizes = Counter(s.frames[0].series for s in stack)
    places = {
        frame.header.instance_number: (row, phase)
        # Numbers repeat in another series: the largest, which experts drew on, has the last word.
        for row, s in sorted(enumerate(stack), key=lambda rs: sizes[rs[1].frames[0].series])
        for frame, phase in zip(s.frames, s.shown_at, strict=True)
        if phase is not None  # one between two phases is no longer the one drawn on
    }
    return [
        PlacedContour(*places[c.instance_number], c.kind, layout.points(c.points_px), c.source)
        for c in traced
        if c.instance_number in places
    ]


def _numbers(values: Any) -> str:
    return " ".join("" if value is None else f"{value:.7g}" for value in values)
