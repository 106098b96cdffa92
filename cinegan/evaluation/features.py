"""From cycles to features: a handful of numbers per heartbeat, computed without any download."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np
from numpy.typing import NDArray
from skimage.feature import graycomatrix, graycoprops
from skimage.filters import threshold_otsu

from cinegan.errors import CineganError

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

FRAME_NAMES = (
    "mean",
    "log_variance",
    "skewness",
    "log_glcm_contrast_1",
    "log_glcm_contrast_4",
    "glcm_homogeneity_1",
    "glcm_homogeneity_4",
    "glcm_correlation_1",
    "glcm_correlation_4",
    "log_glcm_energy_1",
    "log_glcm_energy_4",
    "log_detail_2",
    "log_detail_4",
    "log_detail_8",
    "log_detail_16",
    "log_laplacian",
    "lbp_entropy",
)
MOTION_NAMES = (
    "log_harmonic_1",
    "log_harmonic_2",
    "log_harmonic_3",
    "log_flicker",
    "radius_1",
    "radius_2",
    "concentration",
    "log_step",
    "log_closure",
    "pool_area",
    "pool_change",
    "pool_cosine",
    "pool_sine",
)
TEXTURE_NAMES = FRAME_NAMES + MOTION_NAMES

# Rounding to 8 bits adds noise of this variance (grey levels squared). Energies below it mean
# nothing, so it is added before each logarithm or ratio; that also keeps constant cycles finite.
ROUNDING_VARIANCE = 1 / 12
GREY_LEVELS = 16
GLCM_DISTANCES = (1, 4)
GLCM_ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
DETAIL_LEVELS = 4
MIN_SIDE = 2**DETAIL_LEVELS
POOL_RADIUS = 0.5
LEAST_CONTRAST = 0.1  # of the real cycles' spread of grey levels


def texture(cycles: Bytes) -> Floats:
    """Describe how each cycle looks and how it moves.

    Each row depends on its own cycle alone. The frame descriptors pool all phases and do not see
    their order; the motion descriptors do. Mirrored cycles score alike. Lengths are in pixels or
    in half the shorter side, at the size given: compare only cycles of one size. 128 cycles of
    64x64x20 take about a second on two cores.

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)
        H and W at least 16, T at least 2.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Columns as in `TEXTURE_NAMES`, always finite:

        - `mean`, `log_variance`, `skewness` of the grey levels;
        - `glcm_*_1`, `glcm_*_4`: grey-level co-occurrence at 1 and 4 pixels, 16 grey levels, mean
          over four angles [1]_; correlation as Fisher's z, capped at 0.999 (a constant has 1);
        - `log_detail_2` to `log_detail_16`: energy of Haar detail in blocks of that side;
        - `log_laplacian`: energy of the Laplacian, which is sharpness and noise;
        - `lbp_entropy`: bits of the local binary patterns of 4 neighbours [2]_;
        - `log_harmonic_k`, `log_flicker`: temporal energy in harmonic k, and in the fourth and up;
        - `radius_k`: where harmonic k moves, rms distance from the centre;
        - `concentration`: 0 where all pixels vary alike, larger where few do;
        - `log_step`, `log_closure`: mean absolute change from phase to phase; that from the last
          phase to the first against it;
        - `pool_area`: mean of `pool_areas`; `pool_change`: its range over its mean;
          `pool_cosine`, `pool_sine`: its first harmonic over its mean (timing of contraction).

    Raises
    ------
    CineganError
        If the array is not uint8 of four axes or the cycles are too small.

    References
    ----------
    .. [1] Haralick et al., "Textural features for image classification", IEEE Trans. SMC, 1973.
    .. [2] Ojala et al., "Multiresolution gray-scale and rotation invariant texture classification
       with local binary patterns", IEEE Trans. PAMI, 2002.
    """
    check_cycles(cycles, "the cycles")
    _, height, width, phases = cycles.shape
    if min(height, width) < MIN_SIDE or phases < 2:
        raise CineganError(
            f"cycles of {height}x{width}x{phases} are too small for texture features; "
            f"give at least {MIN_SIDE}x{MIN_SIDE} pixels and 2 phases"
        )
    # The work is done in C, without the interpreter's lock; no row depends on another.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(_describe, cycles))
    return np.array(rows, dtype=np.float64).reshape(len(cycles), len(TEXTURE_NAMES))


def pool_areas(cycle: Bytes) -> Floats:
    """Area of the bright blood pool near the centre, phase by phase.

    Parameters
    ----------
    cycle : ndarray of uint8, shape (H, W, T)

    Returns
    -------
    ndarray of float64, shape (T,)
        Share of the central disc (half the shorter side across) above Otsu's threshold, which is
        taken once per cycle; 0 for a constant cycle.
    """
    disc = cycle[distances(*cycle.shape[:2]) <= POOL_RADIUS]  # (pixels, T)
    return np.asarray((disc > threshold_otsu(disc)).mean(axis=0), dtype=np.float64)


@dataclass(frozen=True)
class Standardiser:
    """Features in standard deviations of a reference set: takes the units out of a distance.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (d,)
        A feature that does not vary in the reference has scale 1.
    """

    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, features: Floats) -> Standardiser:
        """Take mean and standard deviation of `features` (n, d): real ones of train patients."""
        if not len(features):
            raise CineganError("no real cycles of train patients to standardise features on")
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        # The mean of equal numbers may differ from them in its last bit.
        varies = deviation > 1e-12 * (1 + np.abs(mean))
        return cls(mean, np.where(varies, deviation, 1.0))

    def apply(self, features: Floats) -> Floats:
        """Give `features` (n, d) in standard deviations from the reference's mean."""
        return (features - self.mean) / self.scale


