"""The arms of the study: which augmentation a segmenter learns with, and from whom."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from cinegan.data.splits import place


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


def subset(patients: Iterable[str], share: int, seed: int) -> list[str]:
    """The patients of a share, at least one; those of a smaller share are among them.

    Parameters
    ----------
    patients : iterable of str
        The train patients.
    share : int
        Percent of them.
    seed : int
        Of the order that they join in.
    """
    known = sorted(set(patients))
    count = max(1, math.ceil(len(known) * share / 100))
    return sorted(sorted(known, key=lambda patient: place(patient, seed))[:count])
