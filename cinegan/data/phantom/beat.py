"""The heart in an image plane: painted phase by phase, from the pericardium inwards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.heart import ANGLES, TURN, Heart, closed, depths, tricuspid_w
from cinegan.data.phantom.painting import (
    MYOCARDIUM,
    PARACARDIAL_FAT,
    VISCERAL_FAT,
    Canvas,
    ellipsoid,
    texture,
    tube,
)


class HeartWindow:
    """The part of a plane in which the heart beats, in the heart's coordinates."""

    def __init__(self, heart_points: Floats, heart: Heart, rng: np.random.Generator) -> None:
        reach = float((heart.epi + heart.rv_width).max()) + 16
        near = (np.abs(heart_points[0]) < reach + 14) & (np.abs(heart_points[1]) < reach)
        near &= (heart_points[2] > -75) & (heart_points[2] < heart.length_mm + 25)
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        self.where = _span(rows), _span(columns)
        u, v, w = heart_points[:, *self.where]
        # All of a short-axis slice has one depth: a single number makes it fast.
        depth = w if np.ptp(w) > 0.01 else w[:1, :1]
        self.u, self.v, self.w = (np.asarray(c, dtype=np.float32) for c in (u, v, depth))
        self.radius = np.sqrt(self.u**2 + self.v**2)
        turns = np.round(np.arctan2(v, u) / (2 * np.pi), 7) % 1 * ANGLES
        self._index = np.minimum(turns.astype(np.intp), ANGLES - 1)
        self._fraction = (turns - self._index).astype(np.float32)
        self.trabeculae = _trabeculae(rng)
        self.mottle = texture(rng, self.u.shape, 1.2)
        self.swirl = texture(rng, self.u.shape, 7.0)
        self.widest = crescent_radius(self, heart, 0)

    @property
    def points(self) -> list[Image]:
        """Coordinates u, v, w."""
        return [self.u, self.v, self.w]

    def lookup(self, table: Floats) -> Image:
        """Interpolate a table over the closed circle of angles, (ANGLES + 1,), at each pixel."""
        values = table.astype(np.float32)
        slopes = np.diff(values).take(self._index)
        slopes *= self._fraction
        slopes += values.take(self._index)
        return slopes


def _span(indices: npt.NDArray[np.intp]) -> slice:
    """From the first index to the last; a single pixel where a plane misses the heart."""
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, 1)


def paint_heart(canvas: Canvas, window: HeartWindow, heart: Heart, phase: int) -> None:
    """Paint the heart at one phase, from the pericardium inwards."""
    blood = np.float32(heart.blood[phase]) * (1 + 0.035 * window.swirl)
    crescent = crescent_radius(window, heart, phase)
    _paint_sac(canvas, window, heart, crescent)
    _paint_atria(canvas, window, heart, phase)
    _paint_right_ventricle(canvas, window, heart, phase, crescent, blood)
    _paint_left_ventricle(canvas, window, heart, phase, blood)
    _paint_papillaries(canvas, window, heart, phase)


def crescent_radius(window: HeartWindow, heart: Heart, phase: int) -> Image:
    """Outer border of both ventricles: distance from the long axis, by angle and depth."""
    _, epi_depth, rv_taper = depths(heart, phase, window.w)
    radius = window.lookup(heart.epi[phase]) * np.sqrt(np.clip(1 - epi_depth, 0, 1))
    return radius + window.lookup(heart.rv_width[phase]) * rv_taper


def paint_fat_pad(canvas: Canvas, window: HeartWindow, heart: Heart, lung_mm: Image) -> None:
    """Paint the fat that rounds off the angles between heart, chest wall and diaphragm."""
    sac, reach = _sac(window, heart, window.widest), window.lookup(heart.pad_mm)
    in_lung = lung_mm.min(0)
    pad = np.minimum(sac, in_lung)
    for distance in lung_mm:
        pad -= np.clip(reach - np.abs(sac - distance), 0, None) ** 2 / (4 * reach)
    pad = np.maximum(pad, -in_lung)
    canvas.paint(pad - np.float32(1.2), 0.08)
    canvas.paint(pad, PARACARDIAL_FAT * (1 + 0.12 * window.swirl + 0.08 * window.mottle))


def _sac(window: HeartWindow, heart: Heart, crescent: Image) -> Image:
    """Distance from the pericardium, whose fat fills a third of what contraction leaves."""
    fat = window.lookup(heart.fat_mm) + np.float32(0.8) * window.swirl
    distance = window.radius - (0.35 * window.widest + 0.65 * crescent) - fat
    tip = heart.equator_w[0] + heart.epi_length[0] + 5
    return np.maximum(distance, np.maximum(window.w - np.float32(tip), -45 - window.w))


