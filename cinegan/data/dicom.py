"""Reading DICOM: the one file of the project that does.

Classic MR images hold one frame a file, Enhanced MR images (PS3.3 A.36) all frames of a series.
Compressed pixels (JPEG lossless, JPEG 2000, JPEG-LS) are decoded by GDCM through pydicom, in a
process of its own; RLE by pydicom itself. No message repeats what a file says: that may be a
patient's name.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import re
import struct
import warnings
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import RawDataElement
from pydicom.pixels import pixel_array
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
)

from cinegan.data.elements import (
    UNREADABLE,
    Elements,
    first_item,
    number,
    seconds_of_day,
    seconds_of_frame,
    text,
    values_of,
    whole_number,
)
from cinegan.data.header import Header, checked_geometry
from cinegan.data.identity import identity_names_a_person, names_a_person
from cinegan.data.isolation import Isolated
from cinegan.data.refusal import OtherFileError, RefusedError, refusing

# Conforming identifiers are not asked of others' data: published cohorts were anonymised by hand.
# And what pydicom warns and logs repeats values, which may be names.
warnings.filterwarnings("ignore", module=r"pydicom\.")
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

Reader = Callable[[int | None], bytes]

HEAD = 16 * 1024  # bytes that hold the header of nearly every classic image
MOST_FRAMES = 4096
LARGEST_IMAGE = 512 * 2**20  # bytes of decoded pixels in one file
PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag, in both byte orders
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
GREY = ("MONOCHROME1", "MONOCHROME2")
ENDINGS = (".dcm", ".dicom", ".ima")
CLASSES = (MRImageStorage, EnhancedMRImageStorage)
# What else a scanner makes of a complex signal (ImageType from value 3, ComplexImageComponent).
OTHER_COMPONENTS = frozenset(
    ("P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "VELOCITY", "VELOCITY MAP", "MIXED")
)
NO_MAGNITUDE = "a phase, real or imaginary image, not a magnitude"
# How the data set of a file without preamble begins: no element there is long.
FIRST_GROUPS, LONGEST_FIRST = (0x0002, 0x0008), 1024
FIRST_TYPES = (b"AE", b"CS", b"DA", b"DT", b"LO", b"OB", b"SH", b"TM", b"UI", b"UL")

# A frame is decoded in milliseconds; GDCM holds it six times over while it hands it to Python.
_decode = Isolated(__name__, "decoded", seconds=120.0, memory=4 * 2**30)

# Elements that say who was scanned, or by whom (of PS3.15 table E.1-1).
NAMES = """
PatientName PatientBirthName PatientMotherBirthName OtherPatientNames ReferringPhysicianName
PerformingPhysicianName OperatorsName PhysiciansOfRecord RequestingPhysician
NameOfPhysiciansReadingStudy ResponsiblePerson
""".split()  # noqa: SIM905
_OTHERS = """
PatientBirthDate PatientBirthTime OtherPatientIDs PatientAddress PatientTelephoneNumbers
PatientComments AdditionalPatientHistory EthnicGroup Occupation MilitaryRank
PatientReligiousPreference InstitutionName InstitutionAddress InstitutionalDepartmentName
StationName AccessionNumber MedicalRecordLocator IssuerOfPatientID
""".split()  # noqa: SIM905
IDENTIFYING = NAMES + _OTHERS

NEEDED = """
SOPClassUID SOPInstanceUID StudyInstanceUID Modality ImageType ComplexImageComponent PatientID
SeriesNumber InstanceNumber
AcquisitionTime TriggerTime NominalCardiacTriggerDelayTime NominalInterval
TemporalPositionIdentifier ImagePositionPatient ImageOrientationPatient PixelSpacing
SliceThickness Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation
BitsAllocated BitsStored HighBit PixelRepresentation RescaleSlope RescaleIntercept
""".split()  # noqa: SIM905
TEXTS = frozenset(("CS", "DA", "DS", "IS", "LO", "PN", "SH", "TM", "UI"))
KEYWORDS = {Tag(keyword): keyword for keyword in NEEDED + IDENTIFYING}
HEADER_TAGS = list(KEYWORDS)


@dataclass(frozen=True, slots=True)
class Greys:
    """What makes scanned intensities of stored values.

    Attributes
    ----------
    mirror : int or None
        For MONOCHROME1, whose lowest value is white: value + value' of opposite greys.
    slope, intercept : float
        Of the modality transformation (PS3.3 C.11.1).
    """

    mirror: int | None
    slope: float
    intercept: float

    def of(self, stored: np.ndarray) -> np.ndarray:
        """Bright where the signal is strong; float32 after a rescale slope."""
        if self.mirror is not None:
            stored = (self.mirror - stored.astype(np.int64)).astype(stored.dtype)
        if (self.slope, self.intercept) != (1.0, 0.0):
            return (stored * self.slope + self.intercept).astype(np.float32)
        return stored


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where the uncompressed pixels of one image lie.

    Attributes
    ----------
    offset : int
        Where they begin in the file.
    dtype : str
        Of what is stored.
    unused : int
        Bits above the stored ones, which may hold anything.
    greys : Greys
    """

    offset: int
    dtype: str
    unused: int
    greys: Greys

    def read(self, content: bytes, shape: tuple[int, int]) -> np.ndarray:
        """The image, (1, H, W)."""
        count = shape[0] * shape[1]
        try:
            stored = np.frombuffer(content, self.dtype, count, self.offset).reshape(1, *shape)
        except ValueError:
            raise RefusedError("pixel data cut short") from None
        if self.unused:
            stored = (stored << self.unused) >> self.unused
        return self.greys.of(stored)


