"""A cohort written as archives in Sunnybrook's layout: images, contours and patient table.

The truth, which Sunnybrook lacks, is an archive of its own: `phantom_truth.zip` holds
`<contour_folder>/contours-truth/IM-0001-NNNN-{icontour,ocontour,rcontour}-truth.txt`.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cinegan.data.dicom_writer import CineHeader, encode_cine_image, uid_from
from cinegan.data.phantom.arrays import Floats
from cinegan.data.phantom.cohort import Patient, cohort
from cinegan.data.phantom.scan import Plane, plane_at
from cinegan.data.phantom.study import Contours, Study, short_axis
from cinegan.data.phantom.subject import Subject, lie_down, scan_cine
from cinegan.files import add_to_zip, atomic_file


def write_cohort(
    folder: Path,
    seed: int,
    patients_per_group: int,
    slices: int = 8,
    phases: int = 20,
    size: int = 256,
    progress: Callable[[Iterable[Patient]], Iterable[Patient]] = iter,
) -> None:
    """Write a cohort as archives in Sunnybrook's layout; same arguments, same bytes.

    One image archive per pathology group; the contours that an expert leaves (endocardium at
    end-diastole and end-systole, epicardium at end-diastole); the truth (both, and the right
    ventricle, at every phase); and the patient table.

    Parameters
    ----------
    folder
        Where the files go.
    seed, patients_per_group, slices, phases, size
        See `cohort` and `draw_study`.
    progress
        Wraps the patients as they are drawn, as `tqdm` does.
    """
    patients = cohort(seed, patients_per_group)
    manual: dict[str, bytes] = {}
    truth: dict[str, bytes] = {}
    groups = groupby(progress(patients), key=lambda patient: patient.pathology)
    for number, (_, members) in enumerate(groups, start=1):
        stem = f"SCD_IMAGES_{number:02d}"
        with atomic_file(folder / f"{stem}.zip") as path, zipfile.ZipFile(path, "w") as archive:
            for patient in members:
                subject = lie_down(seed, patient, size, phases)
                study = short_axis(subject, slices)
                for name, content in _dicom_files(subject, study):
                    add_to_zip(archive, f"{stem}/{patient.patient_id}/{name}", content)
                manual |= _manual_contours(study)
                truth |= _true_contours(study)
    _write_contours(folder / "SCD_ManualContours.zip", manual)
    _write_contours(folder / "phantom_truth.zip", truth)
    _write_table(folder / "scd_patientdata.csv", patients)


def _dicom_files(subject: Subject, study: Study) -> Iterator[tuple[str, bytes]]:
    """All series of a study: name below the patient's folder, and content.

    The long axis has the short axis' series UID: so it is in Sunnybrook, and a reader that groups
    by UID alone must fall over it here.
    """
    long_axis, scouts = _long_axis_plane(subject), _scout_planes(subject)
    still = np.zeros(3)
    short = [
        replace(long_axis, origin=o, row=study.orientation[:3], column=study.orientation[3:])
        for o in study.positions_mm
    ]
    long = [np.rint(image).astype(np.int16) for image in scan_cine(subject, long_axis, 100, still)]
    scout_images = [
        np.rint(next(scan_cine(subject, plane, 200 + k, still))).astype(np.int16)
        for k, plane in enumerate(scouts)
    ]
    header = _common_header(subject, study)
    sax = replace(header, series_number=300, series_description="SAX cine bSSFP")
    lax = replace(header, series_number=301, series_description="4-chamber cine bSSFP")
    localizer = replace(
        header,
        series_number=1,
        series_description="Localizers",
        series_uid=uid_from(header.study_uid, "localizers"),
        image_type=("LOCALIZER", "NONE"),
        heart_rate_bpm=0,
        phases=0,
    )
    for index, (plane, rate) in enumerate(zip(short, study.heart_rates_bpm, strict=True)):
        one = replace(sax, heart_rate_bpm=rate)
        times_ms = study.trigger_times_ms[index]
        yield from _series("CINESAX_300/IM-0003", one, study.images[index], plane, times_ms, index)
    times_ms = study.trigger_times_ms[0]
    yield from _series("CINELAX_301/IM-0004", lax, long, long_axis, times_ms)
    for index, (plane, image) in enumerate(zip(scouts, scout_images, strict=True)):
        yield from _series("Localizers_1/IM-0001", localizer, [image], plane, None, index)


def _series(
    stem: str,
    header: CineHeader,
    images: Iterable[npt.NDArray[np.int16]],
    plane: Plane,
    trigger_times_ms: Floats | None,
    index: int = 0,
) -> Iterator[tuple[str, bytes]]:
    """Encode the images of one plane, the one at this index of its series, phase by phase."""
    per_plane = 1 if trigger_times_ms is None else len(trigger_times_ms)
    of_plane = replace(
        header,
        position_mm=plane.origin.tolist(),
        orientation=[*plane.row.tolist(), *plane.column.tolist()],
        slice_location_mm=float(plane.origin @ np.cross(plane.row, plane.column)),
        spacing_mm=plane.spacing_mm,
    )
    for phase, pixels in enumerate(images):
        number = index * per_plane + phase + 1
        own = replace(
            of_plane,
            instance_number=number,
            trigger_time_ms=None if trigger_times_ms is None else float(trigger_times_ms[phase]),
        )
        yield f"{stem}-{number:04d}.dcm", encode_cine_image(pixels, own)


def _common_header(subject: Subject, study: Study) -> CineHeader:
    """Fill in what all images of a study share; position and series are filled in later."""
    study_uid = uid_from(
        "cinegan phantom", subject.seed, study.patient.patient_id, *study.images.shape
    )
    return CineHeader(
        patient_id=study.patient.patient_id,
        study_uid=study_uid,
        series_uid=uid_from(study_uid, "cine"),
        frame_of_reference_uid=uid_from(study_uid, "frame of reference"),
        series_number=0,
        series_description="",
        instance_number=0,
        position_mm=(),
        orientation=(),
        spacing_mm=study.spacing_mm,
        thickness_mm=study.thickness_mm,
        slice_spacing_mm=study.slice_spacing_mm,
        slice_location_mm=0,
        heart_rate_bpm=study.heart_rates_bpm[0],
        phases=study.images.shape[1],
        manufacturer="cinegan digital phantom",
        model="phantom 1",
        comment="Computed image of a digital phantom; no person was scanned",
    )


def _long_axis_plane(subject: Subject) -> Plane:
    """Lay the four-chamber view: along the long axis, septum to lateral wall, apex upwards."""
    u, _, w = subject.scan.heart_axes
    centre = subject.to_patient(np.array([-12.0, 0.0, 0.35 * subject.heart.left.length_mm]))
    return plane_at(centre, u, -w, subject.scan.spacing_mm, subject.size)


def _scout_planes(subject: Subject) -> list[Plane]:
    """Axial, sagittal and coronal planes through the heart, of a wider field."""
    x, y, z = np.eye(3)
    centre = subject.to_patient(np.array([-10.0, 0.0, 0.4 * subject.heart.left.length_mm]))
    return [
        plane_at(centre * keep, row, column, 400 / subject.size, subject.size)
        for row, column, keep in ((x, y, z), (y, -z, x), (x, -z, y))
    ]


def _manual_contours(study: Study) -> dict[str, bytes]:
    """Contours as Sunnybrook has them, by member name."""
    folder = f"SCD_ManualContours/{study.patient.contour_folder}/contours-manual/IRCCI-expert"
    return {
        f"{folder}/{name}-manual.txt": _contour_text(polygon)
        for kind, contours, phases in (
            ("icontour", study.endocardium, {0, study.es_phase}),
            ("ocontour", study.epicardium, {0}),
        )
        for name, phase, polygon in _named(kind, contours)
        if phase in phases
    }


def _true_contours(study: Study) -> dict[str, bytes]:
    """Contours of every phase, by member name; every other vertex is as good to a tenth pixel."""
    folder = f"{study.patient.contour_folder}/contours-truth"
    return {
        f"{folder}/{name}-truth.txt": _contour_text(polygon[::2])
        for kind, contours in (
            ("icontour", study.endocardium),
            ("ocontour", study.epicardium),
            ("rcontour", study.right_ventricle),
        )
        for name, _, polygon in _named(kind, contours)
    }


def _named(kind: str, contours: Contours) -> Iterator[tuple[str, int, Floats]]:
    """Name and phase of each contour there is; the name holds the image's instance number."""
    for index, by_phase in enumerate(contours):
        for phase, polygon in enumerate(by_phase):
            if polygon is not None:
                yield f"IM-0001-{index * len(by_phase) + phase + 1:04d}-{kind}", phase, polygon


def _contour_text(polygon: Floats) -> bytes:
    return (b"%.2f %.2f\n" * len(polygon)) % tuple(polygon.ravel().tolist())


def _write_contours(path: Path, files: dict[str, bytes]) -> None:
    with atomic_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(files):
            add_to_zip(archive, name, files[name])


def _write_table(path: Path, patients: list[Patient]) -> None:
    """Write the patient table, with the byte-order mark that Sunnybrook's has."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["PatientID", "OriginalID", "Gender", "Age", "Pathology"])
    table.writerows([p.patient_id, p.original_id, p.sex, p.age, p.pathology] for p in patients)
    with atomic_file(path) as partial:
        partial.write_bytes(text.getvalue().encode("utf-8-sig"))
