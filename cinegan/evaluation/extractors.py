"""The ways from cycles to features that need nothing but the cycles, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinegan.errors import CineganError
from cinegan.evaluation.features import TEXTURE_NAMES, texture
from cinegan.evaluation.motion import MOTION_NAMES, motion

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Extractor:
    """A way from cycles (n, H, W, T) uint8 to features (n, d) float64, and the columns' names."""

    extract: Callable[[Bytes], Floats]
    names: tuple[str, ...]


# The key becomes part of the metrics' names: frechet_texture_train.
EXTRACTORS = {
    "texture": Extractor(texture, TEXTURE_NAMES),
    "motion": Extractor(motion, MOTION_NAMES),
}


def extractor_named(name: str) -> Extractor:
    """The extractor of a name.

    Raises
    ------
    CineganError
        If there is none.
    """
    if name not in EXTRACTORS:
        raise CineganError(f"no feature extractor {name!r}; there are {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]
