"""What a model's samples are worth: the figures of merit, and the rows to plot them from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cinegan.errors import CineganError
from cinegan.evaluation.extractors import Extractor
from cinegan.evaluation.features import Standardiser, check_cycles, pool_areas
from cinegan.evaluation.frechet import frechet_infinite
from cinegan.evaluation.manifold import NEAREST
from cinegan.evaluation.memorization import Threshold, authentic, likeness
from cinegan.evaluation.similarity import similarity_table
from cinegan.evaluation.subsamples import Estimate, Group, Measure, at_size
from cinegan.files import rounded

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

SYNTHETIC = "synthetic"
PAIRED = 24  # cycles of a set that are compared with one another, at most
# Each figure by the end of its name: which two sets it compares, the one judged first.
PAIRS = {"train": (SYNTHETIC, "train"), "test": (SYNTHETIC, "test"), "floor": ("train", "test")}


def features_of(
    samples: Bytes, real: Mapping[str, Bytes], extractor: Extractor
) -> dict[str, NDArray[Any]]:
    """Features of the synthetic set and each split.

    Where the extractor asks for it, they are in standard deviations of the train split. Without
    real cycles of train patients there is then no scale to measure in, and features have no
    columns.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
        Synthetic cycles.
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
        Real cycles; those of "train" set the scale.

    Returns
    -------
    dict of set to ndarray, shape (n * extractor.rows, ...)
        First `SYNTHETIC`, then the splits in their order.

    Raises
    ------
    CineganError
        If an array holds no cycles, or they differ in size.
    """
    sets = {SYNTHETIC: samples, **real}
    check_alike(sets)
    if not extractor.standardised:
        return {name: extractor.extract(cycles) for name, cycles in sets.items()}
    if not len(sets.get("train", ())):
        return {name: np.empty((len(each) * extractor.rows, 0)) for name, each in sets.items()}
    features = {name: extractor.extract(cycles) for name, cycles in sets.items()}
    standardiser = Standardiser.fit(features["train"])
    return {name: standardiser.apply(values) for name, values in features.items()}


def figures_of_merit(
    features: Mapping[str, NDArray[Any]],
    patients: Mapping[str, NDArray[Any]],
    extractor: Extractor,
    *,
    seed: int,
    extrapolate: bool = False,
    draws: int = 20,
    min_samples: int = 8,
) -> dict[str, Any]:
    """How far sets of features are from one another, and how much of one they cover.

    All figures are taken at one sample size, that of the smallest set, because they depend on it.
    Beside each stands its floor: what real cycles of train patients score against those of test
    patients. An ideal model comes near the floor, not near 0 or 1. With few test patients the
    floor holds their differences too.

    Parameters
    ----------
    features : mapping of set to ndarray, shape (n * extractor.rows, ...)
        As `features_of` gives them.
    patients : mapping of split to array, shape (n,)
        The patient each real cycle belongs to.
    extractor : Extractor
        Which the features are of.
    seed : int
        Of the subsamples.
    extrapolate : bool
        Whether Fréchet distances are also extrapolated to infinitely many samples.
    draws : int
        Subsamples that a figure is averaged over.
    min_samples : int
        A set of fewer samples is not compared; at least one more than `manifold.NEAREST`.

    Returns
    -------
    dict
        Flat; F standing for each of the extractor's measures with its name after it, as in
        `kid_texture_test`:

        - `F_train`, `F_test`: the synthetic set against real cycles of train, of test patients;
        - `F_floor`: train in the place of the synthetic set, against test patients;
        - `F_train_low`, `F_train_high` and so on: the interval of `subsamples.at_size`, None
          where there are too few patients or cycles;
        - `kid_<extractor>_train_se` and so on: the standard error of the kernel distance;
        - `frechet_<extractor>_ratio`: distance to test over floor; 1 is as near to unseen patients
          as real cycles of other patients are;
        - `frechet_inf_<extractor>_train` and so on: `frechet.frechet_infinite`, of all samples;
        - `n_compared_<extractor>`: samples drawn from each set, None if no two can be compared.

        A figure that cannot be computed is None, and `<key>_reason` tells why. So is a Fréchet
        distance of no more samples than features, whose covariances are singular.
    """
    owners = {split: np.repeat(_of(patients, split), extractor.rows) for split in patients}
    _check_patients(features, owners)
    sets = (SYNTHETIC, "train", "test")
    sizes = {key: len(features.get(key, ())) for key in sets}
    lacking = {
        key: _lack(key, sizes, max(min_samples, NEAREST + 1), extractor.standardised)
        for key in sets
    }
    usable = [sizes[key] for key in sets if not lacking[key]]
    compared = min(usable) if len(usable) > 1 else None
    report: dict[str, Any] = {f"n_compared_{extractor.name}": compared}
    for ending, pair in PAIRS.items():
        keys = {name: f"{name}_{extractor.name}_{ending}" for name in extractor.measures}
        reason = "; ".join(lacking[one] for one in pair if lacking[one])
        if reason or compared is None:
            report |= _unknown(keys.values(), reason)
            continue
        judged, reference = (
            Group(features[each], None if each == SYNTHETIC else owners[each]) for each in pair
        )
        estimates = at_size(
            extractor.measure,
            judged,
            reference,
            compared,
            draws=draws,
            seed=seed,
            least=NEAREST + 1,
        )
        for name, key in keys.items():
            report |= _told(key, estimates[name])
        if "kid" in keys:
            report[f"{keys['kid']}_se"] = _figure(estimates["kid"].error)
        if "frechet" in keys and report[keys["frechet"]] is None:
            report[f"{keys['frechet']}_reason"] = _singular(compared, judged.values.shape[1])
        if extrapolate and "frechet" in keys:
            key = f"frechet_inf_{extractor.name}_{ending}"
            least = min(len(judged), len(reference))
            value = frechet_infinite(judged.values, reference.values, seed=seed)
            report[key] = _figure(value)
            if report[key] is None:
                report[f"{key}_reason"] = _singular(least // 2, judged.values.shape[1])
    return report | (_ratio(report, extractor.name) if "frechet" in extractor.measures else {})


def not_measured(name: str, measures: Collection[str], reason: str) -> dict[str, Any]:
    """The keys of `figures_of_merit`, None, for an extractor that cannot be had."""
    keys = [f"{measure}_{name}_{ending}" for measure in measures for ending in PAIRS]
    return _unknown([f"n_compared_{name}", *keys], reason)


def variety(
    samples: Bytes, real: Mapping[str, Bytes], patients: Mapping[str, NDArray[Any]], seed: int
) -> dict[str, Any]:
    """How alike the cycles of each set are to one another: near 1 in a collapse.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
    patients : mapping of split to array, shape (n,)
    seed : int
        Of the choice of cycles, at most `PAIRED` of a set, and of the intervals.

    Returns
    -------
    dict
        `msssim_synthetic`, `msssim_train`, `msssim_test`: mean structural similarity of pairs, with
        `_low` and `_high`; and `n_paired`, the cycles of each set that were paired, all with all.
        Samples should be as alike as the real sets' are. None where that cannot be told, with
        `<key>_reason`.
    """
    sets = {SYNTHETIC: samples, "train": real["train"], "test": real["test"]}
    check_alike(sets)
    count = min(PAIRED, *(len(cycles) for cycles in sets.values() if len(cycles) > 1))
    report: dict[str, Any] = {"n_paired": count}
    for name, cycles in sets.items():
        key = f"msssim_{name}"
        if len(cycles) < 2:
            report |= _unknown([key], f"{len(cycles)} {name} cycles; 2 are needed")
            continue
        chosen = np.sort(np.random.default_rng(seed).choice(len(cycles), count, replace=False))
        try:
            table = similarity_table(cycles[chosen])
        except CineganError as error:
            report |= _unknown([key], str(error))
            continue
        owners = None if name == SYNTHETIC else np.array(_of(patients, name))[chosen]
        group = Group(np.arange(count), owners)

        found = at_size(_mean_of_pairs(table), group, group, count, draws=20, seed=seed)["msssim"]
        report |= _told(key, found)
    return report


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
    check_alike(sets)
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


def _mean_of_pairs(table: Floats) -> Measure:
    def measure(some: NDArray[Any], _: NDArray[Any]) -> dict[str, float]:
        among = table[np.ix_(some, some)]
        return {"msssim": float(among[np.triu_indices(len(some), 1)].mean())}

    return measure


def _unknown(keys: Collection[str], reason: str) -> dict[str, Any]:
    return dict.fromkeys(keys) | {f"{key}_reason": reason for key in keys}


def _mean_nearest(table: Floats) -> float | None:
    return rounded(float(table.max(axis=1).mean()))


def descriptor_table(features: Mapping[str, Floats], extractor: Extractor) -> pd.DataFrame:
    """Where each set lies, descriptor by descriptor: the rows of a plot.

    Parameters
    ----------
    features : mapping of set to ndarray of float64, shape (n, d)
        As `features_of` gives them; sets that are empty are left out.

    Returns
    -------
    DataFrame
        Columns `descriptor`, `set`, `mean` and `sd`, in standard deviations of the train split.
    """
    rows = [
        (descriptor, name, column.mean(), column.std())
        for name, values in features.items()
        if values.size and extractor.columns
        for descriptor, column in zip(extractor.columns, values.T, strict=True)
    ]
    return pd.DataFrame(rows, columns=["descriptor", "set", "mean", "sd"])


def pool_table(samples: Bytes, real: Mapping[str, Bytes]) -> pd.DataFrame:
    """How the blood pool's area goes through the cycle in each set: the rows of a plot.

    Returns
    -------
    DataFrame
        Columns `set`, `phase` (from 1), and `mean` and `sd` over cycles of the area, each cycle's
        divided by its own mean. Cycles without a bright pool and empty sets are left out.
    """
    sets = {SYNTHETIC: samples, **real}
    check_alike(sets)
    rows = []
    for name, cycles in sets.items():
        areas = [area for cycle in cycles if (area := pool_areas(cycle)).any()]
        if areas:
            curves = np.array([area / area.mean() for area in areas])  # (cycles, T)
            moments = zip(curves.mean(axis=0), curves.std(axis=0), strict=True)
            rows += [(name, phase, mean, sd) for phase, (mean, sd) in enumerate(moments, start=1)]
    return pd.DataFrame(rows, columns=["set", "phase", "mean", "sd"])


def check_alike(sets: Mapping[str, Bytes]) -> None:
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
    for one, other in combinations(("train", "val", "test"), 2):
        shared = sorted(set(_of(patients, one)) & set(_of(patients, other)))
        if shared:
            raise CineganError(
                f"patient {shared[0]} stands in both {one} and {other}; split by patient, "
                "or a patient is compared with the same one"
            )


def _of(patients: Mapping[str, NDArray[Any]], split: str) -> list[str]:
    return [str(patient) for patient in patients.get(split, ())]


def _lack(name: str, sizes: Mapping[str, int], least: int, standardised: bool) -> str:
    """Why a set cannot be compared; empty if it can."""
    if standardised and not sizes["train"]:
        return "no train cycles to standardise on"
    if sizes[name] < least:
        return f"too few {name} cycles: {sizes[name]}, at least {least} are needed"
    return ""


def _singular(samples: int, width: int) -> str:
    return (
        f"{samples} samples give no covariance of {width} features; at least {width + 1} are needed"
    )


def _told(key: str, found: Estimate) -> dict[str, float | None]:
    """A figure and its interval under their keys."""
    return {
        key: _figure(found.value),
        f"{key}_low": _figure(found.low),
        f"{key}_high": _figure(found.high),
    }


def _figure(distance: float) -> float | None:
    """Round for the report; what is left of a zero after rounding would differ by machine."""
    return rounded(round(distance, 9))


def _ratio(report: Mapping[str, Any], extractor: str) -> dict[str, Any]:
    name = f"frechet_{extractor}"
    test, floor = report[f"{name}_test"], report[f"{name}_floor"]
    if test is None or not floor:
        reason = f"{name}_test or {name}_floor is missing or zero"
        return {f"{name}_ratio": None, f"{name}_ratio_reason": reason}
    return {f"{name}_ratio": rounded(test / floor)}
