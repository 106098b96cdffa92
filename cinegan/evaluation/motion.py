"""From cycles to features of their motion alone, and to quantities with a meaning of their own."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.evaluation.features import (
    ROUNDING_VARIANCE,
    check_cycles,
    distances,
    harmonic_energy,
    pool_areas,
)

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

RINGS = (("inner", 0.0, 0.35), ("middle", 0.35, 0.7), ("outer", 0.7, 1.5))
HARMONICS = 5  # each on its own; faster ones together
COARSE = 16  # pixels per side at which steps from phase to phase are measured
QUANTITIES = ("amplitude", "roughness", "closure", "contraction", "end_systole")
MOTION_NAMES = (
    *(
        f"{ring}_harmonic_{harmonic}"
        for ring, _, _ in RINGS
        for harmonic in (*range(1, HARMONICS + 1), "beyond")
    ),
    *QUANTITIES,
)


def motion(cycles: Bytes) -> Floats:
    """Describe how each cycle moves, whatever stands still in it.

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)
        T at least 2.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Columns as in `MOTION_NAMES`, always finite:

        - `<ring>_harmonic_k`: log of the temporal energy of harmonic k (`beyond`: of all faster
          ones) in three rings around the middle; harmonics that T phases cannot hold have none;
        - `amplitude`, `roughness`, `closure`, `contraction`, `end_systole`: as `quantities`.

    Raises
    ------
    CineganError
        If the array is not uint8 of four axes or there are too few phases.
    """
    check_cycles(cycles, "the cycles")
    if cycles.shape[-1] < 2:
        raise CineganError("cycles of one phase have no motion; give at least 2 phases")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(lambda c: [*_ring_energies(c), *quantities(c).values()], cycles))
    return np.array(rows, dtype=np.float64).reshape(len(cycles), len(MOTION_NAMES))


def quantities(cycle: Bytes) -> dict[str, float]:
    """What a cardiologist would ask of a cycle's motion, of (H, W, T) uint8.

    Returns
    -------
    dict
        - `amplitude`: SD over time against SD over the picture, log; small where nothing moves;
        - `roughness`: mean absolute second difference from phase to phase, around the cycle,
          against the first, log: small where motion is smooth, larger where phases are out of
          order;
        - `closure`: change from the last phase to the first against the mean of the other steps,
          log: 0 where the cycle is closed;
        - `contraction`: range of the blood pool's area over its largest; an area change of one
          slice, not an ejection fraction;
        - `end_systole`: when the pool is smallest, as a share of the cycle from its first phase,
          0 to 1, after smoothing the area by its first three harmonics.
    """
    # Noise changes from phase to phase as much as shuffled phases do; coarse pixels average it out.
    frames = resize_frames(cycle[None], COARSE, COARSE)[0].astype(np.float64)  # (COARSE, COARSE, T)
    floor = np.sqrt(ROUNDING_VARIANCE) / COARSE
    first = np.diff(frames, axis=-1, append=frames[..., :1])  # (H, W, T), around the cycle
    second = np.diff(first, axis=-1, append=first[..., :1])
    steps = np.abs(first).mean(axis=(0, 1))  # (T,)
    over_time = np.sqrt(frames.var(axis=-1).mean())
    over_picture = frames.mean(axis=-1).std()
    areas = pool_areas(cycle)
    largest = areas.max()
    return {
        "amplitude": float(np.log((over_time + floor) / (over_picture + floor))),
        "roughness": float(np.log((np.abs(second).mean() + floor) / (steps.mean() + floor))),
        "closure": float(np.log((steps[-1] + floor) / (steps[:-1].mean() + floor))),
        "contraction": float(np.ptp(areas) / largest) if largest else 0.0,
        "end_systole": float(_smooth(areas).argmin() / len(areas)),
    }


def _ring_energies(cycle: Bytes) -> list[float]:
    """Log energy per harmonic in each ring."""
    energy = harmonic_energy(cycle)  # (H, W, harmonics)
    radius = distances(*cycle.shape[:2])  # (H, W)
    logs = []
    for _, least, most in RINGS:
        inside = energy[(radius >= least) & (radius < most)].mean(axis=0)  # (harmonics,)
        inside = np.pad(inside, (0, max(0, HARMONICS - len(inside))))
        parts = [*inside[:HARMONICS], inside[HARMONICS:].sum()]
        logs += [float(np.log(part + ROUNDING_VARIANCE / cycle.shape[-1])) for part in parts]
    return logs


def _smooth(areas: Floats) -> Floats:
    spectrum = np.fft.rfft(areas)
    spectrum[4:] = 0
    return np.fft.irfft(spectrum, len(areas))
