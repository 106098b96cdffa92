"""Train, val and test: by patient, from a hash, stable when others join."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

from cinegan.errors import CineganError

SPLITS = ("train", "val", "test")

CIRCLE = 2**64
STEP = math.isqrt(2 * CIRCLE**2)  # the square root of 2, in parts of the circle


def place(patient: str, seed: int) -> float:
    """A patient's place in [0, 1): a function of its identity and the seed alone.

    Cohorts number their patients within or along their groups, so the number that ends the name
    steps by an irrational share around the circle from a hashed start: neighbours in the list fall
    far apart, and every run of patients (so every pathology group) spreads evenly over the splits.
    A name without a number is hashed as it is.
    """
    stem = patient.rstrip("0123456789")
    digest = hashlib.sha256(f"{seed}/{stem}".encode()).digest()
    start = int.from_bytes(digest[:8], "big")
    # In whole parts of the circle: a float would lose the step of a long number.
    return ((start + int(patient[len(stem) :] or 0) * STEP) % CIRCLE >> 11) / 2**53


def split_patients(patients: Iterable[str], seed: int, val: float, test: float) -> dict[str, str]:
    """Say which split each patient belongs to.

    Only a cohort so small that a split would stay empty departs from the hash: the patient nearest
    to the empty split's share moves there.

    Raises
    ------
    CineganError
        If there are fewer patients than splits.
    """
    places = {patient: place(patient, seed) for patient in sorted(set(patients))}
    if len(places) < len(SPLITS):
        raise CineganError(
            f"{len(places)} patient(s) with short-axis cine: train, val and test need one each; "
            "bring more patients"
        )
    bounds = {"train": (val + test, 1.0), "val": (0.0, val), "test": (val, val + test)}
    chosen = {
        patient: next(s for s, (low, high) in bounds.items() if low <= where < high)
        for patient, where in places.items()
    }
    for split in SPLITS:
        if split not in chosen.values():
            middle = sum(bounds[split]) / 2
            sizes = [list(chosen.values()).count(chosen[patient]) for patient in places]
            movable = [p for p, size in zip(places, sizes, strict=True) if size > 1]
            nearest = min(movable, key=lambda p: _distance(places[p], middle))
            chosen[nearest] = split
    return chosen


def _distance(a: float, b: float) -> float:
    """Distance on the circle of length 1."""
    return min((a - b) % 1.0, (b - a) % 1.0)
