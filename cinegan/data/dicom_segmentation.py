"""Outlines of a synthetic cine as a DICOM Segmentation object, with pydicom.

Not with highdicom, which refuses frames that differ in time only ("Plane positions must not
contain duplicates"), as those of a cine do, and stamps the clock on what it writes.

References
----------
DICOM PS3.3 A.51 (Segmentation IOD), C.8.20 (its modules), C.7.6.16 (functional groups), C.7.6.17
(dimensions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pack_bits
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, SegmentationStorage

from cinegan.data.dicom_writer import SyntheticHeader, encode, file_meta, of_nobody, uid_from

# The class asks for a date and a time. There are none that would be true for identical bytes, so
# these stand for "unknown" by being nobody's.
NO_DATE, NO_TIME = "19700101", "000000"
CATEGORY = ("SCT", "123037004", "Anatomical Structure")

Code = tuple[str, str, str]  # scheme, value, meaning


@dataclass(frozen=True)
class Segment:
    """What one kind of mask shows."""

    label: str
    code: Code


@dataclass(frozen=True)
class MaskOf:
    """A mask of one segment at one phase.

    Attributes
    ----------
    segment, phase : int
        Both counted from 0.
    mask : (H, W) bool
        All False where the structure is known to be absent. What nobody told has no mask.
    """

    segment: int
    phase: int
    mask: npt.NDArray[np.bool_]


def encode_segmentation(
    masks: Sequence[MaskOf], segments: Sequence[Segment], header: SyntheticHeader
) -> bytes:
    """Encode the masks of one cine, a frame each, which refer to its images.

    Parameters
    ----------
    masks
        At least one.
    header
        Of the images, as they were encoded.

    Returns
    -------
    bytes
        A whole file (explicit VR little endian).
    """
    masks = sorted(masks, key=lambda mask: (mask.segment, mask.phase))
    stack = np.stack([mask.mask for mask in masks])  # (frames, H, W)
    ds = of_nobody(header)
    ds.SOPClassUID = SegmentationStorage
    ds.SOPInstanceUID = uid_from(header.series_uid, "segmentation", stack.tobytes())
    ds.file_meta = file_meta(SegmentationStorage, ds.SOPInstanceUID, ExplicitVRLittleEndian)
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SEG", 2, 1
    ds.SeriesInstanceUID = uid_from(header.series_uid, "segmentations", ds.SOPInstanceUID)
    ds.SeriesDescription = f"{header.series_description}: left ventricle"[:64]
    ds.DeviceSerialNumber = "0"  # required; software has none
    ds.ImageType, ds.PatientOrientation = ["DERIVED", "PRIMARY"], None
    ds.ContentDate, ds.ContentTime = NO_DATE, NO_TIME
    ds.ContentLabel, ds.ContentDescription = "LEFT_VENTRICLE", "made with the images, by one model"
    ds.ContentCreatorName = ""
    ds.SegmentationType, ds.SegmentsOverlap = "BINARY", "NO"
    ds.SegmentSequence = [_segment(n, s, header) for n, s in enumerate(segments, start=1)]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    ds.LossyImageCompression = "00"
    ds.NumberOfFrames, ds.Rows, ds.Columns = stack.shape
    _put_dimensions(ds)
    ds.SharedFunctionalGroupsSequence = [_shared(header)]
    ds.PerFrameFunctionalGroupsSequence = [_of_frame(mask, header) for mask in masks]
    ds.ReferencedSeriesSequence = [_references(masks, header)]
    ds.PixelData = pack_bits(stack.astype(np.uint8), pad=True)
    return encode(ds)


def _segment(number: int, segment: Segment, header: SyntheticHeader) -> Dataset:
    ds = _item(SegmentNumber=number, SegmentLabel=segment.label)
    ds.SegmentedPropertyCategoryCodeSequence = [_code(CATEGORY)]
    ds.SegmentedPropertyTypeCodeSequence = [_code(segment.code)]
    ds.SegmentAlgorithmType = "AUTOMATIC"
    ds.SegmentAlgorithmName = f"generator {header.model}"[:64]
    return ds


def _put_dimensions(ds: Dataset) -> None:
    """Frames are ordered by segment, then by phase."""
    uid = uid_from(ds.SOPInstanceUID, "dimensions")
    ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=uid)]
    ds.DimensionIndexSequence = [
        _item(
            DimensionOrganizationUID=uid,
            DimensionIndexPointer=Tag(pointer),
            FunctionalGroupPointer=Tag(group),
        )
        for pointer, group in (
            ("ReferencedSegmentNumber", "SegmentIdentificationSequence"),
            ("TemporalPositionIndex", "FrameContentSequence"),
        )
    ]


def _shared(header: SyntheticHeader) -> Dataset:
    measures = _item(
        PixelSpacing=[header.spacing_mm] * 2,
        SliceThickness=header.thickness_mm,
        SpacingBetweenSlices=header.thickness_mm,
    )
    orientation = _item(ImageOrientationPatient=list(header.orientation))
    return _item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[orientation])


def _of_frame(mask: MaskOf, header: SyntheticHeader) -> Dataset:
    place = [mask.segment + 1, mask.phase + 1]
    source = _reference(header, mask.phase)
    source.SpatialLocationsPreserved = "YES"
    source.PurposeOfReferenceCodeSequence = [
        _code(("DCM", "121322", "Source image for image processing operation"))
    ]
    derivation = _item(SourceImageSequence=[source])
    derivation.DerivationCodeSequence = [_code(("DCM", "113076", "Segmentation"))]
    return _item(
        FrameContentSequence=[
            _item(DimensionIndexValues=place, TemporalPositionIndex=mask.phase + 1)
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=list(header.position_mm))],
        SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=mask.segment + 1)],
        DerivationImageSequence=[derivation],
    )


def _references(masks: Sequence[MaskOf], header: SyntheticHeader) -> Dataset:
    """The series of the images, and of them those that have a mask."""
    phases = sorted({mask.phase for mask in masks})
    return _item(
        SeriesInstanceUID=header.series_uid,
        ReferencedInstanceSequence=[_reference(header, phase) for phase in phases],
    )


def _reference(header: SyntheticHeader, phase: int) -> Dataset:
    return _item(
        ReferencedSOPClassUID=MRImageStorage, ReferencedSOPInstanceUID=header.image_uid(phase)
    )


def _code(code: Code) -> Dataset:
    scheme, value, meaning = code
    return _item(CodingSchemeDesignator=scheme, CodeValue=value, CodeMeaning=meaning)


def _item(**elements: object) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds
