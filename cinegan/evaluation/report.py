"""What a model's samples are worth: the figures of merit, and the rows to plot them from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from cinegan.errors import CineganError
from cinegan.evaluation.extractors import Extractor, bounds
from cinegan.evaluation.features import Standardiser, check_cycles, pool_areas
from cinegan.evaluation.frechet import frechet, frechet_infinite
from cinegan.evaluation.manifold import NEAREST
from cinegan.evaluation.memorization import Threshold, authentic, likeness, nearer_train
from cinegan.evaluation.similarity import similarity_table
from cinegan.evaluation.subsamples import (
    LEAST_PATIENTS,
    SHARE,
    Estimate,
    Group,
    Measure,
    at_size,
    mean_of,
)
from cinegan.files import rounded

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

SYNTHETIC = "synthetic"
PAIRED = 24  # cycles of a set that are compared with one another, at most
NO_INTERVAL = (
    f"an interval takes {LEAST_PATIENTS} patients of each set, in half of them as many cycles as "
    "the measure needs, and halves that differ"
)
OFF_CENTRE = "in whole frames the heart is not in the middle, where the blood pool is looked for"
NOT_EXTRAPOLATED = "no interval is taken of an extrapolation, which is one of all samples"
# Each figure by the end of its name: which two sets it compares, the one judged first.
PAIRS = {
    "train": (SYNTHETIC, "train"),
    "test": (SYNTHETIC, "test"),
    "floor": ("train", "test"),
    "floor_train": ("test", "train"),
}
# What is not the same both ways, so that figures against train need a floor of their own.
ONE_WAY = ("precision", "recall", "density", "coverage")


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
    unfit: str = "",
    centred: bool = True,
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
    unfit : str
        Why the synthetic cycles, of which there are none then, cannot be judged.
    centred : bool
        Whether the heart is in the middle of the cycles.
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
        - `F_floor_train`, of `ONE_WAY`: test patients in its place, against train;
        - `F_train_low`, `F_train_high` and so on: the interval of `subsamples.at_size`, None
          where there are too few patients or cycles;
        - `kid_<extractor>_train_se` and so on: the standard error of the kernel distance;
        - `frechet_<extractor>_ratio`: distance to test over floor; 1 is as near to unseen patients
          as real cycles of other patients are;
        - `frechet_inf_<extractor>_train` and so on: `frechet.frechet_infinite`, of all samples,
          without an interval;
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
    lacking[SYNTHETIC] = unfit or lacking[SYNTHETIC]
    usable = [sizes[key] for key in sets if not lacking[key]]
    compared = min(usable) if len(usable) > 1 else None
    count = f"n_compared_{extractor.name}"
    whole = "; ".join(dict.fromkeys(filter(None, lacking.values())))
    report: dict[str, Any] = {count: compared} if compared else _unknown([count], whole)
    groups = {
        each: Group(features[each], None if each == SYNTHETIC else owners[each])
        for each in sets
        if not lacking[each]
    }
    for ending, pair in PAIRS.items():
        keys = _keys(extractor.name, extractor.measures, ending, extrapolate)
        if not keys:
            continue
        reason = "; ".join(lacking[one] for one in pair if lacking[one])
        if reason or compared is None:
            report |= _unknown_figures(keys, reason)
            continue
        judged, reference = (groups[each] for each in pair)
        width = judged.values.shape[1]
        estimates = at_size(
            extractor.measure,
            (judged, reference),
            compared,
            draws=draws,
            seed=seed,
            least=NEAREST + 1,
            bounds=bounds,
        )
        for name, key in keys.items():
            if name in extractor.centred and not centred:
                report |= _unknown_figures({name: key}, OFF_CENTRE)
            elif name == "frechet_inf":
                value = frechet_infinite(judged.values, reference.values, seed=seed)
                half = min(len(judged), len(reference)) // 2
                alone = Estimate(value, np.nan, np.nan, np.nan)
                report |= _told(key, alone, _singular(half, width), NOT_EXTRAPOLATED)
            else:
                report |= _told(key, estimates[name], _singular(compared, width))
        if "kid" in keys:
            report |= _with_reasons({f"{keys['kid']}_se": estimates["kid"].error}, NO_INTERVAL)
    if "frechet" not in extractor.measures:
        return report
    key = f"frechet_{extractor.name}_ratio"
    if whole or compared is None:
        return report | _unknown_figures({"ratio": key}, whole)
    found = at_size(
        _ratio, [groups[each] for each in sets], compared, draws=draws, seed=seed, bounds=bounds
    )
    reason = f"frechet_{extractor.name}_test or frechet_{extractor.name}_floor is missing or zero"
    return report | _told(key, found["ratio"], reason)


def _keys(name: str, measures: Collection[str], ending: str, extrapolate: bool) -> dict[str, str]:
    """The keys of an extractor's figures of one pair, by their measures."""
    told = [m for m in measures if m in ONE_WAY or ending != "floor_train"]
    if extrapolate and "frechet" in told:
        told.insert(told.index("frechet") + 1, "frechet_inf")
    return {measure: f"{measure}_{name}_{ending}" for measure in told}


