"""Cutting the ventricles out: one square per patient, the same for all its slices and phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from skimage.transform import resize
from tqdm import tqdm

from cinegan.data import contours
from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.errors import CineganError
from cinegan.files import rounded
from cinegan.imaging.heart import find_heart
from cinegan.params import Crop

# The original system's box: rows 60:188 and columns 55:183 of a 256x256 frame (half-open).
ORIGINAL_ROWS, ORIGINAL_COLUMNS = (60, 188), (55, 183)
ORIGINAL_SIDE = 256


@dataclass(frozen=True)
class Box:
    """A box in pixels of the scanned frame; it may leave the frame.

    Attributes
    ----------
    top, left : int
        First row and column inside.
    height, width : int
        Rows and columns inside.
    """

    top: int
    left: int
    height: int
    width: int

    def contains(self, points_px: np.ndarray) -> bool:
        """Whether all points, (n, 2) x y, lie inside."""
        x, y = points_px[:, 0], points_px[:, 1]
        return bool(
            (self.left <= x.min())
            and (x.max() <= self.left + self.width - 1)
            and (self.top <= y.min())
            and (y.max() <= self.top + self.height - 1)
        )

    @property
    def middle(self) -> np.ndarray:
        """Row and column of the middle, (2,) float64."""
        return np.array(
            [self.top + (self.height - 1) / 2, self.left + (self.width - 1) / 2], dtype=float
        )


def box_around(centre: np.ndarray, box_mm: float, spacing_mm: tuple[float, float]) -> Box:
    """A square of `box_mm` around a row and column, on whole pixels."""
    height, width = (max(1, round(box_mm / s)) for s in spacing_mm)
    return Box(
        round(float(centre[0]) - (height - 1) / 2),
        round(float(centre[1]) - (width - 1) / 2),
        height,
        width,
    )


def original_box(shape: tuple[int, int]) -> Box:
    """The original system's fixed box, in proportion to the frame."""
    rows = [round(r * shape[0] / ORIGINAL_SIDE) for r in ORIGINAL_ROWS]
    columns = [round(c * shape[1] / ORIGINAL_SIDE) for c in ORIGINAL_COLUMNS]
    return Box(rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0])


def cut(stack: np.ndarray, box: Box) -> np.ndarray:
    """Cut a box out of (slices, H, W, phases); what lies outside the frame repeats its edge.

    Frames fade to black towards their edges, so their edge is background.
    """
    rows = np.clip(np.arange(box.top, box.top + box.height), 0, stack.shape[1] - 1)
    columns = np.clip(np.arange(box.left, box.left + box.width), 0, stack.shape[2] - 1)
    return stack[:, rows][:, :, columns]


def crop_cohort(cycles: Path, folder: Path, options: Crop) -> tuple[dict[str, Any], pd.DataFrame]:
    """Crop every patient's cycles to `folder` and judge how well the boxes hold the ventricles.

    Expert contours only judge: they have no say in where a box goes.

    Returns
    -------
    report : dict
        Over the cohort; None where there are no contours.
    verdicts : DataFrame
        One row per patient: box, confidence, and the same figures.

    Raises
    ------
    CineganError
        If `options.override` names a patient that is not in the cohort, or a place outside its
        frames.
    """
    cohort = Cohort(cycles)
    unknown = sorted(set(options.override) - set(cohort.patients))
    if unknown:
        raise CineganError(
            f"params.yaml: crop.override: no patient {', '.join(unknown)} in {cycles}; there are "
            f"{', '.join(cohort.patients[:8])}"
        )
    verdicts: dict[str, dict[str, Any]] = {}
    write_cohort(folder, _crop_patients(cohort, options, verdicts))
    judged = [v for v in verdicts.values() if v["contours"]]
    report = {
        "patients": len(verdicts),
        "by_hand": sum(v["by_hand"] for v in verdicts.values()),
        "box_mm": options.box_mm,
        "patients_with_contours": len(judged),
        "contours_inside": _share(judged, "contours_inside"),
        "contours_inside_original_box": _share(judged, "contours_inside_original_box"),
        "left_ventricle_miss_mm": _mean(judged, "left_ventricle_miss_mm"),
        "left_ventricle_miss_mm_worst": _worst(judged, "left_ventricle_miss_mm"),
        "left_ventricle_miss_mm_original_box": _mean(judged, "original_box_miss_mm"),
        "left_ventricle_miss_mm_original_box_worst": _worst(judged, "original_box_miss_mm"),
    }
    return report, pd.DataFrame.from_dict(verdicts, orient="index").rename_axis("patient")


