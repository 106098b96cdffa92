"""The formats that images come in, behind one interface: DICOM and 4D NIfTI.

A format is a file with two functions: `read_headers` gives a header per frame and reads no more
of a file than it needs, `read_pixels` gives all frames of a file.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from cinegan.data import dicom, nifti
from cinegan.data.containers import Container
from cinegan.data.header import Header
from cinegan.data.refusal import RefusedError

PACKED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")


def read_headers(container: Container, file: str) -> list[Header]:
    """Headers of all frames of one file.

    Raises
    ------
    ValueError
        If the file holds no image of one slice with a place in space; the message says why.
    """
    reader = format_of(file)
    where = f"{container.name}/{file}".lstrip("/")
    return reader.read_headers(lambda most: container.read(file, most), where)


def read_pixels(container: Container, file: str, header: Header) -> np.ndarray:
    """All frames of one file, (frames, H, W), as stored; float32 after a rescale slope.

    Parameters
    ----------
    header : Header
        Of any of the frames.

    Raises
    ------
    ValueError
        If there are no whole pixel data that can be decoded.
    """
    return format_of(file).read_pixels(container.read(file), header)


def format_of(file: str) -> ModuleType:
    """The module that reads a file of this name.

    Raises
    ------
    ValueError
        If it is packed in a way that is not opened.
    """
    name = file.lower()
    if name.endswith((".nii", ".nii.gz")):
        return nifti
    if name.endswith(PACKED):
        raise RefusedError("an archive within an archive or of another kind than zip; unpack it")
    return dicom
