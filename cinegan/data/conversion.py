"""Raw archives to a cohort of short-axis cycles."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cinegan.data import cohort, contours, dicom, sunnybrook
from cinegan.data.archives import archives_in, files_of, open_archive, read_member
from cinegan.data.cohort import PatientCycles, PlacedContour, write_cohort
from cinegan.data.cycles import (
    CineSlice,
    Frame,
    LeftOut,
    phase_times,
    resample_phases,
    short_axis_stack,
)
from cinegan.data.splits import SPLITS, split_patients
from cinegan.errors import CineganError
from cinegan.params import Data


def convert(raw: Path, folder: Path, options: Data, seed: int) -> dict[str, Any]:
    """Convert all studies in `raw` to cycles in `folder`; return what was kept and left out.

    Raises
    ------
    CineganError
        If an archive is not whole, if no patient has a short-axis cine, or, with
        `options.strict`, at the first file or patient that cannot be used.
    """
    report = _Report(options.strict)
    images, traced = _scan(raw, report)
    stacks = _stacks_of(images, options.exclude, report)
    if not stacks:
        raise CineganError(f"{raw}: no short-axis cine in any study; {report.reasons()}")
    table = sunnybrook.read_patient_table(raw)
    patients = _read_patients(raw, stacks, traced, table, options, report)
    shares = options.split.val, options.split.test
    write_cohort(folder, patients, split=lambda names: split_patients(names, seed, *shares))
    return report.summary(cohort.Cohort(folder))


class _Report:
    """What conversion kept and left out, and why."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.unreadable: dict[str, str] = {}
        self.left_out: list[LeftOut] = []
        self.patients_left_out: dict[str, str] = {}
        self.resampled: list[str] = []
        self.contours_read = 0

    def cannot_read(self, what: str, why: str) -> None:
        """Count a file that cannot be used; in strict mode, stop."""
        if self.strict:
            raise CineganError(f"{what}: {why}; remove or mend it, or set data.strict: false")
        self.unreadable[what] = why
        tqdm.write(f"skipped {what}: {why}")

    def cannot_use(self, patient: str, why: str) -> None:
        """Count a patient that makes no cycles; in strict mode, stop."""
        if self.strict:
            raise CineganError(
                f"patient {patient}: {why}; mend the study, add the patient to data.exclude, or "
                "set data.strict: false"
            )
        self.patients_left_out[patient] = why
        tqdm.write(f"skipped patient {patient}: {why}")

    def reasons(self) -> str:
        """The commonest reasons why images were left out, in one line."""
        counts: Counter[str] = Counter()
        for item in self.left_out:
            counts[item.why] += item.images
        counts.update(self.unreadable.values())
        worst = "; ".join(f"{n} image(s): {why}" for why, n in counts.most_common(3))
        return worst or "there are no DICOM files in the archives"

    def _left_out_by_reason(self) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for item in self.left_out:
            counts[item.what, item.why] += item.images
        return counts

    def summary(self, converted: cohort.Cohort) -> dict[str, Any]:
        """The record for metrics/convert.json."""
        index = converted.index
        per_split = index.drop_duplicates("patient")["split"].value_counts()
        shapes = {patient: converted.stack(patient).shape for patient in converted.patients}
        placed = sum(len(converted.contours(p)) for p in converted.patients)
        return {
            "patients": len(converted.patients),
            **{f"patients_{split}": int(per_split.get(split, 0)) for split in SPLITS},
            "slices": len(index),
            "frames": int(sum(shape[0] * shape[-1] for shape in shapes.values())),
            "contours": placed,
            "contours_unplaced": self.contours_read - placed,
            "slices_resampled_in_time": sorted(self.resampled),
            "images_left_out": sum(item.images for item in self.left_out),
            "left_out": [
                {"what": what, "why": why, "images": images}
                for (what, why), images in self._left_out_by_reason().items()
            ],
            "unreadable": dict(sorted(self.unreadable.items())),
            "patients_left_out": self.patients_left_out,
        }


def _scan(raw: Path, report: _Report) -> tuple[list[Frame], list[contours.Contour]]:
    """Read every header and contour of the archives."""
    images: list[Frame] = []
    traced: list[contours.Contour] = []
    for path in archives_in(raw):
        with open_archive(path) as archive:
            members = list(files_of(archive))
            if any("/contours-manual/" in member for member in members):
                found, unreadable = contours.read_contours(path)
                traced += found
                report.contours_read += len(found)
                for what, why in unreadable.items():
                    report.cannot_read(what, why)
                continue
            for member in tqdm(members, desc=f"reading {path.name}", unit="file"):
                try:
                    header = dicom.read_header(read_member(archive, member))
                except ValueError as error:
                    report.cannot_read(f"{path.name}/{member}", str(error))
                else:
                    images.append(Frame(header, path.name, member))
    return images, traced


def _stacks_of(
    images: Iterable[Frame], exclude: list[str], report: _Report
) -> dict[str, list[tuple[int, CineSlice]]]:
    """Short-axis stack of each patient as (slice number, slice), less what is excluded by hand."""
    by_patient: dict[str, list[Frame]] = defaultdict(list)
    for frame in images:
        identity = frame.header.patient_id or frame.series_name.split("/")[0]
        by_patient[_file_name(identity)].append(frame)
    unknown = {item.partition(":")[0] for item in exclude} - set(by_patient)
    if unknown:
        raise CineganError(
            f"params.yaml: data.exclude: no patient {', '.join(sorted(unknown))} in data/raw; "
            f"there are {', '.join(sorted(by_patient)[:8])}"
        )
    stacks = {}
    for patient, frames in sorted(by_patient.items()):
        if patient in exclude:
            report.left_out.append(LeftOut(patient, "excluded by data.exclude", len(frames)))
            continue
        stack, left_out = short_axis_stack(frames)
        report.left_out += left_out
        _refuse_unknown_slices(patient, len(stack), exclude)
        kept = []
        for number, cine in enumerate(stack):
            if f"{patient}:{number}" in exclude:
                what = f"{patient}:{number}"
                report.left_out.append(LeftOut(what, "excluded by data.exclude", len(cine.frames)))
            else:
                kept.append((number, cine))
        if kept:
            stacks[patient] = kept
        elif not stack:
            report.cannot_use(patient, "no short-axis cine")
    return stacks


