"""Maps as classes of pixels: cavity, myocardium, background, and what nobody told."""

from __future__ import annotations

import numpy as np

from cinegan.data.dicom_segmentation import MaskOf, Segment
from cinegan.data.labels import EXPERT, KINDS
from cinegan.segmentation.frames import phase_of

BACKGROUND, CAVITY, MYOCARDIUM, IGNORE = range(4)
NAMES = {"background": BACKGROUND, "LV cavity": CAVITY, "LV myocardium": MYOCARDIUM}
IGNORED = {"ignore": IGNORE}  # by this name nnU-Net knows it, and it must be the highest
SEGMENTS = (  # what DICOM calls the classes from CAVITY on
    Segment("LV cavity", ("SCT", "87878005", "Left ventricle")),
    Segment("LV myocardium", ("SCT", "49848007", "Left Ventricle Myocardium")),
)


def placed(
    drawn: np.ndarray, channels: list[str], cycles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maps at the phases that they belong to.

    Maps of end-diastole and end-systole belong to the phases whose pictures they fit best
    (`phase_of`). A moment whose cavity is empty fits none, and its maps are left out. Where both
    fit one phase, end-diastole stays: its outlines belong together, those of both do not.

    Parameters
    ----------
    drawn : (n, H, W, L) uint8
    channels : list of str
        What each map is of, as `labels.channels` names them.
    cycles : (n, H, W, T) uint8

    Returns
    -------
    maps : (n, H, W, T, len(KINDS)) uint8
    known : (n, T, len(KINDS)) bool
    """
    if channels != [f"{kind} {moment}" for kind, moment in EXPERT]:  # all phases of each kind
        maps = np.stack(np.split(drawn, len(KINDS), axis=-1), axis=-1)
        return maps, np.ones((len(maps), *maps.shape[3:]), bool)
    maps = np.zeros((*cycles.shape, len(KINDS)), np.uint8)
    known = np.zeros((len(cycles), cycles.shape[-1], len(KINDS)), bool)
    for row, cycle in enumerate(cycles):
        taken: set[int] = set()
        for moment in ("ED", "ES"):
            endo = drawn[row, ..., EXPERT.index(("endo", moment))]
            phase = phase_of(endo, cycle)
            if phase in taken or not (endo > 127).any():
                continue
            taken.add(phase)
            for place, (kind, of) in enumerate(EXPERT):
                if of == moment:
                    maps[row, :, :, phase, KINDS.index(kind)] = drawn[row, ..., place]
                    known[row, phase, KINDS.index(kind)] = True
    return maps, known


def classes_of(maps: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The class of each pixel, (n, H, W, T) uint8, of maps that are `placed`.

    A pixel belongs to what more than half of it is inside of. Where the endocardium alone is known,
    as at end-systole, all outside of the cavity may be wall or not: it is `IGNORE`. So is all of a
    frame of which nothing is known.
    """
    endo, epi = (maps[..., KINDS.index(kind)] > 127 for kind in ("endo", "epi"))
    knows_endo, knows_epi = (known[:, None, None, :, KINDS.index(kind)] for kind in ("endo", "epi"))
    made = np.full(endo.shape, IGNORE, np.uint8)
    made[knows_epi & ~epi & ~endo] = BACKGROUND
    made[knows_epi & knows_endo & epi] = MYOCARDIUM
    made[knows_endo & endo] = CAVITY
    return made


def masks_of(classes: np.ndarray, known: np.ndarray) -> list[MaskOf]:
    """Masks of what is known of one cycle.

    Parameters
    ----------
    classes : (H, W, T) uint8
    known : (T, len(KINDS)) bool
        Of `placed`.
    """
    masks = []
    for phase, of_kind in enumerate(known):
        endo = of_kind[KINDS.index("endo")]
        for segment, told in enumerate((endo, endo and of_kind[KINDS.index("epi")])):
            if told:
                masks.append(MaskOf(segment, phase, classes[..., phase] == CAVITY + segment))
    return masks
