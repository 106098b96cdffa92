"""Which measure reacts to what: real cycles made wrong on purpose, and judged.

On the cohort in the workspace. Reference are the cycles of train patients; judged, in the samples'
place, those of test patients, as they are and corrupted in ten ways at four strengths. All figures
are taken at one number of cycles, and are means over draws. What each measure claims to catch
stands in docs/evaluation.md, and in `CLAIMS`.

A measure raises an alarm beyond a limit that is fixed on val patients: what the figure of as many
other patients exceeds once in a hundred times, by the spread of figures of halves of the val
patients. Where a measure asks for unseen cycles beside those that are judged, these are those of
val patients. In a cohort of too few patients for that, cycles
of val and test patients are judged together, beside themselves uncorrupted, and the limit is what
95 of 100 draws of themselves reach: that tells a reaction, and is no verdict on other people.

In the table stands from which strength on, 1 to 4, a measure raises an alarm; in parentheses where
it does not grow with every strength; bold where it claims to catch this.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import t as student

from benchmarks.corruptions import CORRUPTIONS, Given
from benchmarks.ours import PARAMS, THREADS
from cinegan.data.cohort import Cohort
from cinegan.evaluation.extractors import MOTION, TEXTURE, Extractor, cardiac_in, patches_of
from cinegan.evaluation.features import Standardiser
from cinegan.evaluation.memorization import Threshold, authentic, likeness, nearer_train
from cinegan.evaluation.similarity import similarity_table
from cinegan.evaluation.subsamples import LEAST_PATIENTS, Group
from cinegan.training.runtime import configure

DRAWS, SEED = 40, 0
PAIRED = 16  # cycles of a draw that are compared with one another
RARE = 0.99  # share of other patients' figures that a limit lies above
HIGHER_IS_BETTER = ("precision", "density", "recall", "coverage", "authentic", "likeness falls")

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
    "copied": ("copies",),
    "authentic": ("copies",),
    "likeness falls": ("ghosting", "swirl"),
    "likeness rises": ("copies",),
    "nearer_train": ("copies",),
}


class Side(NamedTuple):
    """Cycles (n, H, W, T) of some patients, and where each lies."""

    cycles: np.ndarray
    patients: np.ndarray
    levels: np.ndarray


def measure() -> dict[str, Any]:
    """Judge all corruptions at all strengths."""
    configure(THREADS)
    cohort = Cohort(PARAMS.parent / "data/ventricles")
    size = int(cohort.index["size"].iloc[0])
    train, val, test = (
        Side(*cohort.split(split, size), cohort.levels(split)) for split in ("train", "val", "test")
    )
    enough = min(len(set(side.patients)) for side in (val, test)) >= LEAST_PATIENTS
    judged = test if enough else Side(*map(np.concatenate, zip(val, test, strict=True)))
    given = Given(judged.cycles, judged.levels, train.cycles)
    count = _compared(given, train, val if enough else judged)
    draw = np.random.default_rng(SEED)
    extractors = [TEXTURE, MOTION, cardiac_in(PARAMS.parent / "data/encoders/ventricles")]
    bench = _Bench(train, val, count, [*extractors, patches_of(size, SEED)], draw)

    print("uncorrupted", file=sys.stderr, flush=True)
    unseen = bench.apart(val.cycles if enough else given.cycles)
    plain = bench.figures(given.cycles, _draws(given.cycles, count, draw), unseen)
    if enough:
        halves = [_half(val.patients, count, draw) for _ in range(DRAWS)]
        of_val = bench.figures(val.cycles, halves, unseen)
        limits = {name: _of_others(name, of_val[name], val.patients) for name in plain}
    else:
        limits = {name: float(np.quantile(_sign(name) * plain[name], 0.95)) for name in plain}
    means = {name: _means(bench, plain, given, count, name, unseen) for name in CORRUPTIONS}
    reactions = {
        measure: {
            name: _reaction(measure, name, row[measure], limit) for name, row in means.items()
        }
        for measure, limit in limits.items()
        if np.isfinite(limit)
    }
    alarmed = [name for name in reactions if _sign(name) * plain[name].mean() > limits[name]]
    return {
        "patients": {"train": len(set(train.patients)), "judged": len(set(judged.patients))},
        "limits": f"of {len(set(val.patients))} val patients" if enough else "of the judged",
        "cycles compared": count,
        "alarms of uncorrupted cycles": ", ".join(alarmed) or "none",
        "of so many measures": len(reactions),
        "not told of so few": ", ".join(sorted(limits.keys() - reactions.keys())) or "none",
        "strengths": {
            name: f"{', '.join(map(str, corruption.strengths))} {corruption.unit}"
            for name, corruption in CORRUPTIONS.items()
        },
        "caught, monotonically, by a measure that claims it": {
            name: ", ".join(m for m, row in reactions.items() if row[name].proof) or "none"
            for name in CORRUPTIONS
        },
        "claims that were not kept": {
            measure: ", ".join(name for name, each in row.items() if each.claims and not each.proof)
            for measure, row in reactions.items()
            if any(each.claims and not each.proof for each in row.values())
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


def _compared(given: Given, train: Side, limiting: Side) -> int:
    """As many cycles as there are in every set that is drawn from."""
    left = min(len(_wrong(given, "missing modes", k)) for k in range(4))
    halves = [Group(side.cycles, side.patients).least_of_half() for side in (train, limiting)]
    return min(left, *halves)


def _wrong(given: Given, name: str, k: int) -> np.ndarray:
    corruption = CORRUPTIONS[name]
    return corruption.apply(given, corruption.strengths[k], np.random.default_rng([SEED, k]))


def _means(
    bench: _Bench,
    plain: dict[str, np.ndarray],
    given: Given,
    count: int,
    name: str,
    unseen: dict[str, np.ndarray],
) -> dict[str, list[float]]:
    """Each figure, uncorrupted and at each strength of one corruption, over the draws."""
    rows = {measure: [values.mean()] for measure, values in plain.items()}
    for k, strength in enumerate(CORRUPTIONS[name].strengths):
        print(f"{name}, {strength} {CORRUPTIONS[name].unit}", file=sys.stderr, flush=True)
        wrong = _wrong(given, name, k)
        draws = _draws(wrong, count, np.random.default_rng(SEED))
        for measure, values in bench.figures(wrong, draws, unseen).items():
            rows[measure].append(values.mean())
    return {measure: list(map(float, row)) for measure, row in rows.items()}


class _Bench:
    """What does not change from one corruption to the next."""

    def __init__(
        self,
        train: Side,
        val: Side,
        count: int,
        extractors: list[Extractor],
        draw: np.random.Generator,
    ) -> None:
        self._train, self._extractors = train.cycles, extractors
        self._draws = _draws(train.cycles, count, draw)
        self._scales = {
            extractor.name: Standardiser.fit(extractor.extract(train.cycles))
            for extractor in extractors
            if extractor.standardised
        }
        self._features = self.features(train.cycles)
        self._threshold = Threshold.fixed_on(val.cycles, train.cycles, SEED).value
        self._within = likeness(train.cycles, train.cycles)

    def features(self, cycles: np.ndarray) -> dict[str, np.ndarray]:
        """Of every extractor, in standard deviations of train cycles where it asks for that."""
        found = {}
        for extractor in self._extractors:
            values, scale = extractor.extract(cycles), self._scales.get(extractor.name)
            found[extractor.name] = values if scale is None else scale.apply(values)
        return found

    def apart(self, cycles: np.ndarray) -> dict[str, np.ndarray]:
        """How far each cycle is from its nearest train cycle, by likeness and in features."""
        return self._apart(self.features(cycles), likeness(cycles, self._train))

    def _apart(self, features: dict[str, np.ndarray], alike: np.ndarray) -> dict[str, np.ndarray]:
        found = {"pixels": -alike.max(axis=1)}
        for name, values in features.items():
            if values.ndim == 2:  # not patches, of which a cycle has many
                found[name] = cdist(values, self._features[name]).min(axis=1)
        return found

    def figures(
        self, judged: np.ndarray, draws: list[np.ndarray], unseen: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Every figure on every draw; `unseen` is `apart` of others, who should be as far."""
        found: dict[str, list[float]] = {}
        features = self.features(judged)
        for extractor in self._extractors:
            ours, of_train = features[extractor.name], self._features[extractor.name]
            for rows, others in zip(draws, self._draws, strict=True):
                for name, value in extractor.measure(ours[rows], of_train[others]).items():
                    key = name if name.startswith(("w1_", "swd")) else f"{name} {extractor.name}"
                    found.setdefault(key, []).append(value)
        alike = likeness(judged, self._train)
        for space, own in self._apart(features, alike).items():
            shares = [nearer_train(own[rows], unseen[space]) for rows in draws]
            found[f"nearer_train {space}"] = shares
        nearest, new = alike.max(axis=1), authentic(alike, self._within)
        for rows in draws:
            some = judged[rows[:PAIRED]]
            alikes = similarity_table(some)[np.triu_indices(len(some), 1)]
            for key, value in (
                ("copied", (nearest[rows] > self._threshold).mean()),
                ("authentic", new[rows].mean()),
                ("likeness falls", nearest[rows].mean()),
                ("likeness rises", nearest[rows].mean()),
                ("msssim", alikes.mean()),
            ):
                found.setdefault(key, []).append(float(value))
        return {key: np.array(each) for key, each in found.items()}


def _draws(cycles: np.ndarray, count: int, draw: np.random.Generator) -> list[np.ndarray]:
    return [draw.choice(len(cycles), count, replace=False) for _ in range(DRAWS)]


def _half(patients: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    owners = sorted(set(patients))
    kept = draw.choice(owners, -(-len(owners) // 2), replace=False)
    return draw.choice(np.flatnonzero(np.isin(patients, kept)), count, replace=False)


def _sign(name: str) -> int:
    return -1 if name.startswith(HIGHER_IS_BETTER) else 1


def _of_others(name: str, values: np.ndarray, patients: np.ndarray) -> float:
    """What as many other patients hardly ever exceed in the bad direction.

    Values of halves vary by (n - k) / k of what n patients vary by; two sets, by twice as much.
    """
    n = len(set(patients))
    kept = -(-n // 2)
    spread = np.std(values, ddof=1) * np.sqrt(2 * kept / (n - kept))
    return float(np.mean(_sign(name) * values) + student.ppf(RARE, n - 1) * spread)


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
