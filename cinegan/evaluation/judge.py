"""One set of synthetic cycles judged whole: the report, tables for plots, pictures, a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cinegan import figures
from cinegan.errors import CineganError
from cinegan.evaluation.curves import fidelity_table, histogram_table, spectrum_table
from cinegan.evaluation.extractors import MEASURES, MOTION, TEXTURE, Extractor, Lacking
from cinegan.evaluation.features import check_cycles, unfit
from cinegan.evaluation.memorization import NEAREST_SHOWN, Nearest, likeness, nearest_pairs
from cinegan.evaluation.motion import QUANTITIES
from cinegan.evaluation.page import write_page
from cinegan.evaluation.report import (
    SYNTHETIC,
    check_alike,
    copying,
    counts,
    descriptor_table,
    features_of,
    figures_of_merit,
    likeness_of,
    nearness,
    not_measured,
    pool_table,
    variety,
)
from cinegan.files import atomic_file

Bytes = NDArray[np.uint8]

PAGE = "report.html"


class Judgement(NamedTuple):
    """The flat report, tables by the names of their files, and what looks most like a copy."""

    report: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    nearest: Nearest


def judge(
    samples: Bytes,
    real: Mapping[str, Bytes],
    patients: Mapping[str, NDArray[Any]],
    extractors: Iterable[Extractor | Lacking],
    *,
    seed: int,
    centred: bool = True,
    extrapolate: bool = False,
) -> Judgement:
    """Take every figure of a set of samples.

    Samples that cannot be judged (not of 8 bits, with constant frames, another number of phases or
    another scale of grey levels) leave all figures of theirs None, with the reason. In which order
    cycles are given does not matter.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, W, T)
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
        "train", "val" and "test"; any may be empty.
    patients : mapping of split to array, shape (n,)
        The patient of each real cycle.
    extractors : iterable of Extractor or Lacking
    seed : int
        Of every draw.
    centred : bool
        Whether the heart is in the middle of the cycles: in whole frames it is not, and nothing is
        told of its blood pool.
    extrapolate : bool
        Whether Fréchet distances are also extrapolated to infinitely many cycles.

    Raises
    ------
    CineganError
        If real cycles differ in size, or a patient or cycle is in more than one split.
    """
    check_alike(real)
    _check_apart(real)
    report: dict[str, Any] = counts(samples, patients)
    try:
        check_cycles(samples, "the synthetic cycles")
        why = unfit(samples, next((cycles for cycles in real.values() if len(cycles)), samples))
    except CineganError as error:
        why = str(error)
    if why:
        samples = next(iter(real.values()))[:0]
    samples = samples[_order(samples)]
    orders = {split: _order(cycles) for split, cycles in real.items()}
    real = {split: cycles[orders[split]] for split, cycles in real.items()}
    patients = {
        split: np.asarray(each)[orders[split]] if len(each) == len(orders[split]) else each
        for split, each in patients.items()
        if split in orders
    }
    descriptors: list[pd.DataFrame] = []
    tables: dict[str, pd.DataFrame] = {}
    for extractor in extractors:
        try:
            if isinstance(extractor, Lacking):
                raise CineganError(extractor.reason)
            features = features_of(samples, real, extractor)
        except CineganError as error:
            report |= not_measured(
                extractor.name, extractor.measures, str(error), extrapolate=extrapolate
            )
            continue
        report |= figures_of_merit(
            features,
            patients,
            extractor,
            seed=seed,
            unfit=why,
            centred=centred,
            extrapolate=extrapolate,
        )
        if extractor.measures[: len(MEASURES)] == MEASURES:
            report |= nearness(features, patients, extractor, seed, unfit=why)
        if extractor.columns:
            descriptors.append(descriptor_table(features, extractor))
        if extractor is TEXTURE:
            pairs = {SYNTHETIC: (SYNTHETIC, "test"), "floor": ("train", "test")}
            tables["fidelity.csv"] = fidelity_table(features, pairs, seed)
        if extractor is MOTION:
            told = [q for q in QUANTITIES if centred or f"w1_{q}" not in MOTION.centred]
            tables["quantities.csv"] = histogram_table(features, MOTION.columns, told)
    train = real.get("train", samples[:0])
    to_train = likeness_of(
        {SYNTHETIC: samples, **{s: real[s] for s in real if s != "train"}}, train
    )
    report |= copying(samples, real, patients, to_train, seed, unfit=why)
    report |= variety(samples, real, patients, seed, unfit=why)
    if descriptors:
        tables["descriptors.csv"] = pd.concat(descriptors)
    areas = pool_table({SYNTHETIC: samples, **real} if centred else {})
    areas = areas.pivot(index="phase", columns="set", values="mean")
    spectra = spectrum_table({SYNTHETIC: samples, **real})
    spectra = spectra.pivot(index="frequency", columns="set", values="log10_energy")
    tables |= {"pool.csv": areas.reset_index(), "spectrum.csv": spectra.reset_index()}
    return Judgement(report, tables, nearest_pairs(samples, train, to_train[SYNTHETIC]))


def write_plots(
    folder: Path,
    name: str,
    judged: Judgement,
    samples: Bytes,
    real: Mapping[str, Bytes],
    seed: int,
) -> list[Path]:
    """Write the tables, two moving pictures and the page to a folder; returns their paths.

    Parameters
    ----------
    name : str
        Of what is judged, for the page.
    """
    for file, table in judged.tables.items():
        with atomic_file(folder / file) as partial:
            table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    if samples.dtype != np.uint8:  # cannot be judged, but be looked at
        samples = np.clip(np.nan_to_num(samples), 0, 255).astype(np.uint8)
    train, test = real["train"], real["test"]
    if samples.shape[-1] != train.shape[-1]:  # likewise
        there = np.arange(train.shape[-1]) * samples.shape[-1] // train.shape[-1]
        samples = samples[..., there]
    nearest = judged.nearest
    if not len(nearest.likeness):  # cannot be judged, but be looked at
        shown = samples[:NEAREST_SHOWN]
        nearest = nearest_pairs(shown, train, likeness(shown, train))
    movies = {}
    if len(test):
        movies["heartbeats.gif"] = figures.real_above_synthetic(test, samples)
    if len(nearest.likeness):
        movies["nearest.gif"] = figures.real_above_synthetic(
            nearest.train, nearest.samples, NEAREST_SHOWN
        )
    for file, movie in movies.items():
        figures.write_gif(folder / file, movie)
    write_page(folder / PAGE, name, samples, real, nearest, judged.report, seed)
    return [folder / file for file in (*judged.tables, *movies, PAGE)]


def pixels_told(height: int, width: int) -> str:
    """The one policy for pixels, as it stands beside the figures."""
    return f"{height}x{width}, by one antialiased filter, rounded to 8 bits"


def _order(cycles: NDArray[Any]) -> NDArray[np.int64]:
    """An order of cycles that depends on nothing but themselves, (n,)."""
    return np.array(sorted(range(len(cycles)), key=lambda k: cycles[k].tobytes()), dtype=np.int64)


def _check_apart(real: Mapping[str, Bytes]) -> None:
    """Refuse cycles that stand in two splits, such as those of one patient under two names."""
    first: dict[bytes, tuple[str, int]] = {}
    for split, cycles in real.items():
        for k, cycle in enumerate(cycles):
            where, place = first.setdefault(cycle.tobytes(), (split, k))
            if where != split and cycle.min() < cycle.max():
                raise CineganError(
                    f"{split} cycle {k} is {where} cycle {place}: the same patient in both; split "
                    "by patient"
                )