def _ratio(synthetic: NDArray[Any], train: NDArray[Any], test: NDArray[Any]) -> Mapping[str, float]:
    # A zero after rounding is one; the ratio of two would be noise.
    floor = round(frechet(train, test)["frechet"], 9)
    return {"ratio": frechet(synthetic, test)["frechet"] / floor if floor else np.nan}


def not_measured(
    name: str, measures: Collection[str], reason: str, *, extrapolate: bool = False
) -> dict[str, Any]:
    """The keys of an extractor that cannot be had, None, each with the reason."""
    report = _unknown([f"n_compared_{name}"], reason)
    for ending in PAIRS:
        report |= _unknown_figures(_keys(name, measures, ending, extrapolate), reason)
    if "frechet" in measures:
        key = f"frechet_{name}_ratio"
        report |= _unknown_figures({"ratio": key}, reason)
    if "kid" in measures:
        near = [
            f"{figure}_{name}{ending}"
            for figure in ("nearer_train", "nearest_train", "nearest_test")
            for ending in ("", "_floor")
        ]
        report |= _unknown_figures({key: key for key in near}, reason)
    return report


def variety(
    samples: Bytes,
    real: Mapping[str, Bytes],
    patients: Mapping[str, NDArray[Any]],
    seed: int,
    *,
    unfit: str = "",
) -> dict[str, Any]:
    """How alike the cycles of each set are to one another: near 1 in a collapse.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
    patients : mapping of split to array, shape (n,)
    seed : int
        Of the choice of cycles, at most `PAIRED` of a set, and of the intervals.
    unfit : str
        Why the synthetic cycles, of which there are none then, cannot be judged.

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
    count = min([PAIRED, *(len(cycles) for cycles in sets.values() if len(cycles) > 1)])
    report: dict[str, Any] = {"n_paired": count}
    for name, cycles in sets.items():
        key = {"msssim": f"msssim_{name}"}
        if len(cycles) < 2:
            reason = f"{len(cycles)} {name} cycles; 2 are needed"
            report |= _unknown_figures(key, (name == SYNTHETIC and unfit) or reason)
            continue
        chosen = np.sort(np.random.default_rng(seed).choice(len(cycles), count, replace=False))
        try:
            table = similarity_table(cycles[chosen])
        except CineganError as error:
            report |= _unknown_figures(key, str(error))
            continue
        # Synthetic cycles are a patient each.
        owners = chosen if name == SYNTHETIC else np.array(_of(patients, name))[chosen]
        group = Group(np.arange(count), owners)
        found = at_size(_mean_of_pairs(table), [group], count, draws=20, seed=seed, bounds=bounds)
        report |= _told(key["msssim"], found["msssim"])
    return report


def counts(samples: Bytes, patients: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """`n_synthetic` and, of train, val and test, `n_<split>` cycles, `n_<split>_patients`."""
    owners = {split: _of(patients, split) for split in ("train", "val", "test")}
    return {
        f"n_{SYNTHETIC}": len(samples),
        **{f"n_{split}": len(of_each) for split, of_each in owners.items()},
        **{f"n_{split}_patients": len(set(of_each)) for split, of_each in owners.items()},
    }


def likeness_of(sets: Mapping[str, Bytes], others: Bytes) -> dict[str, Floats]:
    """`likeness` of each set and the others, moving these once for all: (n, m) each."""
    ends = np.cumsum([len(cycles) for cycles in sets.values()])[:-1]
    table = likeness(np.concatenate(list(sets.values())), others)
    return dict(zip(sets, np.split(table, ends), strict=True))


def copying(
    samples: Bytes,
    real: Mapping[str, Bytes],
    patients: Mapping[str, NDArray[Any]],
    to_train: Mapping[str, Floats],
    seed: int,
    *,
    unfit: str = "",
) -> dict[str, Any]:
    """How many samples are cycles of train patients once more.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
        "train"; "val", on which the threshold is fixed; and "test".
    patients : mapping of split to array, shape (n,)
    to_train : mapping of set to ndarray of float64, shape (n, m)
        `likeness_of` the samples, val and test and the train cycles.
    seed : int
        Of the threshold's disturbed copies, and of the pools.
    unfit : str
        Why the synthetic cycles, of which there are none then, cannot be judged.

    Returns
    -------
    dict
        Each with `_low` and `_high`:

        - `copied`: share of the samples that are near-copies of a train cycle; `copied_floor`:
          that of test patients' cycles; without these two, `copied_threshold`: the likeness that
          makes a near-copy;
        - `authentic`: share that is less like a train cycle than that is like another one;
          `authentic_floor`: that of test patients' cycles;
        - `likeness_train`, `likeness_test`: mean likeness to the nearest train cycle, and to the
          nearest test cycle, in pools of equal size; `likeness_train_floor`,
          `likeness_test_floor`: those of val patients' cycles. A sample is no more like train
          than like test if nothing was copied. `n_pool`: cycles of each pool;
        - `nearer_train_pixels`, `nearer_train_pixels_floor`: as those of `nearness`, by likeness.

        None where there are too few cycles, with `<key>_reason`.
    """
    sets = {SYNTHETIC: samples, **real}
    check_alike(sets)
    none = samples[:0]
    train, val, test = (real.get(split, none) for split in ("train", "val", "test"))
    names = ("copied", "authentic", "likeness_train", "likeness_test", "nearer_train_pixels")
    figures = {name + ending: name + ending for name in names for ending in ("", "_floor")}
    try:
        if min(map(len, (samples, train, val, test))) < 2:
            counted = ", ".join(f"{len(cycles)} {name}" for name, cycles in sets.items())
            raise CineganError(unfit or f"{counted} cycles; 2 of each are needed")
        threshold = Threshold.fixed_on(val, train, seed).value
    except CineganError as error:
        reason = str(error)
        return _unknown(["copied_threshold", "n_pool"], reason) | _unknown_figures(figures, reason)
    report: dict[str, Any] = {"copied_threshold": rounded(threshold)}
    within = likeness(train, train)
    to_test = likeness_of({name: sets[name] for name in (SYNTHETIC, "val")}, test)
    owners = {name: np.array(_of(patients, name)) for name in ("train", "val", "test")}
    for name, ending in ((SYNTHETIC, ""), ("test", "_floor")):
        near = to_train[name].max(axis=1) > threshold
        new = authentic(to_train[name], within)
        report |= _told(f"copied{ending}", mean_of(near, owners.get(name)))
        report |= _told(f"authentic{ending}", mean_of(new, owners.get(name)))
    # One size for the samples and for their floor, on which the nearest depends.
    pool = min(map(len, (samples, train, val, test)))
    report["n_pool"] = pool
    for name, ending in ((SYNTHETIC, ""), ("val", "_floor")):
        tables = {"train": to_train[name], "test": to_test[name]}
        groups = [
            Group(np.arange(count), owners.get(each))
            for each, count in ((name, len(sets[name])), ("train", len(train)), ("test", len(test)))
        ]
        found = at_size(
            _in_pools(tables), groups, pool, draws=20, seed=seed, bounds=lambda _: (-1.0, 1.0)
        )
        for split in tables:
            report |= _told(f"likeness_{split}{ending}", found[split])
    apart = {name: -table.max(axis=1) for name, table in to_train.items()}
    return report | _nearness("pixels", apart, owners, seed)


def _in_pools(tables: Mapping[str, Floats]) -> Measure:
    """Mean likeness to the most alike of a pool of train, and of a pool of test cycles."""

    def measure(
        some: NDArray[Any], of_train: NDArray[Any], of_test: NDArray[Any]
    ) -> dict[str, float]:
        pools = {"train": of_train, "test": of_test}
        return {
            split: float(table[np.ix_(some, pools[split])].max(axis=1).mean())
            for split, table in tables.items()
        }

    return measure


def nearness(
    features: Mapping[str, Floats],
    patients: Mapping[str, NDArray[Any]],
    extractor: Extractor,
    seed: int,
    *,
    unfit: str = "",
) -> dict[str, Any]:
    """Whether samples keep closer to train cycles than unseen patients' cycles do.

    Parameters
    ----------
    features : mapping of set to ndarray of float64, shape (n * extractor.rows, d)
        As `features_of` gives them.
    patients : mapping of split to array, shape (n,)
    extractor : Extractor
        Which the features are of.
    seed : int
        Of the draws.
    unfit : str
        Why the synthetic cycles, of which there are none then, cannot be judged.

    Returns
    -------
    dict
        Each with `_low` and `_high`, and `_floor`, the same for val patients' cycles, whom nobody
        learnt by heart:

        - `nearer_train_<extractor>`: how often a sample is nearer to its nearest train cycle than a
          test cycle is to its own, a half being the best [1]_;
        - `nearest_train_<extractor>`, `nearest_test_<extractor>`: mean distance to the nearest
          train cycle, and to the nearest test cycle, in pools of equal size, that of the smallest
          set there is.

        None where cycles lack, with `<key>_reason`.

    References
    ----------
    .. [1] Meehan, Chaudhuri and Dasgupta, "A non-parametric test to detect data-copying in
       generative models", AISTATS 2020, of the whole space as one cell.
    """
    sizes = {each: len(features.get(each, ())) for each in (SYNTHETIC, "train", "val", "test")}
    apart, owners, reasons = {}, {}, dict.fromkeys([SYNTHETIC] * bool(unfit), unfit)
    for each in (SYNTHETIC, "val", "test"):
        if not sizes[each] or not sizes["train"] or not features["train"].shape[1]:
            told = f"{sizes[each]} {each} and {sizes['train']} train cycles; both are needed"
            reasons.setdefault(each, told)
            continue
        apart[each] = cdist(features[each], features["train"]).min(axis=1)
        owners[each] = np.repeat(_of(patients, each), extractor.rows)
    report = _nearness(extractor.name, apart, owners, seed, reasons)
    owners["train"] = np.repeat(_of(patients, "train"), extractor.rows)
    pool = min(filter(None, sizes.values()), default=0)
    for judged, ending in ((SYNTHETIC, ""), ("val", "_floor")):
        keys = {split: f"nearest_{split}_{extractor.name}{ending}" for split in ("train", "test")}
        reason = "; ".join(reasons[each] for each in (judged, "test") if each in reasons)
        if reason:
            report |= _unknown_figures(keys, reason)
            continue
        likeness = {split: -cdist(features[judged], features[split]) for split in keys}
        groups = [
            Group(np.arange(sizes[each]), None if each == SYNTHETIC else owners[each])
            for each in (judged, "train", "test")
        ]
        found = at_size(_in_pools(likeness), groups, pool, draws=20, seed=seed)
        for split, key in keys.items():
            value, low, high, error = found[split]
            report |= _told(key, Estimate(-value, max(-high, 0.0), -low, error))
    return report


def _nearness(
    name: str,
    apart: Mapping[str, Floats],
    owners: Mapping[str, NDArray[Any]],
    seed: int,
    reasons: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """`nearness` from the distance of each set's samples to their nearest train cycles."""
    report: dict[str, Any] = {}
    for judged, ending in ((SYNTHETIC, ""), ("val", "_floor")):
        key = f"nearer_train_{name}{ending}"
        reason = "; ".join(reasons[each] for each in (judged, "test") if each in reasons)
        if reason:
            report |= _unknown_figures({key: key}, reason)
            continue
        groups = [
            Group(apart[each], None if each == SYNTHETIC else owners[each])
            for each in (judged, "test")
        ]
        size = min(map(len, groups))
        found = at_size(_nearer, groups, size, draws=20, seed=seed, bounds=lambda _: SHARE)
        report |= _told(key, found["nearer_train"])
    return report