def read_headers(read: Reader, file: str = "") -> list[Header]:
    """Read the headers of all frames of one DICOM file.

    Parameters
    ----------
    read : callable
        Gives the file's first bytes, as many as asked for; None: all.
    file : str
        Its name: one that says DICOM promises it.

    Raises
    ------
    OtherFileError
        If this is something else than an MR image of how strong the signal is.
    ValueError
        If this holds no image of one slice with a place in space; the message says why.
    """
    try:
        ds, content, end = read_head(read)
    except OtherFileError as error:
        if file.lower().endswith(ENDINGS):
            raise RefusedError(str(error)) from None
        raise
    refuse_other_kinds(ds)
    with refusing("unusable header"):  # pydicom converts values as they are asked for
        if ds.get("SOPClassUID") == EnhancedMRImageStorage:
            return _headers_of_frames(parse(content, stop_before_pixels=True))
        if not _of_magnitude(ds, "ImageType"):
            raise OtherFileError(NO_MAGNITUDE)
        return [_header_of(ds, _stored(ds, content, end))]


def read_pixels(content: bytes, header: Header | None = None) -> np.ndarray:
    """Read the pixels of one DICOM file, (frames, H, W), as stored; float32 after a rescale slope.

    Parameters
    ----------
    header : Header, optional
        That `read_headers` gave: it knows where uncompressed pixels lie and spares the parsing.

    Raises
    ------
    ValueError
        If there are no whole pixel data that can be decoded.
    """
    if header is not None and isinstance(header.pixels, Pixels):
        return header.pixels.read(content, header.shape)
    ds = parse(content)
    with refusing("unusable header"):
        stored = stored_pixels(ds, content)
        greys = list(_greys_of_frames(ds, len(stored)))
    if len(set(greys)) == 1:
        return greys[0].of(stored)
    frames = zip(greys, stored, strict=True)
    return np.stack([own.of(frame).astype(np.float32) for own, frame in frames])


def read_head(read: Reader) -> tuple[dict[str, Any], bytes, int]:
    """Read what says whose image it is, where it lies and how it is stored.

    Returns
    -------
    dict
        Value by keyword of the elements at the top of the data set that this project knows, and
        the TransferSyntaxUID.
    bytes, int
        What was read of the file, and where in it the elements end: at the pixel data, if any.

    Raises
    ------
    ValueError
        If it is not a whole DICOM file; the message says why.
    """
    content = read(HEAD)
    if len(content) == HEAD:
        with contextlib.suppress(RefusedError):
            ds, end = _parse(content, stop_before_pixels=True, specific_tags=HEADER_TAGS)
            if content[end : end + 4] in PIXEL_DATA:
                return _values(ds), content, end
        content = read(None)
    ds, end = _parse(content, stop_before_pixels=True, specific_tags=HEADER_TAGS)
    return _values(ds), content, end


def _values(ds: pydicom.Dataset) -> dict[str, Any]:
    """The values that are there, by keyword: pydicom is slow to say that an element is missing."""
    values: dict[str, Any] = {"TransferSyntaxUID": ds.file_meta.get("TransferSyntaxUID")}
    for tag, keyword in KEYWORDS.items():
        if tag in ds:
            try:
                values[keyword] = _value(ds, tag)
            except Exception:  # pydicom converts at this moment
                values[keyword] = UNREADABLE
    return values


