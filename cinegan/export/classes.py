"""Maps as classes of pixels: cavity, myocardium, background, and what nobody told."""

from __future__ import annotations

import numpy as np

from cinegan.data.dicom_segmentation import MaskOf, Segment
from cinegan.data.labels import KINDS

BACKGROUND, CAVITY, MYOCARDIUM, IGNORE = range(4)
NAMES = {"background": BACKGROUND, "LV cavity": CAVITY, "LV myocardium": MYOCARDIUM}
IGNORED = {"ignore": IGNORE}  # by this name nnU-Net knows it, and it must be the highest
SEGMENTS = (  # what DICOM calls the classes from CAVITY on
    Segment("LV cavity", ("SCT", "87878005", "Left ventricle")),
    Segment("LV myocardium", ("SCT", "49848007", "Left Ventricle Myocardium")),
)


def classes_of(maps: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The class of each pixel, (n, H, W, T) uint8, of maps at their phases (`synthetic.placed`).

    A pixel belongs to what more than half of it is inside of. Where the endocardium alone is known,
    as at end-systole, all outside of the cavity may be wall or not: it is `IGNORE`, though it is
    known not to be cavity, for which nnU-Net has no class. So is all of a frame of which nothing is
    known.
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
        Of `synthetic.placed`.
    """
    masks = []
    for phase, of_kind in enumerate(known):
        endo = of_kind[KINDS.index("endo")]
        for segment, told in enumerate((endo, endo and of_kind[KINDS.index("epi")])):
            if told:
                masks.append(MaskOf(segment, phase, classes[..., phase] == CAVITY + segment))
    return masks
