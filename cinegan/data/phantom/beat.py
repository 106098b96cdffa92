"""The heart in an image plane: painted phase by phase, from the pericardium inwards."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter

from cinegan.data.phantom.arrays import Image
from cinegan.data.phantom.heart import Heart
from cinegan.data.phantom.left_ventricle import ANGLES, TURN, closed
from cinegan.data.phantom.painting import (
    FLUID,
    PARACARDIAL_FAT,
    VISCERAL_FAT,
    Canvas,
    ellipsoid,
    texture,
    tube,
)
from cinegan.data.phantom.window import HeartWindow, Surfaces


class HeartPainter:
    """Paints one heart onto one plane."""

    def __init__(
        self, window: HeartWindow, heart: Heart, thickness_mm: float, rng: np.random.Generator
    ) -> None:
        self._window, self._heart, self._thickness_mm = window, heart, thickness_mm
        bars = gaussian_filter(rng.normal(0, 7, ANGLES), 1.8, mode="wrap") - 0.5
        bars = np.clip(heart.trabeculation * bars, 0, 5)
        self._trabeculae = window.around(closed(bars))
        shape = window.u.shape
        self._mottle, self._swirl = texture(rng, shape, 1.2), texture(rng, shape, 7.0)
        self._trabeculae *= np.clip(0.7 + 0.6 * self._mottle, 0, None)
        self._trabeculae += np.float32(0.4) * self._mottle
        self._muscle = heart.muscle * (1 + 0.05 * self._mottle)
        self._fat = VISCERAL_FAT * (1 + 0.2 * self._swirl + 0.15 * self._mottle)
        self._swirling = 1 + 0.035 * self._swirl

    @cached_property
    def _widest(self) -> Image:
        return self._window.surfaces(0).outer_mm

    def paint(self, canvas: Canvas, phase: int) -> None:
        """Paint the heart at one phase."""
        surfaces = self._window.surfaces(phase)
        blood = np.float32(self._heart.blood[phase]) * self._swirling
        self._paint_sac(canvas, surfaces)
        self._paint_atria(canvas, phase, blood)
        self._paint_right_ventricle(canvas, surfaces, blood)
        self._paint_left_ventricle(canvas, surfaces, phase, blood)
        self._paint_papillaries(canvas, phase)

    def paint_fat_pad(self, canvas: Canvas, lung_mm: Image) -> None:
        """Paint the fat that rounds off the angles between heart, chest wall and diaphragm."""
        sac, reach = self._sac(self._widest), self._window.pad_mm
        in_lung = lung_mm.min(0)
        pad = np.minimum(sac, in_lung)
        for distance in lung_mm:
            pad -= np.clip(reach - np.abs(sac - distance), 0, None) ** 2 / (4 * reach)
        pad = np.maximum(pad, np.maximum(-in_lung, sac - np.float32(22)))
        canvas.paint(pad - np.float32(1.2), 0.08)
        canvas.paint(pad, PARACARDIAL_FAT * (1 + 0.12 * self._swirl + 0.08 * self._mottle))

    def _sac(self, outer_mm: Image) -> Image:
        """Distance from the pericardium, which follows the heart but for what fat fills up."""
        window = self._window
        fat = window.fat_mm + np.float32(0.8) * self._swirl
        distance = self._from_axis - (0.15 * self._widest + 0.85 * outer_mm) - fat
        return np.maximum(distance, -45 - window.w)

    @cached_property
    def _from_axis(self) -> Image:
        """Distance from the long axis, which ends at the heart's tip."""
        beyond = np.clip(self._window.w - np.float32(self._heart.left.tip_w), 0, None)
        return np.sqrt(self._window.radius**2 + beyond**2)

    def _paint_sac(self, canvas: Canvas, surfaces: Surfaces) -> None:
        """Paint the pericardium, the fluid within and the fat around the heart."""
        distance = self._sac(surfaces.outer_mm)
        pericardium = distance - self._window.effusion_mm
        canvas.paint(pericardium - np.float32(1.2), 0.08)
        if self._heart.effusion_mm.any():
            canvas.paint(pericardium, FLUID)
        canvas.paint(distance, self._fat)

    def _paint_atria(self, canvas: Canvas, phase: int, blood: Image) -> None:
        """Paint atria and great arteries above the base; they fill as the ventricles empty."""
        left, points = self._heart.left, self._window.points
        base = left.base_w[phase]
        if float(self._window.w.min()) > base + 12:
            return
        fill = 2.5 * left.contraction[phase]
        radius = 0.72 * left.endo[0].mean() + fill
        chambers = [
            ellipsoid(points, (4, 6, base - 24), (radius + 6, radius, 25 + fill)),
            ellipsoid(points, (-46, 14, base - 20), (22 + fill, 26 + fill, 24)),
            tube(points, (-16, -14, base - 2), (-26, -32, base - 60), 12.5),
            tube(points, (-34, -34, base + 4), (-8, -52, base - 45), 13.0),
        ]
        for chamber in chambers:
            canvas.paint(chamber - np.float32(2), 0.15)
            canvas.paint(chamber, blood * (1 + 0.05 * self._swirl))

    def _paint_right_ventricle(self, canvas: Canvas, surfaces: Surfaces, blood: Image) -> None:
        """Paint a thin wall and trabeculated blood; the left one then covers the septal side."""
        right = self._heart.right
        above = surfaces.above_tricuspid
        beyond = np.maximum(above, self._window.w - np.float32(right.end_w))
        outside = self._window.radius - surfaces.outer_mm
        canvas.paint(np.maximum(outside, beyond), self._heart.muscle)
        # Here and below, blood reaches half an edge further than muscle: valves' rings are open.
        above = above - np.float32(canvas.edge_mm / 2)
        apical = 0.25 * (1 - right.taper(self._window.w))
        bars = np.clip(0.09 * self._heart.trabeculation * self._mottle + apical, 0, 0.4)
        canvas.paint(np.maximum(surfaces.free_wall, above), blood - bars)

    def _paint_left_ventricle(
        self, canvas: Canvas, surfaces: Surfaces, phase: int, blood: Image
    ) -> None:
        """Paint the ring of muscle and the cavity, with trabeculae along its wall."""
        blur = self._through_plane_mm(phase)
        above = surfaces.above_mitral
        canvas.paint(np.maximum(surfaces.wall, above), self._muscle, blur_mm=blur)
        above = above - np.float32(canvas.edge_mm / 2)
        # Among the trabeculae, muscle takes two fifths of the blood's place.
        bars = np.clip((surfaces.cavity + self._trabeculae) / np.float32(canvas.edge_mm), 0, 1)
        mixed = blood + np.float32(0.4) * bars * (self._muscle - blood)
        canvas.paint(np.maximum(surfaces.cavity, above), mixed, blur_mm=blur)

    def _through_plane_mm(self, phase: int) -> float:
        """Width over which a wall's edge is spread in a slice, as walls lean in to the apex."""
        if not self._window.is_short_axis:
            return 0.0
        left = self._heart.left
        depth = float(left.depths(phase, self._window.w)[0].item())
        if depth >= 1:
            return 0.0
        lean = left.endo[phase].mean() / left.endo_length[phase] * np.sqrt(depth / (1 - depth))
        return float(np.clip(0.5 * self._thickness_mm * lean, 0, 4))

    def _paint_papillaries(self, canvas: Canvas, phase: int) -> None:
        """Paint both papillary muscles; they lean on the wall and twist a little with it."""
        heart, left, window = self._heart, self._heart.left, self._window
        contraction, length = left.contraction[phase], left.length_mm
        middle = heart.papillary_share * length + 0.3 * left.base_w[phase]
        if np.abs(window.w - middle).min() > 0.24 * length + canvas.edge_mm:
            return
        cavity, _ = left.radii(phase, middle)
        angles = heart.papillary_angle + np.radians(6) * contraction
        for angle, radius in zip(
            angles, heart.papillary_mm * (1 + 0.12 * contraction), strict=True
        ):
            reach = np.interp(angle % (2 * np.pi), TURN, cavity) - 0.6 * radius
            centre = (reach * np.cos(angle), reach * np.sin(angle), middle)
            muscle = ellipsoid(window.points, centre, (radius, radius, 0.24 * length))
            canvas.paint(muscle + np.float32(0.5) * self._mottle, self._muscle)
