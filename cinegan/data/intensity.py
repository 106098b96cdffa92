"""From scanner intensities to grey levels: the one place where the mapping is made.

A scanner's intensities have no unit and differ between patients. Each patient's own window maps
them to 0..255, and what a network sees is a grey level over 127.5, minus 1. The windows stand in
`intensity.json` beside the data. Nothing is fitted across patients, so no split sees another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cinegan.files import write_json

FILE_NAME = "intensity.json"
PERCENTILES = (0.5, 99.5)
LARGEST_HISTOGRAM = 1 << 16


def window(stack: np.ndarray) -> tuple[float, float]:
    """Intensities of one patient's stack that become black and white."""
    low, high = _percentiles(stack) if stack.dtype.kind in "iu" else _quantiles(stack)
    return low, max(high, low + 1e-6)


def _quantiles(stack: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(stack, PERCENTILES)
    return float(low), float(high)


def _percentiles(stack: np.ndarray) -> tuple[float, float]:
    """The same for integers, by counting: ten times as fast as sorting."""
    least, most = int(stack.min()), int(stack.max())
    if most - least > LARGEST_HISTOGRAM:
        return _quantiles(stack.astype(np.float64))  # whose differences cannot overflow
    counts = np.zeros(most - least + 1, dtype=np.int64)
    for cycle in stack:  # one slice at a time: numpy counts 64-bit numbers only
        counts += np.bincount(cycle.ravel().astype(np.intp) - least, minlength=len(counts))
    below = np.cumsum(counts)

    def value(rank: float) -> float:
        under = int(rank)
        first, second = np.searchsorted(below, [under, min(under + 1, stack.size - 1)], "right")
        return float(least + first + (rank - under) * (second - first))

    low, high = (value(p / 100 * (stack.size - 1)) for p in PERCENTILES)
    return low, high


def to_grey(stack: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map intensities to grey levels, uint8, rounding to the nearest and clipping outside."""
    scaled = (stack.astype(np.float32) - low) * (255.0 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def to_network(grey: Any) -> Any:
    """Map grey levels, an array or tensor of float32, to [-1, 1]."""
    return grey / 127.5 - 1.0


def from_network(values: np.ndarray) -> np.ndarray:
    """Map [-1, 1] to grey levels, uint8."""
    return np.clip(np.rint((values.astype(np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def write_windows(folder: Path, windows: dict[str, tuple[float, float]]) -> None:
    """Record the mapping beside the data it belongs to."""
    record = {
        "mapping": "grey = round(255 (intensity - low) / (high - low)), clipped to 0..255; "
        "network = grey / 127.5 - 1",
        "window": f"percentiles {PERCENTILES[0]} and {PERCENTILES[1]} of each patient's stack",
        "patients": {p: {"low": low, "high": high} for p, (low, high) in windows.items()},
    }
    write_json(folder / FILE_NAME, record)
