"""The left ventricle: a truncated ellipsoid that holds its volumes, and a scar that stays still.

Myocardium is incompressible, so walls thicken by themselves as the cavity empties. Infarcted muscle
stays where it is and keeps its thickness, and the rest of each level does its work.

References
----------
Cerqueira MD et al. 2002, "Standardized myocardial segmentation and nomenclature", Circulation
105:539: the territories of the coronary arteries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.cohort import Function

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
ANGLES = 128  # samples of an outline, and vertices of its contours
THETA: Floats = np.arange(ANGLES) * 2 * np.pi / ANGLES  # from u towards v
TURN: Floats = np.append(THETA, 2 * np.pi)
SEPTUM = np.radians(186)  # direction of the right ventricle
CUT = 0.65  # where the mitral plane cuts the ellipsoid, in half axes above its equator
LEVELS = 16  # depths at which outlines are solved: from the base to just before the cavity's tip
LEVEL_SHARES: Floats = np.linspace(0, 0.97, LEVELS)  # of the cavity's length

# By artery: share of the infarcts, middle of its territory in degrees, and where the scar starts
# and ends along the axis (ranges, as shares of the cavity's length).
TERRITORIES = {
    "LAD": (0.45, 240, (0.2, 0.45), (1.3, 1.5)),
    "RCA": (0.35, 120, (0.1, 0.25), (0.5, 0.75)),
    "LCx": (0.20, 0, (0.1, 0.3), (0.55, 0.8)),
}


@dataclass(frozen=True)
class LeftVentricle:
    """Shape and motion; angles are closed: the first stands again at the end."""

    volumes_ml: Floats  # (phases,)
    contraction: Floats  # (phases,) 0 at end-diastole, 1 at end-systole
    base_w: Floats  # (phases,) the mitral plane, which descends in systole
    equator_w: Floats  # (phases,) centre of the ellipsoids
    endo_length: Floats  # (phases,) half axes along w
    epi_length: Floats
    endo: Floats  # (phases, LEVELS, ANGLES + 1) mm, cavity: radius at the equator of the ellipsoid
    epi: Floats  # that has the level's outline; and the same with the wall
    scar: Floats  # (LEVELS, ANGLES + 1) 1 where infarcted, 0 elsewhere
    length_mm: float  # from the mitral plane at end-diastole to the tip of the cavity

    @property
    def tip_w(self) -> float:
        """Outer tip, which stays where it is."""
        return float(self.equator_w[0] + self.epi_length[0])

    def level(self, w: Image | Floats) -> Floats:
        """Place of a depth between the levels, 0 to LEVELS - 1."""
        share = np.asarray(w, dtype=np.float64) / (LEVEL_SHARES[-1] * self.length_mm)
        return np.clip(share, 0, 1) * (LEVELS - 1)

    def depths(self, phase: int, w: Image) -> tuple[Image, Image]:
        """Squared depths in both ellipsoids: below 1 within."""
        below = w - np.float32(self.equator_w[phase])
        return (
            (below / np.float32(self.endo_length[phase])) ** 2,
            (below / np.float32(self.epi_length[phase])) ** 2,
        )

    def radii(self, phase: int, w: float) -> tuple[Floats, Floats]:
        """Radii of cavity and whole at a depth, by angle, (ANGLES + 1,); 0 beyond the tip."""
        level = self.level(np.array(w))
        profiles = [
            np.sqrt(np.clip(1 - depth, 0, 1))
            for depth in self.depths(phase, np.array(w, dtype=np.float32))
        ]
        return (
            at_level(self.endo[phase], level) * profiles[0],
            at_level(self.epi[phase], level) * profiles[1],
        )


def at_level(table: Floats, level: Floats) -> Floats:
    """Interpolate a table, (LEVELS, n), at one place between its levels: (n,)."""
    above = min(int(level), LEVELS - 2)
    return table[above] + (table[above + 1] - table[above]) * (level - above)


def draw_left_ventricle(
    rng: np.random.Generator, function: Function, curve: Floats, infarcted: bool
) -> LeftVentricle:
    """Draw a shape, and solve it at each phase for the volumes of the cavity and the muscle.

    Parameters
    ----------
    rng
        Of the heart.
    function
        What it must come to.
    curve : (phases,) float64
        See `volume_curve`.
    infarcted
        Whether it has a scar.
    """
    edv_ml, ejection, mass_g = function
    volumes_ml = edv_ml * (1 - ejection * (1 - curve))
    muscle_ml = mass_g / MYOCARDIAL_DENSITY_G_PER_ML
    # Dilated hearts grow wider rather than longer.
    length = round(80 * (edv_ml / 115) ** 0.22 * rng.normal(1, 0.03), 6)
    base_w = np.clip(rng.normal(0.22, 0.045), 0.12, 0.32) * ejection * length * (1 - curve)
    endo_length = (length - base_w) / (1 + CUT)
    epi_length = endo_length + 0.03 * mass_g  # the wall is thin at the apex
    # Above the mitral plane, levels repeat the outline of the base.
    depths = np.maximum(LEVEL_SHARES * length, base_w[:, None])  # (phases, LEVELS)
    below = depths - (length - endo_length)[:, None]
    endo_profile = np.sqrt(1 - (below / endo_length[:, None]) ** 2)
    epi_profile = np.sqrt(1 - (below / epi_length[:, None]) ** 2)
    inner = _equator_radius(volumes_ml, endo_length, endo_length)[:, None] * endo_profile
    outer = _equator_radius(volumes_ml + muscle_ml, epi_length, endo_length)[:, None] * epi_profile
    scar = _draw_scar(rng, 0.33 + 0.95 * ejection) if infarcted else np.zeros((LEVELS, ANGLES))
    endo, epi = _solve_outlines(rng, scar, inner[..., None], outer[..., None])
    return LeftVentricle(
        volumes_ml=volumes_ml,
        contraction=1 - curve,
        base_w=base_w,
        equator_w=length - endo_length,
        endo_length=endo_length,
        epi_length=epi_length,
        # Rounded, so that processors agree on every bit of what is painted.
        endo=closed(np.round(endo / endo_profile[..., None], 5)),
        epi=closed(np.round(epi / epi_profile[..., None], 5)),
        scar=closed(scar),
        length_mm=length,
    )


def _equator_radius(volume_ml: Floats, half_length: Floats, cavity_half_length: Floats) -> Floats:
    """Radius of an ellipsoid of half axis L, cut where the mitral plane cuts the cavity's."""
    cut = CUT * cavity_half_length
    profile = 2 / 3 * half_length + cut - cut**3 / (3 * half_length**2)
    return np.sqrt(1000 * volume_ml / (np.pi * profile))


