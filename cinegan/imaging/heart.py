"""Finding the ventricles in a short-axis cine stack, without labels.

Three steps, from the whole heart to the left ventricle's cavity:

1. Motion. Of each pixel's cycle only the mean and the first temporal harmonic are kept. An edge
   that beats pulls towards its bright side, with the harmonic's phase. In the ventricles all
   edges move inwards at the same time, so that their pulls add up in the heart's middle; atria and
   great vessels fill while the ventricles empty, and what shakes or is folded over has no
   direction in common: those cancel. What moves strongly counts no more than what moves.
2. Shape. Around that place the left ventricle is where most slices show a circle that is bright
   inside, dark outside and empties with the ventricles. The right ventricle is a crescent.
3. Outline. In each slice the first closed edge around that place is traced; the mean of the areas'
   centres is the ventricle's.

All lengths are millimetres, all intensities relative to the brightness around them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

from cinegan.data.resizing import filter_matrix

PIXEL_MM = 3.0  # of the working grid: walls are 6 to 20 mm thick, cavities 20 to 80 mm wide
SMOOTH_MM = 2.5  # noise; less than a wall
SURROUNDINGS_MM = 12.0  # over which brightness is "local": evens out coils, keeps wall and blood
DARK = 0.25  # of the bright tissue: what is darker (lung, air) is measured against this instead
STRONG_EDGE = (
    0.06  # relative slope per mm at which an edge counts half; blood to wall has twice that
)
STRONG_BEAT = 0.05  # relative amplitude from which on everything moves alike
HEART_MM = (15.0, 70.0)  # from its middle, where the edges of both ventricles lie
POSITION_SD_MM = 100.0  # operators plan the heart into the field, not always into its middle
APART_SD_MM = 30.0  # of the left ventricle's centre from the heart's middle, which it lies beside
RADII_MM = (8.0, 10.0, 13.0, 16.0, 20.0, 25.0, 31.0, 39.0)  # of cavities, apex to dilated base
RING_MM = 3.0  # SD of a circle's width: cavities are not quite round
OUTLINE_MM = np.arange(8.0, 49.0, 2.0)  # radii at which an outline may lie
ANGLES = np.arange(32) * (2 * np.pi / 32)
EDGE_SAMPLES = 2  # of the outline's radii that one edge spans
STILL = 0.01  # mean strength of moving edges below which nothing moves
SURE = 0.1  # noise on a motionless body reaches 0.05; beating hearts have 0.11 and more


@dataclass(frozen=True)
class Heart:
    """Where the heart is in the frames of one stack.

    Attributes
    ----------
    left_ventricle : (2,) float64
        Row and column of its centre, pixels.
    middle : (2,) float64
        Row and column of the middle of both ventricles, pixels.
    confidence : float
        0 to 1: geometric mean of two shares. How much of the motion within a heart's size goes
        inwards at the same time; and how complete, over all slices, the circle is that
        empties with it. Beating hearts mostly have 0.2 to 0.5, noise at most 0.05.
    fallback : str or None
        Why the place is a guess, below a confidence of `SURE`; None where it is found.
    """

    left_ventricle: np.ndarray
    middle: np.ndarray
    confidence: float
    fallback: str | None = None


def find_heart(stack: np.ndarray, spacing_mm: tuple[float, float]) -> Heart:
    """Locate the ventricles in one patient's stack.

    Parameters
    ----------
    stack : (slices, H, W, phases)
        Intensities as scanned; any type, any unit, any phase first, two phases or more.
    spacing_mm : tuple of float
        Distance between rows and between columns.
    """
    edges, beat = _edges_and_beat(*_mean_and_harmonic(stack, spacing_mm))
    grid, frame = np.array(beat.shape[1:]), np.array(stack.shape[1:3])

    def in_pixels(place: np.ndarray) -> np.ndarray:
        return (place + 0.5) * frame / grid - 0.5

    heart, phase, inward = _centre_of_motion(edges, beat)
    if inward < SURE:
        place = (frame - 1) / 2
        return Heart(place, place, round(inward, 3), "nothing beats; took the image's middle")
    emptying = np.clip((beat * np.exp(-1j * phase)).real, 0, None)
    ventricle, circle = _beating_circle(edges, emptying, heart)
    confidence = round(float(np.sqrt(inward * circle)), 3)
    if confidence < SURE:
        place = in_pixels(heart)
        return Heart(place, place, confidence, "no round chamber; took the centre of motion")
    for _ in range(2):  # the second time from where all slices see the whole outline
        ventricle = _centre_of_outlines(edges, ventricle)
    middle = _middle_of_motion(emptying.mean(axis=0), (ventricle + heart) / 2)
    return Heart(in_pixels(ventricle), in_pixels(middle), confidence)


def _mean_and_harmonic(
    stack: np.ndarray, spacing_mm: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and first temporal harmonic on the working grid, (slices, h, w) float32, complex64."""
    height, width, phases = stack.shape[1:]
    angle = 2 * np.pi * np.arange(phases) / phases
    waves = np.stack([np.cos(angle), -np.sin(angle)])
    waves -= waves.mean(axis=1, keepdims=True)  # what stands still has none, to the last bit
    basis = np.vstack([np.ones(phases), waves]).astype(np.float32).T / phases  # (phases, 3)
    rows, columns = (
        _shrinking(side, max(2, round(side * mm / PIXEL_MM)))
        for side, mm in zip((height, width), spacing_mm, strict=True)
    )
    small = []
    for cycle in stack:
        parts = (cycle.reshape(-1, phases).astype(np.float32) @ basis).reshape(height, width, 3)
        small.append(np.einsum("hwk,vw->khv", np.tensordot(rows, parts, 1), columns, optimize=True))
    mean, cosine, sine = np.stack(small, axis=1)
    return mean, cosine + 1j * sine


