"""Small DICOM studies made by pydicom alone, with the elements that a GE scanner writes.

Independent of the project's own writer and phantom: reading is tested against others' files.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

# A short-axis plane: its normal points from the base of the heart to its apex.
NORMAL = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)
ROW = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
SHORT_AXIS = (*ROW, *np.cross(NORMAL, ROW))
FOUR_CHAMBER = (*NORMAL, *ROW)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

SIDE = 16


def beating(phase: int, phases: int, slice_number: int = 0, side: int = SIDE) -> np.ndarray:
    """One frame of a disc of blood that contracts and relaxes, (side, side) int16."""
    rows, columns = np.indices((side, side))
    radius = side / 4 * (1 - 0.3 * np.sin(np.pi * phase / phases) ** 2)
    inside = np.hypot(rows - side / 2, columns - side / 2) < radius
    texture = 7 * rows + 3 * columns + slice_number
    return (np.where(inside, 400, 80) + texture - 100).astype(np.int16)


def image(pixels: np.ndarray | None = None, **elements: object) -> Dataset:
    """One image; `elements` replace or, where None, remove what is written by default."""
    pixels = beating(0, 20) if pixels is None else pixels
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    defaults: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "ImageType": ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"],
        "SOPClassUID": MRImageStorage,
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.2",
        "Modality": "MR",
        "Manufacturer": "GE MEDICAL SYSTEMS",
        "PatientID": "SCD0000101",
        "PatientName": "SCD0000101",
        "SliceThickness": "8",
        "TriggerTime": "0",
        "NominalInterval": "800",
        "HeartRate": "75",
        "CardiacNumberOfImages": "20",
        "SeriesNumber": "300",
        "InstanceNumber": "1",
        "ImagePositionPatient": [0.0, 0.0, 0.0],
        "ImageOrientationPatient": [round(float(x), 6) for x in SHORT_AXIS],
        "PixelSpacing": [1.5, 1.25],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "PixelData": pixels.astype("<i2").tobytes(),
    }
    values = {**defaults, **elements}
    number = f"{values['SeriesNumber']}.{values['InstanceNumber']}"
    values.setdefault("SOPInstanceUID", f"{values['StudyInstanceUID']}.{number}")
    for keyword, value in values.items():
        if value is not None:
            setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPInstanceUID = str(ds.get("SOPInstanceUID", "1.2.3"))
    return ds


def encode(ds: Dataset) -> bytes:
    """A data set as the bytes of a file."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def series(
    patient: str = "SCD0000101",
    number: int = 300,
    name: str = "CINESAX_300",
    slices: int = 3,
    phases: int = 20,
    orientation: Iterable[float] = SHORT_AXIS,
    first_mm: float = 0.0,
    gap_mm: float = 10.0,
    **elements: object,
) -> dict[str, bytes]:
    """One series as {member: file}: InstanceNumber runs through the phases, slice after slice."""
    direction = np.array([*orientation]).reshape(2, 3)
    normal = np.cross(*direction)
    files = {}
    for i in range(slices):
        for phase in range(phases):
            instance = i * phases + phase + 1
            values: dict[str, object] = {
                "PatientID": patient,
                "PatientName": patient,
                "StudyInstanceUID": f"1.2.826.0.1.{sum(patient.encode())}",
                "SeriesNumber": number,
                "InstanceNumber": instance,
                "TriggerTime": str(round(800 * phase / phases, 3)),
                "ImagePositionPatient": [
                    round(float(x), 4) for x in (first_mm + i * gap_mm) * normal
                ],
                "ImageOrientationPatient": [round(float(x), 6) for x in direction.ravel()],
            }
            picture = beating(phase, phases, i)
            ds = image(picture, **{**values, **elements})
            files[f"{patient}/{name}/IM-0001-{instance:04d}.dcm"] = encode(ds)
    return files


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """A stored zip archive of the members, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
