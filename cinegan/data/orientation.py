"""One way to lay the pictures: as seen from the apex, anterior up, right ventricle on the left.

That is how cardiologists look at a short axis. Scanners differ, and so do operators; quarter turns
and a mirroring, which lose nothing, bring each stack as close to it as they can. What the patient's
axes are to the picture says ImageOrientationPatient (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# From the base of the heart to its apex: to the left, forward and down (x, -y, -z in LPS).
BASE_TO_APEX = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)
# The lateral wall lies to the patient's left of the septum, the inferior wall towards the feet.
RIGHTWARDS, DOWNWARDS = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, -1.0])
UNKNOWN = "unknown orientation"  # in the index, of frames that came without one


@dataclass(frozen=True)
class Turn:
    """A mirroring from left to right, then quarter turns.

    Attributes
    ----------
    mirrored : bool
    quarters : int
        Counter-clockwise, 0 to 3.
    """

    mirrored: bool = False
    quarters: int = 0

    def __str__(self) -> str:
        """In words, as for a person who holds the picture."""
        turned = {
            0: "",
            1: "turned 90 degrees to the left",
            2: "turned upside down",
            3: "turned 90 degrees to the right",
        }
        words = ["mirrored"] * self.mirrored + [turned[self.quarters]] * (self.quarters > 0)
        return ", ".join(words) or "as scanned"

    def pictures(self, stack: np.ndarray) -> np.ndarray:
        """Turn (n, H, W, T); a view."""
        stack = stack[:, :, ::-1] if self.mirrored else stack
        return np.rot90(stack, self.quarters, axes=(1, 2))

    def undo(self, stack: np.ndarray) -> np.ndarray:
        """Turn (n, H, W, T) back to how it was scanned; a view."""
        stack = np.rot90(stack, -self.quarters, axes=(1, 2))
        return stack[:, :, ::-1] if self.mirrored else stack

    def points(self, points_px: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Turn (n, 2) x, y in pixels of a picture of `shape`, as scanned."""
        x, y = points_px[:, 0], points_px[:, 1]
        height, width = shape
        if self.mirrored:
            x = width - 1 - x
        for _ in range(self.quarters):
            x, y = y, width - 1 - x
            height, width = width, height
        return np.stack([x, y], axis=-1)

    def plane(self, plane: Plane) -> Plane:
        """The same plane, described by the turned picture."""
        if self.mirrored:
            end = plane.origin_mm + (plane.shape[1] - 1) * plane.spacing_mm[1] * plane.row
            plane = Plane(end, -plane.row, plane.column, plane.spacing_mm, plane.shape)
        for _ in range(self.quarters):
            end = plane.origin_mm + (plane.shape[1] - 1) * plane.spacing_mm[1] * plane.row
            plane = Plane(end, plane.column, -plane.row, plane.spacing_mm[::-1], plane.shape[::-1])
        return plane


@dataclass(frozen=True)
class Plane:
    """Where a picture lies in the patient.

    Attributes
    ----------
    origin_mm : (3,) float64
        Centre of the first pixel, LPS.
    row, column : (3,) float64
        Unit vectors to the right and downwards in the picture.
    spacing_mm : tuple of float
        Distance between rows, and between columns.
    shape : tuple of int
        Rows and columns.
    """

    origin_mm: np.ndarray
    row: np.ndarray
    column: np.ndarray
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]


def turn_to_convention(row: np.ndarray, column: np.ndarray) -> Turn:
    """The turn that brings a short axis closest to the convention.

    Parameters
    ----------
    row, column : (3,) float64
        Unit vectors to the right and downwards in the picture, LPS.
    """
    # Seen from the apex, into the picture means towards the base.
    mirrored = bool(np.cross(row, column) @ BASE_TO_APEX > 0)
    right, down = (-row if mirrored else row), column
    agreements = []
    for _ in range(4):
        agreements.append(right @ RIGHTWARDS + down @ DOWNWARDS)
        right, down = down, -right
    return Turn(mirrored, int(np.argmax(np.round(agreements, 9))))


def edge_letters(row: np.ndarray, column: np.ndarray) -> dict[str, str]:
    """Which side of the patient each edge of a picture faces: L, R, A, P, H(ead) or F(eet)."""
    letters = np.array([["R", "L"], ["A", "P"], ["F", "H"]])

    def facing(direction: np.ndarray) -> str:
        axis = int(np.argmax(np.abs(direction)))
        return str(letters[axis, int(direction[axis] > 0)])

    return {
        "right": facing(row),
        "left": facing(-row),
        "bottom": facing(column),
        "top": facing(-column),
    }
