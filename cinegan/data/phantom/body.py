"""What does not beat: chest wall, lungs, mediastinum and the organs below the diaphragm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinegan.data.phantom.arrays import Image
from cinegan.data.phantom.cohort import Patient, Purpose, draws
from cinegan.data.phantom.painting import (
    DISC,
    FAT,
    FLUID,
    GUT,
    LIVER,
    LUNG,
    MARROW,
    MUSCLE,
    SPLEEN,
    VISCERAL_FAT,
    Canvas,
    ellipsoid,
    stripes,
    texture,
    tube,
)


@dataclass(frozen=True)
class Body:
    """What surrounds a heart; patient coordinates."""

    half_width_mm: float
    half_depth_mm: float
    fat_mm: float
    muscle_mm: float
    right_dome_z: float
    left_dome_z: float
    aorta_mm: float
    stomach: float  # signal of its content
    stomach_x: float
    rib_phase_mm: float
    askew_mm: tuple[float, float]  # how far the chest is from a straight elliptic cylinder
    breast_mm: float  # reach; 0: none
    liver: float  # signals
    fat: float


def draw_body(seed: int, patient: Patient) -> Body:
    """Draw a build, by sex, and where the organs lie."""
    rng = draws(seed, patient.number, Purpose.BODY)
    # One number makes a body slim or stout: girth and fat go together.
    build, female = rng.normal(), patient.sex == "Female"
    scale = (0.94 if female else 1.0) * (1 + 0.05 * build)
    return Body(
        half_width_mm=scale * rng.normal(168, 6),
        half_depth_mm=scale * rng.normal(116, 4),
        fat_mm=float(np.clip((13 if female else 9) * (1 + 0.4 * build) + rng.normal(0, 2), 4, 26)),
        muscle_mm=float(rng.uniform(12, 21)),
        right_dome_z=rng.normal(-34, 8),
        left_dome_z=rng.normal(-54, 6),
        aorta_mm=float(rng.uniform(9, 15)),
        stomach=float(rng.choice([0.05, 0.3, 0.75, 1.0])),
        stomach_x=rng.normal(72, 10),
        rib_phase_mm=float(rng.uniform(0, 30)),
        askew_mm=(float(rng.normal(0, 12)), float(rng.normal(15, 15))),
        breast_mm=float(rng.uniform(45, 62)) * female,
        liver=float(rng.uniform(0.8, 1.4)) * LIVER,
        fat=float(rng.uniform(0.8, 1.25)) * FAT,
    )


def paint_body(canvas: Canvas, points: Image, body: Body, rng: np.random.Generator) -> Image:
    """Paint everything that does not beat, from the skin inwards.

    Returns
    -------
    (2, H, W) float32
        Distance in mm from the chest wall and from the diaphragm, positive within the lungs.
    """
    shape = points.shape[1:]
    x, y, z = points
    skin, fat_mm = _figure(points, body)
    chest = skin + fat_mm
    cavity = chest + np.float32(body.muscle_mm)
    fine, coarse = texture(rng, shape, 1.0), texture(rng, shape, 5.0)
    fat = body.fat * (1 + 0.06 * coarse)
    for side_mm in (-85, 85) if body.breast_mm else ():
        centre = (side_mm, -0.6 * body.half_depth_mm, -15)
        canvas.paint(ellipsoid(points, centre, (75, body.breast_mm, 80)), fat)
    canvas.paint(skin, fat)
    along = z + np.float32(0.3) * np.abs(x) - np.float32(0.55) * y + np.float32(4) * coarse
    ribs = stripes(along + np.float32(body.rib_phase_mm), 27)
    canvas.paint(chest, MUSCLE * (1 + 0.2 * fine + 0.3 * coarse))
    marrow = np.clip(3 * (ribs - 0.55), 0, 1)
    canvas.paint(chest + np.float32(0.4 * body.muscle_mm), MUSCLE + 0.12 * marrow)
    canvas.paint(chest + np.float32(0.85 * body.muscle_mm), 0.14)
    hilum = ellipsoid(points, (30, 15, 10), (75, 75, 75))
    vessels = np.clip(fine + 0.6 * coarse - 2 - 0.012 * hilum, 0, 1)
    canvas.paint(cavity, LUNG + 0.45 * vessels)
    diaphragm = _paint_abdomen(canvas, points, body, cavity, fine, coarse)
    _paint_mediastinum(canvas, points, body, coarse)
    return np.stack([-cavity, diaphragm])


def _figure(points: Image, body: Body) -> tuple[Image, Image]:
    """Signed distance from the skin, and thickness of the fat below it.

    The fat is thin before the sternum and grows to the sides and towards the belly; the chest is a
    little askew.
    """
    half_axes = (body.half_width_mm, body.half_depth_mm, 260.0)
    across, deep, high = (
        p * np.float32(1 / half) for p, half in zip(points, half_axes, strict=True)
    )
    skin = ellipsoid(points, (0, 4, 0), (*half_axes[:2], float("inf")))
    askew, taper = (np.float32(mm) for mm in body.askew_mm)
    skin += askew * across * deep + taper * high
    fat = 0.55 + 0.6 * np.minimum(np.abs(across), 1) - 0.5 * np.clip(high, -1, 1)
    return skin, np.asarray(np.float32(body.fat_mm) * fat, dtype=np.float32)


def _paint_abdomen(
    canvas: Canvas, points: Image, body: Body, cavity: Image, fine: Image, coarse: Image
) -> Image:
    """Paint what lies below the diaphragm, and give the distance above it."""
    right = ellipsoid(points, (-62, 0, body.right_dome_z - 120), (100, 105, 120))
    left = ellipsoid(points, (58, 0, body.left_dome_z - 110), (105, 105, 110))
    abdomen = np.maximum(np.minimum(right, left), cavity)
    canvas.paint(abdomen, MUSCLE)
    canvas.paint(abdomen + np.float32(2.5), VISCERAL_FAT * (1 + 0.15 * coarse))
    inside = abdomen + np.float32(4)

    def organ(
        centre: tuple[float, ...], half_axes: tuple[float, ...], signal: float | Image
    ) -> None:
        shape = ellipsoid(points, centre, half_axes) + np.float32(4) * coarse
        canvas.paint(np.maximum(shape, inside), signal)

    low = body.left_dome_z
    organ((0, -10, low - 95), (85, 60, 55), GUT + 0.25 * coarse + 0.06 * fine)
    organ((body.stomach_x, -8, low - 42), (42, 46, 36), MUSCLE)
    organ((body.stomach_x, -8, low - 42), (37, 41, 31), body.stomach + 0.15 * coarse)
    organ((112, 45, low - 46), (26, 40, 42), SPLEEN * (1 + 0.05 * fine))
    organ((62, 58, low - 95), (26, 24, 46), SPLEEN + 0.1 * coarse)
    veins = np.clip(fine + coarse - 2.4, 0, 1) * 0.4
    liver = body.liver * (1 + 0.05 * fine) + veins
    organ((-70, 0, body.right_dome_z - 105), (90, 95, 103), liver)
    organ((5, -38, low - 36), (78, 48, 34), liver)
    return np.minimum(right, left)


def _paint_mediastinum(canvas: Canvas, points: Image, body: Body, coarse: Image) -> None:
    """Paint the spine, the great vessels and the fat around them."""
    infinite = float("inf")
    z = points[2]
    canvas.paint(
        ellipsoid(points, (0, 10, 60), (40, 62, 105)) + np.float32(1.5) * coarse,
        VISCERAL_FAT * (1 + 0.2 * coarse),
    )
    canvas.paint(ellipsoid(points, (0, 88, 0), (48, 26, infinite)), MUSCLE * (1 + 0.2 * coarse))
    discs = np.clip(8 * (stripes(z + body.rib_phase_mm, 30) - 0.8), 0, 1)
    canvas.paint(ellipsoid(points, (0, 68, 0), (21, 17, infinite)), 0.08)
    canvas.paint(
        ellipsoid(points, (0, 68, 0), (19, 15, infinite)), MARROW + (DISC - MARROW) * discs
    )
    canvas.paint(ellipsoid(points, (0, 93, 0), (8, 7, infinite)), FLUID)
    for start, end, radius, signal in (
        ((22, 46, -260), (24, 46, 100), body.aorta_mm + 1.5, 0.1),
        ((22, 46, -260), (24, 46, 100), body.aorta_mm, 0.95),
        ((4, 42, -80), (2, 46, 120), 7.0, GUT),
        ((-30, 22, -260), (-30, 18, 0), 11.0, 0.85),
        ((-28, -8, 20), (-26, -12, 120), 9.0, 0.9),
    ):
        canvas.paint(tube(points, start, end, radius), signal)
