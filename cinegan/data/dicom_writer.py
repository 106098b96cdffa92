"""DICOM written, with pydicom: any data set as bytes, and the images of a cine series.

Nothing comes from the machine or its clock: the same arguments give the same bytes.

References
----------
DICOM PS3.3 A.4 (MR Image IOD), PS3.5 B.2 (UIDs from UUIDs, root 2.25), PS3.10 7.1 (File Meta
Information).
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from cinegan.errors import CineganError


def uid_from(*parts: object) -> str:
    """Give a UID that is always the same for the same parts (a UUID below 2.25)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(map(str, parts))).int}"


IMPLEMENTATION_UID = uid_from("cinegan", "implementation")


def file_meta(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
) -> FileMetaDataset:
    """File Meta Information that names this library and nothing of the machine."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class_uid
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = transfer_syntax_uid
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "CINEGAN"
    return meta


def encode(ds: Dataset) -> bytes:
    """Encode a data set that has a `file_meta` as a whole file, in its own transfer syntax.

    Raises
    ------
    ValueError, AttributeError
        The File Meta Information is missing or incomplete, or a value breaks the standard.
    """
    content = io.BytesIO()
    pydicom.dcmwrite(content, ds, enforce_file_format=True)
    return content.getvalue()


@dataclass(frozen=True, kw_only=True)
class CineHeader:
    """What distinguishes one cine image from another; the rest of the header is fixed.

    Parameters
    ----------
    patient_id
        Pseudonym, written as name and identifier.
    study_uid, series_uid, frame_of_reference_uid
        From `uid_from`. The SOP instance is derived from study, series number and instance number,
        since in Sunnybrook several series share one series UID.
    series_number, series_description, instance_number
        Instance numbers count from 1.
    position_mm, orientation
        Image Position and Image Orientation (Patient): centre of the first pixel (x, y, z), and
        direction cosines of a row, then of a column (PS3.3 C.7.6.2).
    spacing_mm
        Distance of rows and of columns: pixels are square.
    thickness_mm, slice_spacing_mm, slice_location_mm
        The spacing runs from slice centre to slice centre.
    heart_rate_bpm
        0 for an image that is not gated.
    trigger_time_ms
        Delay after the R wave; None for an image that is not gated.
    phases
        Images per heartbeat (0 for an image that is not gated).
    image_type
        Third and fourth values of Image Type; the first two are ORIGINAL, PRIMARY.
    manufacturer, model
        Who made the picture; a phantom must say that it is one.
    comment
        Image Comments.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_number: int
    series_description: str
    instance_number: int
    position_mm: Sequence[float]
    orientation: Sequence[float]
    spacing_mm: float
    thickness_mm: float
    slice_spacing_mm: float
    slice_location_mm: float
    heart_rate_bpm: int = 0
    trigger_time_ms: float | None = None
    phases: int = 0
    image_type: tuple[str, str] = ("CARDIAC", "NONE")
    manufacturer: str = "cinegan"
    model: str = ""
    comment: str = ""


def encode_cine_image(pixels: npt.NDArray[np.int16], header: CineHeader) -> bytes:
    """Encode one image as a DICOM file of the class MR Image Storage.

    Parameters
    ----------
    pixels : (H, W) int16
        Intensities; signed 16 bit, as GE scanners write them.
    header
        Everything that varies within a study.

    Returns
    -------
    bytes
        A whole file: preamble, File Meta Information, data set (explicit VR little endian).

    Raises
    ------
    CineganError
        The pixels are not one two-dimensional image of int16.
    """
    if pixels.ndim != 2 or pixels.dtype != np.int16:
        raise CineganError(
            f"a cine image has two axes of int16, not {pixels.ndim} of {pixels.dtype}"
        )
    of_series = replace(
        header,
        instance_number=0,
        position_mm=(),
        orientation=(),
        slice_location_mm=0,
        trigger_time_ms=None,
    )
    image = Dataset()
    image.update(_of_series(of_series))
    image.SOPInstanceUID = uid_from(header.study_uid, header.series_number, header.instance_number)
    image.file_meta = file_meta(MRImageStorage, image.SOPInstanceUID, ExplicitVRLittleEndian)
    image.InstanceNumber = header.instance_number
    image.ImagePositionPatient = [_decimal(x) for x in header.position_mm]
    image.ImageOrientationPatient = [_decimal(x) for x in header.orientation]
    image.SliceLocation = _decimal(header.slice_location_mm)
    if header.trigger_time_ms is not None:
        image.TriggerTime = _decimal(header.trigger_time_ms)
    lowest, highest = int(pixels.min()), int(pixels.max())
    image.Rows, image.Columns = pixels.shape
    image.SmallestImagePixelValue, image.LargestImagePixelValue = lowest, highest
    image.WindowCenter = (lowest + highest) / 2  # a window that shows the whole range
    image.WindowWidth = max(highest - lowest, 1)
    image.PixelData = pixels.astype("<i2", copy=False).tobytes()
    return encode(image)


@lru_cache(maxsize=4)
def _of_series(header: CineHeader) -> Dataset:
    """Give the elements that all images of a series share.

    Required elements that would identify stay empty. Balanced SSFP, gated where there are phases.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", *header.image_type]
    ds.SOPClassUID = MRImageStorage
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.StudyID = ""
    ds.ReferringPhysicianName = ds.PatientBirthDate = ds.PatientSex = ""
    ds.PatientName = ds.PatientID = header.patient_id
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "MR", header.manufacturer, header.model
    ds.StudyInstanceUID = header.study_uid
    ds.SeriesInstanceUID = header.series_uid
    ds.FrameOfReferenceUID = header.frame_of_reference_uid
    ds.PositionReferenceIndicator = ""
    ds.SeriesNumber = header.series_number
    ds.SeriesDescription = header.series_description
    ds.ImageComments = header.comment
    ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "GR", "SS", "2D"
    ds.ScanOptions = "CG" if header.phases else ""
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 3.4, 1.5, 1  # ms
    ds.FlipAngle, ds.MagneticFieldStrength = 45, 1.5  # degrees, tesla
    ds.PatientPosition = "HFS"
    ds.CardiacNumberOfImages = header.phases
    if header.heart_rate_bpm:
        ds.HeartRate = header.heart_rate_bpm
        ds.NominalInterval = round(60_000 / header.heart_rate_bpm)
    ds.SliceThickness = _decimal(header.thickness_mm)
    ds.SpacingBetweenSlices = _decimal(header.slice_spacing_mm)
    ds.PixelSpacing = [_decimal(header.spacing_mm)] * 2
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1
    return ds


def _decimal(number: float) -> float:
    """Round to what a decimal string of 16 characters can hold, without a negative zero."""
    return round(float(number), 6) + 0.0
