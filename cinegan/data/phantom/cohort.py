"""Who is examined: pathology groups, the patients drawn from them, and each one's randomness."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from cinegan.errors import CineganError


class Purpose(IntEnum):
    """Of random numbers: each has a stream of its own, so that a change of one leaves the rest."""

    PERSON = 0
    HEART = 1
    BODY = 2
    SCAN = 3
    TEXTURE = 4
    NOISE = 5


def draws(seed: int, number: int, purpose: Purpose, *plane: int) -> np.random.Generator:
    """Random numbers of a patient for one purpose (and one plane)."""
    return np.random.default_rng([seed, number, purpose, *plane])


class Group(NamedTuple):
    """A pathology group's published mean and SD (Radau et al. 2009)."""

    code: str
    pathology: str
    edv_ml: tuple[float, float]
    ejection_fraction: tuple[float, float]
    mass_g: tuple[float, float]


GROUPS = (
    Group("HF-I", "Heart failure with infarct", (244.92, 86.02), (0.3201, 0.1227), (201.32, 45.24)),
    Group(
        "HF-NI", "Heart failure without infarct", (233.67, 63.21), (0.3309, 0.1307), (193.69, 39.01)
    ),
    Group("HYP", "Hypertrophy", (114.39, 50.46), (0.6272, 0.0922), (175.87, 85.70)),
    Group("N", "Normal", (115.69, 36.89), (0.6293, 0.0365), (130.27, 32.69)),
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
