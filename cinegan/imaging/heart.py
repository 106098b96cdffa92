"""Finding the left ventricle in a short-axis cine stack, without labels.

The wall of the beating left ventricle is a ring of motion around bright blood, at the same place
in slice after slice. Great vessels, stomach and artefacts move too, but not as a ring, not around
blood, and not at the same place in most slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom
from scipy.signal import fftconvolve

WORKING_SPACING_MM = 2.5  # the ventricle is 40 to 90 mm wide: finer pixels add nothing but time
SMOOTHING_MM = 4.0
RING_RADII_MM = (20.0, 26.0, 32.0, 38.0)  # of the moving wall, from small to dilated ventricles
RING_WIDTH_MM = 10.0
PRIOR_SD_MM = 60.0  # operators plan the heart into the middle of the field
HEART_RADIUS_MM = 70.0  # both ventricles lie within this distance of the left one's centre


@dataclass(frozen=True)
class Heart:
    """Where the heart is in the frames of one stack.

    Attributes
    ----------
    left_ventricle : (2,) float64
        Row and column of its centre, pixels.
    middle : (2,) float64
        Row and column around which both ventricles lie, pixels.
    confidence : float
        0 to 1: how far the best place stands out against the best one elsewhere in the frame.
    """

    left_ventricle: np.ndarray
    middle: np.ndarray
    confidence: float


def find_heart(stack: np.ndarray, spacing_mm: tuple[float, float]) -> Heart:
    """Locate the ventricles in one patient's stack.

    Parameters
    ----------
    stack : (slices, H, W, phases)
        Intensities as scanned.
    spacing_mm : tuple of float
        Distance between rows and between columns.
    """
    scale = np.array(spacing_mm) / WORKING_SPACING_MM
    motion, blood = _motion_and_blood(stack, scale)
    score = _ring_score(motion, blood) * _central_prior(motion.shape)
    best = float(score.max())
    if best <= 0:  # nothing beats: the middle is the best guess
        middle = (np.array(stack.shape[1:3]) - 1) / 2
        return Heart(left_ventricle=middle, middle=middle, confidence=0.0)
    peak = np.array(np.unravel_index(np.argmax(score), score.shape), dtype=float)
    near = _distance_mm(motion.shape, peak)
    elsewhere = score[near > HEART_RADIUS_MM]
    rival = max(float(elsewhere.max()), 0.0) if elsewhere.size else 0.0
    weights = motion * (near < HEART_RADIUS_MM)
    centroid = np.array([np.average(axis, weights=weights) for axis in np.indices(motion.shape)])
    return Heart(
        left_ventricle=(peak + 0.5) / scale - 0.5,
        middle=((peak + centroid) / 2 + 0.5) / scale - 0.5,
        confidence=round(1.0 - rival / best, 3),
    )


def _motion_and_blood(stack: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative motion and mean brightness, typical over slices, on the working grid, (h, w) both.

    Motion is the amplitude of the first temporal harmonic over the local brightness, so that fat
    and coil shading do not outshine the wall; the median over slices keeps what most slices show.
    """
    small = zoom(stack.astype(np.float32), (1, *scale, 1), order=1, grid_mode=True, mode="nearest")
    spectrum = np.fft.rfft(small, axis=-1) / stack.shape[-1]
    sigma = SMOOTHING_MM / WORKING_SPACING_MM
    brightness = np.stack([gaussian_filter(mean, sigma) for mean in np.abs(spectrum[..., 0])])
    harmonic = np.stack([gaussian_filter(first, sigma) for first in np.abs(spectrum[..., 1])])
    floor = 0.25 * np.percentile(brightness, 90)
    relative = harmonic / np.maximum(brightness + floor, 1e-6)
    return np.median(relative, axis=0), np.median(brightness, axis=0)


def _ring_score(motion: np.ndarray, blood: np.ndarray) -> np.ndarray:
    """How much each place looks like the middle of a moving ring around blood, (h, w)."""
    scores = []
    for radius_mm in RING_RADII_MM:
        ring, inside, around = _kernels(radius_mm)
        moving = fftconvolve(motion, ring, "same") - 0.5 * fftconvolve(motion, around, "same")
        pool, wall = fftconvolve(blood, inside, "same"), fftconvolve(blood, ring, "same")
        contrast = np.clip(pool / np.maximum(wall, 1e-6) - 0.8, 0.0, 1.0)
        scores.append(np.clip(moving, 0, None) * contrast)
    return np.max(scores, axis=0)


def _kernels(radius_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Averaging kernels of a ring, the disc inside it, and the band around it."""
    half = int(np.ceil((radius_mm + 2 * RING_WIDTH_MM) / WORKING_SPACING_MM))
    distance = _distance_mm((2 * half + 1, 2 * half + 1), np.array([half, half], dtype=float))
    ring = np.abs(distance - radius_mm) <= RING_WIDTH_MM / 2
    inside = distance < 0.6 * radius_mm
    around = np.abs(distance - radius_mm - 1.5 * RING_WIDTH_MM) <= RING_WIDTH_MM / 2
    return ring / ring.sum(), inside / inside.sum(), around / around.sum()


def _central_prior(shape: tuple[int, ...]) -> np.ndarray:
    middle = (np.array(shape) - 1) / 2
    return np.exp(-0.5 * (_distance_mm(shape, middle) / PRIOR_SD_MM) ** 2)


def _distance_mm(shape: tuple[int, ...], place: np.ndarray) -> np.ndarray:
    """Distance of every pixel of the working grid to a place on it, mm, (h, w)."""
    rows, columns = np.indices(shape[:2])
    return WORKING_SPACING_MM * np.hypot(rows - place[0], columns - place[1])
