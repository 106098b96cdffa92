"""Where an image plane cuts the heart: distances from its surfaces, pixel by pixel.

What is painted and what the masks label is decided here, once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.heart import Heart
from cinegan.data.phantom.left_ventricle import ANGLES, LEVELS, at_level

RIGHT_WALL_MM = 3.0


class Surfaces(NamedTuple):
    """Signed distances in mm at one phase, (H, W) or one number for all; negative within."""

    cavity: Image  # of the left ventricle's ellipsoid, which the base cuts off
    wall: Image  # the same with its muscle
    above_mitral: Image
    free_wall: Image  # of the right ventricle; the left one lies before it
    above_tricuspid: Image
    outer_mm: Image  # radius of the whole heart, the right ventricle's wall included


class HeartWindow:
    """The part of a plane in which the heart beats, in the heart's coordinates."""

    def __init__(self, heart_points: Floats, heart: Heart) -> None:
        left, right = heart.left, heart.right
        reach = float(left.epi.max() + right.width_mm.max()) + 16
        near = (np.abs(heart_points[0]) < reach + 14) & (np.abs(heart_points[1]) < reach)
        near &= (heart_points[2] > -75) & (heart_points[2] < left.tip_w + 30)
        self.where = _span(near.any(1)), _span(near.any(0))
        u, v, w = heart_points[:, *self.where]
        # All of a short-axis slice has one depth: a single number makes it fast.
        self.is_short_axis = bool(np.ptp(w) < 0.01)
        depth = w[:1, :1] if self.is_short_axis else w
        self.u, self.v, self.w = (np.asarray(c, dtype=np.float32) for c in (u, v, depth))
        self.radius = np.sqrt(self.u**2 + self.v**2)
        turns = np.round(np.arctan2(v, u) / (2 * np.pi), 7) % 1 * ANGLES
        self._index = np.minimum(turns.astype(np.intp), ANGLES - 1)
        self._fraction = (turns - self._index).astype(np.float32)
        self._level = left.level(depth)
        self._heart = heart
        self._crescent = self.around(right.outline) * right.taper(self.w)
        self.fat_mm, self.pad_mm, self.effusion_mm = (
            self.around(table) for table in (heart.fat_mm, heart.pad_mm, heart.effusion_mm)
        )

    @property
    def points(self) -> list[Image]:
        """Coordinates u, v, w."""
        return [self.u, self.v, self.w]

    def around(self, table: Floats) -> Image:
        """Interpolate a table over the closed circle of angles, (ANGLES + 1,), at each pixel."""
        values = table.astype(np.float32)
        slopes = np.diff(values).take(self._index)
        slopes *= self._fraction
        slopes += values.take(self._index)
        return slopes

    def surfaces(self, phase: int) -> Surfaces:
        """Distances from the heart's surfaces at one phase."""
        left, right = self._heart.left, self._heart.right
        endo, epi = self._at_level(left.endo[phase]), self._at_level(left.epi[phase])
        endo_depth, epi_depth = left.depths(phase, self.w)
        square = self.radius * self.radius
        crescent = self._crescent * np.float32(right.width_mm[phase])
        border = epi * np.sqrt(np.clip(1 - epi_depth, 0, 1)) + crescent
        return Surfaces(
            cavity=(np.sqrt(square / (endo * endo) + endo_depth) - 1) * endo,
            wall=(np.sqrt(square / (epi * epi) + epi_depth) - 1) * epi,
            above_mitral=np.float32(left.base_w[phase]) - self.w,
            free_wall=self.radius - border,
            above_tricuspid=np.float32(right.base_w[phase]) - self.w,
            outer_mm=border + np.minimum(crescent, np.float32(RIGHT_WALL_MM)),
        )

    def _at_level(self, table: Floats) -> Image:
        """Interpolate a table, (LEVELS, ANGLES + 1), at each pixel's depth and angle."""
        if self.is_short_axis:
            return self.around(at_level(table, self._level[0, 0]))
        above = np.minimum(self._level.astype(np.intp), LEVELS - 2)
        cells = table.astype(np.float32)
        share = (self._level - above).astype(np.float32)
        upper, lower = (
            cells[level, self._index] * (1 - self._fraction)
            + cells[level, self._index + 1] * self._fraction
            for level in (above, above + 1)
        )
        return np.asarray(upper + (lower - upper) * share, dtype=np.float32)


def _span(hits: npt.NDArray[np.bool_]) -> slice:
    """From the first hit to the last; a single pixel where a plane misses the heart."""
    indices = np.flatnonzero(hits)
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, 1)