def _crop_patients(
    cohort: Cohort, options: Crop, verdicts: dict[str, dict[str, Any]]
) -> Iterator[PatientCycles]:
    for patient in tqdm(cohort.patients, desc="finding hearts", unit="patient"):
        rows = cohort.rows(patient)
        spacing = float(rows["spacing_row_mm"].iloc[0]), float(rows["spacing_column_mm"].iloc[0])
        stack = cohort.stack(patient)
        heart = find_heart(stack, spacing)
        by_hand = options.override.get(patient)
        centre = heart.middle if by_hand is None else np.array(by_hand)
        if not all(0 <= c < side for c, side in zip(centre, stack.shape[1:3], strict=True)):
            raise CineganError(
                f"params.yaml: crop.override.{patient}: {by_hand} lies outside the frame of "
                f"{stack.shape[1]} x {stack.shape[2]} pixels"
            )
        box = box_around(centre, options.box_mm, spacing)
        traced = cohort.contours(patient)
        found = heart.left_ventricle if by_hand is None else centre
        verdicts[patient] = {
            **_columns_of(box, options.size),
            "by_hand": by_hand is not None,
            "confidence": heart.confidence,
            **_judge(found, box, traced, (stack.shape[1], stack.shape[2]), spacing),
        }
        yield PatientCycles(
            patient,
            _resized(cut(stack, box), options.size),
            [
                {**{str(k): v for k, v in row.items()}, **_columns_of(box, options.size)}
                for row in rows.to_dict("records")
            ],
            [_moved(contour, box, options.size) for contour in traced],
        )


def _resized(stack: np.ndarray, size: int) -> np.ndarray:
    """Resize the frames of (slices, h, w, phases) with an antialiasing filter, float32."""
    shape = (stack.shape[0], size, size, stack.shape[3])
    return resize(stack.astype(np.float32), shape, order=1, anti_aliasing=True).astype(np.float32)


def _moved(contour: PlacedContour, box: Box, size: int) -> PlacedContour:
    """The contour in pixels of the resized crop (pixel centres at whole numbers in both)."""
    offset = np.array([box.left, box.top])
    scale = size / np.array([box.width, box.height])
    points = (contour.points_px - offset + 0.5) * scale - 0.5
    return PlacedContour(contour.row, contour.phase, contour.kind, points)


def _columns_of(box: Box, size: int) -> dict[str, Any]:
    """The index columns that make a crop reversible."""
    return {
        "box_top": box.top,
        "box_left": box.left,
        "box_height": box.height,
        "box_width": box.width,
        "size": size,
    }


def _judge(
    found: np.ndarray,
    box: Box,
    traced: list[PlacedContour],
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> dict[str, Any]:
    """Hold a box against expert contours, beside the original's fixed box."""
    walls = [c.points_px for c in traced if c.kind in ("endo", "epi")]
    # One that lies outside the frame, or around no pixel, has no centre.
    pools = [
        c.points_px for c in traced if c.kind == "endo" and contours.mask(c.points_px, shape).any()
    ]
    fixed = original_box(shape)
    if not pools:
        return {"contours": 0}
    truth = np.mean([contours.centre(points, shape) for points in pools], axis=0)
    return {
        "contours": len(walls),
        "contours_inside": sum(box.contains(points) for points in walls),
        "contours_inside_original_box": sum(fixed.contains(points) for points in walls),
        "left_ventricle_miss_mm": rounded(np.hypot(*((found - truth) * spacing_mm)), 4),
        "original_box_miss_mm": rounded(np.hypot(*((fixed.middle - truth) * spacing_mm)), 4),
    }


def _share(judged: list[dict[str, Any]], key: str) -> float | None:
    total = sum(v["contours"] for v in judged)
    return rounded(sum(v[key] for v in judged) / total, 4) if total else None


def _mean(judged: list[dict[str, Any]], key: str) -> float | None:
    return rounded(float(np.mean([v[key] for v in judged])), 4) if judged else None


def _worst(judged: list[dict[str, Any]], key: str) -> float | None:
    return rounded(max(v[key] for v in judged), 4) if judged else None
