"""Cycles that anybody's generator made, read from files and checked before they are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.evaluation.features import MIN_SIDE, unfit

Bytes = NDArray[np.uint8]

# How far values have to lie apart, but for 1 % at either end: as a share of the range that is
# named, of which [0, 1] is half of [-1, 1]; and of 8 bits, whose contrast a generator may lose.
LEAST_OF_RANGE, LEAST_OF_BITS = 0.5, 0.25


def read_cycles(
    path: Path, value_range: tuple[float, float] | None = None, size: int | None = None
) -> tuple[Bytes, NDArray[np.str_]]:
    """Read one file, or all of a folder, one file a patient.

    Parameters
    ----------
    path : Path
        A `.npy` file, or a folder of them: cycles (n, H, W, T), or one cycle (H, W, T).
    value_range : tuple of float, optional
        What is black and white in arrays that are not uint8.
    size : int, optional
        Pixels per side that square frames are brought to, by the filter that all stages use.

    Returns
    -------
    cycles : ndarray of uint8, shape (n, H, W, T)
    patients : ndarray of str, shape (n,)
        The name of each cycle's file.

    Raises
    ------
    CineganError
        If there is nothing to read, an array has other axes, sizes differ, values are not finite,
        outside of the range or within a part of it, no range is named where one is needed, or a
        frame is constant.
    """
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    if not files:
        raise CineganError(f"{path}: no .npy files in this folder")
    parts = [_read(file, value_range, size) for file in files]
    shapes = {part.shape[1:]: file for part, file in zip(parts, files, strict=True)}
    if len(shapes) > 1:
        told = ", ".join(f"{file.name} {'x'.join(map(str, s))}" for s, file in shapes.items())
        raise CineganError(f"{path}: cycles differ in size ({told}); give files of one HxWxT")
    names = np.repeat([file.stem for file in files], [len(part) for part in parts])
    return np.concatenate(parts), names


def _read(file: Path, value_range: tuple[float, float] | None, size: int | None) -> Bytes:
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CineganError(f"{file}: not a .npy file that can be read: {error}") from None
    if not isinstance(array, np.ndarray):
        raise CineganError(f"{file}: an archive of arrays; save each with numpy.save")
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or not array.size:
        raise CineganError(
            f"{file}: an array of shape {array.shape}; cycles are (n, H, W, T), phases last"
        )
    if array.shape[1] != array.shape[2] == array.shape[3]:
        raise CineganError(
            f"{file}: an array of shape {array.shape} seems to have its phases before its pixels; "
            "cycles are (n, H, W, T), phases last: numpy.moveaxis(array, 1, -1)"
        )
    if min(array.shape[1:3]) < MIN_SIDE or array.shape[3] < 2:
        raise CineganError(
            f"{file}: cycles of {'x'.join(map(str, array.shape[1:]))}; at least "
            f"{MIN_SIDE}x{MIN_SIDE} pixels and 2 phases are needed"
        )
    cycles = _pixels(file, _grey(file, array, value_range), size)
    if fault := unfit(cycles, cycles):
        raise CineganError(f"{file}: {fault}; leave such cycles out")
    named = array.dtype != np.uint8
    low, high = np.percentile(cycles, (1, 99))
    if high - low <= 255 * (LEAST_OF_RANGE if named else LEAST_OF_BITS):
        black, white = value_range if named and value_range else (0, 255)
        first, last = (black + (white - black) * level / 255 for level in (low, high))
        mend = "is --range what is black and white?" if named else "stretch them first"
        raise CineganError(
            f"{file}: but for 1 % at either end, values lie between {first:.3g} and {last:.3g} of "
            f"{black:g} to {white:g}; {mend}"
        )
    return cycles


def _grey(file: Path, array: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """Grey levels from 0 to 255, not yet rounded."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "iuf":
        raise CineganError(f"{file}: values of type {array.dtype}; give numbers")
    if not np.isfinite(array).all():
        raise CineganError(f"{file}: values that are not finite; mend or leave out these cycles")
    if value_range is None:
        raise CineganError(
            f"{file}: {array.dtype} from {array.min():g} to {array.max():g}; say what is black and "
            "what is white: --range BLACK WHITE"
        )
    black, white = value_range
    if not (np.isfinite(value_range).all() and black < white):
        raise CineganError(f"--range {black:g} {white:g}: two numbers are needed, black the lower")
    if array.min() < black or array.max() > white:
        raise CineganError(
            f"{file}: values from {array.min():g} to {array.max():g} do not lie in --range "
            f"{black:g} {white:g}"
        )
    return (array.astype(np.float64) - black) * (255 / (white - black))


def _pixels(file: Path, grey: np.ndarray, size: int | None) -> Bytes:
    """Resize where asked, then round to 8 bits, once."""
    height, width = grey.shape[1:3]
    if size is not None and (height, width) != (size, size):
        if height != width:
            raise CineganError(
                f"{file}: frames of {height}x{width} pixels, which --size would stretch; pad or "
                "crop them to squares first"
            )
        grey = resize_frames(grey, size, size)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
