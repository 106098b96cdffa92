r"""A folder of your own studies, packed into archives that a team may share: one per patient.

Loose DICOM files, DICOM in zip archives and 4D NIfTI, loose or zipped, are read in place. What is
reported names no file, since files and folders are often called as the patient is: "file 37 of
120" is the 37th line of

    cd FOLDER; find . -xtype f -not -path '*/.*' | LC_ALL=C sort

and "member 12 of file 37 of 120", where that file is an archive, the 12th line of

    unzip -Z1 ARCHIVE | grep -Ev '^__MACOSX/|(^|/)(\.[^/]*)?$' | LC_ALL=C sort -u
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from cinegan.data import dicom, dicom_writer, images, nifti
from cinegan.data.containers import Container, files_below, open_containers
from cinegan.data.deidentify import (
    deidentified,
    identity_of,
    pseudonym,
    pseudonymous_uid,
    refuse_other_kinds,
)
from cinegan.data.elements import seconds_of_day, text, whole_number
from cinegan.data.refusal import OtherFileError, RefusedError
from cinegan.errors import CineganError
from cinegan.files import add_to_zip, atomic_file


@dataclass(frozen=True)
class Report:
    """What became of the files; no name is in it.

    Attributes
    ----------
    left_out : dict
        Files that were not packed ("file 37 of 120"), and why.
    identified : dict
        Patients, by pseudonym, whose files seemed to carry a real person's data, and the elements
        that did. None of them was kept.
    """

    left_out: dict[str, str] = field(default_factory=dict)
    identified: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def told(self, shown: int = 10) -> str:
        """What was left out: how many files for each reason, and which are the first."""
        if not self.left_out:
            return ""
        counts = Counter(self.left_out.values()).most_common()
        first, more = list(self.left_out)[:shown], len(self.left_out) - shown
        return "\n".join(
            [
                *(f"left out {count} file(s): {why}" for why, count in counts),
                ", ".join(first)
                + (f" and {more} more" if more > 0 else "")
                + " (in order of path: docs/data.md says how to find them)",
            ]
        )

    def warnings(self) -> list[str]:
        """A line for each patient whose files seemed to name one."""
        return [
            f"{patient}: seemed to carry a real person's data; removed: {', '.join(elements)}"
            for patient, elements in sorted(self.identified.items())
        ]


@dataclass(frozen=True, slots=True)
class _File:
    """A file below the folder, and what a report calls it."""

    container: Container
    name: str
    number: str


@dataclass(frozen=True, slots=True)
class _Image:
    """A file that is to be packed.

    Attributes
    ----------
    file : _File
    patient : str
        Its pseudonym.
    member : str
        Its place in the patient's archive.
    study : str
        What was examined in one visit.
    acquired_s : float or None
        AcquisitionTime, seconds of the day.
    identifying : tuple of str
        Elements that seem to hold a real person's data.
    """

    file: _File
    patient: str
    member: str
    study: str
    acquired_s: float | None
    identifying: tuple[str, ...]


def pack_folder(source: Path, folder: Path, key: bytes, strict: bool) -> Report:
    """Pack every MR image below `source` into one archive per patient, without what identifies.

    Raises
    ------
    CineganError
        If there is no such folder, if nothing in it can be packed, or, with `strict`, at the
        first damaged archive or MR image that cannot.
    """
    report = Report()
    leave_out = partial(_leave_out, report, strict)
    numbers = _numbered(source)

    def damaged(archive: str, _: Exception) -> None:
        leave_out(numbers[archive], RefusedError("not a whole zip archive"))

    with (
        warnings.catch_warnings(action="ignore"),  # pydicom repeats odd values
        open_containers(source, damaged) as containers,
    ):
        images_of: defaultdict[str, list[_Image]] = defaultdict(list)
        for image in _looked_through(list(_files(containers, numbers)), key, leave_out):
            images_of[image.patient].append(image)
        for patient in tqdm(sorted(images_of), desc="packing", unit="patient"):
            own = images_of[patient]
            elements = tuple(dict.fromkeys(e for image in own for e in image.identifying))
            if _pack_patient(folder / f"{patient}.zip", own, key, leave_out) and elements:
                report.identified[patient] = elements
    if not any(folder.glob("*.zip")):
        counts = Counter(report.left_out.values()).most_common(1)
        why = "".join(f" ({count} file(s): {reason})" for reason, count in counts)
        raise CineganError(f"data.folder: {source} holds no MR images{why}; put your studies there")
    return report


def _leave_out(report: Report, strict: bool, number: str, error: Exception) -> None:
    """Note why a file is not packed, or end there."""
    ours = isinstance(error, RefusedError)  # others' messages may repeat a name
    why = str(error) if ours else f"cannot be read ({type(error).__name__})"
    if strict and not isinstance(error, OtherFileError):
        raise CineganError(
            f"data.folder: {number} (in order of path): {why}; remove it, or set data.strict: false"
        ) from None
    report.left_out[number] = why


def _numbered(source: Path) -> dict[str, str]:
    """What a report calls each file below a folder, by its path there."""
    if not source.is_dir():
        raise CineganError(f"data.folder: {source} is not a folder; name the one with your studies")
    try:
        names = files_below(source)
    except OSError as error:  # which names the folder that cannot be read
        raise CineganError(f"data.folder: a folder in {source}: {error.strerror}") from None
    if not names:
        raise CineganError(f"data.folder: {source} holds no MR images; put your studies there")
    return {name: f"file {i} of {len(names)}" for i, name in enumerate(names, start=1)}


def _files(containers: dict[str, Container], numbers: dict[str, str]) -> Iterator[_File]:
    for container in containers.values():
        for i, name in enumerate(container.files(), start=1):
            own = numbers[container.name] if container.name else None
            yield _File(container, name, f"member {i} of {own}" if own else numbers[name])


def _looked_through(
    files: list[_File], key: bytes, leave_out: Callable[[str, Exception], None]
) -> Iterator[_Image]:
    """The images among the files."""
    for file in tqdm(files, desc="reading headers", unit="file"):
        try:
            yield _looked_at(file, key)
        except Exception as error:  # whatever others' libraries raise on damaged files
            leave_out(file.number, error)


def _looked_at(file: _File, key: bytes) -> _Image:
    """What an image's header says, from as little of the file as holds it."""
    if images.format_of(file.name) is nifti:
        return _nifti_looked_at(file, key)
    ds, _, _ = dicom.read_head(lambda most: file.container.read(file.name, most))
    refuse_other_kinds(ds)
    study = text(ds, "StudyInstanceUID")
    series, number = (whole_number(ds, k) for k in ("SeriesNumber", "InstanceNumber"))
    uid = pseudonymous_uid(text(ds, "SOPInstanceUID"), key)
    return _Image(
        file,
        patient=pseudonym(identity_of(ds), key),
        member=f"study_{pseudonymous_uid(study, key)[-6:]}/series_{series}/"
        f"IM-{number:05d}-{uid[-8:]}.dcm",
        study=study or identity_of(ds),
        acquired_s=seconds_of_day(text(ds, "AcquisitionTime")),
        identifying=dicom.identifying(ds),
    )


