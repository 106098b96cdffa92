"""From cycles to patches at several scales, and the sliced Wasserstein distance between these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.evaluation.features import check_cycles

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SIDE = 7  # of a patch, pixels of its scale; it takes in all phases
PLACES = 8  # patches along each side of a frame, evenly spread
DIRECTIONS = 128  # onto which patches are projected
COARSEST = 16  # pixels per side of the last scale


def scales(size: int) -> tuple[int, ...]:
    """Sides of the scales at which cycles of `size` pixels per side are compared, finest first.

    Raises
    ------
    CineganError
        If not one fits.
    """
    if size < COARSEST:
        raise CineganError(
            f"cycles of {size}x{size} are too small for patches; give at least "
            f"{COARSEST}x{COARSEST} pixels"
        )
    halvings = (size // COARSEST).bit_length()
    return tuple(size >> k for k in range(halvings))


def patches(cycles: Bytes, seed: int) -> Singles:
    """Patches of each scale of a Laplacian pyramid, projected onto random directions.

    A patch is 7x7 pixels of all phases, so that motion counts as grain does. Unlike the published
    descriptors [1]_, patches lie evenly over the frame instead of at random, so that a cycle's do
    not depend on which other cycles there are, and they keep their grey levels, so that a shift of
    contrast is seen.

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)
        H and W at least 16.
    seed : int
        Of the directions.

    Returns
    -------
    ndarray of float32, shape (n, scales, directions, patches)
        In grey levels, along directions of unit length.

    Raises
    ------
    CineganError
        If the array is not uint8 of four axes or the cycles are too small.

    References
    ----------
    .. [1] Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and
       Variation", ICLR 2018, section 5.
    """
    check_cycles(cycles, "the cycles")
    _, height, width, phases = cycles.shape
    count = len(scales(min(height, width)))
    draw = np.random.default_rng(seed)
    directions = draw.standard_normal((count, SIDE * SIDE * phases, DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions.astype(np.float32)
    found = np.empty((len(cycles), count, DIRECTIONS, PLACES * PLACES), np.float32)
    for i in range(len(cycles)):
        for k, band in enumerate(_bands(cycles[i : i + 1], count)):
            found[i, k] = (_evenly(band) @ directions[k]).T
    return found


def sliced_wasserstein(a: Singles, b: Singles) -> Floats:
    """Wasserstein distance of two sets of projected patches, mean over the directions.

    Parameters
    ----------
    a, b : ndarray of float32, shape (n, scales, directions, patches)
        As `patches` gives them, both of as many cycles.

    Returns
    -------
    ndarray of float64, shape (scales,)
        In grey levels, finest scale first.

    Raises
    ------
    CineganError
        If the sets are not of one shape or empty.
    """
    if a.shape != b.shape or not len(a):
        raise CineganError(
            f"patches of shapes {a.shape} and {b.shape} cannot be compared; "
            "take as many cycles of one size from both sets"
        )
    ordered = [
        np.sort(np.moveaxis(each, 0, -2).reshape(*each.shape[1:3], -1), axis=-1) for each in (a, b)
    ]  # (scales, directions, n * patches)
    return np.abs(ordered[0] - ordered[1]).mean(axis=(1, 2), dtype=np.float64)


def _bands(cycle: Bytes, count: int) -> list[Singles]:
    """Laplacian pyramid of one cycle (1, H, W, T): what each halving takes away, then the rest."""
    fine, bands = cycle.astype(np.float32), []
    for _ in range(count - 1):
        height, width = fine.shape[1:3]
        coarse = resize_frames(fine, height // 2, width // 2)
        bands.append(fine - resize_frames(coarse, height, width))
        fine = coarse
    return [*bands, fine]


def _evenly(band: Singles) -> Singles:
    """Patches of a band (1, H, W, T) as rows, (places * places, side * side * T)."""
    windows = np.lib.stride_tricks.sliding_window_view(band[0], (SIDE, SIDE), axis=(0, 1))
    rows, columns = (
        np.linspace(0, last - 1, PLACES).round().astype(int) for last in windows.shape[:2]
    )
    return windows[np.ix_(rows, columns)].reshape(PLACES * PLACES, -1)