def _draw_scar(rng: np.random.Generator, beating: float) -> Floats:
    """Draw how much each place is infarcted, (LEVELS, ANGLES), with a soft border.

    The scar fills most of one coronary artery's territory, and leaves at least a share `beating` of
    the circumference, which must empty the cavity alone.
    """
    arteries = list(TERRITORIES.values())
    _, middle, starts, ends = arteries[rng.choice(len(arteries), p=[a[0] for a in arteries])]
    half_width = min(np.radians(rng.uniform(42, 65)), np.pi * (1 - beating))
    around = half_width - angle_to(np.radians(middle + rng.normal(0, 10)))
    along = np.minimum(LEVEL_SHARES - rng.uniform(*starts), rng.uniform(*ends) - LEVEL_SHARES)
    return _soft(along / 0.15)[:, None] * _soft(around / np.radians(30))


def _soft(inside: Floats) -> Floats:
    """Give 0 to 1 over a border of width 1, smoothly."""
    share = np.clip(inside + 0.5, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def _solve_outlines(
    rng: np.random.Generator, scar: Floats, inner: Floats, outer: Floats
) -> tuple[Floats, Floats]:
    """Radii of both surfaces, (phases, LEVELS, ANGLES), with the areas of circles.

    Parameters
    ----------
    rng
        Of the heart.
    scar : (LEVELS, ANGLES)
        Keeps place and thickness of the first phase.
    inner, outer : (phases, LEVELS, 1)
        Radii of the circles.
    """
    outline = _outline(rng)
    wall = 1 + rng.uniform(0, 0.2) * np.cos(THETA - SEPTUM) + 0.5 * (_outline(rng) - 1)
    scar_wall = rng.uniform(0.55, 0.9) * wall * (outer - inner)[0]
    endo = _with_area(scar * inner[0] * outline, (1 - scar) * outline, inner)
    return endo, _with_area(endo + scar * scar_wall, (1 - scar) * wall, outer)


def _with_area(fixed: Floats, free: Floats, radius: Floats) -> Floats:
    """Give `fixed + x free` with the x that gives each outline the area of the circle."""
    a = np.mean(free**2, axis=-1, keepdims=True)
    b = np.mean(fixed * free, axis=-1, keepdims=True)
    c = np.mean(fixed**2, axis=-1, keepdims=True) - radius**2
    return np.asarray(fixed + free * (np.sqrt(np.clip(b * b - a * c, 0, None)) - b) / a)


def _outline(rng: np.random.Generator) -> Floats:
    """Draw a nearly circular outline of mean square 1."""
    outline = np.ones(ANGLES)
    for order, size in ((2, 0.035), (3, 0.018), (4, 0.012)):
        outline += rng.normal(0, size) * np.cos(order * THETA + rng.uniform(0, 2 * np.pi))
    return np.asarray(outline / np.sqrt(np.mean(outline**2)))


def angle_to(centre: float) -> Floats:
    """Distance of each angle from a centre, 0 to pi."""
    return np.abs((THETA - centre + np.pi) % (2 * np.pi) - np.pi)


def closed(table: Floats) -> Floats:
    """Repeat the first angle at the end, for interpolation."""
    return np.concatenate([table, table[..., :1]], axis=-1)