def _value(ds: pydicom.Dataset, tag: BaseTag) -> Any:
    """An element's value; plain text as it stands, which spares half of a header's time."""
    raw = ds.get_item(tag)
    if not (isinstance(raw, RawDataElement) and raw.VR in TEXTS and raw.value):
        return ds[tag].value
    if not raw.value.isascii() or b"\x1b" in raw.value:  # in a character set of its own
        return ds[tag].value
    values = [value.strip(" \0") for value in raw.value.decode("ascii").split("\\")]
    return values[0] if len(values) == 1 else values


def is_dicom(content: bytes) -> bool:
    """Whether a file begins as DICOM files do (PS3.10 7.1), or did before there were preambles."""
    return _has_preamble(content) or _begins_with_an_element(content)


def _has_preamble(content: bytes) -> bool:
    return content[128:132] == b"DICM"


def _begins_with_an_element(content: bytes) -> bool:
    """Whether a file's first bytes are a known element of a plausible type and length."""
    group, element, length = struct.unpack("<HHI", content[:8].ljust(8, b"\0"))
    if group not in FIRST_GROUPS or not dictionary_has_tag((group, element)):
        return False
    if content[4:6] in FIRST_TYPES:
        length = 0 if content[4:6] == b"OB" else length >> 16
    return bool(length % 2 == 0 and length <= LONGEST_FIRST)


def refuse_other_kinds(ds: Elements) -> None:
    """Refuse what says that it is no MR image of grey values.

    Raises
    ------
    OtherFileError
        If this is something else that lies beside such images.
    """
    if text(ds, "Modality") not in ("", "MR"):
        raise OtherFileError("of another modality than MR")
    if text(ds, "SOPClassUID") not in ("", *CLASSES) or whole_number(ds, "SamplesPerPixel", 1) != 1:
        # Screen captures call themselves MR too, and have names burned into their pixels.
        raise OtherFileError("not of a class of MR images, one grey value a pixel")


def _of_magnitude(ds: Elements, kind: str) -> bool:
    """Whether an image or a frame shows how strong the signal is, as far as it says."""
    said = ds.get(kind)
    values = said[2:] if isinstance(said, MutableSequence) else []
    components = {str(value).strip().upper() for value in values}
    return not (components | {text(ds, "ComplexImageComponent").upper()}) & OTHER_COMPONENTS


def parse(content: bytes, **options: Any) -> pydicom.Dataset:
    """Parse one DICOM file.

    Raises
    ------
    ValueError
        If it is not a whole DICOM file; the message says why.
    """
    return _parse(content, **options)[0]


def stored_pixels(ds: pydicom.Dataset, content: bytes) -> np.ndarray:
    """All frames of a file as whole numbers, (frames, H, W), decoded, in the machine's byte order.

    Parameters
    ----------
    ds, content
        The file, parsed and as it is.

    Raises
    ------
    ValueError
        If there are no whole pixel data of grey images that can be decoded.
    """
    data, shape = pixel_bytes(ds), _announced(ds)
    syntax = ds.file_meta.get("TransferSyntaxUID")
    if syntax in NATIVE and len(data) < math.prod(shape) * whole_number(ds, "BitsAllocated") // 8:
        raise RefusedError("pixel data cut short")
    # RLE is decoded by Python alone, which does not crash.
    pixels = _pixel_array(ds) if syntax in (*NATIVE, RLELossless) else _decode(content)
    if pixels.size != math.prod(shape) or pixels.dtype.kind not in "iu":
        raise RefusedError("pixel data of another size than announced")
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False).reshape(shape)


def pixel_bytes(ds: pydicom.Dataset) -> bytes:
    """The pixel data as they stand in the file.

    Raises
    ------
    ValueError
        If there are none.
    """
    with contextlib.suppress(Exception):  # another type than bytes, which pydicom converts
        if ds.PixelData and isinstance(ds.PixelData, bytes):
            return ds.PixelData
    raise RefusedError("no pixel data")


def decoded(content: bytes) -> np.ndarray:
    """The pixels of one file, decoded where it is called."""
    return _pixel_array(parse(content))