def _paint_sac(canvas: Canvas, window: HeartWindow, heart: Heart, crescent: Image) -> None:
    """Paint the pericardium and the fat within."""
    distance = _sac(window, heart, crescent)
    canvas.paint(distance - np.float32(1.2), 0.08)
    canvas.paint(distance, VISCERAL_FAT * (1 + 0.2 * window.swirl + 0.15 * window.mottle))


def _paint_atria(canvas: Canvas, window: HeartWindow, heart: Heart, phase: int) -> None:
    """Paint atria and great arteries above the base; the atria fill as the ventricles empty."""
    base = heart.base_w[phase]
    if float(window.w.min()) > base + 12:
        return
    blood, fill = heart.blood[phase], 2.5 * heart.contraction[phase]
    radius = 0.72 * heart.endo[0].mean() + fill
    chambers = [
        ellipsoid(window.points, (4, 6, base - 24), (radius + 6, radius, 25 + fill)),
        ellipsoid(window.points, (-46, 14, base - 20), (22 + fill, 26 + fill, 24)),
        tube(window.points, (-16, -14, base - 2), (-26, -32, base - 60), 12.5),
        tube(window.points, (-34, -34, base + 4), (-8, -52, base - 45), 13.0),
    ]
    for chamber in chambers:
        canvas.paint(chamber - np.float32(2), 0.15)
        canvas.paint(chamber, blood * (1 + 0.05 * window.swirl))


def _paint_right_ventricle(
    canvas: Canvas, window: HeartWindow, heart: Heart, phase: int, crescent: Image, blood: Image
) -> None:
    """Paint a thin wall and trabeculated blood; the left ventricle then covers the septal side."""
    taper = depths(heart, phase, window.w)[2]
    above = np.float32(tricuspid_w(heart, phase)) - window.w
    free_wall = window.radius - crescent
    beyond = np.maximum(above, window.w - np.float32(heart.rv_end_w))
    canvas.paint(np.maximum(free_wall - np.float32(3), beyond), MYOCARDIUM)
    # Here and below, blood reaches half an edge further than muscle: the valves' rings are open.
    above -= np.float32(canvas.edge_mm / 2)
    trabeculated = blood - np.clip(0.09 * window.mottle + 0.25 * (1 - taper), 0, 0.4)
    canvas.paint(np.maximum(free_wall, above), trabeculated)


def _paint_left_ventricle(
    canvas: Canvas, window: HeartWindow, heart: Heart, phase: int, blood: Image
) -> None:
    """Paint the ring of muscle and the cavity, with trabeculae along its wall."""
    endo_depth, epi_depth, _ = depths(heart, phase, window.w)
    epi, endo = window.lookup(heart.epi[phase]), window.lookup(heart.endo[phase])
    square = window.radius * window.radius
    above = np.float32(heart.base_w[phase]) - window.w
    wall = (np.sqrt(square / (epi * epi) + epi_depth) - 1) * epi
    canvas.paint(np.maximum(wall, above), MYOCARDIUM * (1 + 0.05 * window.mottle))
    above -= np.float32(canvas.edge_mm / 2)
    cavity = (np.sqrt(square / (endo * endo) + endo_depth) - 1) * endo
    rough = window.lookup(window.trabeculae) + np.float32(0.4) * window.mottle
    canvas.paint(np.maximum(cavity, above), blood, opacity=0.65)
    canvas.paint(np.maximum(cavity + rough, above), blood)


def _paint_papillaries(canvas: Canvas, window: HeartWindow, heart: Heart, phase: int) -> None:
    """Paint both papillary muscles; they lean on the wall and twist a little with it."""
    twist = np.radians(6) * heart.contraction[phase]
    length = heart.length_mm
    thickness = heart.papillary_mm * (1 + 0.12 * heart.contraction[phase])
    middle = 0.56 * length + 0.3 * heart.base_w[phase]
    if np.abs(window.w - middle).min() > 0.24 * length + canvas.edge_mm:
        return
    for angle in (np.radians(-42) + twist, np.radians(108) + twist):
        reach = np.interp(angle % (2 * np.pi), TURN, heart.endo[phase]) - 0.6 * thickness
        reach *= np.sqrt(1 - ((middle - heart.equator_w[phase]) / heart.endo_length[phase]) ** 2)
        centre = (reach * np.cos(angle), reach * np.sin(angle), middle)
        muscle = ellipsoid(window.points, centre, (thickness, thickness, 0.24 * length))
        canvas.paint(muscle + np.float32(0.5) * window.mottle, MYOCARDIUM)


def _trabeculae(rng: np.random.Generator) -> Floats:
    """Depth in mm to which muscle bars reach into the cavity, by angle, (ANGLES + 1,)."""
    bars = gaussian_filter(rng.normal(0, 5.5, ANGLES), 1.3, mode="wrap")
    return closed(np.clip(bars - 0.5, 0, 5)[None])[0]
