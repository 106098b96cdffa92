"""The arms of the study: which augmentation a segmenter learns with, from whom, for whom."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from cinegan.data.cohort import Cohort
from cinegan.data.splits import place
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
    judge : dict of str to list of str
        Patients of "val", where there are such, and of "test".
    """

    learn: list[str]
    judge: dict[str, list[str]]


def fold_of(cohort: Cohort, source: str, protocol: str, share: int, seed: int) -> Fold:
    """Who teaches and who judges at a share and a seed.

    Parameters
    ----------
    source : str
        Of the contours, as `labels.source_of` tells it.
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
    if protocol == "split":
        train, val, test = (
            list(dict.fromkeys(cohort.patient_of_each(split).tolist()))
            for split in ("train", "val", "test")
        )
        return Fold(subset(train, share, seed), {"val": val, "test": test})
    drawn = [patient for patient in cohort.patients if cohort.contours(patient, source)]
    if seed >= len(drawn) or len(cohort.patients) < 2:
        raise CineganError(
            f"study.seeds: {seed}, but {len(drawn)} patients with contours can be left out; "
            f"set seeds within 0 to {len(drawn) - 1}"
        )
    others = [patient for patient in cohort.patients if patient != drawn[seed]]
    return Fold(subset(others, share, seed), {"test": [drawn[seed]]})


def subset(patients: Iterable[str], share: int, seed: int) -> list[str]:
    """The patients of a share, at least one; those of a smaller share are among them.

    Parameters
    ----------
    patients : iterable of str
        Those who may teach.
    share : int
        Percent of them.
    seed : int
        Of the order that they join in.
    """
    known = sorted(set(patients))
    count = max(1, math.ceil(len(known) * share / 100))
    return sorted(sorted(known, key=lambda patient: place(patient, seed))[:count])
