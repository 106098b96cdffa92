"""Your own DICOM, packed into archives that a team may share: only what is known to be safe.

Elements are kept by a list, not removed by one, so that what nobody thought of (private tags,
free text, dates, burned-in overlays) stays out: a strict form of the Basic Application Level
Confidentiality Profile (PS3.15 Annex E). Patients and UIDs get pseudonyms from a keyed hash; the
key stays in the main checkout and outside Git.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import zipfile
from collections import Counter
from pathlib import Path

import pydicom
from filelock import FileLock
from pydicom.uid import UID
from tqdm import tqdm

from cinegan.data import dicom, dicom_writer
from cinegan.errors import CineganError
from cinegan.files import add_to_zip, atomic_file

KEY_FILE = ".pseudonym-key"

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"  # MR Image Storage (PS3.4 B.5)

# Kept as they are: what an image is, how it was acquired, where and when in the cycle it lies.
SAFE = """
SOPClassUID Modality ImageType ScanningSequence SequenceVariant ScanOptions MRAcquisitionType
SliceThickness RepetitionTime EchoTime NumberOfAverages ImagingFrequency ImagedNucleus EchoNumbers
MagneticFieldStrength SpacingBetweenSlices EchoTrainLength PercentSampling PercentPhaseFieldOfView
PixelBandwidth TriggerTime NominalInterval IntervalsAcquired HeartRate CardiacNumberOfImages
ReconstructionDiameter AcquisitionMatrix InPlanePhaseEncodingDirection FlipAngle
VariableFlipAngleFlag SAR PatientPosition SeriesNumber AcquisitionNumber InstanceNumber
ImagePositionPatient ImageOrientationPatient TemporalPositionIdentifier
NumberOfTemporalPositions TemporalResolution SliceLocation SamplesPerPixel
PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing BitsAllocated BitsStored HighBit
PixelRepresentation SmallestImagePixelValue LargestImagePixelValue PixelPaddingValue WindowCenter
WindowWidth RescaleIntercept RescaleSlope RescaleType LossyImageCompression PixelData
""".split()  # noqa: SIM905

# Replaced by a pseudonym of the same kind, so that what belonged together still does.
UIDS = ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"]


class NotAnMrImageError(ValueError):
    """A file that may well lie beside MR images, but is none."""


def pack_folder(source: Path, folder: Path, key: bytes, strict: bool) -> dict[str, str]:
    """Pack every MR image below `source` into one archive per patient.

    Returns
    -------
    dict
        Files that were not packed, by their place below `source`, and why.

    Raises
    ------
    CineganError
        If there is no such folder, if nothing in it can be packed, or, with `strict`, at the
        first MR image that cannot.
    """
    if not source.is_dir():
        raise CineganError(f"data.folder: {source} is not a folder; name the one with your DICOM")
    files = [p for p in sorted(source.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    left_out: dict[str, str] = {}

    def leave_out(path: Path, error: Exception) -> None:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        if strict and not isinstance(error, NotAnMrImageError):
            raise CineganError(f"{path}: {why}; remove it, or set data.strict: false") from None
        left_out[path.relative_to(source).as_posix()] = why

    members: dict[str, list[tuple[str, Path]]] = {}
    for path in tqdm(files, desc="reading headers", unit="file"):
        content = path.read_bytes()
        try:
            patient, name = _place(content, key)
        except Exception as error:  # pydicom raises many kinds on damaged values
            leave_out(path, error)
        else:
            members.setdefault(patient, []).append((name, path))
    packed = 0
    for patient in tqdm(sorted(members), desc="packing", unit="patient"):
        archive = folder / f"{patient}.zip"
        with atomic_file(archive) as partial, zipfile.ZipFile(partial, "w") as zipped:
            done: set[str] = set()
            for name, path in sorted(members[patient]):
                content = path.read_bytes()
                try:
                    if name in done:
                        raise ValueError("the same image again")
                    clean = dicom_writer.encode(deidentified(content, key))
                except Exception as error:
                    leave_out(path, error)
                else:
                    add_to_zip(zipped, f"{patient}/{name}", clean)
                    done.add(name)
        packed += len(done)
        if not done:
            archive.unlink()
    if not packed:
        raise CineganError(
            f"data.folder: {source} holds no MR images{_commonest(left_out)}; put your DICOM "
            "files there"
        )
    return left_out


def told(left_out: dict[str, str], shown: int = 10) -> str:
    """Say what was left out: how many files for each reason, and the first of them by name."""
    counts = Counter(left_out.values())
    lines = [f"left out {count} file(s): {why}" for why, count in counts.most_common()]
    names = list(left_out)[:shown]
    more = f" and {len(left_out) - shown} more" if len(left_out) > shown else ""
    return "\n".join([*lines, *([", ".join(names) + more] if names else [])])


def _commonest(left_out: dict[str, str]) -> str:
    """Why most files were left out, in brackets; nothing where there were none."""
    counts = Counter(left_out.values()).most_common(1)
    return f" ({counts[0][1]} file(s): {counts[0][0]})" if counts else ""


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


def deidentified(content: bytes, key: bytes) -> pydicom.Dataset:
    """A copy of an image that holds the safe elements and pseudonyms only.

    Raises
    ------
    ValueError
        If the image has words burned into its pixels, or cannot be read.
    """
    original = dicom.parse(content)
    if str(original.get("BurnedInAnnotation", "NO")).upper() == "YES":
        raise ValueError("words may be burned into its pixels (BurnedInAnnotation)")
    if "PixelData" not in original:
        raise ValueError("no pixel data")
    clean = pydicom.Dataset()
    for name in SAFE:
        if name in original:
            clean.add(original[name])
    for name in UIDS:
        if name in original:
            setattr(clean, name, _uid(str(original[name].value), key))
    clean.PatientID = clean.PatientName = pseudonym(_identity(original), key)
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = "cinegan: safe elements kept, all others removed"
    clean.file_meta = dicom_writer.file_meta(
        clean.SOPClassUID, clean.SOPInstanceUID, original.file_meta.TransferSyntaxUID
    )
    return clean


def pseudonym(identity: str, key: bytes) -> str:
    """Name a patient by a keyed hash: the same every time, and of no use without the key."""
    return "P" + hmac.new(key, identity.encode(), hashlib.sha256).hexdigest()[:10].upper()


def _place(content: bytes, key: bytes) -> tuple[str, str]:
    """Pseudonym and name within the archive of one image."""
    if not dicom.is_dicom(content):
        raise NotAnMrImageError("not a DICOM file")
    ds = dicom.parse(content, stop_before_pixels=True)
    for needed in ("Modality", "SOPClassUID", "SOPInstanceUID"):
        if not ds.get(needed):
            raise ValueError(f"{needed} is missing")
    if ds.Modality != "MR":
        raise NotAnMrImageError(f"modality {ds.Modality}, not MR")
    if ds.SOPClassUID != MR_IMAGE or ds.get("SamplesPerPixel", 1) != 1:
        # Screen captures call themselves MR too, and have names burned into their pixels.
        raise NotAnMrImageError("not of the class MR Image Storage, one grey value a pixel")
    identity = _identity(ds)
    series = int(ds.get("SeriesNumber") or 0)
    uid = _uid(str(ds.SOPInstanceUID), key)
    study = _uid(str(ds.get("StudyInstanceUID", "")), key)
    image = f"IM-{int(ds.get('InstanceNumber') or 0):05d}-{str(uid)[-8:]}.dcm"
    return pseudonym(identity, key), f"study_{str(study)[-6:]}/series_{series}/{image}"


def _identity(ds: pydicom.Dataset) -> str:
    identity = str(ds.get("PatientID") or ds.get("StudyInstanceUID") or "").strip()
    if not identity:
        raise ValueError("no PatientID and no StudyInstanceUID: whose image is it?")
    return identity


def _uid(uid: str, key: bytes) -> UID:
    """A UID below 2.25 from a keyed hash (PS3.5 B.2)."""
    digest = hmac.new(key, uid.encode(), hashlib.sha256).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")