def _nifti_looked_at(file: _File, key: bytes) -> _Image:
    header = images.read_headers(file.container, file.name)[0]
    if not header.patient_id:
        raise RefusedError("neither its name nor its folder's tells whose image it is")
    patient = pseudonym(header.patient_id, key)
    study = pseudonymous_uid(header.uid, key)
    return _Image(
        file,
        patient=patient,
        member=f"study_{study[-6:]}/{patient}_4d.nii",
        study=study,
        acquired_s=None,
        identifying=header.identifying,
    )


def _pack_patient(
    archive: Path, own: list[_Image], key: bytes, leave_out: Callable[[str, Exception], None]
) -> bool:
    """Write a patient's archive; say whether anything was left to write."""
    start_s: dict[str, float] = {}
    for image in own:
        if image.acquired_s is not None:
            start_s[image.study] = min(start_s.get(image.study, math.inf), image.acquired_s)
    done: set[str] = set()
    with atomic_file(archive) as unfinished, zipfile.ZipFile(unfinished, "w") as zipped:
        for image in sorted(own, key=lambda image: image.member):
            try:
                if image.member in done:
                    raise RefusedError("the same image again")
                clean = _cleaned(image, key, start_s.get(image.study, 0.0))
            except Exception as error:  # whatever others' libraries raise on damaged files
                leave_out(image.file.number, error)
            else:
                add_to_zip(zipped, f"{image.patient}/{image.member}", clean)
                done.add(image.member)
    if not done:
        archive.unlink()
    return bool(done)


def _cleaned(image: _Image, key: bytes, start_s: float) -> bytes:
    """What is stored of an image."""
    content = image.file.container.read(image.file.name)
    if images.format_of(image.file.name) is nifti:
        return nifti.cleaned(content)
    return dicom_writer.encode(deidentified(content, key, start_s))
