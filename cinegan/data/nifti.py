"""Reading 4D NIfTI (x, y, slice, phase): the form in which ACDC- and M&Ms-like cohorts come.

No message repeats what a file or its name says: that may be a patient's name.

References
----------
NIfTI-1 data format, nifti.nimh.nih.gov/nifti-1: axes, affine (RAS), units of space and time.
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import re
from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np
from nibabel.nifti1 import Nifti1Header

from cinegan.data.header import Header, checked_geometry
from cinegan.data.identity import is_placeholder, names_a_person, path_names_a_person
from cinegan.data.refusal import OtherFileError, RefusedError, refusing

LARGEST = 2**30  # bytes of an unpacked volume
LARGEST_RATIO, LARGE = 200, 32 * 2**20  # of unpacking: large ones with more are bombs
MOST_FRAMES = 10_000  # ten times those of a long study; each is listed before a voxel is read
HEAD = 64 * 1024  # bytes of a packed file that hold the header, whatever stands before it
PIECE = 2**20
HEADER_BYTES, VOXELS_AT = 348, 352
MM_PER_UNIT = {"meter": 1000.0, "micron": 1e-3}
MS_PER_UNIT = {"sec": 1000.0, "msec": 1.0, "usec": 1e-3}
ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
LABELS = re.compile(r"_(gt|seg|label|labels|mask)$", re.IGNORECASE)
# What names the kind of image and not the patient: patient001_4d, A0S9V9_sa, 001_SA_CINE.
KINDS = re.compile(r"((^|_)(4d|sax?|lax?|cine|image|img))+$", re.IGNORECASE)
# What programs write into a header of their own accord: TE=1.2;Time=101112.000, FSL5.0, spm.
OF_PROGRAMS = re.compile(
    r"\w+=|(?<![^\W\d_])(FSL|SPM|ITK|AFNI|ANTs|MRtrix|FreeSurfer|nibabel|dcm2niix?|version|ver|"
    r"time|phase|mb|dsr|realigned|resliced|normali[sz]ed|smoothed|converted|created|by|with)"
    r"(?![^\W\d_])",
    re.IGNORECASE,
)
DATE = re.compile(
    r"(?<!\d)((18|19|20)\d\d([-./]?)(0[1-9]|1[0-2])\3(0[1-9]|[12]\d|3[01])|"
    r"(0?[1-9]|[12]\d|3[01])[-./](0?[1-9]|1[0-2])[-./](18|19|20)\d\d)(?!\d)"
)
# What a header says beside geometry, time and values; with extensions, all that may identify.
TEXTS = ("descrip", "aux_file", "intent_name", "db_name", "data_type")
KEPT = """
dim datatype bitpix pixdim scl_slope scl_inter xyzt_units qform_code sform_code quatern_b
quatern_c quatern_d qoffset_x qoffset_y qoffset_z srow_x srow_y srow_z
""".split()  # noqa: SIM905

_quiet = logging.Logger(__name__)  # for what nibabel mends in a header
_quiet.addHandler(logging.NullHandler())


def patient_of(file: str) -> str:
    """The patient that a file's name tells; its folder or archive where it tells the kind alone."""
    path = PurePosixPath(file)
    names = (ENDING.sub("", path.name), *(parent.name for parent in path.parents))
    patients = [KINDS.sub("", name.removesuffix(".zip")) for name in names]
    telling = [patient for patient in patients if not is_placeholder(patient)]
    return next(iter([*telling, *filter(None, patients)]), "")


def read_headers(read: Callable[[int | None], bytes], file: str) -> list[Header]:
    """Headers of all frames of a 4D NIfTI, slice by slice, phase by phase.

    The patient is the file's name without what names the kind of image (`patient001_4d`,
    `A0S9V9_sa`). An affine whose axes are those of the scanner cannot be that of a short axis: it
    holds spacing only, and the frames count as not oriented.

    Parameters
    ----------
    read : callable
        Gives the file's first bytes, as many as asked for; None: all.
    file : str
        Its path, which tells the patient.

    Raises
    ------
    OtherFileError
        If this is a label map or a volume of other axes than x, y, slice and phase.
    ValueError
        If this is no whole header of a plausible geometry; the message says why.
    """
    if LABELS.search(ENDING.sub("", PurePosixPath(file).name)):
        raise OtherFileError("a label map, not an image")
    head = _unpacked(read(HEAD), VOXELS_AT)
    header = _header(head)
    width, height, slices, phases = _shape(header)
    if slices * phases > MOST_FRAMES:
        raise RefusedError(f"{slices} slices of {phases} phases are no cine study")
    affine = _affine(header)
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / steps
    _, row, column, spacing = checked_geometry(
        [0.0, 0.0, 0.0],
        [*directions[:, 0], *directions[:, 1]],
        [float(steps[1]), float(steps[0])],
        (height, width),
    )
    step_ms = _step_ms(header)
    patient, identifying = patient_of(file), _texts(header, head)
    if path_names_a_person(patient):
        identifying = ("the file's name", *identifying)
    return [
        Header(
            patient_id=patient,
            identifying=identifying,
            study="",
            uid=f"{file}#{k * phases + t}",
            series_number=0,
            instance_number=k * phases + t + 1,
            trigger_ms=None if step_ms is None else t * step_ms,
            interval_ms=None if step_ms is None else phases * step_ms,
            acquired_s=None,
            temporal_position=t + 1,
            position_mm=affine[:3, 3] + k * affine[:3, 2],
            row_direction=row,
            column_direction=column,
            spacing_mm=spacing,
            thickness_mm=float(steps[2]),
            shape=(height, width),
            index=k * phases + t,
            oriented=not _along_the_scanner(directions),
        )
        for k in range(slices)
        for t in range(phases)
    ]