def check_cycles(cycles: Bytes, what: str) -> None:
    """Refuse what is not uint8 of shape (n, H, W, T); `what` names it in the message."""
    if cycles.dtype != np.uint8 or cycles.ndim != 4:
        raise CineganError(
            f"{what} must be uint8 of shape (n, H, W, T), not {cycles.dtype} of shape "
            f"{cycles.shape}; map intensities to 0..255 first"
        )


def unfit(samples: Bytes, real: Bytes) -> str:
    """Why synthetic cycles cannot be judged beside real ones; empty if they can.

    Parameters
    ----------
    samples, real : ndarray of uint8, shapes (n, H, W, T) and (m, H, W, T)
        There are no faults of a set beside one that is empty, but for constant frames.
    """
    flat = (samples.min(axis=(1, 2)) == samples.max(axis=(1, 2))).any(axis=1)
    if flat.any():
        return (
            f"{flat.sum()} of {len(flat)} cycles have constant frames (black, where a generator's "
            f"values were not finite), the first being {flat.argmax()}"
        )
    if not len(samples) or not len(real):
        return ""
    if samples.shape[1:] != real.shape[1:]:
        shapes = ["x".join(map(str, each.shape[1:])) for each in (samples, real)]
        return f"cycles are of {shapes[0]}, real ones of {shapes[1]}; bring both to one HxWxT"
    spreads = [_spread(each) for each in (samples, real)]
    if spreads[0] < LEAST_CONTRAST * spreads[1]:
        return (
            f"grey levels spread over {spreads[0]} of 255, real ones over {spreads[1]}; "
            "bring both to one scale"
        )
    return ""


def _spread(cycles: Bytes) -> int:
    """Grey levels between which all but 1 % at either end lie."""
    counts = sum(np.bincount(cycle.ravel(), minlength=256) for cycle in cycles)
    up_to = np.cumsum(counts) / cycles.size
    low, high = np.searchsorted(up_to, (0.01, 0.99))
    return int(high - low)


def _describe(cycle: Bytes) -> list[float]:
    return [*_describe_frames(cycle), *_describe_motion(cycle)]


def _describe_frames(cycle: Bytes) -> list[float]:
    frames = np.ascontiguousarray(np.moveaxis(cycle, -1, 0))  # (T, H, W)
    mean = frames.mean()
    centred = frames - mean
    squares = centred * centred
    variance = squares.mean()
    skewness = np.mean(squares * centred) / (variance + ROUNDING_VARIANCE) ** 1.5
    return [
        mean,
        _log(variance),
        skewness,
        *_cooccurrence(frames),
        *map(_log, _detail_energies(centred)),
        _log(np.mean(_laplacian(centred) ** 2)),
        _pattern_entropy(frames),
    ]


def _cooccurrence(frames: Bytes) -> list[float]:
    """Co-occurrence descriptors of (T, H, W) frames, pooled over phases, at each distance."""
    levels = frames // (256 // GREY_LEVELS)
    # One call for all phases: rows of a level of their own keep neighbours within a frame.
    gap = ((0, 0), (0, max(GLCM_DISTANCES)), (0, 0))
    strip = np.pad(levels, gap, constant_values=GREY_LEVELS).reshape(-1, frames.shape[2])
    counts = graycomatrix(strip, GLCM_DISTANCES, GLCM_ANGLES, GREY_LEVELS + 1, symmetric=True)
    counts = counts[:GREY_LEVELS, :GREY_LEVELS]  # (level, level, distance, angle)

    def values(name: str) -> Floats:
        return np.asarray(graycoprops(counts, name).mean(axis=1))

    return [
        *np.log(values("contrast") + ROUNDING_VARIANCE),
        *values("homogeneity"),
        *np.arctanh(np.minimum(values("correlation"), 0.999)),
        *np.log(values("energy")),
    ]


