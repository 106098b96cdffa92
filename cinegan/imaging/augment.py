"""Classical augmentation of labelled cycles: where a heart lies, and how a scanner shows it.

One draw a cycle: all its phases change alike, so that it beats as before, and its label maps move
with it. Mirroring is not among the changes: hearts have sides.

References
----------
Ronneberger O, Fischer P, Brox T 2015, "U-Net", MICCAI: elastic deformation from random
displacements of a coarse grid. Chen C et al. 2020, "Improving the generalizability of convolutional
neural network-based segmentation on CMR images", Frontiers in Cardiovascular Medicine 7: rotation,
translation, scale and grey levels, which is what other scanners differ by. Gudbjartsson H, Patz S
1995, "The Rician distribution of noisy MRI data", Magn. Reson. Med. 34.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.filters import gaussian
from skimage.transform import AffineTransform, resize, warp

from cinegan.params import Affine, Photometric

Singles = NDArray[np.float32]

GRID = 3  # control points per side of smooth random fields


def affine(
    arrays: Sequence[Singles], options: Affine, spacing_mm: float, draw: np.random.Generator
) -> list[Singles]:
    """Rotate, move, scale, shear and bend pictures of one heart, all of them alike.

    Parameters
    ----------
    arrays : sequence of ndarray of float32, shapes (H, W, c)
        A cycle, with its phases as channels, and its label maps.
    options : Affine
        The ranges; each number is drawn uniformly between both ends, scale by its logarithm.
    spacing_mm : float
        Of the pixels.
    draw : numpy.random.Generator
        Gives as many numbers whatever the ranges are.

    Returns
    -------
    list of ndarray of float32, shapes (H, W, c)
        What comes in from outside is what lies at the edge.
    """
    height, width = arrays[0].shape[:2]
    signs = draw.uniform(-1, 1, 5)
    field = draw.standard_normal((2, GRID, GRID))
    down, across = options.translation_mm * signs[1:3] / spacing_mm
    change = AffineTransform(
        rotation=np.deg2rad(options.rotation_deg * signs[0]),
        scale=(1 + options.scale) ** signs[3],
        shear=np.deg2rad(options.shear_deg * signs[4]),
    )
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    to_middle = AffineTransform(translation=-middle)
    back = AffineTransform(translation=middle + np.array([across, down]))
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)  # (H, W, x y)
    sources = (to_middle + change + back).inverse(places.reshape(-1, 2)).reshape(places.shape)
    rows, columns = sources[..., 1], sources[..., 0]  # (H, W)
    if options.elastic_mm:
        rows, columns = (
            place + options.elastic_mm / spacing_mm * resize(each, (height, width), order=3)
            for place, each in zip((rows, columns), field, strict=True)
        )
    return [_taken(array, np.stack([rows, columns])) for array in arrays]


def photometric(
    cycle: Singles, options: Photometric, spacing_mm: float, draw: np.random.Generator
) -> Singles:
    """Change how a scanner shows a heart.

    In the order of an acquisition: blur, the coils' shading, the grey levels' gamma, contrast and
    brightness, and noise, of which each phase has its own.

    Parameters
    ----------
    cycle : ndarray of float32, shape (H, W, T)
        From 0, black, to 1, white.
    options : Photometric
        The ranges; blur and noise are drawn from 0 on, all others between both ends, gamma and
        contrast by their logarithms.
    spacing_mm : float
        Of the pixels.
    draw : numpy.random.Generator
        Gives as many numbers whatever the ranges are.

    Returns
    -------
    ndarray of float32, shape (H, W, T)
        In [0, 1].
    """
    signs, shares = draw.uniform(-1, 1, 4), draw.uniform(0, 1, 2)
    field, noise = draw.standard_normal((GRID, GRID)), draw.standard_normal((2, *cycle.shape))
    if options.blur_mm:
        sigma = options.blur_mm / spacing_mm * shares[0]
        cycle = gaussian(cycle, sigma, mode="nearest", channel_axis=-1)
    if options.shading:
        smooth = resize(field, cycle.shape[:2], order=3)
        smooth *= signs[0] / max(np.abs(smooth).max(), 1e-6)  # (H, W), in [-1, 1]
        cycle = cycle * ((1 + options.shading) ** smooth)[..., None]
    cycle = np.clip(cycle, 0, 1) ** ((1 + options.gamma) ** signs[1])
    mean = cycle.mean()
    cycle = mean + (cycle - mean) * (1 + options.contrast) ** signs[2]
    cycle = cycle + options.brightness * signs[3]
    level = options.noise * shares[1]
    if level:  # of a magnitude, whose real and imaginary parts are noisy
        cycle = np.hypot(np.clip(cycle, 0, 1) + level * noise[0], level * noise[1])
    return np.clip(cycle, 0, 1).astype(np.float32)


def _taken(array: Singles, sources: NDArray[np.float64]) -> Singles:
    """Each pixel of (H, W, c) from its source (2, H, W), row and column; edges go on."""
    channels = [
        warp(array[..., c], sources, order=1, mode="edge", preserve_range=True)
        for c in range(array.shape[-1])
    ]
    return np.stack(channels, axis=-1).astype(np.float32)
