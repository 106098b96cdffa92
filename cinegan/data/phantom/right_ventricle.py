"""The right ventricle: a crescent on the septum that ejects the same stroke as the left one.

References
----------
Petersen SE et al. 2017, "Reference ranges for cardiac structure and function using cardiovascular
magnetic resonance (CMR) in Caucasians from the UK Biobank population cohort", JCMR 19:18. There the
right ventricle is 5 to 10 % larger than the left one at end-diastole and ejects about 0.58 (men) to
0.61 (women).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.left_ventricle import (
    ANGLES,
    SEPTUM,
    THETA,
    LeftVentricle,
    angle_to,
    closed,
)

STEPS = 24  # depths over which its volume is summed


@dataclass(frozen=True)
class RightVentricle:
    """Shape and motion of the blood; its wall lies outside."""

    volumes_ml: Floats  # (phases,)
    base_w: Floats  # (phases,) the tricuspid plane, which descends further than the mitral one
    outline: Floats  # (ANGLES + 1,) width by angle, 1 where widest
    width_mm: Floats  # (phases,) at the widest angle of the base
    end_w: float

    def taper(self, w: Image | Floats) -> Image:
        """Width at a depth, relative to the base's: 0 at the end."""
        share = w / np.float32(self.end_w)
        return np.asarray(np.clip(1 - share * np.abs(share), 0, 1), dtype=np.float32)


def draw_right_ventricle(rng: np.random.Generator, left: LeftVentricle) -> RightVentricle:
    """Draw a shape, and solve its width at each phase for the volume."""
    outline = _draw_outline(rng, float(left.epi[0, 4].mean()))
    end_w = float(left.length_mm * rng.uniform(0.78, 0.92))
    shape = RightVentricle(
        volumes_ml=_draw_volumes(rng, left.volumes_ml),
        base_w=1.25 * left.base_w,
        outline=closed(outline),
        width_mm=np.zeros(len(left.volumes_ml)),
        end_w=end_w,
    )
    width = [_solve_width(shape, left, phase) for phase in range(len(left.volumes_ml))]
    return RightVentricle(shape.volumes_ml, shape.base_w, shape.outline, np.round(width, 5), end_w)


def _draw_volumes(rng: np.random.Generator, left_ml: Floats) -> Floats:
    """Both ventricles eject one stroke, the right one from an end-diastolic volume of its own.

    Its ejection fraction falls half as far as the left one's: failure begins on the left.
    """
    stroke_ml = float(np.ptp(left_ml))
    ejection = 0.59 + 0.5 * (stroke_ml / left_ml.max() - 0.62) + rng.normal(0, 0.03)
    return np.asarray(left_ml - left_ml.max() + stroke_ml / np.clip(ejection, 0.25, 0.72))


def _draw_outline(rng: np.random.Generator, septum_mm: float) -> Floats:
    """Two flat walls, one towards the sternum and one on the diaphragm, and a rounded corner."""
    corner_mm = septum_mm + 50.0
    centre = SEPTUM + rng.normal(0, 0.1)

    def flat(towards: float, distance_mm: float) -> Floats:
        return np.clip(np.cos(THETA - centre - towards), 0, None) / distance_mm

    sternal = flat(rng.uniform(0.45, 0.75), septum_mm + rng.uniform(12, 22))
    diaphragmatic = flat(-rng.uniform(0.9, 1.2), septum_mm + rng.uniform(0, 6))
    closeness = corner_mm**-4.0 + sternal**4 + diaphragmatic**4
    behind = np.clip((np.radians(rng.uniform(88, 104)) - angle_to(centre)) / 0.8, 0, 1)
    width = behind * np.clip(closeness ** (-1 / 4) - septum_mm, 0, None)
    return np.asarray(width / width.max())


def _solve_width(shape: RightVentricle, left: LeftVentricle, phase: int) -> float:
    """Width that holds the volume.

    From the septum's radius r to the free wall at r + x f, the area by unit of angle is
    (f r) x + f^2 x^2 / 2; summed over angles and depths, that makes a quadratic equation.
    """
    top = shape.base_w[phase]
    step = (shape.end_w - top) / STEPS
    depths = top + (np.arange(STEPS) + 0.5) * step
    width = shape.outline[:-1] * shape.taper(depths)[:, None]
    septum = np.stack([left.radii(phase, w)[1][:-1] for w in depths])
    cell = step * 2 * np.pi / ANGLES
    a, b = 0.5 * np.sum(width**2) * cell, np.sum(width * septum) * cell
    return float((np.sqrt(b * b + 4000 * a * shape.volumes_ml[phase]) - b) / (2 * a))