def _detail_energies(frames: Floats) -> list[float]:
    """Energy that each halving of the resolution takes from (T, H, W) frames (Haar detail)."""
    height, width = (side - side % MIN_SIDE for side in frames.shape[1:])
    fine, energies = frames[:, :height, :width], []
    for _ in range(DETAIL_LEVELS):
        rows = fine[:, 0::2] + fine[:, 1::2]  # (T, H/2, W)
        coarse = (rows[:, :, 0::2] + rows[:, :, 1::2]) / 4  # (T, H/2, W/2)
        energies.append(max(float(np.mean(fine**2) - np.mean(coarse**2)), 0.0))
        fine = coarse
    return energies


def _laplacian(frames: Floats) -> Floats:
    rows = frames[:, :-2, 1:-1] + frames[:, 2:, 1:-1]
    columns = frames[:, 1:-1, :-2] + frames[:, 1:-1, 2:]
    return rows + columns - 4 * frames[:, 1:-1, 1:-1]  # (T, H-2, W-2)


def _pattern_entropy(frames: Bytes) -> float:
    """Entropy of the local binary patterns of (T, H, W) frames: which neighbours are as bright."""
    middle = frames[:, 1:-1, 1:-1]
    # Four neighbours lie on pixels. Eight would be interpolated, and rounding break their ties.
    across = frames[:, 1:-1, :-2], frames[:, 1:-1, 2:]
    down = frames[:, :-2, 1:-1], frames[:, 2:, 1:-1]
    codes = np.zeros(middle.shape, np.uint8)
    for bit, neighbour in enumerate((*across, *down)):
        codes |= (neighbour >= middle).astype(np.uint8) << np.uint8(bit)
    counts = np.bincount(codes.ravel())
    shares = counts[counts > 0] / counts.sum()
    return float(np.sum(shares * np.log2(1 / shares)))


def _describe_motion(cycle: Bytes) -> list[float]:
    energy = harmonic_energy(cycle)
    steps = np.abs(np.diff(cycle.astype(np.float64), axis=-1, append=cycle[..., :1])).mean((0, 1))
    step, closing = steps[:-1].mean(), steps[-1]
    floor = np.sqrt(ROUNDING_VARIANCE)
    total = energy.sum(axis=-1) + ROUNDING_VARIANCE
    return [
        *(_log(energy[..., k].mean()) for k in range(3)),
        _log(energy[..., 3:].sum(axis=-1).mean()),
        *(_radius(energy[..., k]) for k in range(2)),
        np.log(np.mean(total**2) / np.mean(total) ** 2),
        np.log(step + floor),
        np.log((closing + floor) / (step + floor)),
        *_describe_pool(pool_areas(cycle)),
    ]


def harmonic_energy(cycle: Bytes) -> Floats:
    """Energy per pixel in harmonics 1, 2, ..., which sum to the temporal variance.

    Shape (H, W, max(4, T // 2)): harmonics that T phases cannot hold have energy 0.
    """
    phases = cycle.shape[-1]
    spectrum = np.fft.rfft(cycle, axis=-1)[..., 1:] / phases
    energy = 2 * (spectrum.real**2 + spectrum.imag**2)
    if phases % 2 == 0:
        energy[..., -1] /= 2  # the highest harmonic stands for one frequency, not for two
    missing = max(0, 4 - energy.shape[-1])
    return np.pad(energy, ((0, 0), (0, 0), (0, missing)))


def _radius(energy: Floats) -> float:
    weight = energy + ROUNDING_VARIANCE
    return float(np.sqrt(np.sum(weight * distances(*energy.shape) ** 2) / np.sum(weight)))


def distances(height: int, width: int) -> Floats:
    """Distance of each pixel from the centre, in half the shorter side, shape (H, W)."""
    rows = np.arange(height) - (height - 1) / 2
    columns = np.arange(width) - (width - 1) / 2
    return np.hypot(rows[:, None], columns) / (min(height, width) / 2)


def _describe_pool(areas: Floats) -> list[float]:
    mean = areas.mean()
    relative = areas / mean if mean > 0 else np.ones_like(areas)
    first = 2 * np.fft.fft(relative)[1] / len(areas)
    return [mean, np.ptp(relative), first.real, -first.imag]


def _log(energy: SupportsFloat) -> float:
    return float(np.log(float(energy) + ROUNDING_VARIANCE))
