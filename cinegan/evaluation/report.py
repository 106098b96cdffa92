"""What a model's samples are worth: the figures of merit, and the rows to plot them from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cinegan.errors import CineganError
from cinegan.evaluation.features import (
    EXTRACTORS,
    Bytes,
    Extractor,
    Floats,
    Standardiser,
    check_cycles,
    pool_areas,
)
from cinegan.evaluation.frechet import frechet
from cinegan.evaluation.manifold import MEASURES, NEAREST, manifold
from cinegan.evaluation.memorization import authenticity, pixel_features
from cinegan.evaluation.subsamples import at_size
from cinegan.files import rounded

SYNTHETIC = "synthetic"
# Each figure by the end of its name: which two sets it compares, the one judged first.
PAIRS = {"train": (SYNTHETIC, "train"), "test": (SYNTHETIC, "test"), "floor": ("train", "test")}


def standardised_features(
    samples: Bytes, real: Mapping[str, Bytes], *, extractor: str = "texture"
) -> dict[str, Floats]:
    """Features of the synthetic set and each split, in standard deviations of the train split.

    Without real cycles of train patients there is no scale to measure in: every feature is then
    nan.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
        Synthetic cycles.
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
        Real cycles; those of "train" set the scale.
    extractor : str
        Key of `EXTRACTORS`.

    Returns
    -------
    dict of set to ndarray of float64, shape (n, d)
        First `SYNTHETIC`, then the splits in their order.

    Raises
    ------
    CineganError
        If an array holds no cycles, or they differ in size.
    """
    chosen = _extractor(extractor)
    sets = {SYNTHETIC: samples, **real}
    _check_alike(sets)
    if not len(sets.get("train", ())):
        return {name: np.full((len(sets[name]), len(chosen.names)), np.nan) for name in sets}
    features = {name: chosen.extract(cycles) for name, cycles in sets.items()}
    standardiser = Standardiser.fit(features["train"])
    return {name: standardiser.apply(values) for name, values in features.items()}


def figures_of_merit(
    features: Mapping[str, Floats],
    patients: Mapping[str, NDArray[Any]],
    *,
    seed: int,
    extractor: str = "texture",
    draws: int = 20,
    min_samples: int = 8,
) -> dict[str, Any]:
    """How far sets of standardised features are from one another, and how much of one they cover.

    All figures are taken at one sample size, that of the smallest set, because they depend on it.
    Beside each stands its floor: what real cycles of train patients score against those of test
    patients. An ideal model comes near the floor, not near 0 or 1. With few test patients the
    floor holds their differences too.

    Parameters
    ----------
    features : mapping of set to ndarray of float64, shape (n, d)
        As `standardised_features` gives them.
    patients : mapping of split to array, shape (n,)
        The patient each real cycle belongs to.
    seed : int
        Of the subsamples.
    extractor : str
        Key of `EXTRACTORS`; it becomes part of the metrics' names.
    draws : int
        Subsamples that a figure is averaged over.
    min_samples : int
        A set of fewer cycles is not compared; at least one more than `manifold.NEAREST`.

    Returns
    -------
    dict
        Flat; F standing for each of `frechet`, `precision`, `recall`, `density` and `coverage`
        with the name of the extractor after it, as in `frechet_texture_test`:

        - `F_train`, `F_test`: the synthetic set against real cycles of train, of test patients;
        - `F_floor`: train in the place of the synthetic set, against test patients;
        - `F_train_sd`, `F_test_sd`, `F_floor_sd`: standard deviation over the subsamples, None
          where both sets were used whole;
        - `frechet_ratio`: distance to test over floor; 1 is as near to unseen patients as real
          cycles of other patients are;
        - `n_synthetic`, `n_train`, `n_test`: cycles in each set;
        - `n_train_patients`, `n_test_patients`;
        - `n_compared`: cycles drawn from each set for every figure, None if for none;
        - `n_descriptors`: dimension of the features;

        Where `n_compared` does not exceed `n_descriptors`, covariances are singular, and the
        distances mean something beside their floor only.

        A figure that cannot be computed is None, and `<key>_reason` tells why.
    """
    _check_patients(features, patients)
    sets = (SYNTHETIC, "train", "test")
    sizes = {key: len(features.get(key, ())) for key in sets}
    dimension = len(_extractor(extractor).names)
    lacking = {key: _lack(key, sizes, max(min_samples, NEAREST + 1)) for key in sets}
    usable = [sizes[key] for key in sets if not lacking[key]]
    compared = min(usable) if len(usable) > 1 else None

    report: dict[str, Any] = {}
    for ending, pair in PAIRS.items():
        keys = {name: f"{name}_{extractor}_{ending}" for name in ("frechet", *MEASURES)}
        reason = "; ".join(lacking[one] for one in pair if lacking[one])
        if reason or compared is None:
            for key in keys.values():
                report |= {key: None, f"{key}_reason": reason}
            continue
        judged, reference = (features[each] for each in pair)
        estimates = at_size(all_measures, judged, reference, compared, draws=draws, seed=seed)
        for name, key in keys.items():
            value, sd = estimates[name]
            report |= {key: _figure(value), f"{key}_sd": _figure(sd)}
    report |= _ratio(report, f"frechet_{extractor}")
    report |= {f"n_{key}": size for key, size in sizes.items()}
    for split in ("train", "test"):
        report[f"n_{split}_patients"] = len(set(_of(patients, split)))
    report |= {"n_compared": compared, "n_descriptors": dimension}
    return report


def all_measures(judged: Floats, reference: Floats) -> dict[str, float]:
    """`frechet` and `manifold` of features (n, d) against those of a reference, (m, d)."""
    return {**frechet(judged, reference), **manifold(judged, reference)}


def copying(samples: Bytes, real: Mapping[str, Bytes]) -> dict[str, Any]:
    """How many samples are new, by their pixels, beside what real cycles of other patients score.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
        Of "train" and "test".

    Returns
    -------
    dict
        `authenticity_pixels`: share of the synthetic cycles that are no nearer to a train cycle
        than train cycles are to one another; `authenticity_pixels_floor`: that of the test
        patients' cycles. None where there are too few cycles, with `<key>_reason`.
    """
    sets = {SYNTHETIC: samples, **real}
    _check_alike(sets)
    train = real.get("train", samples[:0])
    report: dict[str, Any] = {}
    for name, key in (
        (SYNTHETIC, "authenticity_pixels"),
        ("test", "authenticity_pixels_floor"),
    ):
        judged = sets.get(name, samples[:0])
        if len(train) < 2 or not len(judged):
            reason = f"{len(train)} train and {len(judged)} {name} cycles; 2 and 1 are needed"
            report |= {key: None, f"{key}_reason": reason}
            continue
        report[key] = rounded(authenticity(pixel_features(judged), pixel_features(train)))
    return report


def descriptor_table(features: Mapping[str, Floats], *, extractor: str = "texture") -> pd.DataFrame:
    """Where each set lies, descriptor by descriptor: the rows of a plot.

    Parameters
    ----------
    features : mapping of set to ndarray of float64, shape (n, d)
        As `standardised_features` gives them; sets that are empty or nan are left out.

    Returns
    -------
    DataFrame
        Columns `descriptor`, `set`, `mean` and `sd`, in standard deviations of the train split.
    """
    names = _extractor(extractor).names
    rows = [
        (descriptor, name, column.mean(), column.std())
        for name, values in features.items()
        if len(values)
        for descriptor, column in zip(names, values.T, strict=True)
    ]
    return pd.DataFrame(rows, columns=["descriptor", "set", "mean", "sd"]).dropna()


def pool_table(samples: Bytes, real: Mapping[str, Bytes]) -> pd.DataFrame:
    """How the blood pool's area goes through the cycle in each set: the rows of a plot.

    Returns
    -------
    DataFrame
        Columns `set`, `phase` (from 1), and `mean` and `sd` over cycles of the area, each cycle's
        divided by its own mean. Cycles without a bright pool and empty sets are left out.
    """
    sets = {SYNTHETIC: samples, **real}
    _check_alike(sets)
    rows = []
    for name, cycles in sets.items():
        areas = [area for cycle in cycles if (area := pool_areas(cycle)).any()]
        if areas:
            curves = np.array([area / area.mean() for area in areas])  # (cycles, T)
            moments = zip(curves.mean(axis=0), curves.std(axis=0), strict=True)
            rows += [(name, phase, mean, sd) for phase, (mean, sd) in enumerate(moments, start=1)]
    return pd.DataFrame(rows, columns=["set", "phase", "mean", "sd"])


def _extractor(name: str) -> Extractor:
    if name not in EXTRACTORS:
        raise CineganError(f"no feature extractor {name!r}; there are {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]


def _check_alike(sets: Mapping[str, Bytes]) -> None:
    """Refuse sets that are no cycles, or not all of one size and number of phases."""
    shapes = {}
    for name, cycles in sets.items():
        check_cycles(cycles, f"the {name} cycles")
        if len(cycles):
            shapes[name] = "x".join(map(str, cycles.shape[1:]))
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise CineganError(f"cycles differ in size ({listed}); resize them to one HxWxT first")


def _check_patients(features: Mapping[str, Floats], patients: Mapping[str, NDArray[Any]]) -> None:
    for split in ("train", "test"):
        cycles, named = len(features.get(split, ())), len(_of(patients, split))
        if cycles and cycles != named:
            raise CineganError(f"{cycles} {split} cycles but {named} patient ids; give one each")
    shared = sorted(set(_of(patients, "train")) & set(_of(patients, "test")))
    if shared:
        raise CineganError(
            f"patient {shared[0]} stands in both train and test; split by patient, "
            "or the floor compares a patient with the same one"
        )


def _of(patients: Mapping[str, NDArray[Any]], split: str) -> list[str]:
    return [str(patient) for patient in patients.get(split, ())]


def _lack(name: str, sizes: Mapping[str, int], least: int) -> str:
    """Why a set cannot be compared; empty if it can."""
    if not sizes["train"]:
        return "no train cycles to standardise on"
    if sizes[name] < least:
        return f"too few {name} cycles: {sizes[name]}, at least {least} are needed"
    return ""


def _figure(distance: float) -> float | None:
    """Round for the report; what is left of a zero after rounding would differ by machine."""
    return rounded(round(distance, 9))


def _ratio(report: Mapping[str, Any], name: str) -> dict[str, Any]:
    test, floor = report[f"{name}_test"], report[f"{name}_floor"]
    if test is None or not floor:
        reason = f"{name}_test or {name}_floor is missing or zero"
        return {f"{name}_ratio": None, f"{name}_ratio_reason": reason}
    return {f"{name}_ratio": rounded(test / floor)}
