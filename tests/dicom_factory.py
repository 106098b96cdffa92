"""Small DICOM studies made by pydicom alone, with the elements that a GE scanner writes.

Independent of the project's own writer and phantom: reading is tested against others' files.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import gdcm
import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

# A short-axis plane as scanners lay it, seen from the apex; NORMAL points from base to apex.
NORMAL = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)
ROW = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
SHORT_AXIS = (*ROW, *np.cross(ROW, NORMAL))
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
    normal = normal if normal @ NORMAL >= 0 else -normal  # slices run from base to apex
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


COMPRESSED = {
    "JPEG lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "JPEG 2000": gdcm.TransferSyntax.JPEG2000Lossless,
    "JPEG-LS": gdcm.TransferSyntax.JPEGLSLossless,
    "RLE": gdcm.TransferSyntax.RLELossless,
}


def compressed(content: bytes, syntax: str) -> bytes:
    """A file with its pixels compressed by GDCM, in one of the COMPRESSED syntaxes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.dcm")
        path.write_bytes(content)
        reader, change = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(COMPRESSED[syntax]))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()
        return path.read_bytes()


def _item(**elements: object) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def enhanced(slices: int = 3, phases: int = 4, gap_mm: float = 10.0, **elements: object) -> Dataset:
    """An Enhanced MR image of a short-axis stack: frames slice by slice, phase by phase."""
    normal = np.cross(SHORT_AXIS[:3], SHORT_AXIS[3:])
    frames, pictures = [], []
    for i in range(slices):
        for phase in range(phases):
            position = [round(float(x), 4) for x in i * gap_mm * normal]
            trigger = 800.0 * phase / phases
            frames.append(
                _item(
                    FrameContentSequence=[
                        _item(
                            TemporalPositionIndex=phase + 1,
                            InStackPositionNumber=i + 1,
                            StackID="1",
                            FrameAcquisitionDateTime=f"20231117101112.{phase + 100:06}",
                        )
                    ],
                    PlanePositionSequence=[_item(ImagePositionPatient=position)],
                    CardiacSynchronizationSequence=[
                        _item(NominalCardiacTriggerDelayTime=trigger, RRIntervalTimeNominal=800.0)
                    ],
                )
            )
            pictures.append(beating(phase, phases, i))
    shared = _item(
        PixelMeasuresSequence=[_item(PixelSpacing=[1.5, 1.25], SliceThickness="8")],
        PlaneOrientationSequence=[
            _item(ImageOrientationPatient=[round(float(x), 6) for x in SHORT_AXIS])
        ],
    )
    defaults = {
        "SOPClassUID": EnhancedMRImageStorage,
        "NumberOfFrames": len(frames),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": frames,
        "PixelData": np.stack(pictures).astype("<i2").tobytes(),
    }
    of_groups = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "TriggerTime")
    ds = image(**{**dict.fromkeys(of_groups), **defaults, **elements})
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    return ds


def nifti(
    slices: int = 3, phases: int = 4, dtype: str = "int16", step_ms: float = 40.0, **fields: object
) -> bytes:
    """A 4D NIfTI of a short-axis stack; `fields` replace what stands in its header."""
    data = np.empty((12, 16, slices, phases), dtype)
    for i in range(slices):
        for phase in range(phases):
            data[:, :, i, phase] = beating(phase, phases, i)[:, :12].T
    directions = np.array([*SHORT_AXIS, *np.cross(SHORT_AXIS[:3], SHORT_AXIS[3:])]).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ directions.T @ np.diag([1.25, 1.5, 10.0])
    affine[:3, 3] = [5.0, -6.0, 7.0]
    volume = nibabel.Nifti1Image(data, affine)
    volume.header.set_xyzt_units("mm", "msec")
    volume.header["pixdim"][4] = step_ms
    for field, value in fields.items():
        volume.header[field] = value
    return volume.to_bytes()
