"""Two sets of features for programs that are compared on them."""

from __future__ import annotations

import numpy as np

SAMPLES = DIMENSIONS = 2048


def correlated() -> tuple[np.ndarray, np.ndarray]:
    """Two sets (2048, 2048) float64 of features that go together, in different ways."""
    draw = np.random.default_rng(0)
    mix = draw.normal(size=(DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    a, b = draw.normal(size=(2, SAMPLES, DIMENSIONS))
    return a @ mix, 1.2 * (b @ mix) + 0.1
