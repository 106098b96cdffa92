"""What a model's samples are worth: the figures of merit, and the rows to plot them from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from cinegan.errors import CineganError
from cinegan.evaluation.extractors import extractor_named
from cinegan.evaluation.features import Standardiser, check_cycles, pool_areas
from cinegan.evaluation.frechet import frechet
from cinegan.evaluation.kernel import kernel
from cinegan.evaluation.manifold import NEAREST, manifold
from cinegan.evaluation.memorization import Threshold, authentic, likeness
from cinegan.evaluation.motion import QUANTITIES
from cinegan.evaluation.subsamples import Group, at_size
from cinegan.files import rounded

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

SYNTHETIC = "synthetic"
MEASURES = ("frechet", "kid", "precision", "recall", "density", "coverage")
# Each figure by the end of its name: which two sets it compares, the one judged first.
PAIRS = {"train": (SYNTHETIC, "train"), "test": (SYNTHETIC, "test"), "floor": ("train", "test")}


def standardised_features(
    samples: Bytes, real: Mapping[str, Bytes], extractor: str
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
    chosen = extractor_named(extractor)
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
    extractor: str,
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
        Which the features are of; it becomes part of the metrics' names.
    draws : int
        Subsamples that a figure is averaged over.
    min_samples : int
        A set of fewer cycles is not compared; at least one more than `manifold.NEAREST`.

    Returns
    -------
    dict
        Flat; F standing for each of `MEASURES` (and for motion of `w1_<quantity>`) with the name
        of the extractor after it, as in `kid_texture_test`:

        - `F_train`, `F_test`: the synthetic set against real cycles of train, of test patients;
        - `F_floor`: train in the place of the synthetic set, against test patients;
        - `F_train_low`, `F_train_high` and so on: the interval of `subsamples.at_size`, None
          where there are too few patients or cycles;
        - `frechet_<extractor>_ratio`: distance to test over floor; 1 is as near to unseen patients
          as real cycles of other patients are;
        - `n_compared_<extractor>`: cycles drawn from each set, None if no two can be compared.

        Where no more cycles are compared than there are features, covariances are singular, and
        Fréchet distances mean something beside their floor only.

        A figure that cannot be computed is None, and `<key>_reason` tells why.
    """
    _check_patients(features, patients)
    sets = (SYNTHETIC, "train", "test")
    sizes = {key: len(features.get(key, ())) for key in sets}
    lacking = {key: _lack(key, sizes, max(min_samples, NEAREST + 1)) for key in sets}
    usable = [sizes[key] for key in sets if not lacking[key]]
    compared = min(usable) if len(usable) > 1 else None
    names = (*MEASURES, *(f"w1_{each}" for each in QUANTITIES if extractor == "motion"))

    def measure(judged: Floats, reference: Floats) -> dict[str, float]:
        apart = quantity_distances(judged, reference) if extractor == "motion" else {}
        return {**all_measures(judged, reference), **apart}

    report: dict[str, Any] = {f"n_compared_{extractor}": compared}
    for ending, pair in PAIRS.items():
        keys = {name: f"{name}_{extractor}_{ending}" for name in names}
        reason = "; ".join(lacking[one] for one in pair if lacking[one])
        if reason or compared is None:
            report |= _unknown(keys.values(), reason)
            continue
        judged, reference = (
            Group(features[each], None if each == SYNTHETIC else np.array(_of(patients, each)))
            for each in pair
        )
        estimates = at_size(
            measure, judged, reference, compared, draws=draws, seed=seed, least=NEAREST + 1
        )
        for name, key in keys.items():
            value, low, high = map(_figure, estimates[name])
            report |= {key: value, f"{key}_low": low, f"{key}_high": high}
    return report | _ratio(report, f"frechet_{extractor}")


def all_measures(judged: Floats, reference: Floats) -> dict[str, float]:
    """`MEASURES` of features (n, d) against those of a reference, (m, d)."""
    return {
        **frechet(judged, reference),
        **kernel(judged, reference),
        **manifold(judged, reference),
    }


