"""Where real cycles came from, and under which licence."""

from __future__ import annotations

from typing import NamedTuple

from cinegan.data.cohort import Cohort
from cinegan.data.labels import source_of
from cinegan.errors import CineganError


class Origin(NamedTuple):
    """What data are, and their licence."""

    what: str
    licence: str


ORIGINS = {
    "phantom": Origin(
        "the digital phantom of cinegan, drawn from published statistics; nobody was scanned",
        "MIT, as cinegan itself",
    ),
    "sunnybrook": Origin(
        "the Sunnybrook Cardiac Data. Please cite Radau P, Lu Y, Connelly K, Paul G, Dick AJ, "
        "Wright GA, Evaluation Framework for Algorithms Segmenting Short Axis Cardiac MRI, The "
        "MIDAS Journal, 2009, hdl.handle.net/10380/3070",
        "CC0 1.0",
    ),
    "folder": Origin(
        "studies of the user's own, which cinegan read from a folder",
        "not known to cinegan: ask whose data these were before you pass anything on",
    ),
}


def source_of_data(cohort: Cohort, told: str) -> str:
    """Which of `ORIGINS` a cohort is of.

    A phantom tells by itself what it is; of other cohorts the parameter `data.source` does.

    Raises
    ------
    CineganError
        If a phantom is told and the cohort is none.
    """
    if source_of(cohort) == "truth":
        return "phantom"
    if told == "phantom":
        raise CineganError(
            f"data.source: phantom, but {cohort.folder} holds none; set it to where these cycles "
            "came from, since the card tells it"
        )
    return told