def _shrinking(old: int, new: int) -> np.ndarray:
    return filter_matrix(old, new, old / new)


def _edges_and_beat(mean: np.ndarray, harmonic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges and motion, each between 0 (none) and 1 (strong), whatever the intensities.

    Returns
    -------
    edges : (2, slices, h, w) float32
        Along rows and columns, towards the bright side.
    beat : (slices, h, w) complex64
        Strength and phase of the motion.
    """
    nothing = 1e-4 * np.abs(mean).max() + 1e-9  # rounding of a blank picture
    mean = mean - np.percentile(mean, 1)  # air
    fine, wide = (0, *[SMOOTH_MM / PIXEL_MM] * 2), (0, *[SURROUNDINGS_MM / PIXEL_MM] * 2)
    local = gaussian_filter(mean, wide)
    local = np.maximum(local, 0) + DARK * np.percentile(local, 90) + nothing
    slopes = np.stack(np.gradient(gaussian_filter(mean, fine), PIXEL_MM, axis=(1, 2))) / local
    edges = slopes / (np.hypot(*slopes) + STRONG_EDGE)
    beat = gaussian_filter(harmonic, fine) / local
    return edges, beat / np.maximum(np.abs(beat), STRONG_BEAT)


def _centre_of_motion(edges: np.ndarray, beat: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Where, at which phase, and for which share the moving edges pull to one place."""
    pulls = (edges * beat).mean(axis=1)  # (2, h, w) complex
    strength = np.hypot(*np.abs(edges * beat)).mean(axis=0)
    shape = _padded(strength.shape, HEART_MM[1])
    distance, *towards = _around(shape)
    near = ((distance >= HEART_MM[0]) & (distance <= HEART_MM[1])).astype(np.float32)
    near /= near.sum()
    pull = _inwards(pulls.real, near, towards, shape) + 1j * _inwards(
        pulls.imag, near, towards, shape
    )
    likely = np.abs(pull) * _prior(pull.shape, (np.array(pull.shape) - 1) / 2, POSITION_SD_MM)
    best = np.unravel_index(np.argmax(likely), likely.shape)
    share = abs(pull[best]) / (_correlate(strength, near, shape)[best] + STILL)
    return np.array(best, dtype=float), float(np.angle(pull[best])), float(share)


def _beating_circle(
    edges: np.ndarray, emptying: np.ndarray, heart: np.ndarray
) -> tuple[np.ndarray, float]:
    """Find the middle of the most complete circle that empties, and how complete it is, 0 to 1.

    Each slice may have a radius of its own. Motion counts by its square root: that the circle
    beats matters more than how much, since scarred walls hardly do.
    """
    shape = _padded(emptying.shape[1:], RADII_MM[-1] + 2 * RING_MM)
    distance, *towards = _around(shape)
    best = np.zeros_like(emptying)
    for radius in RADII_MM:
        ring = np.exp(-0.5 * ((distance - radius) / RING_MM) ** 2)
        ring /= ring.sum()
        round_ = _inwards(edges, ring, towards, shape)
        moving = _correlate(emptying, ring, shape)
        best = np.maximum(best, np.clip(round_, 0, None) * np.sqrt(np.clip(moving, 0, None)))
    score = gaussian_filter(best.mean(axis=0), RING_MM / PIXEL_MM)
    score *= _prior(score.shape, heart, APART_SD_MM)
    place = np.unravel_index(np.argmax(score), score.shape)
    return np.array(place, dtype=float), float(score[place])


def _centre_of_outlines(edges: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Mean centre of area of the first closed edge around a place, slice by slice."""
    down, across = np.sin(ANGLES)[:, None], np.cos(ANGLES)[:, None]
    slices = np.arange(edges.shape[1])[:, None, None]
    points = np.broadcast_arrays(
        slices,
        start[0] + down * OUTLINE_MM / PIXEL_MM,
        start[1] + across * OUTLINE_MM / PIXEL_MM,
    )  # (slices, angles, radii) each
    rows, columns = (map_coordinates(edge, points, order=1) for edge in edges)
    darker = -(rows * down + columns * across)
    # The cavity's edge is the first on the way out; behind the wall follow lung or the other one's.
    passed = np.maximum.accumulate(np.clip(darker, 0, None), axis=2)
    passed = np.pad(passed, ((0, 0), (0, 0), (EDGE_SAMPLES, 0)))[..., :-EDGE_SAMPLES]
    path = _closed_path(darker * (1 - passed))
    radii = OUTLINE_MM[path] / PIXEL_MM  # (slices, angles)
    clear = np.take_along_axis(darker, path[..., None], axis=2).mean(axis=(1, 2))
    clear = np.clip(clear, 1e-6, None) ** 2
    offsets = np.stack([radii**3 @ wave[:, 0] for wave in (down, across)])  # (2, slices)
    offsets *= 2 / 3 / (radii**2).sum(axis=1)
    return start + (offsets * clear).sum(axis=1) / clear.sum()


def _closed_path(gain: np.ndarray) -> np.ndarray:
    """Closed path of greatest gain through (n, angles, radii), one radius' step at an angle's.

    Three turns are planned at once; the second has forgotten where the first began and does not
    know yet where the third will end.
    """
    n, angles, radii = gain.shape
    total, came_from = np.zeros((n, radii)), []
    for k in range(3 * angles):
        bordered = np.pad(total, ((0, 0), (1, 1)), constant_values=-np.inf)
        options = np.stack([bordered[:, j : j + radii] for j in range(3)])
        came_from.append(options.argmax(axis=0) - 1)
        total = options.max(axis=0) + gain[:, k % angles]
    path = np.empty((n, 3 * angles), dtype=np.intp)
    path[:, -1] = total.argmax(axis=1)
    for k in range(3 * angles - 1, 0, -1):
        path[:, k - 1] = path[:, k] + came_from[k][np.arange(n), path[:, k]]
    return path[:, angles : 2 * angles]


def _middle_of_motion(emptying: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Middle between the borders of what empties with the ventricles, within a heart's size.

    Of the motion, a twentieth lies beyond each border: noise and vessels must not stretch it.
    """
    middle = start
    for _ in range(2):  # the second time round the middle itself
        rows, columns = np.indices(emptying.shape)
        far = PIXEL_MM * np.hypot(rows - middle[0], columns - middle[1]) > HEART_MM[1]
        inside = np.where(far, 0, emptying)
        along = [np.cumsum(inside.sum(axis=axis)) / inside.sum() for axis in (1, 0)]
        ends = [np.interp((0.05, 0.95), share, np.arange(len(share)) + 0.5) for share in along]
        middle = np.mean(ends, axis=1) - 0.5
    return middle


def _padded(shape: tuple[int, ...], reach_mm: float) -> tuple[int, int]:
    """Size at which a kernel of this reach does not wrap around."""
    pad = int(np.ceil(reach_mm / PIXEL_MM)) + 1
    return next_fast_len(shape[0] + pad, real=True), next_fast_len(shape[1] + pad, real=True)


def _around(shape: tuple[int, int]) -> np.ndarray:
    """Distance from (0, 0) in mm, and rows and columns of the unit vector back to it, wrapped."""
    rows, columns = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij")
    distance = np.hypot(rows, columns)
    back = -np.stack([rows, columns]) / np.maximum(distance, 1)
    return np.stack([PIXEL_MM * distance, *back]).astype(np.float32)


def _correlate(images: np.ndarray, kernel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Weighted sum around each pixel of (..., h, w); beyond the border is nothing."""
    product = rfft2(images.astype(np.float32), shape) * rfft2(kernel).conj()
    return irfft2(product, shape)[..., : images.shape[-2], : images.shape[-1]]


def _inwards(
    edges: np.ndarray, weights: np.ndarray, towards: list[np.ndarray], shape: tuple[int, int]
) -> np.ndarray:
    """Weighted sum of the parts of the edges around each pixel that point to it, (..., h, w)."""
    rows, columns = (_correlate(e, weights * t, shape) for e, t in zip(edges, towards, strict=True))
    return rows + columns


def _prior(shape: tuple[int, ...], place: np.ndarray, sd_mm: float) -> np.ndarray:
    """Gaussian around a place on the working grid, (h, w)."""
    rows, columns = np.indices(shape)
    distance = PIXEL_MM * np.hypot(rows - place[0], columns - place[1])
    return np.exp(-0.5 * (distance / sd_mm) ** 2)
