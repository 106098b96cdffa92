"""NIfTI-1 written: a short-axis slice, of one phase or of all, as bytes.

Axes run as dcm2niix lays them: x along a picture's row, y up a picture's column, z, phase. So a
file equals, voxel for voxel and in its affine, what dcm2niix makes of the same images in DICOM.

References
----------
NIfTI-1 data format, nifti.nimh.nih.gov/nifti-1.
"""

from __future__ import annotations

import gzip

import numpy as np
from nibabel.nifti1 import Nifti1Header

from cinegan.data.orientation import Plane

LEVEL = 6  # of compression
RAS = np.array([-1.0, -1.0, 1.0])  # from LPS
TO_SCANNER = 1  # code of both forms


def affine_of(plane: Plane, thickness_mm: float) -> np.ndarray:
    """From voxels of a file to patient coordinates, (4, 4), RAS mm."""
    upwards = -plane.column * plane.spacing_mm[0]
    affine = np.eye(4)
    affine[:3, 0] = RAS * plane.row * plane.spacing_mm[1]
    affine[:3, 1] = RAS * upwards
    affine[:3, 2] = RAS * np.cross(plane.row, plane.column) * thickness_mm
    affine[:3, 3] = RAS * (plane.origin_mm - (plane.shape[0] - 1) * upwards)
    return affine


def encode_slice(
    pictures: np.ndarray,
    plane: Plane,
    thickness_mm: float,
    step_ms: float | None = None,
    about: str = "",
) -> bytes:
    """Encode one slice as a file that gzip packs; same arguments, same bytes.

    Parameters
    ----------
    pictures : (H, W) or (H, W, T) uint8
    step_ms : float, optional
        Time between phases.
    about : str
        Description, 79 characters at most.
    """
    voxels = np.swapaxes(pictures, 0, 1)[:, ::-1, None]  # (W, H, 1) or (W, H, 1, T)
    affine = affine_of(plane, thickness_mm)
    header = Nifti1Header(endianness="<")
    header.set_data_dtype(np.uint8)
    header.set_data_shape(voxels.shape)
    header.set_sform(affine, TO_SCANNER)
    header.set_qform(affine, TO_SCANNER)
    # As they were given: those of the affine's columns differ in the last bit.
    header["pixdim"][1:4] = plane.spacing_mm[1], plane.spacing_mm[0], thickness_mm
    header["pixdim"][4] = 0.0 if step_ms is None else step_ms / 1000
    header.set_xyzt_units("mm", "sec")
    header["descrip"] = about.encode("ascii", "replace")[:79]
    header["magic"], header["vox_offset"] = b"n+1", 352
    content = header.binaryblock + bytes(4) + voxels.tobytes(order="F")
    return gzip.compress(content, LEVEL, mtime=0)
