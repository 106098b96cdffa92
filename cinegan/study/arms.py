"""The arms of the study: which augmentation a segmenter learns with, from whom, for whom."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from cinegan.data.cohort import Cohort
from cinegan.data.labels import KINDS, source_of
from cinegan.errors import CineganError


class Arm(NamedTuple):
    """What is added to the real frames.

    Attributes
    ----------
    affine, photometric : bool
        The two classical augmentations.
    synthetic : bool
        Labelled cycles of a GAN that learnt from the arm's own patients.
    """

    affine: bool = False
    photometric: bool = False
    synthetic: bool = False


ARMS = {
    "none": Arm(),
    "affine": Arm(affine=True),
    "photometric": Arm(photometric=True),
    "gan": Arm(synthetic=True),
    "classical": Arm(affine=True, photometric=True),
    "classical_gan": Arm(affine=True, photometric=True, synthetic=True),
}


class Fold(NamedTuple):
    """Who teaches a segmenter and its GAN, and on whom it is judged.

    Attributes
    ----------
    learn : list of str
        Patients with and without contours: a GAN learns from both.
    judge : dict of str to list of str
        Patients with contours, of "val" and of "test".
    skipped : str
        Why nobody can be taught or judged; empty if somebody can.
    """

    learn: list[str]
    judge: dict[str, list[str]]
    skipped: str = ""


def fold_of(cohort: Cohort, protocol: str, share: int, seed: int) -> Fold:
    """Who teaches and who judges at a share and a seed.

    Parameters
    ----------
    protocol : str
        "split", the cohort's own: train teaches; or "leave_one_out", for cohorts too small for
        that: seed k judges on the k-th patient with contours, and all others teach.

    Raises
    ------
    CineganError
        If a patient is in more than one split, or there are not so many patients to leave out.
    """
    splits = cohort.index.groupby("patient")["split"].nunique()
    if (splits > 1).any():
        raise CineganError(
            f"{cohort.folder}: patient {splits.idxmax()} is in more than one split; "
            "`dvc repro -f convert` splits anew"
        )
    source = source_of(cohort)
    drawn = [
        patient
        for patient in cohort.patients
        if source and any(each.kind in KINDS for each in cohort.contours(patient, source))
    ]
    if not drawn:
        # Contours of other kinds, such as the right ventricle's, teach nothing either.
        kinds = f" of {' or '.join(KINDS)}" if source else ""
        why = f"no contours{kinds}, so there is nothing to learn to outline"
        return Fold([], {}, f"{cohort.folder}: {why}")
    if protocol == "leave_one_out":
        if seed >= len(drawn):
            raise CineganError(
                f"study.seeds: {seed}, but {len(drawn)} patients with contours can be left out; "
                f"set seeds within 0 to {len(drawn) - 1}"
            )
        teachers = [patient for patient in cohort.patients if patient != drawn[seed]]
        judge = {"val": [], "test": [drawn[seed]]}
    else:
        teachers, val, test = (
            list(dict.fromkeys(cohort.patient_of_each(split).tolist()))
            for split in ("train", "val", "test")
        )
        judge = {"val": [p for p in val if p in drawn], "test": [p for p in test if p in drawn]}
    for whom, patients in (("teaches", teachers), ("judges", judge["test"])):
        if not set(patients) & set(drawn):
            return Fold([], {}, f"{cohort.folder}: no patient who {whom} has contours")
    return Fold(subset(teachers, drawn, share, seed), judge)


def subset(patients: Iterable[str], drawn: Collection[str], share: int, seed: int) -> list[str]:
    """The patients of a share; those of a smaller share are among them.

    Parameters
    ----------
    patients : iterable of str
        Those who may teach.
    drawn : collection of str
        Those with contours; one of them comes first, as without one there is nothing to learn.
    share : int
        Percent of the patients.
    seed : int
        Of the order that they join in, so that another one gives other patients. Not by
        `splits.place`: train is an arc of its circle, and a seed would only turn it.
    """
    order = sorted(set(patients), key=lambda patient: sha256(f"{seed}/{patient}".encode()).digest())
    first = next(patient for patient in order if patient in drawn)
    order = [first, *(patient for patient in order if patient != first)]
    return sorted(order[: max(1, math.ceil(len(order) * share / 100))])


def share_and_seed(arguments: Sequence[str]) -> tuple[int, int]:
    """Read them from a command's last two arguments.

    Raises
    ------
    CineganError
        If they are not two whole numbers, or out of range.
    """
    try:
        share, seed = map(int, arguments)
    except ValueError:
        raise CineganError(
            f"{' '.join(arguments) or 'no arguments'}: name a share, percent, and a seed"
        ) from None
    if not 1 <= share <= 100 or seed < 0:
        raise CineganError(f"{share} {seed}: a share is 1 to 100 percent, a seed 0 or more")
    return share, seed