def identifying(ds: Elements) -> tuple[str, ...]:
    """Keywords of the elements that seem to hold a real person's data.

    Empty where the study has been de-identified: where no name and no birth date looks like a
    real one. A pseudonym ("SCD0000101", "ANON^12", "sub-01") is no name.
    """
    identity = text(ds, "PatientID")
    named = identity_names_a_person(identity)
    born = re.fullmatch(r"(18|19|20)\d{6}", text(ds, "PatientBirthDate"))
    if not (
        named
        or (born and born[0] != "19000101")
        or any(names_a_person(text(ds, keyword)) for keyword in NAMES)
        or any(text(ds, keyword) for keyword in ("PatientAddress", "PatientTelephoneNumbers"))
    ):
        return ()
    others = [keyword for keyword in IDENTIFYING if text(ds, keyword)]
    return (*others, "PatientID") if named else tuple(others)


def _parse(content: bytes, **options: Any) -> tuple[pydicom.Dataset, int]:
    """The data set, and where in the file reading it ended."""
    if not is_dicom(content):
        raise OtherFileError("not a DICOM file")
    if DeflatedExplicitVRLittleEndian.encode() in content:
        raise RefusedError("a deflated data set, which may be a bomb; store it uncompressed")
    stream = io.BytesIO(content)
    with refusing("not a whole DICOM file"):
        if _has_preamble(content):
            return pydicom.dcmread(stream, **options), stream.tell()
        ds, end = pydicom.dcmread(stream, force=True, **options), stream.tell()
        if "TransferSyntaxUID" not in ds.file_meta:
            ds.file_meta.TransferSyntaxUID = _native_syntax(ds)
        return ds, end


def _native_syntax(ds: pydicom.Dataset) -> UID:
    """How a data set is written that does not say so: as pydicom found it, and uncompressed."""
    implicit, little = ds.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _header_of(ds: Elements, pixels: Pixels | None) -> Header:
    """The header of a classic image."""
    if "PixelSpacing" not in ds or "ImageOrientationPatient" not in ds:
        raise RefusedError("no place in space: PixelSpacing or ImageOrientationPatient missing")
    if _announced(ds)[0] != 1:
        raise RefusedError("not a single frame")
    trigger = number(ds, "TriggerTime", None)
    return _header(
        ds,
        plane=ds,
        measures=ds,
        position=ds,
        instance_number=whole_number(ds, "InstanceNumber"),
        trigger_ms=number(ds, "NominalCardiacTriggerDelayTime", None)
        if trigger is None
        else trigger,
        interval_ms=number(ds, "NominalInterval", None),
        temporal_position=whole_number(ds, "TemporalPositionIdentifier", None),
        acquired_s=seconds_of_day(text(ds, "AcquisitionTime")),
        pixels=pixels,
    )


def _headers_of_frames(ds: pydicom.Dataset) -> list[Header]:
    """The headers of an Enhanced MR image's frames, from its functional groups (PS3.3 C.7.6.16)."""
    shared = first_item(ds.get("SharedFunctionalGroupsSequence"))
    frames = ds.get("PerFrameFunctionalGroupsSequence") or []
    announced = _announced(ds)[0]
    if len(frames) != announced or announced > MOST_FRAMES:
        raise RefusedError(f"{len(frames)} frames described, {announced} announced")

    headers = []
    for index, own in enumerate(frames):

        def group(name: str, own: pydicom.Dataset = own) -> pydicom.Dataset:
            return first_item(own.get(name) or shared.get(name))

        frame_type = group("MRImageFrameTypeSequence")
        told = _of_magnitude(ds, "ImageType") or text(frame_type, "ComplexImageComponent")
        if not (told and _of_magnitude(frame_type, "FrameType")):
            continue  # one file may hold both
        cardiac, content = group("CardiacSynchronizationSequence"), group("FrameContentSequence")
        headers.append(
            _header(
                ds,
                plane=group("PlaneOrientationSequence"),
                measures=group("PixelMeasuresSequence"),
                position=group("PlanePositionSequence"),
                instance_number=index + 1,
                trigger_ms=number(cardiac, "NominalCardiacTriggerDelayTime", None),
                interval_ms=number(cardiac, "RRIntervalTimeNominal", None),
                temporal_position=whole_number(content, "TemporalPositionIndex", None),
                acquired_s=seconds_of_frame(content),
                index=index,
            )
        )
    if not headers:
        raise OtherFileError(NO_MAGNITUDE)
    return headers