def _nearer(judged: Floats, unseen: Floats) -> Mapping[str, float]:
    return {"nearer_train": nearer_train(judged, unseen)}


def _mean_of_pairs(table: Floats) -> Measure:
    def measure(some: NDArray[Any]) -> dict[str, float]:
        among = table[np.ix_(some, some)]
        return {"msssim": float(among[np.triu_indices(len(some), 1)].mean())}

    return measure


def _unknown(keys: Iterable[str], reason: str) -> dict[str, Any]:
    keys = list(keys)
    return dict.fromkeys(keys) | {f"{key}_reason": reason for key in keys}


def _unknown_figures(keys: Mapping[str, str], reason: str) -> dict[str, Any]:
    """Figures that cannot be told, their keys by their measures, with intervals and errors."""
    ends = {measure: ("", "_low", "_high", *(["_se"] * (measure == "kid"))) for measure in keys}
    return _unknown((key + end for measure, key in keys.items() for end in ends[measure]), reason)


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


def pool_table(sets: Mapping[str, Bytes]) -> pd.DataFrame:
    """How the blood pool's area goes through the cycle in each set: the rows of a plot.

    Parameters
    ----------
    sets : mapping of name to ndarray of uint8, shape (n, H, W, T)

    Returns
    -------
    DataFrame
        Columns `set`, `phase` (from 1), and `mean` and `sd` over cycles of the area, each cycle's
        divided by its own mean. Cycles without a bright pool and empty sets are left out.
    """
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


def _told(
    key: str, found: Estimate, reason: str = "", no_interval: str = NO_INTERVAL
) -> dict[str, Any]:
    """A figure and its interval under their keys, with the reason where it is not a number."""
    if not np.isfinite(found.value):
        return _unknown_figures({key: key}, reason)
    ends = {f"{key}_low": found.low, f"{key}_high": found.high}
    return {key: _figure(found.value)} | _with_reasons(ends, no_interval)


def _with_reasons(figures: Mapping[str, float], reason: str) -> dict[str, Any]:
    report: dict[str, Any] = {key: _figure(value) for key, value in figures.items()}
    return report | {f"{key}_reason": reason for key, value in report.items() if value is None}


def _figure(distance: float) -> float | None:
    """Round for the report; what is left of a zero after rounding would differ by machine."""
    return rounded(round(distance, 9))
