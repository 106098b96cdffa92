"""A cycle as a DICOM series, with its labels as a segmentation of it.

Each cycle is a patient, a study and a series of its own. Cycles are drawn one by one: no two of
them are slices of one heart, and a program that splits by patient or stacks the slices of a study
must not take them for that. The identifier begins with SYNTHETIC and holds a key of the model and
its samples, so that exports of several models can be pooled and no two cycles become one patient.
"""

from __future__ import annotations

from pathlib import Path

import cinegan
from cinegan.data.dicom_segmentation import encode_segmentation
from cinegan.data.dicom_writer import SyntheticHeader, encode_synthetic_image, uid_from
from cinegan.export.classes import SEGMENTS, masks_of
from cinegan.export.source import Source

LABELS_FILE = "labels.dcm"


def patient_of(source: Source, number: int) -> str:
    """Pseudonym of the nobody whose cycle this is; numbers are rows of cycles.npy."""
    key = int(source.key, 16) % 10**8  # digits, which nobody takes for a name
    return f"SYNTHETIC-{key:08d}-{number:05d}"


def header_of(source: Source, number: int, synthetic_data: bool = False) -> SyntheticHeader:
    """What the images of a cycle share."""
    record, geometry, plane = source.record, source.geometry, source.geometry.plane
    study = uid_from("cinegan export", source.key, synthetic_data, number)
    return SyntheticHeader(
        patient_id=patient_of(source, number),
        study_uid=study,
        series_uid=uid_from(study, "series"),
        frame_of_reference_uid=uid_from(study, "frame of reference"),
        series_description="synthetic short-axis cine",
        derivation=(
            f"Synthetic: cycle {number} drawn from seed {source.sampling_seed} by generator "
            f"{source.name} (architecture {record['architecture']}, weights SHA-256 "
            f"{source.weights_sha256}), trained on {record['train_cycles']} cycles of "
            f"{record['train_patients']} patients. Spacing, thickness and times are means over "
            "these; position and orientation are nominal."
        ),
        comment="Synthetic image; nobody was scanned. Not for diagnosis.",
        model=source.name,
        software=f"cinegan {cinegan.__version__}",
        position_mm=tuple(plane.origin_mm.tolist()),
        orientation=(*plane.row.tolist(), *plane.column.tolist()),
        spacing_mm=geometry.spacing_mm,
        thickness_mm=geometry.thickness_mm,
        phases=geometry.phases,
        interval_ms=geometry.interval_ms,
        synthetic_data=synthetic_data,
    )


def write_series(folder: Path, source: Source, number: int, synthetic_data: bool = False) -> int:
    """Write a cycle, a file a phase, and its labels; say how many files that are."""
    header = header_of(source, number, synthetic_data)
    place = folder / header.patient_id
    (place / "cine").mkdir(parents=True)
    for phase in range(header.phases):
        content = encode_synthetic_image(source.cycles[number, ..., phase], header, phase)
        (place / "cine" / f"IM-{phase + 1:04d}.dcm").write_bytes(content)
    if source.labels is None:
        return header.phases
    masks = masks_of(source.labels.classes[number], source.labels.known[number])
    if not masks:  # a segmentation has at least one frame
        return header.phases
    (place / LABELS_FILE).write_bytes(encode_segmentation(masks, SEGMENTS, header))
    return header.phases + 1
