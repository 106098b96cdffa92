"""How alike the cycles of one set are to each other: what a collapse shows as."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cinegan.errors import CineganError
from cinegan.evaluation.features import check_cycles

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Bytes = NDArray[np.uint8]

WINDOW, SIGMA = 11, 1.5  # pixels
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first
STABLE = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # for luminance, for contrast and structure
PHASES_SEEN = 4  # of a cycle, evenly spread


def fitting_scales(size: int) -> int:
    """Scales of the published five that a frame of `size` pixels per side has room for.

    Raises
    ------
    CineganError
        If there is room for none.
    """
    if size < WINDOW:
        raise CineganError(
            f"frames of {size}x{size} are smaller than the window of {WINDOW} pixels; "
            "structural similarity cannot be told"
        )
    return min(len(WEIGHTS), (size // WINDOW).bit_length())


def similarity_table(cycles: Bytes) -> Floats:
    """Multi-scale structural similarity [1]_ of each cycle with each other one.

    Of four phases, and of as many scales as fit, the weights of these brought to a sum of 1: 3
    scales at 64x64, 4 at 128x128, 5 at 256x256.

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)

    Returns
    -------
    ndarray of float64, shape (n, n)
        From 0 to 1, 1 being the same.

    Raises
    ------
    CineganError
        If the array is not uint8 of four axes or frames are smaller than the window.

    References
    ----------
    .. [1] Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality
       assessment", Asilomar 2003; of pairs, as a measure of variety: Odena, Olah and Shlens,
       "Conditional image synthesis with auxiliary classifier GANs", ICML 2017.
    """
    check_cycles(cycles, "the cycles")
    n, height, width, phases = cycles.shape
    weights = np.array(WEIGHTS[: fitting_scales(min(height, width))])
    seen = np.linspace(0, phases, min(PHASES_SEEN, phases), endpoint=False).round().astype(int)
    frames = np.moveaxis(cycles[..., seen], -1, 1).astype(np.float32)  # (n, phases, H, W)
    table = np.ones((n, n, len(seen)))
    for k, weight in enumerate(weights / weights.sum()):
        moments = _blurred(frames), _blurred(frames * frames)
        last = k == len(weights) - 1
        for i in range(n - 1):
            table[i, i + 1 :] *= _with_later(frames, moments, i, luminance=last) ** weight
        frames = _halved(frames)
    similar = np.triu(table.mean(axis=-1), 1)
    return similar + similar.T + np.eye(n)


def _with_later(
    frames: Singles, moments: tuple[Singles, Singles], i: int, *, luminance: bool
) -> Floats:
    """Contrast and structure of cycle i with each later one, luminance too where it is asked for.

    `frames` is (n, T, H, W), the result (n - 1 - i, T); what is below 0, opposite structure,
    counts as 0.
    """
    means, squares = moments
    product = means[i] * means[i + 1 :]
    variances = squares - means * means
    covariance = _blurred(frames[i] * frames[i + 1 :]) - product
    found = (2 * covariance + STABLE[1]) / (variances[i] + variances[i + 1 :] + STABLE[1])
    if luminance:
        bright = means[i] ** 2 + means[i + 1 :] ** 2
        found = found * (2 * product + STABLE[0]) / (bright + STABLE[0])
    return np.maximum(found.mean(axis=(-2, -1), dtype=np.float64), 0.0)


def _blurred(frames: Singles) -> Singles:
    """Gaussian window over the last two axes, where it lies within the frame."""
    down, across = (_window(side) for side in frames.shape[-2:])
    return np.asarray(down @ frames @ across.T, dtype=np.float32)


def _window(side: int) -> Singles:
    """The window at each place along a side, (side - WINDOW + 1, side)."""
    gauss = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    matrix = np.zeros((side - WINDOW + 1, side), np.float32)
    for k in range(len(matrix)):
        matrix[k, k : k + WINDOW] = gauss / gauss.sum()
    return matrix


def _halved(frames: Singles) -> Singles:
    """Means of 2x2 pixels; an odd last row or column is left out."""
    height, width = (side - side % 2 for side in frames.shape[-2:])
    even = frames[..., :height, :width]
    rows = even[..., 0::2, :] + even[..., 1::2, :]
    return np.asarray((rows[..., 0::2] + rows[..., 1::2]) / 4, dtype=np.float32)
