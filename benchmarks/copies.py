"""How many copies of train cycles are found, and how many new cycles are taken for copies.

On the cohort in the workspace. Train cycles are disturbed in one way at a time, and in all at once,
and passed off as samples; the threshold is fixed on val. What must not be flagged are the cycles of
test patients: their share has the upper end of a 90 % interval over patients, below which the truth
lies 95 times of 100.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.ours import PARAMS
from cinegan.data.cohort import Cohort
from cinegan.data.resizing import resize_frames
from cinegan.evaluation.memorization import NOISE, Threshold, disturbed, likeness
from cinegan.evaluation.subsamples import mean_of
from cinegan.params import load_params

SEEDS = (0, 1, 2)


def measure() -> dict[str, Any]:
    """Flag copies of every kind, and unseen patients."""
    cohort = Cohort(PARAMS.parent / "data/ventricles")
    size = int(cohort.index["size"].iloc[0])
    train, val, test = (cohort.split(split, size)[0] for split in ("train", "val", "test"))
    threshold = Threshold.fixed_on(val, train, load_params(PARAMS).seed)
    flagged = {}
    for name, change in CHANGES.items():
        shares = [_near(change(train, seed), train, threshold.value).mean() for seed in SEEDS]
        flagged[name] = round(float(np.mean(shares)), 4)
    patients = cohort.patient_of_each("test")
    unseen = mean_of(_near(test, train, threshold.value), patients)
    return {
        "train cycles": len(train),
        "threshold": round(threshold.value, 3),
        "copies flagged": flagged,
        "test cycles": len(test),
        "test patients": len(set(patients)),
        "unseen patients flagged": round(unseen.value, 4),
        "at most, at 95 %": round(unseen.high, 4) if np.isfinite(unseen.high) else "untold",
    }


def _near(cycles: np.ndarray, train: np.ndarray, threshold: float) -> np.ndarray:
    return likeness(cycles, train).max(axis=1) > threshold


def _each(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Any:
    """A change of one cycle (H, W, T), made to all, each with a draw of its own."""

    def changed(cycles: np.ndarray, seed: int) -> np.ndarray:
        made = [change(c, np.random.default_rng([seed, k])) for k, c in enumerate(cycles)]
        return np.clip(np.rint(np.stack(made)), 0, 255).astype(np.uint8)

    return changed


def _shift(ways: list[int]) -> Any:
    return _each(lambda cycle, draw: _moved(cycle, *draw.choice(ways, 2)))


def _moved(cycle: np.ndarray, down: int, across: int) -> np.ndarray:
    edged = np.pad(cycle, ((3, 3), (3, 3), (0, 0)), mode="edge")
    height, width = cycle.shape[:2]
    return edged[3 + down : 3 + down + height, 3 + across : 3 + across + width]


def _rescale(cycle: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    step = 1 / draw.choice([0.95, 1.05])
    height, width = cycle.shape[:2]
    return resize_frames(cycle[None], height, width, (step, step))[0]


CHANGES = {
    "unchanged": _each(lambda cycle, _: cycle),
    "shifted by up to 3 pixels": _shift([-3, -2, -1, 0, 1, 2, 3]),
    "shifted by 3 pixels in both directions": _shift([-3, 3]),
    "rescaled by 5 %": _each(_rescale),
    "brightened by 20 grey levels and 10 %": _each(lambda cycle, _: cycle * 1.1 + 20),
    "noisy": _each(lambda cycle, draw: cycle + draw.normal(0, NOISE, cycle.shape)),
    "rolled in phase": _each(lambda c, draw: np.roll(c, draw.integers(1, c.shape[-1]), axis=-1)),
    "all at once": disturbed,
}
