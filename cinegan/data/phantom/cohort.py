"""Who is examined: pathology groups, the patients drawn from them, and each one's randomness.

References
----------
Radau P et al. 2009, hdl.handle.net/10380/3070: means and SDs of the groups.

Roberts M 2018, "The unreasonable effectiveness of quasirandom sequences": the steps by which the
members of a group are spread over its distribution.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri

from cinegan.errors import CineganError


class Purpose(IntEnum):
    """Of random numbers: each has a stream of its own, so that a change of one leaves the rest."""

    PERSON = 0
    HEART = 1
    BODY = 2
    SCAN = 3
    TEXTURE = 4
    NOISE = 5
    FUNCTION = 6
    ARTEFACTS = 7


def draws(seed: int, number: int, purpose: Purpose, *plane: int) -> np.random.Generator:
    """Random numbers of a patient for one purpose (and one plane)."""
    return np.random.default_rng([seed, number, purpose, *plane])


class Spread(NamedTuple):
    """Mean and SD of a quantity, and the limits that bound it in a living heart."""

    mean: float
    sd: float
    least: float
    most: float

    def at(self, z: float) -> float:
        """Value at a quantile, named by its normal deviate.

        A beta distribution has the mean and the SD within the limits, so that nothing is clipped.
        """
        mean = (self.mean - self.least) / (self.most - self.least)
        weight = mean * (1 - mean) / (self.sd / (self.most - self.least)) ** 2 - 1
        share = betaincinv(mean * weight, (1 - mean) * weight, ndtr(z))
        return round(float(self.least + (self.most - self.least) * share), 6)


class Group(NamedTuple):
    """A pathology group's published statistics.

    The stroke links end-systolic volume to the others: ESV = EDV (1 - EF). How EDV and EF go
    together is not published; `size_with_emptying`, the correlation of their normal deviates, is
    the one with which mean and SD of ESV come out as published too.
    """

    code: str
    pathology: str
    edv_ml: Spread
    esv_ml: tuple[float, float]
    ejection_fraction: Spread
    mass_g: Spread
    size_with_emptying: float


GROUPS = (
    Group(
        "HF-I",
        "Heart failure with infarct",
        edv_ml=Spread(244.92, 86.02, 95, 520),
        esv_ml=(174.34, 90.64),
        ejection_fraction=Spread(0.3201, 0.1227, 0.08, 0.62),
        mass_g=Spread(201.32, 45.24, 100, 360),
        size_with_emptying=-0.9,
    ),
    Group(
        "HF-NI",
        "Heart failure without infarct",
        edv_ml=Spread(233.67, 63.21, 110, 430),
        esv_ml=(158.28, 56.34),
        ejection_fraction=Spread(0.3309, 0.1307, 0.08, 0.62),
        mass_g=Spread(193.69, 39.01, 105, 330),
        size_with_emptying=-0.2,
    ),
    Group(
        "HYP",
        "Hypertrophy",
        edv_ml=Spread(114.39, 50.46, 40, 320),
        esv_ml=(43.11, 24.50),
        ejection_fraction=Spread(0.6272, 0.0922, 0.38, 0.82),
        mass_g=Spread(175.87, 85.70, 60, 520),
        size_with_emptying=-0.2,
    ),
    Group(
        "N",
        "Normal",
        edv_ml=Spread(115.69, 36.89, 50, 240),
        esv_ml=(43.10, 14.74),
        ejection_fraction=Spread(0.6293, 0.0365, 0.52, 0.75),
        mass_g=Spread(130.27, 32.69, 65, 250),
        size_with_emptying=-0.12,
    ),
)


@dataclass(frozen=True)
class Patient:
    """A row of the patient table.

    Parameters
    ----------
    patient_id
        As "PHA0000101"; the digits before the last two number the patient.
    original_id
        As "PH-HF-I-1": group and number within it.
    sex
        "Male" or "Female".
    age
        Years.
    pathology
        One of Sunnybrook's four strings (`GROUPS`).
    """

    patient_id: str
    original_id: str
    sex: str
    age: int
    pathology: str

    @property
    def number(self) -> int:
        """The patient's number, from 1, in which all randomness is rooted."""
        return int(self.patient_id[3:-2])

    @property
    def contour_folder(self) -> str:
        """The original id as contour archives have it: number padded to two digits."""
        stem, number = self.original_id.rsplit("-", 1)
        return f"{stem}-{int(number):02d}"


def cohort(seed: int, patients_per_group: int) -> list[Patient]:
    """Draw the patient table, group by group; a patient never changes when others join.

    Patients are numbered across groups (1 to 4 are the first of each), so that a larger cohort
    adds numbers and leaves the others as they were.
    """
    return [
        _patient(seed, group, GROUPS[group], member)
        for group in range(len(GROUPS))
        for member in range(patients_per_group)
    ]


def _patient(seed: int, index: int, group: Group, member: int) -> Patient:
    number = member * len(GROUPS) + index + 1
    rng = draws(seed, number, Purpose.PERSON)
    return Patient(
        patient_id=f"PHA{number:05d}01",
        original_id=f"PH-{group.code}-{member + 1}",
        sex="Female" if rng.random() < 0.3 else "Male",
        age=int(rng.integers(35, 85)),
        pathology=group.pathology,
    )


def group_of(patient: Patient) -> Group:
    """Give the group of a patient.

    Raises
    ------
    CineganError
        There is none of this pathology.
    """
    for group in GROUPS:
        if group.pathology == patient.pathology:
            return group
    raise CineganError(
        f"{patient.patient_id}: unknown pathology {patient.pathology!r}; "
        f"one of {', '.join(g.pathology for g in GROUPS)}"
    )


class Function(NamedTuple):
    """What a left ventricle is known by."""

    edv_ml: float
    ejection_fraction: float
    mass_g: float


def draw_function(seed: int, patient: Patient) -> Function:
    """Draw a patient's left ventricle from the group's distribution.

    The members of a group take even steps through the distribution from a random start, so that
    small cohorts show its whole width and large ones keep its moments.
    """
    group = group_of(patient)
    start = draws(seed, 0, Purpose.FUNCTION, GROUPS.index(group)).random(3)
    member = (patient.number - 1) // len(GROUPS)
    even = (start + member * 1.2207440846057596 ** -np.arange(1.0, 4)) % 1
    size, emptying, bulk = (float(z) for z in ndtri(np.clip(even, 1e-4, 1 - 1e-4)))
    emptying = _correlated(emptying, size, group.size_with_emptying)
    # Larger hearts are heavier.
    bulk = _correlated(bulk, size, 0.5)
    return Function(
        edv_ml=group.edv_ml.at(size),
        ejection_fraction=group.ejection_fraction.at(emptying),
        mass_g=group.mass_g.at(bulk),
    )


def _correlated(own: float, other: float, correlation: float) -> float:
    """Mix a normal deviate of its own with another, to this correlation."""
    return float(correlation * other + np.sqrt(1 - correlation**2) * own)
