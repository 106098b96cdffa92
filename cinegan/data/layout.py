"""How a patient's frames are laid: upright, at the spacing asked for, and where they then lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinegan.data.cycles import Frame
from cinegan.data.orientation import Plane, Turn, turn_to_convention
from cinegan.data.resizing import resize_frames, resize_points


@dataclass(frozen=True)
class Layout:
    """How a patient's frames are laid: turned to the convention, perhaps to another spacing.

    Attributes
    ----------
    turn : Turn
    scanned, turned : Plane
        Of the first slice, as scanned and as turned, before its spacing is changed.
    spacing_mm : tuple of float
        Distance between rows and between columns in the end.
    """

    turn: Turn
    scanned: Plane
    turned: Plane
    spacing_mm: tuple[float, float]

    @classmethod
    def of(cls, frame: Frame, spacing_mm: float | None) -> Layout:
        """The layout of a stack whose first image is given."""
        header = frame.header
        turn = (
            turn_to_convention(header.row_direction, header.column_direction)
            if header.oriented
            else Turn()
        )
        scanned = plane_of(frame)
        turned = turn.plane(scanned)
        wanted = (spacing_mm, spacing_mm) if spacing_mm is not None else turned.spacing_mm
        return cls(turn, scanned, turned, wanted)

    @property
    def steps(self) -> tuple[float, float]:
        """Turned pixels from one row in the end, and from one column, to the next."""
        rows, columns = (
            new / old for new, old in zip(self.spacing_mm, self.turned.spacing_mm, strict=True)
        )
        return rows, columns

    @property
    def resampled(self) -> bool:
        """Whether frames are brought to another spacing."""
        return self.steps != (1.0, 1.0)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns in the end: the whole pixels nearest to the scanned field."""
        rows, columns = (
            max(8, round(side / step))
            for side, step in zip(self.turned.shape, self.steps, strict=True)
        )
        return rows, columns

    def pictures(self, stack: np.ndarray) -> np.ndarray:
        """Lay (n, H, W, T) as scanned."""
        turned = self.turn.pictures(stack)
        if self.resampled:
            return resize_frames(turned, *self.shape, self.steps)
        return np.ascontiguousarray(turned)

    def points(self, points_px: np.ndarray) -> np.ndarray:
        """Lay (k, 2) x, y in pixels of a frame as scanned."""
        turned = self.turn.points(points_px, self.scanned.shape)
        return resize_points(turned, self.turned.shape, self.shape, self.steps)

    def origin_mm(self, turned: Plane) -> np.ndarray:
        """Centre of the first pixel in the end, of a slice whose turned plane is given."""
        down, across = (
            (old - 1) * own / 2 - (new - 1) * wanted / 2
            for old, own, new, wanted in zip(
                turned.shape, turned.spacing_mm, self.shape, self.spacing_mm, strict=True
            )
        )
        return np.asarray(turned.origin_mm + across * turned.row + down * turned.column)


def plane_of(frame: Frame) -> Plane:
    """Where a frame lies as scanned."""
    header = frame.header
    return Plane(
        header.position_mm,
        header.row_direction,
        header.column_direction,
        header.spacing_mm,
        header.shape,
    )
