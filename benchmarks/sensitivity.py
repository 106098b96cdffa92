"""Which measure reacts to what: real cycles made wrong on purpose, and judged.

On the cohort in the workspace. Reference are the cycles of train patients; judged, in the samples'
place, those of held-out patients (val and test), as they are and corrupted in ten ways at four
strengths. Each figure is taken on many draws of half of the patients of either side. A measure
raises an alarm where its mean lies beyond what 95 of 100 draws of uncorrupted cycles reach; false
alarms are counted on as many draws more. What each claims to catch stands in docs/evaluation.md,
and in `CLAIMS`.

In the table stands from which strength on, 1 to 4, a measure raises an alarm; in parentheses where
it does not grow with every strength; bold where it claims to catch this.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from benchmarks.corruptions import CORRUPTIONS, Given
from benchmarks.ours import PARAMS, THREADS
from cinegan.data.cohort import Cohort
from cinegan.errors import CineganError
from cinegan.evaluation.extractors import MOTION, TEXTURE, Extractor, cardiac_in, patches_of
from cinegan.evaluation.features import Standardiser
from cinegan.evaluation.memorization import Threshold, authentic, likeness
from cinegan.evaluation.similarity import similarity_table
from cinegan.training.runtime import configure

DRAWS, SEED = 40, 0
PAIRED = 16  # cycles of a draw that are compared with one another
HIGHER_IS_BETTER = ("precision", "density", "recall", "coverage", "authentic", "likeness")

_LOOKS = ("blur", "noise", "ghosting", "contrast", "swirl")
_MOVES = ("shuffled phases", "frozen cycles", "cut short")
# By the start of a measure's name; the longest that fits counts.
CLAIMS: dict[str, tuple[str, ...]] = {
    "frechet texture": (*_LOOKS, "missing modes"),
    "kid texture": (*_LOOKS, "missing modes"),
    "precision texture": ("blur", "noise", "swirl"),
    "density texture": ("blur", "noise", "swirl"),
    "recall texture": ("missing modes",),
    "coverage texture": ("missing modes",),
    "frechet motion": (*_MOVES, "missing modes"),
    "kid motion": (*_MOVES, "missing modes"),
    "frechet cardiac": (*_MOVES, "missing modes"),
    "kid cardiac": (*_MOVES, "missing modes"),
    "recall cardiac": ("missing modes",),
    "coverage cardiac": ("missing modes",),
    "swd": (*_LOOKS, "shuffled phases", "frozen cycles"),
    "w1_amplitude": ("frozen cycles",),
    "w1_roughness": ("shuffled phases",),
    "w1_closure": ("cut short",),
    "w1_contraction": ("frozen cycles",),
    "w1_end_systole": ("cut short",),
    "msssim": ("missing modes",),
    "copied": ("copies",),
    "authentic": ("copies",),
    "likeness": ("ghosting", "swirl"),
}


class Side(NamedTuple):
    """Cycles, and the rows of each draw."""

    cycles: np.ndarray
    draws: list[np.ndarray]


def measure() -> dict[str, Any]:
    """Judge all corruptions at all strengths."""
    configure(THREADS)
    folder = PARAMS.parent / "data/ventricles"
    cohort = Cohort(folder)
    size = int(cohort.index["size"].iloc[0])
    reference, judged, levels = _sides(cohort, size)
    extractors = [TEXTURE, MOTION, cardiac_in(PARAMS.parent / "data/encoders/ventricles")]
    bench = _Bench(cohort, size, reference, [*extractors, patches_of(size, SEED)])
    print("uncorrupted", file=sys.stderr, flush=True)
    plain = bench.figures(judged)
    given = Given(judged.cycles, levels, reference.cycles)
    means = {
        name: _means(bench, plain, Side(given.cycles, judged.draws[:DRAWS]), given, name)
        for name in CORRUPTIONS
    }
    limits = {name: _limit(name, values[:DRAWS]) for name, values in plain.items()}
    reactions = {
        measure: {
            name: _reaction(measure, name, row[measure], limit) for name, row in means.items()
        }
        for measure, limit in limits.items()
    }
    return {
        "cycles": len(judged.cycles),
        "compared": len(judged.draws[0]),
        "false alarms": {
            name: round(float((_sign(name) * plain[name][DRAWS:] > limit).mean()), 3)
            for name, limit in limits.items()
        },
        "strengths": {
            name: f"{', '.join(map(str, corruption.strengths))} {corruption.unit}"
            for name, corruption in CORRUPTIONS.items()
        },
        "caught, monotonically, by a measure that claims it": {
            name: ", ".join(m for m, row in reactions.items() if row[name].proof) or "none"
            for name in CORRUPTIONS
        },
        "table": {
            "": " | ".join(CORRUPTIONS),
            **{m: " | ".join(each.cell for each in row.values()) for m, row in reactions.items()},
        },
        "means": {
            name: {m: [float(f"{value:.4g}") for value in values] for m, values in row.items()}
            for name, row in means.items()
        },
    }


def _means(
    bench: _Bench, plain: dict[str, np.ndarray], judged: Side, given: Given, name: str
) -> dict[str, list[float]]:
    """Each figure, uncorrupted and at each strength of one corruption, over the draws."""
    rows = {measure: [values[:DRAWS].mean()] for measure, values in plain.items()}
    corruption = CORRUPTIONS[name]
    for k, strength in enumerate(corruption.strengths):
        print(f"{name}, {strength} {corruption.unit}", file=sys.stderr, flush=True)
        wrong = corruption.apply(given, strength, np.random.default_rng([SEED, k]))
        for measure, values in bench.figures(judged._replace(cycles=wrong)).items():
            rows[measure].append(values.mean())
    return {measure: list(map(float, row)) for measure, row in rows.items()}


class _Bench:
    """What does not change from one corruption to the next."""

    def __init__(
        self, cohort: Cohort, size: int, reference: Side, extractors: list[Extractor]
    ) -> None:
        self._reference, self._extractors = reference, extractors
        self._scales, self._features = {}, {}
        for extractor in extractors:
            features = extractor.extract(reference.cycles)
            if extractor.standardised:
                self._scales[extractor.name] = Standardiser.fit(features)
            self._features[extractor.name] = self._scaled(extractor, features)
        val = cohort.split("val", size)[0]
        self._threshold = Threshold.fixed_on(val, reference.cycles, SEED).value
        self._within = likeness(reference.cycles, reference.cycles)

    def _scaled(self, extractor: Extractor, features: np.ndarray) -> np.ndarray:
        scale = self._scales.get(extractor.name)
        return features if scale is None else scale.apply(features)

    def figures(self, judged: Side) -> dict[str, np.ndarray]:
        """Every figure on every draw."""
        found: dict[str, list[float]] = {}
        for extractor in self._extractors:
            features = self._scaled(extractor, extractor.extract(judged.cycles))
            reference = self._features[extractor.name]
            pairs = zip(judged.draws, self._reference.draws[: len(judged.draws)], strict=True)
            for rows, others in pairs:
                for name, value in extractor.measure(features[rows], reference[others]).items():
                    key = name if name.startswith(("w1_", "swd")) else f"{name} {extractor.name}"
                    found.setdefault(key, []).append(value)
        alike = likeness(judged.cycles, self._reference.cycles)
        nearest, new = alike.max(axis=1), authentic(alike, self._within)
        for rows in judged.draws:
            some = judged.cycles[rows[:PAIRED]]
            alikes = similarity_table(some)[np.triu_indices(len(some), 1)]
            for key, value in (
                ("copied", (nearest[rows] > self._threshold).mean()),
                ("authentic", new[rows].mean()),
                ("likeness", nearest[rows].mean()),
                ("msssim", alikes.mean()),
            ):
                found.setdefault(key, []).append(float(value))
        # A Fréchet distance of no more cycles than features is nan.
        return {key: np.array(each) for key, each in found.items() if np.isfinite(each).all()}


def _sides(cohort: Cohort, size: int) -> tuple[Side, Side, np.ndarray]:
    """Reference and judged cycles, draws of both, and the levels of the judged."""
    train, of_train = cohort.split("train", size)
    held_out = [cohort.split(split, size) for split in ("val", "test")]
    cycles = np.concatenate([each for each, _ in held_out])
    of_cycles = np.concatenate([owners for _, owners in held_out])
    levels = np.concatenate([cohort.levels(split) for split in ("val", "test")])
    if min(len(set(of_train)), len(set(of_cycles))) < 2:
        raise CineganError("a draw of half of the patients needs two on either side")
    draw = np.random.default_rng(SEED)
    halves = [(_half(of_train, draw), _half(of_cycles, draw)) for _ in range(2 * DRAWS)]
    count = min(len(rows) for pair in halves for rows in pair)
    cut = [tuple(draw.permutation(rows)[:count] for rows in pair) for pair in halves]
    return Side(train, [a for a, _ in cut]), Side(cycles, [b for _, b in cut]), levels


def _half(patients: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    owners = sorted(set(patients))
    kept = draw.choice(owners, -(-len(owners) // 2), replace=False)
    return np.flatnonzero(np.isin(patients, kept))


def _sign(name: str) -> int:
    return -1 if name.split()[0] in HIGHER_IS_BETTER else 1


def _limit(name: str, values: np.ndarray) -> float:
    """What uncorrupted cycles hardly ever exceed in the bad direction."""
    return float(np.quantile(_sign(name) * values, 0.95))


class Reaction(NamedTuple):
    """How a measure goes with a corruption."""

    first: int | None  # the strength, from 1, from which on an alarm is raised
    monotone: bool
    claims: bool

    @property
    def proof(self) -> bool:
        """Whether it keeps its claim."""
        return self.claims and self.monotone and self.first is not None

    @property
    def cell(self) -> str:
        """As the table has it."""
        found = "-" if self.first is None else str(self.first)
        found = found if self.monotone or self.first is None else f"({found})"
        return f"**{found}**" if self.claims else found


def _reaction(name: str, corruption: str, means: list[float], limit: float) -> Reaction:
    """Means are of uncorrupted cycles and of each strength."""
    signed = _sign(name) * np.array(means)
    beyond = [bool(value > limit) for value in signed[1:]]
    first = next((k + 1 for k in range(len(beyond)) if all(beyond[k:])), None)
    monotone = bool(np.all(np.diff(signed) >= 0))
    return Reaction(first, monotone, corruption in _claims(name))


def _claims(name: str) -> tuple[str, ...]:
    fitting = [start for start in CLAIMS if name.startswith(start)]
    return CLAIMS[max(fitting, key=len)] if fitting else ()
