"""Signals and shapes, painted over each other onto an image plane.

The signal is signed: fat is opposed to water, as in balanced SSFP at TR = 2 TE, which gives the
black rims between both once a pixel holds some of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from cinegan.data.phantom.arrays import Floats, Image

# Signals relative to blood. Fat is negative: its magnetisation is opposed to water's.
MUSCLE, LUNG = 0.22, 0.035
FAT, VISCERAL_FAT, PARACARDIAL_FAT, MARROW, DISC = -0.95, -0.62, -0.45, -0.36, 0.3
LIVER, SPLEEN, GUT, FLUID = 0.36, 0.45, 0.28, 1.25

Coordinates = Image | list[Image]  # three, that broadcast against each other


@dataclass
class Canvas:
    """A signal image painted layer over layer, with edges as wide as a pixel's partial volume."""

    signal: Image
    edge_mm: float

    def paint(
        self,
        distance_mm: Image,
        signal: float | Image | Floats,
        blur_mm: float = 0.0,
    ) -> None:
        """Cover where the signed distance is negative; `blur_mm` widens the edge."""
        edge_mm = (self.edge_mm**2 + blur_mm**2) ** 0.5
        cover = distance_mm * np.float32(-1 / edge_mm)
        cover += np.float32(0.5)
        np.clip(cover, 0, 1, out=cover)
        cover *= signal - self.signal
        self.signal += cover


def ellipsoid(points: Coordinates, centre: Iterable[float], half_axes: Iterable[float]) -> Image:
    """Signed distance, about right near the surface, from an axis-parallel ellipsoid.

    A half axis of infinity makes a cylinder.
    """
    half = np.asarray(list(half_axes), dtype=np.float32)
    square = np.zeros(np.broadcast_shapes(*(np.shape(p) for p in points)), dtype=np.float32)
    for coordinate, middle, extent in zip(points, centre, half, strict=True):
        if np.isfinite(extent):
            scaled = (coordinate - np.float32(middle)) * np.float32(1 / extent)
            square += scaled * scaled
    np.sqrt(square, out=square)
    square -= 1
    square *= half.min()
    return square


def tube(points: Coordinates, start: Iterable[float], end: Iterable[float], radius: float) -> Image:
    """Signed distance from a straight vessel with round ends."""
    begin = np.asarray(list(start), dtype=np.float32)
    direction = np.asarray(list(end), dtype=np.float32) - begin
    offsets = [p - b for p, b in zip(points, begin, strict=True)]
    along = sum(o * d for o, d in zip(offsets, direction, strict=True)) / (direction @ direction)
    along = np.clip(along, 0, 1)
    square = sum((o - d * along) ** 2 for o, d in zip(offsets, direction, strict=True))
    return np.asarray(np.sqrt(square) - np.float32(radius), dtype=np.float32)


def stripes(coordinate: Image, period: float) -> Image:
    """Fold a coordinate into a triangle wave between 0 and 1."""
    turns = coordinate / np.float32(period)
    return np.asarray(2 * np.abs(turns - np.round(turns)), dtype=np.float32)


def texture(rng: np.random.Generator, shape: tuple[int, ...], grain_pixels: float) -> Image:
    """Draw a smooth random field of mean 0 and SD 1."""
    white = rng.standard_normal(shape, dtype=np.float32)
    smooth = gaussian_filter(white, grain_pixels, mode="wrap", truncate=2.5)
    smooth -= smooth.mean()
    return np.asarray(smooth / max(float(smooth.std()), 1e-9), dtype=np.float32)
