"""Whether samples are new, or cycles of the train patients once more.

A copy may be moved by some pixels, scaled, brightened, noisy or begun at another phase. So the
likeness of two cycles is their correlation over space and time at its best over such changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cinegan.data.resizing import filter_matrix, resize_frames
from cinegan.errors import CineganError

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

GRID = 32  # pixels per side that cycles are compared at
MARGIN = 3  # of them around the window that is compared
SHIFTS = (-1.5, -0.75, 0.0, 0.75, 1.5)  # pixels of the grid
SCALES = (0.95, 1.0, 1.05)
HARMONICS = 5  # of the cycle that are compared, and its mean
NEAREST_SHOWN = 8  # pairs that are looked at
FALSE_ALARMS, MISSED = 0.05, 0.02  # shares of unseen cycles, of copies that a threshold errs on
# Of `disturbed`; both in proportion where frames have less than 64 pixels per side.
NOISE = 8.0  # standard deviation in grey levels
MOVE = 3  # pixels


def likeness(cycles: Bytes, others: Bytes) -> Floats:
    """Highest correlation of each cycle with each of the others, over small changes of these.

    The changes are shifts of up to 3 pixels of 64 a side in both directions, scales of 0.95 to
    1.05, and all rolls in time. Mean and contrast do not matter.

    Parameters
    ----------
    cycles, others : ndarray of uint8, shapes (n, H, W, T) and (m, H, W, T)

    Returns
    -------
    ndarray of float64, shape (n, m)
        From -1 to 1, 1 being the same but for such a change; 0 for a constant cycle.
    """
    if not len(cycles) or not len(others):
        return np.empty((len(cycles), len(others)))
    phases = cycles.shape[-1]
    still = _vectors(_resampled(_resampled(_harmonics(cycles), 1), 2)).conj()
    rolls = np.exp(2j * np.pi * np.outer(np.arange(len(still)), np.arange(phases)) / phases)
    rolls = rolls.astype(np.complex64)  # (harmonics, T)
    moving = _harmonics(others)
    best = np.full((len(cycles), len(others)), -1.0, dtype=np.float32)
    for scale, down in product(SCALES, SHIFTS):
        rows = _resampled(moving, 1, scale, down)
        for across in SHIFTS:
            moved = _vectors(_resampled(rows, 2, scale, across))
            products = still @ moved.mT  # (harmonics, n, m)
            rolled = np.moveaxis(products, 0, -1) @ rolls  # (n, m, T)
            best = np.maximum(best, rolled.real.max(axis=-1))
    return best.astype(np.float64)


def authentic(to_train: Floats, within_train: Floats) -> Floats:
    """Which samples are less like any train cycle than that one is like another [1]_.

    Neighbouring slices of a patient are alike; only what is nearer than these is not authentic.

    Parameters
    ----------
    to_train : ndarray of float64, shape (n, m)
        `likeness` of the samples and the train cycles.
    within_train : ndarray of float64, shape (m, m)
        That of the train cycles with one another.

    Returns
    -------
    ndarray of bool, shape (n,)

    References
    ----------
    .. [1] Alaa et al., "How faithful is your synthetic data? Sample-level metrics for evaluating
       and auditing generative models", ICML 2022.
    """
    others = np.where(np.eye(len(within_train), dtype=bool), -1.0, within_train)
    return to_train.max(axis=1) < others.max(axis=1)[to_train.argmax(axis=1)]


def nearer_train(samples: Floats, unseen: Floats) -> float:
    """How often a sample is nearer to train cycles than an unseen cycle is [1]_.

    A half where samples keep the distance that other patients do, 1 where all are nearer: the
    Mann-Whitney statistic as a share of all pairs, ties counting half.

    Parameters
    ----------
    samples, unseen : ndarray of float64, shapes (n,) and (m,)
        Distance of each to the nearest train cycle.

    References
    ----------
    .. [1] Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect data-copying in
       generative models", AISTATS 2020.
    """
    apart = unseen[None, :] - samples[:, None]  # (n, m)
    return float((np.sign(apart) + 1).mean() / 2)


class Nearest(NamedTuple):
    """Samples beside the train cycles that they are most like, the most alike first.

    Attributes
    ----------
    samples, train : ndarray of uint8, shape (k, H, W, T)
    likeness : ndarray of float64, shape (k,)
    """

    samples: Bytes
    train: Bytes
    likeness: Floats


def nearest_pairs(
    samples: Bytes, train: Bytes, table: Floats, count: int = NEAREST_SHOWN
) -> Nearest:
    """Find the `count` samples that are most like a train cycle, of all samples.

    Parameters
    ----------
    samples, train : ndarray of uint8, shapes (n, H, W, T) and (m, H, W, T)
        Without either there are no pairs.
    table : ndarray of float64, shape (n, m)
        Their `likeness`.
    """
    if not len(samples) or not len(train):
        return Nearest(samples[:0], train[:0], np.empty(0))
    most = table.max(axis=1)
    chosen = np.argsort(-most, kind="stable")[:count]
    return Nearest(samples[chosen], train[table[chosen].argmax(axis=1)], most[chosen])


@dataclass(frozen=True)
class Threshold:
    """The likeness to a train cycle above which a sample is a near-copy of it.

    Attributes
    ----------
    value : float
        Halfway between `unseen` and `copies`.
    unseen : float
        The likeness to train cycles that a share of `FALSE_ALARMS` of val patients' cycles exceeds.
    copies : float
        The likeness to their originals that all but `MISSED` of disturbed val cycles exceed.
    """

    value: float
    unseen: float
    copies: float

    @classmethod
    def fixed_on(cls, val: Bytes, train: Bytes, seed: int) -> Threshold:
        """Put it between what unseen patients and what copies reach, both seen on val alone.

        Raises
        ------
        CineganError
            If there are no cycles of either, their frames are smaller than the grid that they are
            compared at, or unseen patients are as like as copies.
        """
        if not len(val) or not len(train):
            raise CineganError(
                f"a threshold for copies needs val and train cycles, not {len(val)} and "
                f"{len(train)}"
            )
        height, width = val.shape[1:3]
        if min(height, width) < GRID:
            raise CineganError(
                f"frames of {height}x{width} pixels are too small to tell copies; "
                f"{GRID}x{GRID} are needed"
            )
        nearest = likeness(val, train).max(axis=1)
        own = np.diagonal(likeness(disturbed(val, seed), val))
        unseen = float(np.quantile(nearest, 1 - FALSE_ALARMS))
        copies = float(np.quantile(own, MISSED))
        if unseen >= copies:
            raise CineganError(
                f"val cycles are as like train cycles ({unseen:.2f}) as their own copies "
                f"({copies:.2f}): is a patient in both?"
            )
        return cls((unseen + copies) / 2, unseen, copies)


def disturbed(cycles: Bytes, seed: int) -> Bytes:
    """Copies that a careless eye takes for new: moved, scaled, brightened, noisy, rolled.

    Each cycle is shifted by up to `MOVE` pixels, scaled by up to 5 %, its grey levels stretched by
    up to 10 % and moved by up to 20, given noise, and begun at any phase. Cycle i is drawn from
    (seed, i).

    Parameters
    ----------
    cycles : ndarray of uint8, shape (n, H, W, T)
    """
    each = [_disturb(cycles[i : i + 1], [seed, i]) for i in range(len(cycles))]
    return np.concatenate([cycles[:0], *each])


def _disturb(cycle: Bytes, seed: list[int]) -> Bytes:
    _, height, width, phases = cycle.shape
    draw = np.random.default_rng(seed)
    coarse = min(1.0, min(height, width) / 64)
    move = max(1, int(MOVE * coarse))
    scale, (down, across) = draw.uniform(0.95, 1.05), draw.integers(-move, move + 1, 2)
    larger = resize_frames(cycle, height, width, (1 / scale, 1 / scale))  # (1, H, W, T)
    edged = np.pad(larger, ((0, 0), (move, move), (move, move), (0, 0)), mode="edge")
    moved = edged[:, move + down : move + down + height, move + across : move + across + width]
    bright = moved * draw.uniform(0.9, 1.1) + draw.uniform(-20, 20)
    noisy = bright + draw.normal(0, NOISE * coarse, cycle.shape)
    rolled = np.roll(noisy, draw.integers(phases), axis=-1)
    return np.clip(np.rint(rolled), 0, 255).astype(np.uint8)


def _harmonics(cycles: Bytes) -> NDArray[np.float32]:
    """The first temporal harmonics at each pixel, (n, H, W, 2 * harmonics): real, imaginary parts.

    Space is resampled afterwards, which is linear and does not mind. Sides are of no more than
    twice the grid's pixels: larger ones would only take time. A multiple of that becomes means of
    whole pixels, the fastest way.
    """
    n, *sides, phases = cycles.shape
    height, width = (min(side, 2 * GRID) for side in sides)
    if [height, width] == sides:
        fine = cycles
    elif sides[0] % height == sides[1] % width == 0:
        blocks = cycles.reshape(n, height, sides[0] // height, width, sides[1] // width, phases)
        fine = blocks.mean(axis=(2, 4), dtype=np.float32)
    else:
        fine = resize_frames(cycles, height, width)
    spectrum = np.fft.rfft(fine, axis=-1)[..., : HARMONICS + 1]
    spectrum[..., 1:] *= np.sqrt(2)  # each stands for two frequencies
    return np.ascontiguousarray(spectrum, dtype=np.complex64).view(np.float32)


def _resampled(
    grid: NDArray[np.float32], axis: int, scale: float = 1.0, shift: float = 0.0
) -> NDArray[np.float32]:
    """`GRID` pixels along an axis of (n, H, W, c), moved, and enlarged about the middle."""
    matrix = _matrix(grid.shape[axis], scale, shift)
    flat = grid.reshape(*grid.shape[:axis], grid.shape[axis], -1)  # what is resampled is last but 1
    return (matrix @ flat).reshape(*grid.shape[:axis], GRID, *grid.shape[axis + 1 :])


@lru_cache(maxsize=64)
def _matrix(side: int, scale: float, shift: float) -> NDArray[np.float32]:
    """Weights of `side` pixels in each of the grid's, (GRID, side)."""
    # The middle of what goes on at one end as it ends there lies half of that further on.
    longer = round(2 * shift * side / GRID)
    before, after = max(-longer, 0), max(longer, 0)
    weights = filter_matrix(side + before + after, GRID, side / GRID / scale)
    matrix = weights[:, before : before + side].copy()
    matrix[:, 0] += weights[:, :before].sum(axis=1)
    matrix[:, -1] += weights[:, before + side :].sum(axis=1)
    return matrix


def _vectors(grid: NDArray[np.float32]) -> NDArray[np.complex64]:
    """The window as unit vectors, (harmonics, n, pixels): their products are correlations."""
    window = np.ascontiguousarray(grid[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
    vectors = window.view(np.complex64).reshape(len(grid), (GRID - 2 * MARGIN) ** 2, -1)
    vectors[..., 0] -= vectors[..., 0].mean(axis=1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=(1, 2), keepdims=True)
    varies = norms > 1  # what is left of a constant cycle after rounding is less
    return np.ascontiguousarray(np.moveaxis(vectors * (varies / np.where(varies, norms, 1)), -1, 0))
