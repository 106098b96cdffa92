"""Expert contours in Sunnybrook's text format: "x y" a line, pixels, origin top left."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from skimage.draw import polygon2mask
from skimage.measure import centroid

from cinegan.data.containers import Container

KINDS = {
    "icontour": "endo",
    "ocontour": "epi",
    "rcontour": "rv",
    "p1contour": "papillary1",
    "p2contour": "papillary2",
}

# SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert/IM-0001-0048-icontour-manual.txt
# and, drawn by a phantom at every phase, PH-N-01/contours-truth/IM-0001-0048-icontour-truth.txt
_NAME = re.compile(
    r"([^/]+)/contours-(manual|truth)/(?:.*/)?IM-\d+-(\d+)-([ior]contour|p[12]contour)-"
)
SOURCES = {"manual": "expert", "truth": "truth"}


@dataclass(frozen=True)
class Contour:
    """One closed contour.

    Attributes
    ----------
    original_id : str
        The patient as the contour folder names it, as `canonical_id` writes it.
    instance_number : int
        InstanceNumber of the DICOM image it was drawn on.
    kind : str
        "endo", "epi", "rv", "papillary1" or "papillary2".
    points_px : (n, 2) float64
        x, y in pixels.
    source : str
        "expert" or "truth".
    """

    original_id: str
    instance_number: int
    kind: str
    points_px: np.ndarray
    source: str


def canonical_id(original_id: str) -> str:
    """One spelling of a patient: SC-HF-I-01 and SC-HF-I-1 are the same."""
    return re.sub(r"-0+(?=\d)", "-", original_id.strip())


def is_contour(file: str) -> bool:
    """Whether a file holds a contour, by its name."""
    return _NAME.search(file) is not None


def is_beside_contours(file: str) -> bool:
    """Whether a file lies among contours and is none: lists, notes, automatic results."""
    return "/contours-" in file or "SCD_ManualContours" in file


def read_contour(container: Container, file: str) -> Contour:
    """Read one contour.

    Raises
    ------
    ValueError
        If it is not a list of at least three x y pairs.
    """
    match = _NAME.search(file)
    if match is None:
        raise ValueError("not named as contours are")
    patient, source, instance, kind = match.groups()
    points = _parse(container.read(file))
    return Contour(canonical_id(patient), int(instance), KINDS[kind], points, SOURCES[source])


def mask(points_px: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels inside a contour, (H, W) bool."""
    return polygon2mask(shape, points_px[:, ::-1])


def centre(points_px: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Row and column of the centre of area of a contour, (2,) float64."""
    return centroid(mask(points_px, shape))


def _parse(content: bytes) -> np.ndarray:
    try:
        lines = [line.split() for line in content.decode().splitlines() if line.strip()]
        points = np.array(lines, dtype=float)
    except (UnicodeDecodeError, ValueError):
        raise ValueError("not a list of x y pairs") from None
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("not a contour of three or more x y pairs")
    return points
