"""The ways from cycles to features, each with its name and the measures taken on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from cinegan.errors import CineganError
from cinegan.evaluation.features import TEXTURE_NAMES, texture
from cinegan.evaluation.frechet import frechet
from cinegan.evaluation.kernel import kernel
from cinegan.evaluation.manifold import manifold
from cinegan.evaluation.motion import MOTION_NAMES, QUANTITIES, motion
from cinegan.evaluation.patches import patches, scales, sliced_wasserstein
from cinegan.evaluation.subsamples import SHARE

Values = NDArray[Any]
Bytes = NDArray[np.uint8]

MEASURES = ("frechet", "kid", "precision", "recall", "density", "coverage")


def bounds(measure: str) -> tuple[float, float]:
    """The least and the greatest value that a measure can have, but for rounding."""
    if measure in ("precision", "recall", "coverage"):
        return SHARE
    return (-inf if measure == "kid" else 0.0), inf


def all_measures(judged: Values, reference: Values) -> dict[str, float]:
    """`MEASURES` of features (n, d) against those of a reference, (m, d)."""
    return {
        **frechet(judged, reference),
        **kernel(judged, reference),
        **manifold(judged, reference),
    }


@dataclass(frozen=True)
class Extractor:
    """A way from cycles to features, and what is measured on these.

    Attributes
    ----------
    name : str
        Part of the metrics' names, as in `frechet_texture_train`.
    extract : callable
        From cycles (n, H, W, T) uint8 to features, `rows` of them a cycle.
    columns : tuple of str
        Names of the features, where each has a meaning.
    measures : tuple of str
        What `measure` gives.
    measure : callable
        From features of what is judged and of a reference, equally many, to figures by name.
    standardised : bool
        Whether features are measured in standard deviations of train cycles.
    rows : int
        Features of a cycle: 1, or one for each frame that is seen.
    centred : tuple of str
        Measures that mean something only where the heart is in the middle.
    """

    name: str
    extract: Callable[[Bytes], Values]
    columns: tuple[str, ...] = ()
    measures: tuple[str, ...] = MEASURES
    measure: Callable[[Values, Values], Mapping[str, float]] = all_measures
    standardised: bool = True
    rows: int = 1
    centred: tuple[str, ...] = ()


def _with_quantities(judged: Values, reference: Values) -> dict[str, float]:
    """`all_measures`, and the 1-Wasserstein distance of each of motion's `QUANTITIES`.

    Their columns are the last ones of `motion.motion`.
    """
    apart = {
        f"w1_{name}": float(wasserstein_distance(judged[:, k], reference[:, k]))
        for k, name in enumerate(QUANTITIES, start=len(MOTION_NAMES) - len(QUANTITIES))
    }
    return {**all_measures(judged, reference), **apart}


TEXTURE = Extractor("texture", texture, TEXTURE_NAMES)
MOTION = Extractor(
    "motion",
    motion,
    MOTION_NAMES,
    measures=(*MEASURES, *(f"w1_{name}" for name in QUANTITIES)),
    measure=_with_quantities,
    centred=("w1_contraction", "w1_end_systole"),
)


def patches_of(size: int, seed: int) -> Extractor:
    """Patches of cycles of `size` pixels per side, and their sliced Wasserstein distances.

    Measures are `swd`, the mean over all scales, and `swd_<side>` of each; in grey levels.

    Raises
    ------
    CineganError
        If the cycles are too small.
    """
    sides = scales(size)

    def distances(judged: Values, reference: Values) -> dict[str, float]:
        of_each = sliced_wasserstein(judged, reference)
        named = {f"swd_{side}": float(d) for side, d in zip(sides, of_each, strict=True)}
        return {"swd": float(of_each.mean()), **named}

    return Extractor(
        "patches",
        partial(patches, seed=seed),
        measures=("swd", *(f"swd_{side}" for side in sides)),
        measure=distances,
        standardised=False,
    )


def cardiac_in(folder: Path) -> Extractor:
    """Features of the encoder that was taught on the train patients.

    Raises
    ------
    CineganError
        If the folder holds none.
    """
    from cinegan.evaluation.cardiac import encode, load_encoder

    return Extractor("cardiac", partial(encode, load_encoder(folder)), standardised=False)


def inception_with(weights: Path | None) -> Extractor:
    """Features of single frames by a network that knows photographs.

    Raises
    ------
    CineganError
        If its weights cannot be had.
    """
    from cinegan.evaluation.inception import FRAMES, inception, load_network

    extract = partial(inception, load_network(weights))
    return Extractor("inception", extract, standardised=False, rows=FRAMES)


@dataclass(frozen=True)
class Lacking:
    """An extractor that cannot be had, or not for these cycles, and why."""

    name: str
    reason: str
    measures: tuple[str, ...] = MEASURES


def chosen(
    names: Sequence[str],
    *,
    size: int,
    seed: int,
    encoder: Path,
    weights: Path | None = None,
    required: Collection[str] = (),
) -> Iterator[Extractor | Lacking]:
    """The extractors of some names, each made when its turn comes.

    Parameters
    ----------
    names : sequence of str
        Of texture, motion, patches, cardiac and inception.
    size : int
        Pixels per side of the cycles.
    seed : int
        Of the directions of patches.
    encoder : Path
        Folder of the cardiac encoder.
    weights : Path, optional
        File with Inception-v3's weights; None: Keras' cache, or a download to it.
    required : collection of str
        Those whose lack is an error.

    Raises
    ------
    CineganError
        If there is no extractor of a name, or one that is required cannot be had.
    """
    make = {
        "texture": lambda: TEXTURE,
        "motion": lambda: MOTION,
        "patches": lambda: patches_of(size, seed),
        "cardiac": lambda: cardiac_in(encoder),
        "inception": lambda: inception_with(weights),
    }
    for name in names:
        if name not in make:
            raise CineganError(f"no feature extractor {name!r}; there are {', '.join(make)}")
        try:
            yield make[name]()
        except CineganError as error:
            if name in required:
                raise
            yield Lacking(name, str(error), ("swd",) if name == "patches" else MEASURES)
