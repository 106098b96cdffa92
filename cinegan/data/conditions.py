"""What a cycle is asked to be: of which pathology group, and at which level of the heart.

Networks are told by a vector: a 1 for the cycle's group and one for its level, else 0.

References
----------
Mirza M, Osindero S 2014, "Conditional Generative Adversarial Nets", arXiv:1411.1784.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cinegan.data.cohort import Cohort
from cinegan.errors import CineganError

LEVELS = ("base", "mid", "apex")  # thirds of the way from a stack's first slice to its last
CYCLES = "cycles"  # how many, beside what they are
STREAM = 1  # of the draws, apart from that of the latents


def of_cycles(cohort: Cohort, owners: np.ndarray, kinds: Sequence[str]) -> pd.DataFrame:
    """What the cycles of some patients are.

    Parameters
    ----------
    owners : (n,) str
        The patient of each cycle, in the order of the cohort's index.
    kinds : sequence of str
        Those of "group" and "level" that a model is told.

    Returns
    -------
    DataFrame
        A row per cycle, a column per kind.

    Raises
    ------
    CineganError
        If groups are asked for, and that of a patient is not known.
    """
    columns = {"group": _groups, "level": _levels}
    return pd.DataFrame(
        {kind: columns[kind](cohort, owners) for kind in kinds}, index=range(len(owners))
    )


def _groups(cohort: Cohort, owners: np.ndarray) -> np.ndarray:
    chosen = cohort.index[cohort.index["patient"].isin(owners)].reindex(
        columns=["patient", "pathology"]
    )
    unknown = chosen.loc[chosen["pathology"].isna(), "patient"].unique()
    if len(unknown):
        raise CineganError(
            f"{cohort.folder}: no pathology group is known of {len(unknown)} of "
            f"{chosen['patient'].nunique()} patients, such as {unknown[0]}; leave group out of the "
            "model's conditions, or these patients out of the cohort (data.exclude)"
        )
    return chosen["pathology"].to_numpy(dtype=str)


def _levels(cohort: Cohort, owners: np.ndarray) -> np.ndarray:
    place = cohort.places(owners)
    return np.select([place < 1 / 3, place > 2 / 3], ["base", "apex"], "mid")


class Conditions:
    """What a model can be asked for, and how often the cycles that it learnt from are that.

    Parameters
    ----------
    counts : sequence of mapping
        Of each combination that occurs, such as {"group": "Normal", "level": "apex", "cycles": 12}.
        Nothing: the model is asked for nothing.

    Attributes
    ----------
    values : dict of str to list of str
        What there is of each kind, such as {"level": ["base", "mid", "apex"]}.
    """

    def __init__(self, counts: Iterable[Mapping[str, Any]] = ()) -> None:
        self.counts = [dict(each) for each in counts]
        kinds = [kind for kind in (self.counts or [{}])[0] if kind != CYCLES]
        self.values = {
            kind: sorted({each[kind] for each in self.counts}, key=_rank) for kind in kinds
        }

    @classmethod
    def among(cls, told: pd.DataFrame) -> Conditions:
        """Those of the cycles of a table, as `of_cycles` makes it."""
        counted = Counter(told.itertuples(index=False, name=None)) if len(told.columns) else {}
        return cls(
            {**dict(zip(told.columns, values, strict=True)), CYCLES: count}
            for values, count in sorted(counted.items())
        )

    @property
    def names(self) -> list[str]:
        """What each number of a vector stands for."""
        return [f"{kind} {value}" for kind, values in self.values.items() for value in values]

    def vectors(self, told: pd.DataFrame) -> np.ndarray:
        """What cycles are, as the networks are told it, (n, len(names)) float32: 1 or 0."""
        blocks = [
            told[kind].to_numpy(dtype=str)[:, None] == np.array(values)
            for kind, values in self.values.items()
        ]
        return np.concatenate([np.zeros((len(told), 0)), *blocks], axis=1).astype(np.float32)

    def draw(self, seed: int, first: int, count: int) -> pd.DataFrame:
        """What cycles first .. first + count - 1 are asked to be, as often as real ones are that.

        That of cycle i is drawn from (seed, i) alone.
        """
        if not self.values:
            return pd.DataFrame(index=range(count))
        until = np.cumsum([each[CYCLES] for each in self.counts])
        streams = [
            np.random.SeedSequence([seed, i], spawn_key=(STREAM,))
            for i in range(first, first + count)
        ]
        drawn = [np.random.default_rng(stream).integers(until[-1]) for stream in streams]
        rows = np.searchsorted(until, drawn, side="right").tolist()
        return pd.DataFrame([self.counts[row] for row in rows])[list(self.values)]

    def only(self, groups: Sequence[str], levels: Sequence[str]) -> Conditions:
        """The same, of which nothing is drawn but some groups and levels.

        Parameters
        ----------
        groups, levels : sequence of str
            Nothing: all of them; so does a model that is not told them.

        Raises
        ------
        CineganError
            If the model does not know one of them, or did not see them together.
        """
        asked = {"group": groups, "level": levels}
        for kind, values in asked.items():
            there = self.values.get(kind, [])
            if values and not there:
                print(f"sample.{kind}s: this model is not told the {kind} of a cycle; drawn of all")
                asked[kind] = values = []
            for value in values:
                if value not in there:
                    raise CineganError(
                        f"sample.{kind}s: no train cycle is of {kind} {value!r}; there are "
                        f"{', '.join(there)}"
                    )
        chosen = [
            each | {CYCLES: each[CYCLES] * all(each[k] in v for k, v in asked.items() if v)}
            for each in self.counts
        ]
        if chosen and not any(each[CYCLES] for each in chosen):
            raise CineganError(
                f"sample: no train cycle is of {' or '.join(groups)} and at {' or '.join(levels)}"
            )
        return Conditions(chosen)


NOTHING = Conditions()


def _rank(value: str) -> tuple[int, str]:
    """Levels from base to apex, groups by their names."""
    return (LEVELS.index(value) if value in LEVELS else 0), value
