"""DICOM written, with pydicom: any data set as bytes, the images of a cine, real or synthetic.

Nothing comes from the machine or its clock: the same arguments give the same bytes.

References
----------
DICOM PS3.3 A.4 (MR Image IOD), C.12.1 (SOP Common: Synthetic Data), PS3.5 B.2 (UIDs from UUIDs,
root 2.25), PS3.10 7.1 (File Meta Information).
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
    _put_pixels(image, pixels)
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


@dataclass(frozen=True, kw_only=True)
class SyntheticHeader:
    """What all images of one synthetic cine share.

    Parameters
    ----------
    patient_id
        Pseudonym of nobody, written as name and identifier.
    study_uid, series_uid, frame_of_reference_uid
        From `uid_from`.
    series_description, derivation, comment
        Series Description; Derivation Description, how the images were made; Image Comments.
    model, software
        Which generator made them, and the version of what runs it.
    position_mm, orientation, spacing_mm, thickness_mm
        As in `CineHeader`.
    phases
        Images of the heartbeat.
    interval_ms
        How long that lasts; None if it is not known.
    synthetic_data
        Whether to add Synthetic Data (0008,001C), which the standard has since 2024. Validators
        from before call it an error, so Image Type, the derivation and the patient tell the same.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_description: str
    derivation: str
    comment: str
    model: str
    software: str
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: float
    thickness_mm: float
    phases: int
    interval_ms: float | None = None
    synthetic_data: bool = False

    def image_uid(self, phase: int) -> str:
        """SOP instance of a phase, counted from 0."""
        return uid_from(self.series_uid, phase + 1)


def encode_synthetic_image(
    pixels: npt.NDArray[np.uint8], header: SyntheticHeader, phase: int
) -> bytes:
    """Encode one phase of a synthetic cine as a DICOM file of the class MR Image Storage.

    That class is what programs that read cine MRI look for; Image Type, the derivation and the
    patient say that nothing was scanned.

    Parameters
    ----------
    pixels : (H, W) uint8
    phase
        Counted from 0.

    Returns
    -------
    bytes
        A whole file (explicit VR little endian).

    Raises
    ------
    CineganError
        The pixels are not one two-dimensional image of uint8.
    """
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise CineganError(
            f"a synthetic image has two axes of uint8, not {pixels.ndim} of {pixels.dtype}"
        )
    image = Dataset()
    image.update(_of_synthetic_series(header))
    image.SOPInstanceUID = header.image_uid(phase)
    image.file_meta = file_meta(MRImageStorage, image.SOPInstanceUID, ExplicitVRLittleEndian)
    image.InstanceNumber = image.TemporalPositionIdentifier = phase + 1
    if header.interval_ms is not None:
        image.TriggerTime = _decimal(phase * header.interval_ms / header.phases)
    _put_pixels(image, pixels, (0, 255))  # one for the series, or a cine would flicker
    return encode(image)


def of_nobody(header: SyntheticHeader) -> Dataset:
    """Give the elements of patient, study, place and maker that all objects of a study share.

    There is no patient and no date: what is required and would tell them stays empty.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    if header.synthetic_data:
        ds.SyntheticData = "YES"
    ds.PatientName = f"{header.patient_id}^"  # a name of one component ends so (PS3.5 6.2.1.1)
    ds.PatientID = header.patient_id
    ds.PatientBirthDate = ds.PatientSex = ""
    ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", "synthetic: there is no patient"
    ds.StudyInstanceUID, ds.StudyID = header.study_uid, "1"
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = header.frame_of_reference_uid, ""
    ds.Manufacturer, ds.ManufacturerModelName = "cinegan", header.model[:64]
    ds.SoftwareVersions = header.software
    ds.BodyPartExamined = "HEART"  # which is not paired: Laterality need not be told
    ds.BurnedInAnnotation = "NO"
    return ds


@lru_cache(maxsize=4)
def _of_synthetic_series(header: SyntheticHeader) -> Dataset:
    """Give the elements that all images of a synthetic series share.

    Nothing is said of a sequence or a magnet, since there was none. Scanning Sequence may not be
    empty: it is RM, research mode, which stands for no sequence in particular. Gating is named
    because Trigger Time may stand only beside it.
    """
    ds = of_nobody(header)
    ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    ds.DerivationDescription = header.derivation
    ds.ImageComments = header.comment
    ds.SeriesInstanceUID, ds.SeriesNumber = header.series_uid, 1
    ds.SeriesDescription = header.series_description
    ds.ContentDate = ds.ContentTime = ""
    ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "RM", "NONE", "2D"
    ds.ScanOptions = "" if header.interval_ms is None else "CG"
    ds.RepetitionTime = ds.EchoTime = ds.EchoTrainLength = None
    ds.PatientPosition = ""
    ds.CardiacNumberOfImages = ds.NumberOfTemporalPositions = header.phases
    if header.interval_ms is not None:
        ds.NominalInterval = round(header.interval_ms)
        ds.HeartRate = round(60_000 / header.interval_ms)
        ds.TemporalResolution = _decimal(header.interval_ms / header.phases)
    ds.ImagePositionPatient = [_decimal(x) for x in header.position_mm]
    ds.ImageOrientationPatient = [_decimal(x) for x in header.orientation]
    ds.SliceThickness = _decimal(header.thickness_mm)
    ds.PixelSpacing = [_decimal(header.spacing_mm)] * 2
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 8, 7  # the class allows 16 allocated only
    ds.PixelRepresentation = 0
    return ds


def _put_pixels(image: Dataset, pixels: np.ndarray, window: tuple[int, int] | None = None) -> None:
    """Add pixels, as 16 bits each, with their range and a window, which shows all of it if None."""
    lowest, highest = int(pixels.min()), int(pixels.max())
    image.Rows, image.Columns = pixels.shape
    image.SmallestImagePixelValue, image.LargestImagePixelValue = lowest, highest
    low, high = window or (lowest, highest)
    image.WindowCenter, image.WindowWidth = (low + high) / 2, max(high - low, 1)
    image.PixelData = pixels.astype("<i2", copy=False).tobytes()


def _decimal(number: float) -> float:
    """Round to what a decimal string of 16 characters can hold, without a negative zero."""
    return round(float(number), 6) + 0.0
