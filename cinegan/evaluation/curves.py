"""What plots are drawn from: spectra, distributions of quantities, fidelity against coverage."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.fft import fft2

from cinegan.evaluation.manifold import manifold

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

REACHES = tuple(range(1, 13))  # neighbours that the balls of a fidelity curve reach to
BINS = 12


def spectrum_table(sets: Mapping[str, Bytes]) -> pd.DataFrame:
    """Energy of the frames by spatial frequency: what is missing is blur, what is over is grain.

    Parameters
    ----------
    sets : mapping of name to ndarray of uint8, shape (n, H, W, T)
        Empty ones are left out.

    Returns
    -------
    DataFrame
        Columns `set`, `frequency` (cycles per frame) and `log10_energy`, mean over cycles, phases
        and directions.
    """
    rows = []
    for name, cycles in sets.items():
        if not len(cycles):
            continue
        height, width = cycles.shape[1:3]
        energy = np.zeros((height, width))
        for cycle in cycles:
            frames = np.moveaxis(cycle, -1, 0).astype(np.float64)
            spectrum = fft2(frames, workers=os.cpu_count()) / (height * width)
            energy += (spectrum.real**2 + spectrum.imag**2).mean(axis=0) / len(cycles)
        down, across = (np.fft.fftfreq(side, 1 / side) for side in (height, width))
        frequency = np.hypot(down[:, None], across).round().astype(int)
        for each in range(1, min(height, width) // 2 + 1):
            mean = energy[frequency == each].mean()
            rows.append((name, each, float(np.log10(mean + 1e-12))))
    return pd.DataFrame(rows, columns=["set", "frequency", "log10_energy"])


def histogram_table(
    features: Mapping[str, Floats], columns: Sequence[str], chosen: Sequence[str]
) -> pd.DataFrame:
    """How each of some features is distributed in each set.

    Parameters
    ----------
    features : mapping of set to ndarray of float64, shape (n, d)
    columns : sequence of str
        Names of all d features.
    chosen : sequence of str
        Those to tell.

    Returns
    -------
    DataFrame
        Columns `quantity`, `set`, `value` (the middle of a bin; bins are the same for all sets) and
        `share` of the set's cycles. Empty sets are left out.
    """
    rows: list[tuple[Any, ...]] = []
    filled = {name: values for name, values in features.items() if values.size}
    for quantity in chosen if filled else ():
        k = columns.index(quantity)
        everything = np.concatenate([values[:, k] for values in filled.values()])
        edges = np.histogram_bin_edges(everything, BINS)
        middles = (edges[:-1] + edges[1:]) / 2
        for name, values in filled.items():
            shares = np.histogram(values[:, k], edges)[0] / len(values)
            rows += [(quantity, name, m, s) for m, s in zip(middles, shares, strict=True)]
    return pd.DataFrame(rows, columns=["quantity", "set", "value", "share"])


def fidelity_table(
    features: Mapping[str, Floats], pairs: Mapping[str, tuple[str, str]], seed: int
) -> pd.DataFrame:
    """Precision against recall, and density against coverage, as the reach of samples grows.

    Parameters
    ----------
    features : mapping of set to ndarray of float64, shape (n, d)
    pairs : mapping of name to two sets
        The one judged and the reference, cut to one size at random.
    seed : int
        Of that.

    Returns
    -------
    DataFrame
        A row for each neighbour that balls reach to: `nearest`, and of each pair
        `precision_<pair>`, `recall_<pair>`, `density_<pair>` and `coverage_<pair>`, which are nan
        where a set has too few cycles.
    """
    curves = {"nearest": pd.Series(REACHES, dtype=int)}
    for name, pair in pairs.items():
        size = min(len(features.get(each, ())) for each in pair)
        found = pd.DataFrame(columns=["precision", "recall", "density", "coverage"], dtype=float)
        if size > max(REACHES):
            draw = np.random.default_rng(seed)
            judged, reference = (draw.choice(features[each], size, replace=False) for each in pair)
            found = pd.DataFrame([manifold(judged, reference, nearest=n) for n in REACHES])
        curves |= {f"{measure}_{name}": column for measure, column in found.items()}
    return pd.DataFrame(curves)
