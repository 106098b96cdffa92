"""Cutting the ventricles out: one square per patient, the same for all its slices and phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from cinegan.data import contours
from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.orientation import Turn
from cinegan.data.resizing import resize_frames, resize_points
from cinegan.errors import CineganError
from cinegan.files import rounded
from cinegan.imaging.heart import find_heart
from cinegan.params import Crop

# The original system's box: rows 60:188 and columns 55:183 of a 256x256 frame (half-open).
ORIGINAL_ROWS, ORIGINAL_COLUMNS = (60, 188), (55, 183)
ORIGINAL_SIDE = 256
AIR_PERCENTILE = 1


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


def original_box_in(row: pd.Series, shape: tuple[int, int]) -> Box:
    """Where the original system's box lies in frames that were turned or resampled.

    Parameters
    ----------
    row : Series
        Of the index: it says how the frames were scanned.
    shape : tuple of int
        Rows and columns of the frames now.
    """
    scanned = int(row["rows_scanned"]), int(row["columns_scanned"])
    turn = Turn(bool(row["mirrored"]), int(row["quarter_turns"]))
    box = original_box(scanned)
    ends = np.array([(box.left, box.top), (box.left + box.width - 1, box.top + box.height - 1)])
    turned = turn.points(ends, scanned)
    moved = resize_points(turned, scanned[::-1] if turn.quarters % 2 else scanned, shape)
    (left, top), (right, bottom) = np.rint(np.sort(moved, axis=0)).astype(int).tolist()
    return Box(top, left, bottom - top + 1, right - left + 1)


def cut(stack: np.ndarray, box: Box) -> np.ndarray:
    """Cut a box out of (slices, H, W, phases); what lies outside the frame is background.

    Background is the stack's own darkest intensity, air: the frame's edge may show the chest wall,
    which must not be drawn out.
    """
    rows = slice(max(box.top, 0), max(box.top + box.height, 0))
    columns = slice(max(box.left, 0), max(box.left + box.width, 0))
    inside = stack[:, rows, columns]
    if inside.shape[1:3] == (box.height, box.width):
        return inside
    air = np.percentile(stack[..., 0], AIR_PERCENTILE, method="nearest")  # of the stack's type
    made = np.full((len(stack), box.height, box.width, stack.shape[3]), air, dtype=stack.dtype)
    top, left = max(-box.top, 0), max(-box.left, 0)
    made[:, top : top + inside.shape[1], left : left + inside.shape[2]] = inside
    return made


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
    every = list(verdicts.values())
    judged = [v for v in every if v["contours"]]
    confidences = [v["confidence"] for v in every]
    report = {
        "patients": len(every),
        "by_hand": sum(v["by_hand"] for v in every),
        "fallbacks": sum(v["fallback"] != "" for v in every),
        "fallback_patients": [patient for patient, v in verdicts.items() if v["fallback"]],
        "confidence": rounded(float(np.mean(confidences)), 4),
        "confidence_least": rounded(min(confidences), 4),
        "box_mm": options.box_mm,
        "patients_with_contours": len(judged),
        "contours_inside": _share(judged, "contours_inside", "contours"),
        "contours_inside_original_box": _share(judged, "contours_inside_original_box", "contours"),
        "right_ventricle_inside": _share(judged, "right_ventricle_inside", "right_ventricle"),
        "right_ventricle_inside_original_box": _share(
            judged, "right_ventricle_inside_original_box", "right_ventricle"
        ),
        "left_ventricle_miss_mm": _mean(judged, "left_ventricle_miss_mm"),
        "left_ventricle_miss_mm_worst": _worst(judged, "left_ventricle_miss_mm"),
        "left_ventricle_miss_mm_original_box": _mean(judged, "original_box_miss_mm"),
        "left_ventricle_miss_mm_original_box_worst": _worst(judged, "original_box_miss_mm"),
    }
    return report, pd.DataFrame.from_dict(verdicts, orient="index").rename_axis("patient")


def notes(verdicts: pd.DataFrame, patient: str) -> list[str]:
    """What a patient's contact sheet has to say of its crop.

    Parameters
    ----------
    verdicts : DataFrame
        From `crop_cohort`.
    """
    verdict: dict[Any, Any] = verdicts.loc[patient].to_dict()
    found = f"heart found with confidence {verdict['confidence']:g}"
    by_hand = "box set by hand" if verdict["by_hand"] else ""
    lines = [verdict["fallback"] or by_hand or found]
    if verdict["contours"]:
        lines.append(
            f"{verdict['contours_inside']:g} of {verdict['contours']} contours wholly inside; "
            f"left ventricle's centre missed by {verdict['left_ventricle_miss_mm']:.1f} mm"
        )
    return lines


def _crop_patients(
    cohort: Cohort, options: Crop, verdicts: dict[str, dict[str, Any]]
) -> Iterator[PatientCycles]:
    for patient in tqdm(cohort.patients, desc="finding hearts", unit="patient"):
        rows = cohort.rows(patient)
        spacing = cohort.spacing_mm(patient)
        stack = cohort.stack(patient)
        shape = (stack.shape[1], stack.shape[2])
        heart = find_heart(stack, spacing)
        by_hand = options.override.get(patient)
        if heart.fallback and by_hand is None:
            tqdm.write(
                f"{patient}: {heart.fallback} (confidence {heart.confidence:g}); if the box is "
                f"off, set crop.override: {{{patient}: [row, column]}} in params.yaml"
            )
        centre = heart.middle if by_hand is None else np.array(by_hand)
        if not all(0 <= c < side for c, side in zip(centre, shape, strict=True)):
            raise CineganError(
                f"params.yaml: crop.override.{patient}: {by_hand} lies outside the frame of "
                f"{shape[0]} x {shape[1]} pixels"
            )
        box = box_around(centre, options.box_mm, spacing)
        traced = [*cohort.contours(patient), *cohort.contours(patient, "truth")]
        found = heart.left_ventricle if by_hand is None else centre
        verdicts[patient] = {
            **_columns_of(box, options.size),
            "by_hand": by_hand is not None,
            "confidence": heart.confidence,
            "fallback": (heart.fallback or "") if by_hand is None else "",
            **_judge(found, box, original_box_in(rows.iloc[0], shape), traced, shape, spacing),
        }
        yield PatientCycles(
            patient,
            resize_frames(cut(stack, box), options.size, options.size),
            [
                {
                    **{str(k): v for k, v in row.items()},
                    "spacing_row_mm": spacing[0] * box.height / options.size,
                    "spacing_column_mm": spacing[1] * box.width / options.size,
                    **_columns_of(box, options.size),
                }
                for row in rows.to_dict("records")
            ],
            [_moved(contour, box, options.size) for contour in traced],
        )


def _moved(contour: PlacedContour, box: Box, size: int) -> PlacedContour:
    """The contour in pixels of the resized crop."""
    points = contour.points_px - (box.left, box.top)
    return replace(contour, points_px=resize_points(points, (box.height, box.width), (size, size)))


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
    fixed: Box,
    traced: list[PlacedContour],
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> dict[str, Any]:
    """Hold a box against contours, beside the original's fixed box.

    The true centre is the mean over the expert's endocardial contours (all slices, end-diastole
    and end-systole); over the phantom's own where no expert drew.
    """
    walls = [c.points_px for c in traced if c.kind in ("endo", "epi")]
    right = [c.points_px for c in traced if c.kind == "rv"]
    # One that lies outside the frame, or around no pixel, has no centre.
    pools = [c for c in traced if c.kind == "endo" and contours.mask(c.points_px, shape).any()]
    pools = [c for c in pools if c.source == "expert"] or pools
    if not pools:
        return {"contours": 0}
    truth = np.mean([contours.centre(c.points_px, shape) for c in pools], axis=0)
    return {
        "contours": len(walls),
        "contours_inside": sum(box.contains(points) for points in walls),
        "contours_inside_original_box": sum(fixed.contains(points) for points in walls),
        "right_ventricle": len(right),
        "right_ventricle_inside": sum(box.contains(points) for points in right),
        "right_ventricle_inside_original_box": sum(fixed.contains(points) for points in right),
        "left_ventricle_miss_mm": rounded(np.hypot(*((found - truth) * spacing_mm)), 4),
        "original_box_miss_mm": rounded(np.hypot(*((fixed.middle - truth) * spacing_mm)), 4),
    }


def _share(judged: list[dict[str, Any]], key: str, of: str) -> float | None:
    total = sum(v[of] for v in judged)
    return rounded(sum(v[key] for v in judged) / total, 4) if total else None


def _mean(judged: list[dict[str, Any]], key: str) -> float | None:
    return rounded(float(np.mean([v[key] for v in judged])), 4) if judged else None


def _worst(judged: list[dict[str, Any]], key: str) -> float | None:
    return rounded(max(v[key] for v in judged), 4) if judged else None
