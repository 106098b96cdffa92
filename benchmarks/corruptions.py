"""What may be wrong with synthetic heartbeats, at four strengths each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.transform import swirl

from cinegan.evaluation.memorization import disturbed


class Given(NamedTuple):
    """Cycles to corrupt, (n, H, W, T) uint8, where each lies, and what could be copied."""

    cycles: np.ndarray
    levels: np.ndarray  # (n,) 0 at the base, 1 at the apex
    train: np.ndarray  # (m, H, W, T)


def blur(given: Given, pixels: float, _: np.random.Generator) -> np.ndarray:
    """Each frame by a Gaussian of so many pixels."""
    return gaussian_filter(given.cycles, (0, pixels, pixels, 0), mode="nearest")


def noise(given: Given, grey: float, draw: np.random.Generator) -> np.ndarray:
    """Gaussian noise of so many grey levels."""
    return _grey(given.cycles + draw.normal(0, grey, given.cycles.shape))


def ghosting(given: Given, share: float, _: np.random.Generator) -> np.ndarray:
    """A ghost half a field away along the rows, as of motion along the phase-encoding direction."""
    ghost = np.roll(given.cycles, given.cycles.shape[1] // 2, axis=1)
    return _grey((1 - share) * given.cycles + share * ghost.astype(np.float64))


def contrast(given: Given, share: float, _: np.random.Generator) -> np.ndarray:
    """So large a share of each cycle's contrast lost, around its mean."""
    mean = given.cycles.mean(axis=(1, 2, 3), keepdims=True)
    return _grey(mean + (1 - share) * (given.cycles - mean))


def twist(given: Given, strength: float, _: np.random.Generator) -> np.ndarray:
    """Every frame swirled around its middle, the same way."""
    size = given.cycles.shape[1]
    return np.stack(
        [
            _grey(swirl(c.astype(np.float64), strength=strength, radius=2 * size, mode="edge"))
            for c in given.cycles
        ]
    )


def shuffled(given: Given, share: float, draw: np.random.Generator) -> np.ndarray:
    """Phases out of order in a share of the cycles; every frame untouched."""
    changed = given.cycles.copy()
    for k in _some(len(changed), share, draw):
        changed[k] = changed[k][..., draw.permutation(changed.shape[-1])]
    return changed


def frozen(given: Given, share: float, draw: np.random.Generator) -> np.ndarray:
    """One phase all through the cycle in a share of the cycles; every frame untouched."""
    changed = given.cycles.copy()
    for k in _some(len(changed), share, draw):
        changed[k] = changed[k][..., [draw.integers(changed.shape[-1])]]
    return changed


def cut_short(given: Given, share: float, draw: np.random.Generator) -> np.ndarray:
    """Cycles that end before the heart is back: the last share of the phases is not shown.

    What is left is spread over all phases.
    """
    phases = given.cycles.shape[-1]
    kept = np.linspace(0, (phases - 1) * (1 - share), phases).round().astype(int)
    return given.cycles[..., kept]


def missing_modes(given: Given, share: float, _: np.random.Generator) -> np.ndarray:
    """Apical slices of every patient left out, so large a share; there are fewer cycles then."""
    return given.cycles[given.levels <= np.quantile(given.levels, 1 - share)]


def copies(given: Given, share: float, draw: np.random.Generator) -> np.ndarray:
    """Train cycles passed off as samples, moved, scaled, brightened, noisy and rolled."""
    changed = given.cycles.copy()
    places = _some(len(changed), share, draw)
    originals = given.train[draw.integers(len(given.train), size=len(places))]
    changed[places] = disturbed(originals, int(draw.integers(2**31)))
    return changed


class Corruption(NamedTuple):
    """A way to be wrong, and its strengths from weak to strong, with their unit."""

    apply: Callable[[Given, float, np.random.Generator], np.ndarray]
    strengths: tuple[float, float, float, float]
    unit: str


CORRUPTIONS = {
    "blur": Corruption(blur, (0.5, 0.75, 1.0, 2.0), "pixels"),
    "noise": Corruption(noise, (4, 8, 16, 32), "grey levels"),
    "ghosting": Corruption(ghosting, (0.05, 0.1, 0.2, 0.4), "share of the ghost"),
    "contrast": Corruption(contrast, (0.15, 0.3, 0.45, 0.6), "share lost"),
    "swirl": Corruption(twist, (1.5, 2.0, 3.0, 4.0), "strength"),
    "shuffled phases": Corruption(shuffled, (0.25, 0.5, 0.75, 1.0), "share of cycles"),
    "frozen cycles": Corruption(frozen, (0.25, 0.5, 0.75, 1.0), "share of cycles"),
    "cut short": Corruption(cut_short, (0.15, 0.3, 0.45, 0.6), "share of phases"),
    "missing modes": Corruption(missing_modes, (0.125, 0.25, 0.375, 0.5), "share of slices"),
    "copies": Corruption(copies, (0.25, 0.5, 0.75, 1.0), "share of cycles"),
}


def _some(n: int, share: float, draw: np.random.Generator) -> np.ndarray:
    return draw.choice(n, round(share * n), replace=False)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