def quantity_distances(judged: Floats, reference: Floats) -> dict[str, float]:
    """1-Wasserstein distance between the distributions of each of motion's `QUANTITIES`.

    Their columns are the last ones of `motion.motion`; in standard deviations of train.
    """
    columns = range(-len(QUANTITIES), 0)
    return {
        f"w1_{name}": float(wasserstein_distance(judged[:, k], reference[:, k]))
        for name, k in zip(QUANTITIES, columns, strict=True)
    }


def counts(samples: Bytes, patients: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """`n_synthetic`, `n_train`, `n_test` cycles, `n_train_patients` and `n_test_patients`."""
    owners = {split: _of(patients, split) for split in ("train", "test")}
    return {
        f"n_{SYNTHETIC}": len(samples),
        **{f"n_{split}": len(of_each) for split, of_each in owners.items()},
        **{f"n_{split}_patients": len(set(of_each)) for split, of_each in owners.items()},
    }


def copying(samples: Bytes, real: Mapping[str, Bytes], seed: int) -> dict[str, Any]:
    """How many samples are cycles of train patients once more.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
        "train"; "val", on which the threshold is fixed; and "test".
    seed : int
        Of the threshold's disturbed copies, and of the pools.

    Returns
    -------
    dict
        - `copied`: share of the samples that are near-copies of a train cycle; `copied_floor`:
          that of test patients' cycles; `copied_threshold`: the likeness that makes a near-copy;
        - `authentic`: share that is less like a train cycle than that is like another one;
          `authentic_floor`: that of test patients' cycles;
        - `likeness_train`, `likeness_test`: mean likeness to the nearest train cycle, and to the
          nearest test cycle, in pools of equal size; `likeness_train_floor`,
          `likeness_test_floor`: those of val patients' cycles. A sample is no more like train
          than like test if nothing was copied.

        None where there are too few cycles, with `<key>_reason`.
    """
    sets = {SYNTHETIC: samples, **real}
    _check_alike(sets)
    none = samples[:0]
    train, val, test = (real.get(split, none) for split in ("train", "val", "test"))
    keys = ("copied", "authentic", "likeness_train", "likeness_test")
    report: dict[str, Any] = dict.fromkeys(
        ("copied_threshold", *keys, *(f"{k}_floor" for k in keys))
    )
    if min(map(len, (samples, train, val, test))) < 2:
        reason = ", ".join(f"{len(cycles)} {name}" for name, cycles in sets.items())
        return _unknown(report, f"{reason} cycles; 2 of each are needed")
    try:
        threshold = Threshold.fixed_on(val, train, seed)
    except CineganError as error:
        return _unknown(report, str(error))
    within = likeness(train, train)
    to_train = {name: likeness(sets[name], train) for name in (SYNTHETIC, "val", "test")}
    report["copied_threshold"] = rounded(threshold.value)
    for name, ending in ((SYNTHETIC, ""), ("test", "_floor")):
        nearest = to_train[name].max(axis=1)
        report[f"copied{ending}"] = rounded(float((nearest > threshold.value).mean()))
        report[f"authentic{ending}"] = rounded(float(authentic(to_train[name], within).mean()))
    pool = min(len(train), len(test))
    of_train, of_test = (
        np.random.default_rng(seed).choice(len(each), pool, replace=False) for each in (train, test)
    )
    for name, ending in ((SYNTHETIC, ""), ("val", "_floor")):
        to_test = likeness(sets[name], test[of_test])
        report[f"likeness_train{ending}"] = _mean_nearest(to_train[name][:, of_train])
        report[f"likeness_test{ending}"] = _mean_nearest(to_test)
    return report


def _unknown(keys: Collection[str], reason: str) -> dict[str, Any]:
    return dict.fromkeys(keys) | {f"{key}_reason": reason for key in keys}


def _mean_nearest(table: Floats) -> float | None:
    return rounded(float(table.max(axis=1).mean()))


def descriptor_table(features: Mapping[str, Floats], extractor: str) -> pd.DataFrame:
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
    names = extractor_named(extractor).names
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
