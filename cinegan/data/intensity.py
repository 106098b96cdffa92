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


def window(stack: np.ndarray) -> tuple[float, float]:
    """Intensities of one patient's stack that become black and white."""
    low, high = np.percentile(stack, PERCENTILES)
    return float(low), float(max(high, low + 1e-6))


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
