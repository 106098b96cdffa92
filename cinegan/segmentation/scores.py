"""How far outlines are from an expert's, patient by patient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.measure import find_contours, label

from cinegan.data.labels import KINDS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STEP = 0.25  # pixels between the points that distances are measured from


def dice(found: Bools, true: Bools) -> float:
    """Twice the common pixels over the sum of both; 1 where both are empty [1]_.

    Parameters
    ----------
    found, true : ndarray of bool, of one shape

    References
    ----------
    .. [1] Dice, "Measures of the amount of ecologic association between species", Ecology 26, 1945.
    """
    total = int(found.sum()) + int(true.sum())
    return 2 * int((found & true).sum()) / total if total else 1.0


def distances_mm(found: Floats, true: Floats, spacing_mm: float) -> tuple[float, float]:
    """Mean absolute and Hausdorff distance of two outlines, from each to the other's nearest.

    Parameters
    ----------
    found, true : ndarray of float64, shapes (n, 2) and (m, 2)
        Closed outlines, in pixels.

    Returns
    -------
    mean, hausdorff : float
        The mean over the length of both, each counting half, and the largest, mm.
    """
    one, other = (_walked(points) for points in (found, true))
    there, back = cKDTree(other).query(one)[0], cKDTree(one).query(other)[0]
    mean = (there.mean() + back.mean()) / 2
    return float(mean) * spacing_mm, float(max(there.max(), back.max())) * spacing_mm


def outline(map_: NDArray[Any]) -> Floats | None:
    """The outline of the largest part of a map that is inside, x and y in pixels, (n, 2) float64.

    Parameters
    ----------
    map_ : ndarray of float, shape (H, W)
        Probability, or share of a pixel, in [0, 1].

    Returns
    -------
    ndarray or None
        Where the map passes a half, between pixels; None if it does nowhere.
    """
    inside = largest(map_ > 0.5)
    if not inside.any():
        return None
    kept = np.pad(np.where(inside | ~(map_ > 0.5), map_, 0.0), 1)
    loops = find_contours(kept, 0.5)
    points = max(loops, key=lambda loop: _area(loop))
    return np.asarray(points[:, ::-1] - 1.0)


def largest(inside: Bools) -> Bools:
    """The largest connected part, (H, W) bool."""
    parts = label(inside, connectivity=1)
    if not parts.any():
        return inside
    return np.asarray(parts == np.bincount(parts.ravel())[1:].argmax() + 1)


def patient_scores(
    found: NDArray[np.float32], true: NDArray[np.uint8], known: Bools, spacing_mm: float
) -> dict[str, float]:
    """What a network's maps of one patient's stack are worth.

    Parameters
    ----------
    found : ndarray of float32, shape (n, H, W, T, len(KINDS))
        Probability that a pixel is inside.
    true : ndarray of uint8, shape (n, H, W, T, len(KINDS))
        As `labels.Labels.maps`.
    known : ndarray of bool, shape (n, T, len(KINDS))
        What is judged.
    spacing_mm : float
        Of the pixels.

    Returns
    -------
    dict of str to float
        For each of `KINDS`: `dice_<kind>`, of all known pixels together; `distance_mm_<kind>` and
        `hausdorff_mm_<kind>`, of the largest part, means over frames that have an outline, one that
        was not found counting as shrunk to its middle; `missed_<kind>`, the share of these. And
        `area_change_error`, the mean over slices of the absolute error of the share by which the
        endocardium's area falls from the phase at which it is largest in the stack to that at which
        it is smallest. NaN where nothing is known.
    """
    scores: dict[str, float] = {}
    for k, kind in enumerate(KINDS):
        places = np.argwhere(known[..., k])
        frames = [
            (found[row, :, :, phase, k], true[row, :, :, phase, k] / np.float32(255))
            for row, phase in places
        ]
        if not frames:
            names = ("dice", "distance_mm", "hausdorff_mm", "missed")
            scores |= {f"{name}_{kind}": np.nan for name in names}
            continue
        inside, truly = (np.stack(each) > 0.5 for each in zip(*frames, strict=True))
        outlines = [(outline(one), outline(other)) for one, other in frames]
        apart = [
            distances_mm(
                other.mean(axis=0, keepdims=True) if one is None else one, other, spacing_mm
            )
            for one, other in outlines
            if other is not None
        ]
        missed = [one is None for one, other in outlines if other is not None]
        mean, hausdorff = np.mean(apart, axis=0) if apart else (np.nan, np.nan)
        scores |= {
            f"dice_{kind}": dice(inside, truly),
            f"distance_mm_{kind}": float(mean),
            f"hausdorff_mm_{kind}": float(hausdorff),
            f"missed_{kind}": float(np.mean(missed)) if missed else np.nan,
        }
    return scores | {"area_change_error": _area_change_error(found, true, known)}


def _area_change_error(found: NDArray[np.float32], true: NDArray[np.uint8], known: Bools) -> float:
    endo = KINDS.index("endo")
    told = known[..., endo]  # (n, T)
    areas = (true[..., endo] > 127).sum(axis=(1, 2))  # (n, T)
    phases = np.flatnonzero(told.any(axis=0))
    common = told[:, phases].all(axis=1)  # slices that are known at all of these
    if len(phases) < 2 or not areas[common].any():
        return np.nan
    whole = areas[common].sum(axis=0)[phases]
    most, least = phases[whole.argmax()], phases[whole.argmin()]
    both = told[:, most] & told[:, least] & (areas[:, most] > 0)
    seen = (found[..., endo] > 0.5).sum(axis=(1, 2))
    errors = _change(seen[both], most, least) - _change(areas[both], most, least)
    return float(np.abs(errors).mean())


def _change(areas: NDArray[Any], most: int, least: int) -> Floats:
    """Share by which each slice's area falls; 0 where there is none to fall."""
    first = areas[:, most]
    fall = (first - areas[:, least]) / np.maximum(first, 1)
    return np.asarray(np.where(first > 0, fall, 0.0), dtype=np.float64)


def _area(loop: Floats) -> float:
    """Of a loop that ends where it begins."""
    x, y = loop.T
    return float(abs(x[:-1] @ y[1:] - y[:-1] @ x[1:])) / 2


def _walked(points: Floats) -> Floats:
    """Points every `STEP` pixels or less along a closed outline."""
    closed = np.concatenate([points, points[:1]])
    lengths = np.hypot(*np.diff(closed, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    places = np.linspace(0.0, along[-1], max(2, int(np.ceil(along[-1] / STEP)) + 1))[:-1]
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)
