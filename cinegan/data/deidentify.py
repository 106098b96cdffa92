"""DICOM images that may be shared: only what is known to be safe is written anew.

Elements are kept by a list, not removed by one, so that what nobody thought of (private tags,
free text, dates, burned-in overlays) stays out: a strict form of the Basic Application Level
Confidentiality Profile (PS3.15 Annex E). Of what is kept, numbers are written anew from their
value, text passes only as a word of the standard's, times count from the study's first image, and
pixels are decoded, without what lies in unused bits or behind them. Patients and UIDs get
pseudonyms from a keyed hash; the key stays in the main checkout and outside Git.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import math
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from filelock import FileLock
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from cinegan.data import dicom, dicom_writer, identity
from cinegan.data.elements import (
    Elements,
    first_item,
    seconds_of_day,
    seconds_of_frame,
    text,
    whole_number,
)
from cinegan.data.refusal import RefusedError, refusing
from cinegan.errors import CineganError

KEY_FILE = ".pseudonym-key"

# Kept: what an image is, how it was acquired, where and when in the cycle it lies.
SAFE = """
Modality ImageType ComplexImageComponent ScanningSequence SequenceVariant ScanOptions
MRAcquisitionType SliceThickness RepetitionTime EchoTime NumberOfAverages ImagingFrequency
EchoNumbers MagneticFieldStrength SpacingBetweenSlices EchoTrainLength PercentSampling
PercentPhaseFieldOfView PixelBandwidth TriggerTime NominalInterval IntervalsAcquired HeartRate
CardiacNumberOfImages NominalCardiacTriggerDelayTime ReconstructionDiameter AcquisitionMatrix
InPlanePhaseEncodingDirection FlipAngle VariableFlipAngleFlag SAR PatientPosition SeriesNumber
AcquisitionNumber InstanceNumber ImagePositionPatient ImageOrientationPatient
TemporalPositionIdentifier NumberOfTemporalPositions TemporalResolution SliceLocation
SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing BitsAllocated
BitsStored HighBit PixelRepresentation WindowCenter WindowWidth RescaleIntercept RescaleSlope
RescaleType LossyImageCompression CardiacSynchronizationTechnique CardiacSignalSource
""".split()  # noqa: SIM905

# The same of a frame of an Enhanced MR image, group by group (PS3.3 C.7.6.16, C.8.13.5).
SAFE_GROUPS = {
    "PixelMeasuresSequence": "PixelSpacing SliceThickness SpacingBetweenSlices",
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
    "PixelValueTransformationSequence": "RescaleIntercept RescaleSlope RescaleType",
    "FrameVOILUTSequence": "WindowCenter WindowWidth",
    "MRImageFrameTypeSequence": "FrameType ComplexImageComponent",
    "FrameContentSequence": """FrameAcquisitionNumber FrameAcquisitionDuration CardiacCyclePosition
        InStackPositionNumber TemporalPositionIndex DimensionIndexValues""",
    "TemporalPositionSequence": "TemporalPositionTimeOffset",
    "CardiacSynchronizationSequence": """NominalPercentageOfCardiacPhase HeartRate
        NominalCardiacTriggerDelayTime ActualCardiacTriggerDelayTime RRIntervalTimeNominal
        NominalCardiacTriggerTimePriorToRPeak ActualCardiacTriggerTimePriorToRPeak
        IntervalsAcquired IntervalsRejected LowRRValue HighRRValue""",
    "MRTimingAndRelatedParametersSequence": "RepetitionTime FlipAngle EchoTrainLength",
    "MREchoSequence": "EffectiveEchoTime",
}
FRAMES = "PerFrameFunctionalGroupsSequence"
SHARED = "SharedFunctionalGroupsSequence"

# Defined terms of the standard and of makers, of which a text element may hold any.
TERMS = """
MR MONOCHROME1 MONOCHROME2 ORIGINAL DERIVED PRIMARY SECONDARY OTHER NONE NO YES N Y 00 01 2D 3D
AXIAL SAGITTAL CORONAL LOCALIZER CARDIAC CINE RETRO MPR MIP VOLUME M P R I MAGNITUDE PHASE REAL
IMAGINARY MIXED FFE M_FFE M_SE NORM DIS2D DIS3D ND FM FIL MOCO T1 T2 FLOW_ENCODED SE IR GR EP RM SK
MTC SS TRSS SP MP OSP TOF PER RG CG PPG FC PFF PFP FS FAST_GEMS SEQ_GEMS CARD_GEMS ROW COL COLUMN
HFP HFS HFDR HFDL FFP FFS FFDR FFDL US ECG VCG PP REALTIME PROSPECTIVE RETROSPECTIVE PACED
END_SYSTOLE END_DIASTOLE UNDETERMINED VELOCITY
""".split()  # noqa: SIM905
TERMS += ["PHASE MAP", "VELOCITY MAP"]

# Replaced by a pseudonym of the same kind, so that what belonged together still does.
UIDS = ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"]
NO_DAY = "19000101"  # a date that is none, where the standard asks for one


def deidentified(content: bytes, key: bytes, start_s: float = 0.0) -> pydicom.Dataset:
    """A copy of an image that holds the safe elements and pseudonyms only, uncompressed.

    Parameters
    ----------
    start_s : float
        Seconds of the day when the study's first image was acquired: AcquisitionTime tells its
        distance from there.

    Raises
    ------
    ValueError
        If the image has words burned into its pixels, or cannot be read.
    """
    original = dicom.parse(content)
    with refusing("unusable header"):  # pydicom converts values as they are asked for
        if str(original.get("BurnedInAnnotation") or "NO").strip().upper() != "NO":
            raise RefusedError("words may be burned into its pixels (BurnedInAnnotation)")
        refuse_other_kinds(original)
        return _cleaned(original, _pixels(original, content), key, start_s)


def refuse_other_kinds(ds: Elements) -> None:
    """Refuse what does not say that it is an MR image of grey values.

    Raises
    ------
    OtherFileError
        If this is something else that a scanner writes.
    ValueError
        If it does not say what it is.
    """
    for needed in ("Modality", "SOPClassUID", "SOPInstanceUID"):
        if not text(ds, needed):
            raise RefusedError(f"{needed} is missing")
    dicom.refuse_other_kinds(ds)


def identity_of(ds: Elements) -> str:
    """What tells one patient from another, as in `cinegan.data.identity`.

    Raises
    ------
    ValueError
        If there is no such thing.
    """
    found = identity.identity_of(text(ds, "PatientID"), text(ds, "StudyInstanceUID"))
    if not found:
        raise RefusedError("no PatientID and no StudyInstanceUID: whose image is it?")
    return found


def pseudonym(patient: str, key: bytes) -> str:
    """Name a patient by a keyed hash: the same every time, and of no use without the key."""
    return "P" + _digest(patient, key).hex()[:10].upper()


def pseudonymous_uid(uid: str, key: bytes) -> UID:
    """A UID below 2.25 from a keyed hash (PS3.5 B.2)."""
    return UID(f"2.25.{int.from_bytes(_digest(uid, key)[:16], 'big')}")


def pseudonym_key(checkout: Path) -> bytes:
    """The secret behind the pseudonyms: made once, kept in the main checkout, never shared.

    Raises
    ------
    CineganError
        If the file that holds it holds something else.
    """
    path = checkout / KEY_FILE
    if not path.exists():
        # Nobody else may read it, and of two that come at once the first one's stays.
        options = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        with (
            FileLock(f"{path}.lock"),
            contextlib.suppress(FileExistsError),
            os.fdopen(os.open(path, options, 0o600), "w") as new,
        ):
            new.write(secrets.token_hex(32))
    try:
        return bytes.fromhex(path.read_text())
    except ValueError:
        raise CineganError(
            f"{path}: not a key of hexadecimal digits; restore it, or delete it to name all "
            "patients anew"
        ) from None


def _digest(text: str, key: bytes) -> bytes:
    return hmac.new(key, text.encode(errors="surrogatepass"), hashlib.sha256).digest()


def _pixels(ds: pydicom.Dataset, content: bytes) -> np.ndarray:
    """The stored values of an image whose pixel data hold nothing else."""
    pixels = dicom.stored_pixels(ds, content)
    if ds.file_meta.TransferSyntaxUID in dicom.NATIVE:
        bits = pixels.size * whole_number(ds, "BitsAllocated")
        if (
            not 0 <= len(dicom.pixel_bytes(ds)) - bits // 8 <= 1
        ):  # of an odd number of bytes, one pads
            raise RefusedError("more pixel data than announced")
    return pixels


def _cleaned(
    original: pydicom.Dataset, pixels: np.ndarray, key: bytes, start_s: float
) -> pydicom.Dataset:
    clean = _safe(original, SAFE)
    clean.SOPClassUID = original.SOPClassUID
    for name in UIDS:
        if name in original:
            setattr(clean, name, pseudonymous_uid(str(original[name].value), key))
    clean.PatientID = clean.PatientName = pseudonym(identity_of(original), key)
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = "cinegan: safe elements kept, all others removed"
    acquired_s = seconds_of_day(str(original.get("AcquisitionTime") or ""))
    if acquired_s is not None:
        clean.AcquisitionTime = _time_of(acquired_s - start_s)
    if original.SOPClassUID == EnhancedMRImageStorage:
        _add_groups(clean, original)
    clean.BitsAllocated, clean.HighBit = 8 * pixels.itemsize, clean.BitsStored - 1
    stored = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    clean.PixelData = stored + bytes(len(stored) % 2)
    clean["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    clean.file_meta = dicom_writer.file_meta(
        clean.SOPClassUID, clean.SOPInstanceUID, ExplicitVRLittleEndian
    )
    return clean


def _add_groups(clean: pydicom.Dataset, original: pydicom.Dataset) -> None:
    """Add the safe functional groups of all frames."""
    frames = original.get(FRAMES) or []
    moments = [seconds_of_frame(first_item(own.get("FrameContentSequence"))) for own in frames]
    first_s = min((moment for moment in moments if moment is not None), default=0.0)
    clean.SharedFunctionalGroupsSequence = [_safe_groups(first_item(original.get(SHARED)))]
    clean.PerFrameFunctionalGroupsSequence = [_safe_groups(own) for own in frames]
    for own, moment in zip(clean.PerFrameFunctionalGroupsSequence, moments, strict=True):
        if moment is not None:
            own.FrameContentSequence[0].FrameAcquisitionDateTime = NO_DAY + _time_of(
                moment - first_s
            )


def _safe_groups(groups: pydicom.Dataset) -> pydicom.Dataset:
    clean = pydicom.Dataset()
    for name, keywords in SAFE_GROUPS.items():
        if groups.get(name):
            setattr(clean, name, [_safe(groups[name][0], keywords.split())])
    return clean


def _safe(ds: pydicom.Dataset, keywords: list[str]) -> pydicom.Dataset:
    """The listed elements, as far as their values are numbers or terms."""
    clean = pydicom.Dataset()
    for keyword in keywords:
        with contextlib.suppress(Exception):  # pydicom converts values as they are asked for
            values = _safe_values(ds[keyword].value, dictionary_VR(keyword))
            if values:
                setattr(clean, keyword, values[0] if len(values) == 1 else values)
    return clean


def _safe_values(value: Any, representation: str) -> list[Any]:
    """What the standard's dictionary expects of an element, whatever the file says it is."""
    values = value if isinstance(value, (MultiValue, list)) else [value]
    match representation:
        case "CS" | "LO":
            return [term for term in map(str, values) if term in TERMS]
        case "DS":
            return [DSfloat(_finite(number), auto_format=True) for number in values]
        case "FD" | "FL":
            return [_finite(number) for number in values]
        case _:  # IS, US, UL
            return [int(number) for number in values]


def _finite(number: Any) -> float:
    if not math.isfinite(float(number)):
        raise ValueError("not a number")
    return float(number)


def _time_of(seconds: float) -> str:
    """A DICOM time, HHMMSS.FFFFFF."""
    whole, microseconds = divmod(round(seconds * 1e6), 1_000_000)
    return f"{whole // 3600:02}{whole // 60 % 60:02}{whole % 60:02}.{microseconds:06}"
