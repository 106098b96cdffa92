"""What each pixel of a short-axis study shows, decided by the distances that also paint it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cinegan.data.phantom.cohort import Patient
from cinegan.data.phantom.heart import Heart
from cinegan.data.phantom.stack import Stack, plan_stack
from cinegan.data.phantom.subject import Subject, lie_down
from cinegan.data.phantom.window import HeartWindow

CAVITY, MUSCLE, RIGHT = 1, 2, 3


def draw_masks(
    seed: int,
    patient: Patient,
    *,
    size: int = 256,
    slices: int = 8,
    phases: int = 20,
    shown: Sequence[int] | None = None,
) -> npt.NDArray[np.uint8]:
    """Label the pixels of the study that `draw_study` draws.

    Parameters
    ----------
    seed, patient, size, slices, phases
        See `draw_study`.
    shown
        Which phases to label, in this order; None means all.

    Returns
    -------
    (slices, shown, H, W) uint8
        0 background, 1 cavity of the left ventricle (with papillary muscles and trabeculae), 2 its
        muscle, 3 cavity of the right ventricle.
    """
    subject = lie_down(seed, patient, size, phases)
    return label_stack(
        subject, plan_stack(subject, slices), range(phases) if shown is None else shown
    )


def label_stack(subject: Subject, stack: Stack, shown: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Label the pixels of a stack in some phases, (slices, shown, H, W)."""
    size = subject.size
    masks = np.zeros((len(stack.planes), len(shown), size, size), dtype=np.uint8)
    for mask, plane, breath in zip(masks, stack.planes, stack.breaths_mm, strict=True):
        points = subject.to_heart(plane.points - breath[:, None, None])
        window = HeartWindow(points, subject.heart)
        for index, phase in enumerate(shown):
            mask[index, *window.where] = _label(window, subject.heart, phase)
    return masks


def _label(window: HeartWindow, heart: Heart, phase: int) -> npt.NDArray[np.uint8]:
    """Label one phase in one plane: what the left ventricle covers, the right one does not."""
    surfaces = window.surfaces(phase)
    below_mitral, below_tricuspid = surfaces.above_mitral < 0, surfaces.above_tricuspid < 0
    right = (surfaces.free_wall < 0) & (surfaces.wall >= 0) & below_tricuspid
    labels = np.where(right & (window.w < heart.right.end_w), RIGHT, 0)
    labels = np.where((surfaces.wall < 0) & below_mitral, MUSCLE, labels)
    labels = np.where((surfaces.cavity < 0) & below_mitral, CAVITY, labels)
    return labels.astype(np.uint8)