def _file_name(identity: str) -> str:
    """A patient's name as a file can bear it; one that has to change stays distinct by a hash."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", identity)
    if plain == identity and not plain.startswith("."):
        return plain
    return f"{plain.lstrip('.')}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def _refuse_unknown_slices(patient: str, slices: int, exclude: list[str]) -> None:
    for item in exclude:
        name, _, number = item.partition(":")
        if name == patient and number and int(number) >= slices:
            raise CineganError(
                f"params.yaml: data.exclude: no slice {number} of patient {patient}; there are "
                f"{slices}, counted from 0"
            )


def _read_patients(
    raw: Path,
    stacks: dict[str, list[tuple[int, CineSlice]]],
    traced: list[contours.Contour],
    table: dict[str, sunnybrook.Patient],
    options: Data,
    report: _Report,
) -> Iterator[PatientCycles]:
    """Read the pixels of one patient after the other."""
    by_original: dict[str, list[contours.Contour]] = defaultdict(list)
    for contour in traced:
        by_original[contour.original_id].append(contour)
    with ExitStack() as opened:
        archives = {p.name: opened.enter_context(open_archive(p)) for p in archives_in(raw)}
        for patient, stack in tqdm(stacks.items(), desc="writing cycles", unit="patient"):
            known = table.get(patient, sunnybrook.Patient("", ""))
            who = {
                "patient": patient,
                "original_id": known.original_id,
                "pathology": known.pathology,
                "split": "",  # known once all patients are read
            }
            numbered = [
                (number, *read)
                for number, cine in stack
                if (
                    read := _read_slice(
                        archives, cine, options.phases, f"{patient}:{number}", report
                    )
                )
            ]
            if not numbered:
                report.cannot_use(patient, "not one slice with readable pixels")
                continue
            rows = [
                {**who, "slice": number, **_row_of(used, row)}
                for row, (number, _, used) in enumerate(numbered)
            ]
            kept = [used for _, _, used in numbered]
            placed = _place(by_original.get(known.original_id, []), kept, options.phases)
            yield PatientCycles(patient, np.stack([c for _, c, _ in numbered]), rows, placed)


def _read_slice(
    archives: dict[str, Any], cine: CineSlice, phases: int, name: str, report: _Report
) -> tuple[np.ndarray, CineSlice] | None:
    """Read one slice's cycle, (H, W, phases), and the frames it came from."""
    images, used, times = [], [], []
    all_times, period = phase_times(cine.frames)  # an unreadable phase does not shift the others
    for frame, time in zip(cine.frames, all_times, strict=True):
        try:
            pixels = dicom.read_pixels(read_member(archives[frame.archive], frame.member))
            if pixels.shape != frame.header.shape:
                raise ValueError(f"{pixels.shape} pixels where the header says differently")
        except ValueError as error:
            report.cannot_read(f"{frame.archive}/{frame.member}", str(error))
        else:
            images.append(pixels)
            used.append(frame)
            times.append(time)
    if len(images) < phases / 2:
        report.left_out += [LeftOut(name, "too few readable phases", len(cine.frames))]
        return None
    if len(images) != phases:
        report.resampled.append(name)
    cycle = resample_phases(
        np.stack(images, -1), np.array(times), period, phases, first_ms=all_times[0]
    )
    return cycle, CineSlice(cine.position_mm, tuple(used))


def _row_of(cine: CineSlice, row: int) -> dict[str, Any]:
    """The index columns that say where a slice lies and where it came from."""
    first = cine.frames[0].header
    return {
        "row": row,
        "position_mm": round(cine.position_mm, 3),
        "spacing_row_mm": first.spacing_mm[0],
        "spacing_column_mm": first.spacing_mm[1],
        "thickness_mm": first.thickness_mm,
        "phases_scanned": len(cine.frames),
        "trigger_times_ms": _numbers(f.header.trigger_ms for f in cine.frames),
        "orientation": _numbers([*first.row_direction, *first.column_direction]),
        "origin_mm": _numbers(first.position_mm),
        "series": cine.frames[0].series_name,
        "instance_numbers": " ".join(str(f.header.instance_number) for f in cine.frames),
    }


def _place(
    traced: list[contours.Contour], stack: list[CineSlice], phases: int
) -> list[PlacedContour]:
    """Find each contour's place in the stack by InstanceNumber; leave out those without one."""
    sizes = Counter(cine.frames[0].series for cine in stack)
    places = {
        frame.header.instance_number: (row, phase)
        # Numbers repeat in another series: the largest, which experts drew on, has the last word.
        for row, cine in sorted(enumerate(stack), key=lambda rc: sizes[rc[1].frames[0].series])
        if len(cine.frames) == phases  # a resampled phase is no longer the one drawn on
        for phase, frame in enumerate(cine.frames)
    }
    return [
        PlacedContour(*places[c.instance_number], c.kind, c.points_px)
        for c in traced
        if c.instance_number in places
    ]


def _numbers(values: Iterable[float | None]) -> str:
    return " ".join("" if value is None else f"{value:.7g}" for value in values)
