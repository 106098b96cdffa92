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
from cinegan.evaluation.memorization import likeness
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
    nearness,
    not_measured,
    pool_table,
    variety,
)
from cinegan.files import atomic_file

Bytes = NDArray[np.uint8]

NEAREST_SHOWN = 8  # synthetic cycles in nearest.gif, each below the train cycle nearest to it
PAGE = "report.html"


class Judgement(NamedTuple):
    """The flat report, and tables by the names of their files."""

    report: dict[str, Any]
    tables: dict[str, pd.DataFrame]


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

    Samples that cannot be judged (not of 8 bits, constant, with another number of phases or on
    another scale of grey levels) leave all figures of theirs None, with the reason.

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
        If real cycles differ in size, or a patient is in more than one split.
    """
    check_alike(real)
    report: dict[str, Any] = counts(samples, patients)
    try:
        check_cycles(samples, "the synthetic cycles")
        why = unfit(samples, next((cycles for cycles in real.values() if len(cycles)), samples))
    except CineganError as error:
        why = str(error)
    if why:
        samples = next(iter(real.values()))[:0]
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
    report |= copying(samples, real, patients, seed, unfit=why)
    report |= variety(samples, real, patients, seed, unfit=why)
    if descriptors:
        tables["descriptors.csv"] = pd.concat(descriptors)
    areas = pool_table({SYNTHETIC: samples, **real} if centred else {})
    areas = areas.pivot(index="phase", columns="set", values="mean")
    spectra = spectrum_table({SYNTHETIC: samples, **real})
    spectra = spectra.pivot(index="frequency", columns="set", values="log10_energy")
    tables |= {"pool.csv": areas.reset_index(), "spectrum.csv": spectra.reset_index()}
    return Judgement(report, tables)


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
    shown = samples[:NEAREST_SHOWN]
    movies = {}
    if len(test):
        movies["heartbeats.gif"] = figures.real_above_synthetic(test, samples)
    if len(train):
        nearest = train[likeness(shown, train).argmax(axis=1)]
        movies["nearest.gif"] = figures.real_above_synthetic(nearest, shown, NEAREST_SHOWN)
    for file, movie in movies.items():
        figures.write_gif(folder / file, movie)
    write_page(folder / PAGE, name, samples, real, judged.report, seed)
    return [folder / file for file in (*judged.tables, *movies, PAGE)]
