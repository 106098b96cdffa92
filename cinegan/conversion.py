"""Raw studies to a cohort of short-axis cycles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cinegan.contact_sheet import write_sheets
from cinegan.data import contours, images, sunnybrook
from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.containers import Container, open_containers
from cinegan.data.cycles import Frame, LeftOut
from cinegan.data.identity import path_names_a_person
from cinegan.data.layout import Layout
from cinegan.data.naming import name_patients
from cinegan.data.record import Record
from cinegan.data.refusal import OtherFileError, told
from cinegan.data.splits import split_patients
from cinegan.data.stacks import Stack, short_axis_stacks
from cinegan.errors import CineganError
from cinegan.params import Data
from cinegan.stack_reading import Reader, ReadSlice

# What lies beside studies and holds no image.
TEXTS = (".cfg", ".csv", ".htm", ".html", ".json", ".md", ".pdf", ".txt", ".xlsx", ".xml", "sums")
DIRECTORY = "dicomdir"  # what a disc holds


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
        stacks = _stacks_of(name_patients(frames, key), options.exclude, record)
        if not stacks:
            raise CineganError(f"{raw}: no short-axis cine in any study; {record.reasons()}")
        reader = Reader(containers, options, record, threads)
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
        record.cannot_read(shown, told(fault, hidden))
    record.contours_read = sum(contour.source == "expert" for contour in traced)
    return frames, traced


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


def _convert_patients(
    reader: Reader,
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


def _place(
    traced: list[contours.Contour], stack: list[ReadSlice], layout: Layout
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