def _header(
    ds: Elements,
    plane: Elements,
    measures: Elements,
    position: Elements,
    **timing_and_place: Any,
) -> Header:
    """A header: what belongs to the file from `ds`, a frame's geometry from its own groups."""
    shape = whole_number(ds, "Rows"), whole_number(ds, "Columns")
    position_mm, row, column, spacing_mm = checked_geometry(
        values_of(position, "ImagePositionPatient"),
        values_of(plane, "ImageOrientationPatient"),
        values_of(measures, "PixelSpacing"),
        shape,
    )
    return Header(
        patient_id=text(ds, "PatientID"),
        identifying=identifying(ds),
        study=text(ds, "StudyInstanceUID"),
        uid=text(ds, "SOPInstanceUID"),
        series_number=whole_number(ds, "SeriesNumber"),
        position_mm=position_mm,
        row_direction=row,
        column_direction=column,
        spacing_mm=spacing_mm,
        thickness_mm=number(measures, "SliceThickness", 0.0),
        shape=shape,
        **timing_and_place,
    )


def _stored(ds: Elements, content: bytes, end: int) -> Pixels | None:
    """Where the pixels of an uncompressed image lie; None where pydicom should look for them."""
    syntax, tag = ds.get("TransferSyntaxUID"), content[end : end + 4]
    bits, used = whole_number(ds, "BitsAllocated"), whole_number(ds, "BitsStored")
    if tag != PIXEL_DATA[0] or bits not in (8, 16) or whole_number(ds, "HighBit") != used - 1:
        return None
    if syntax == ImplicitVRLittleEndian:
        start = end + 8
    elif syntax == ExplicitVRLittleEndian and content[end + 4 : end + 6] in (b"OB", b"OW"):
        start = end + 12
    else:
        return None
    length = int.from_bytes(content[start - 4 : start], "little")
    if length == 0xFFFFFFFF or length < math.prod(_announced(ds)) * bits // 8:
        return None
    dtype = f"<{'i' if _signed(ds) else 'u'}{bits // 8}"
    return Pixels(start, dtype, bits - used, next(_greys_of_frames(ds, 1)))


def _greys_of_frames(ds: Elements, frames: int) -> Iterator[Greys]:
    """What to do to the stored values of each frame."""
    mirror, bits = None, whole_number(ds, "BitsStored")
    if text(ds, "PhotometricInterpretation") == "MONOCHROME1":
        mirror = -1 if _signed(ds) else (1 << bits) - 1
    shared = first_item(ds.get("SharedFunctionalGroupsSequence"))
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or [pydicom.Dataset()] * frames
    if len(per_frame) != frames:
        raise RefusedError(f"{len(per_frame)} frames described, {frames} stored")
    name = "PixelValueTransformationSequence"
    for own in per_frame:
        group = first_item(own.get(name) or shared.get(name) or [ds])
        slope = number(group, "RescaleSlope", 1.0)
        intercept = number(group, "RescaleIntercept", 0.0)
        if not abs(slope) * 2**bits + abs(intercept) < float(np.finfo(np.float32).max):
            raise RefusedError("RescaleSlope or RescaleIntercept beyond all greys")
        yield Greys(mirror, slope, intercept)


def _announced(ds: Elements) -> tuple[int, int, int]:
    """Frames, rows and columns of plausible grey images, before anything is decoded."""
    if (
        whole_number(ds, "SamplesPerPixel", 1) != 1
        or text(ds, "PhotometricInterpretation") not in GREY
    ):
        raise OtherFileError("not grey images")
    frames, rows, columns = (
        whole_number(ds, "NumberOfFrames") or 1,
        whole_number(ds, "Rows"),
        whole_number(ds, "Columns"),
    )
    bits, used = whole_number(ds, "BitsAllocated"), whole_number(ds, "BitsStored")
    if not 0 < used <= bits <= 32:
        raise RefusedError(f"{used} of {bits} bits a pixel are not plausible")
    if min(frames, rows, columns) < 1 or frames * rows * columns * bits > 8 * LARGEST_IMAGE:
        raise RefusedError(f"{frames} x {rows} x {columns} pixels announced")
    return frames, rows, columns


def _pixel_array(ds: pydicom.Dataset) -> np.ndarray:
    # One decoder for each syntax, so that what else is installed does not change the pixels.
    by = "pydicom" if ds.file_meta.get("TransferSyntaxUID") == RLELossless else "gdcm"
    with refusing("pixel data cannot be decoded"):
        return pixel_array(ds, decoding_plugin=by)


def _signed(ds: Elements) -> bool:
    return whole_number(ds, "PixelRepresentation") == 1