def read_pixels(content: bytes, header: Header | None = None) -> np.ndarray:
    """All frames of a 4D NIfTI, (slices * phases, H, W), as stored; float32 after a slope.

    Raises
    ------
    ValueError
        If the volume is not whole.
    """
    nifti, stored = _volume(_whole(content))
    slope, intercept = _rescale(nifti)
    if stored.dtype.kind == "f" or (slope, intercept) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):
            stored = (stored * slope + intercept).astype(np.float32)
        if not np.isfinite(stored).all():
            raise RefusedError("voxels that are not finite")
    return stored.transpose(2, 3, 1, 0).reshape(-1, stored.shape[1], stored.shape[0])


def cleaned(content: bytes) -> bytes:
    """The same volume, unpacked, with geometry, time, scaling and voxels only.

    Raises
    ------
    ValueError
        If the volume is not whole.
    """
    old, stored = _volume(_whole(content))
    new = Nifti1Header(endianness="<")
    for field in KEPT:
        new[field] = old[field]
    new["dim"][5:], new["pixdim"][5:] = 1, 0
    new["magic"], new["vox_offset"] = b"n+1", VOXELS_AT
    voxels = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    return new.binaryblock + bytes(VOXELS_AT - HEADER_BYTES) + voxels


def _header(content: bytes | bytearray) -> Nifti1Header:
    with refusing("not a NIfTI-1 file"):
        header = Nifti1Header.from_fileobj(io.BytesIO(content[:HEADER_BYTES]), check=False)
        header.check_fix(logger=_quiet, error_level=40)
        header.get_data_dtype()
        return header


def _shape(header: Nifti1Header) -> tuple[int, int, int, int]:
    shape = tuple(int(side) for side in header.get_data_shape())
    if len(shape) != 4 or shape[3] < 2:
        raise OtherFileError(f"a volume of axes {shape}, not x, y, slice and phase")
    width, height, slices, phases = shape
    if min(shape) < 1:
        raise RefusedError(f"{slices} slices of {phases} phases are no cine study")
    return width, height, slices, phases


def _volume(content: bytes | bytearray) -> tuple[Nifti1Header, np.ndarray]:
    """The header and the voxels as stored, (x, y, slice, phase), in the machine's byte order."""
    header = _header(content)
    shape, dtype, offset = _shape(header), header.get_data_dtype(), float(header["vox_offset"])
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise RefusedError("voxels of another kind than one grey value")
    if not VOXELS_AT <= offset <= len(content) - math.prod(shape) * dtype.itemsize:
        raise RefusedError("volume cut short")
    stored = np.frombuffer(content, dtype, math.prod(shape), int(offset))
    return header, stored.astype(dtype.newbyteorder("="), copy=False).reshape(shape, order="F")


def _affine(header: Nifti1Header) -> np.ndarray:
    """From voxel to patient coordinates, LPS mm."""
    with refusing("its affine cannot be read"):
        unit = MM_PER_UNIT.get(header.get_xyzt_units()[0], 1.0)
        affine = header.get_best_affine() * np.array([[-unit], [-unit], [unit], [1]])  # RAS to LPS
    if not np.isfinite(affine).all() or not 1e-6 < abs(np.linalg.det(affine[:3, :3])) < 1e9:
        raise RefusedError("its affine gives no place in space")
    return affine


def _step_ms(header: Nifti1Header) -> float | None:
    """Time between phases; None where what is written cannot be that (many files say 1 or 0)."""
    try:
        step_ms = float(header["pixdim"][4]) * MS_PER_UNIT.get(header.get_xyzt_units()[1], 0.0)
    except KeyError:
        return None
    return step_ms if 5.0 <= step_ms <= 200.0 else None


def _rescale(header: Nifti1Header) -> tuple[float, float]:
    with refusing("its scaling cannot be read"):
        slope, intercept = header.get_slope_inter()
    return (1.0, 0.0) if slope is None else (slope, intercept or 0.0)


def _texts(header: Nifti1Header, head: bytes | bytearray) -> tuple[str, ...]:
    """Names of the fields that seem to hold a real person's data; extensions may hold anything."""
    fields = [field for field in TEXTS if _identifies(bytes(header[field]).decode("latin-1"))]
    extended = head[HEADER_BYTES:VOXELS_AT].strip(b"\0")
    return (*fields, *(["extensions"] if extended else []))


def _identifies(written: str) -> bool:
    """Whether a header's text holds a name or a date, which may be one of birth."""
    said = written.strip("\0 ")
    return names_a_person(OF_PROGRAMS.sub(" ", said)) or DATE.search(said) is not None


def _along_the_scanner(directions: np.ndarray) -> bool:
    """Whether each axis runs along one of the scanner's, as no short axis does."""
    return bool((np.abs(directions).max(axis=0) > 0.9999).all())


def _whole(content: bytes) -> bytes | bytearray:
    """A file's content, unpacked if it is packed by gzip and no bomb."""
    most = min(LARGEST, max(LARGE, LARGEST_RATIO * len(content)))
    unpacked = _unpacked(content, most + 1)
    if len(unpacked) > most:
        raise RefusedError(f"larger than {most // 2**20} MiB when unpacked, as bombs are")
    return unpacked


def _unpacked(content: bytes, most: int) -> bytes | bytearray:
    """A file's content, or the first bytes of it if it is packed by gzip.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    if content[:2] != b"\x1f\x8b":
        return content
    unpacked = bytearray()
    with refusing("not a whole gzip file"), gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        # Piece by piece: `read` sets aside as much memory as it is asked for.
        while piece := stream.read(min(PIECE, most - len(unpacked))):
            unpacked += piece
    return unpacked
