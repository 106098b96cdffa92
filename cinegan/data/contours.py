"""Expert contours in Sunnybrook's text format: "x y" a line, pixels, origin top left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.draw import polygon2mask
from skimage.measure import centroid

from cinegan.data.archives import files_of, open_archive, read_member

KINDS = {
    "icontour": "endo",
    "ocontour": "epi",
    "p1contour": "papillary1",
    "p2contour": "papillary2",
}

# SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert/IM-0001-0048-icontour-manual.txt
_NAME = re.compile(r"([^/]+)/contours-manual/.*/IM-\d+-(\d+)-(icontour|ocontour|p[12]contour)-")


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
        "endo", "epi", "papillary1" or "papillary2".
    points_px : (n, 2) float64
        x, y in pixels.
    """

    original_id: str
    instance_number: int
    kind: str
    points_px: np.ndarray


def canonical_id(original_id: str) -> str:
    """One spelling of a patient: SC-HF-I-01 and SC-HF-I-1 are the same."""
    return re.sub(r"-0+(?=\d)", "-", original_id.strip())


def read_contours(archive: Path) -> tuple[list[Contour], dict[str, str]]:
    """Read all contours of an archive, and why any were left out ({member: reason})."""
    contours, left_out = [], {}
    with open_archive(archive) as zipped:
        for member in files_of(zipped):
            match = _NAME.search(member)
            if not match:
                continue
            try:
                points = _parse(read_member(zipped, member))
            except ValueError as error:
                left_out[f"{archive.name}/{member}"] = str(error)
                continue
            patient, instance, kind = match.groups()
            contours.append(Contour(canonical_id(patient), int(instance), KINDS[kind], points))
    return contours, left_out


def mask(points_px: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels inside a contour, (H, W) bool."""
    return polygon2mask(shape, points_px[:, ::-1])


def centre(points_px: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Row and column of the centre of area of a contour, (2,) float64."""
    return centroid(mask(points_px, shape))


def _parse(content: bytes) -> np.ndarray:
    try:
        points = np.array([line.split() for line in content.decode().splitlines() if line.strip()])
        points = points.astype(float)
    except (UnicodeDecodeError, ValueError):
        raise ValueError("not a list of x y pairs") from None
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("not a contour of three or more x y pairs")
    return points
