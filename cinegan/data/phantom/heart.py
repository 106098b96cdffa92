"""A beating heart: its shape at every phase, and where a short-axis plane cuts it.

The left ventricle is a truncated ellipsoid whose volume follows a physiological curve. Myocardium
is incompressible, so walls thicken by themselves as the cavity empties; infarcted muscle keeps its
shape and the rest does the work.

References
----------
Weissler AM et al. 1968, "Systolic time intervals in heart failure in man", Circulation 37:149:
systole shortens as the heart rate rises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.cohort import Patient, Purpose, draws, group_of

MYOCARDIAL_DENSITY_G_PER_ML = 1.05
ANGLES = 128  # samples of a ventricle's outline, and vertices of its contours
THETA: Floats = np.arange(ANGLES) * 2 * np.pi / ANGLES  # from u towards v
TURN: Floats = np.append(THETA, 2 * np.pi)
SEPTUM = np.radians(186)  # direction of the right ventricle


@dataclass(frozen=True)
class Heart:
    """Shape and motion of one heart; tables are (phases, ANGLES + 1), closed, at the equator."""

    heart_rate_bpm: int
    volumes_ml: Floats  # (phases,)
    contraction: Floats  # (phases,) 0 at end-diastole, 1 at end-systole
    base_w: Floats  # (phases,) the mitral plane, which descends in systole
    equator_w: Floats  # (phases,) centre of the ellipsoids
    endo_length: Floats  # (phases,) half axes along w
    epi_length: Floats
    endo: Floats  # radii by phase and angle, mm
    epi: Floats
    rv_width: Floats  # width of the right ventricle's crescent at the base
    fat_mm: Floats  # (ANGLES + 1,) thickness of the pericardial fat
    pad_mm: Floats  # (ANGLES + 1,) how far fat reaches into the angle between heart and chest wall
    rv_end_w: float  # where the right ventricle ends
    length_mm: float  # from the mitral plane at end-diastole to the tip of the cavity
    papillary_mm: float  # radius
    blood: Floats  # (phases,) signal, 1 at rest: flow dims it a little


def draw_heart(seed: int, patient: Patient, phases: int) -> Heart:
    """Draw a heart from its group's statistics and work out its motion."""
    rng = draws(seed, patient.number, Purpose.HEART)
    group = group_of(patient)
    failing = group.ejection_fraction[0] < 0.5
    edv_ml = _positive(rng, *group.edv_ml, 55, 420)
    ejection = _truncated(rng, *group.ejection_fraction, *((0.12, 0.5) if failing else (0.5, 0.8)))
    # Larger hearts are heavier: the mass follows the volume halfway within its group.
    usual = group.mass_g[0] * (edv_ml / group.edv_ml[0]) ** 0.5
    mass_g = _positive(rng, usual, 0.7 * group.mass_g[1], 70, 420)
    rate = int(np.clip(rng.normal(76 if failing else 68, 9), 48, 105))
    systole = float(np.clip(0.37 + 0.0016 * (rate - 70) + rng.normal(0, 0.01), 0.33, 0.43))
    curve = volume_curve(phases, systole)
    length = 84 * (edv_ml / 115) ** 0.26 * rng.normal(1, 0.03)
    infarct = _infarct_weight(rng) if group.code == "HF-I" else np.zeros(ANGLES)
    volumes_ml = edv_ml * (1 - ejection * (1 - curve))
    return _shape_heart(rng, volumes_ml, mass_g, length, infarct, rate)


def volume_curve(phases: int, systole: float) -> Floats:
    """Left-ventricular volume over the heartbeat: 1 at end-diastole, 0 at end-systole.

    Isovolumic contraction, ejection (rapid, then reduced), isovolumic relaxation, early filling,
    diastasis and atrial kick.

    Parameters
    ----------
    phases
        Images per heartbeat, taken in the middle of equal intervals, as GE does.
    systole
        Fraction of the heartbeat at which ejection ends.

    Returns
    -------
    (phases,) float64
    """
    rest = 1 - systole
    knots = {
        -0.03: 1.0,
        0.04: 1.0,
        0.04 + 0.45 * (systole - 0.04): 0.42,
        systole: 0.0,
        systole + 0.07 * rest: 0.005,
        systole + 0.34 * rest: 0.66,
        systole + 0.50 * rest: 0.79,
        systole + 0.78 * rest: 0.83,
        0.97: 1.0,
        1.04: 1.0,
    }
    curve = PchipInterpolator(list(knots), list(knots.values()))
    return np.asarray(curve((np.arange(phases) + 0.5) / phases), dtype=np.float64)


def _shape_heart(
    rng: np.random.Generator,
    volumes_ml: Floats,
    mass_g: float,
    length: float,
    infarct: Floats,
    rate: int,
) -> Heart:
    """Solve the shape at each phase for the cavity's volume and the muscle's."""
    ejection = 1 - volumes_ml.min() / volumes_ml.max()
    contraction = (volumes_ml.max() - volumes_ml) / np.ptp(volumes_ml)
    base_w = 0.24 * ejection * length * contraction
    endo_length = (length - base_w) / 1.35
    epi_length = endo_length + 0.03 * mass_g  # the wall is thin at the apex
    muscle_ml = mass_g / MYOCARDIAL_DENSITY_G_PER_ML
    endo_radius = _equator_radius(volumes_ml, endo_length, endo_length)
    epi_radius = _equator_radius(volumes_ml + muscle_ml, epi_length, endo_length)
    outline = _outline(rng)
    wall = _wall_profile(rng)
    endo = np.empty((len(volumes_ml), ANGLES))
    epi = np.empty_like(endo)
    still_endo = infarct * endo_radius[0] * outline
    still_wall = infarct * 0.62 * (epi_radius[0] - endo_radius[0]) * wall
    for phase, (inner, outer) in enumerate(zip(endo_radius, epi_radius, strict=True)):
        endo[phase] = _solve(still_endo, (1 - infarct) * outline, inner)
        epi[phase] = _solve(endo[phase] + still_wall, (1 - infarct) * wall, outer)
    rv_width = _rv_width(rng, contraction, endo_radius[0], ejection)
    return Heart(
        heart_rate_bpm=rate,
        volumes_ml=volumes_ml,
        contraction=contraction,
        base_w=base_w,
        equator_w=length - endo_length,
        endo_length=endo_length,
        epi_length=epi_length,
        endo=closed(endo),
        epi=closed(epi),
        rv_width=closed(rv_width),
        fat_mm=closed(_pericardial_fat(rng)[None])[0],
        pad_mm=closed(_fat_pad(rng)[None])[0],
        rv_end_w=length * rng.uniform(0.74, 0.88),
        length_mm=length,
        papillary_mm=float(rng.uniform(5.5, 7.5) * np.clip(endo_radius[0] / 27, 0.65, 1.1)),
        blood=1 - 0.25 * np.abs(np.gradient(contraction)),
    )


def _equator_radius(volume_ml: Floats, half_length: Floats, cavity_half_length: Floats) -> Floats:
    """Radius of an ellipsoid of half axis L, cut 0.35 cavity half axes above its equator."""
    cut = 0.35 * cavity_half_length
    profile = 2 / 3 * half_length + cut - cut**3 / (3 * half_length**2)
    return np.sqrt(1000 * volume_ml / (np.pi * profile))


def _solve(fixed: Floats, free: Floats, radius: float) -> Floats:
    """Give `fixed + x free` with the x that gives it the area of a circle of this radius."""
    a, b = float(np.mean(free**2)), float(np.mean(fixed * free))
    c = float(np.mean(fixed**2)) - radius**2
    return fixed + free * ((-b + math.sqrt(max(b * b - a * c, 0.0))) / a)


def _outline(rng: np.random.Generator) -> Floats:
    """Draw a nearly circular outline of mean square 1."""
    outline = np.ones(ANGLES)
    for order, size in ((2, 0.03), (3, 0.015), (4, 0.01)):
        outline += rng.normal(0, size) * np.cos(order * THETA + rng.uniform(0, 2 * np.pi))
    return np.asarray(outline / np.sqrt(np.mean(outline**2)))


def _wall_profile(rng: np.random.Generator) -> Floats:
    """Relative wall thickness by angle; the septum is often the thickest."""
    return 1 + rng.uniform(0, 0.15) * np.cos(THETA - SEPTUM) + 0.5 * (_outline(rng) - 1)


def _infarct_weight(rng: np.random.Generator) -> Floats:
    """1 in the infarcted sector, 0 elsewhere, with a soft border zone."""
    centre, half_width = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(35, 60))
    return np.asarray(np.clip((half_width - _angle_to(centre)) / np.radians(18) + 0.5, 0, 1))


def _rv_width(
    rng: np.random.Generator, contraction: Floats, lv_radius: float, ejection: float
) -> Floats:
    """Width of the right ventricle's crescent at the base, by phase and angle.

    Two flat walls, one towards the sternum and one on the diaphragm, meet in a rounded corner.
    """
    widest = np.clip(0.5 * lv_radius + 19, 28, 42) * rng.normal(1, 0.07)
    centre = SEPTUM + rng.normal(0, 0.06)
    bump = np.clip(1 - (_angle_to(centre) / np.radians(rng.uniform(80, 92))) ** 2, 0, None) ** 0.75
    sternal = np.cos(THETA - centre - 0.45) / (lv_radius + 0.8 * widest)
    diaphragmatic = np.cos(THETA - centre + 1.0) / (lv_radius + 0.4 * widest)
    closeness = (lv_radius + 1.25 * widest * bump) ** -8.0
    closeness += np.clip(sternal, 0, None) ** 8 + np.clip(diaphragmatic, 0, None) ** 8
    width = np.clip(closeness ** (-1 / 8) - lv_radius, 0, None)
    width *= widest / width.max()
    emptying = np.clip(0.30 + 0.25 * ejection + rng.normal(0, 0.03), 0.25, 0.5)
    return np.asarray(width * (1 - emptying * contraction[:, None]))


def _pericardial_fat(rng: np.random.Generator) -> Floats:
    """Thickness of the pericardial fat by angle: most in both grooves and before the septum."""
    grooves = np.exp(-((_angle_to(SEPTUM + 1.2) / 0.45) ** 2))
    grooves += np.exp(-((_angle_to(SEPTUM - 1.3) / 0.45) ** 2))
    septal = (1 + np.cos(THETA - SEPTUM)) / 2
    return np.asarray(2.5 + rng.uniform(2, 7) * grooves + rng.uniform(0, 5) * septal)


def _fat_pad(rng: np.random.Generator) -> Floats:
    """Reach of the paracardial fat by angle: before and below the right ventricle."""
    return np.asarray(14 + rng.uniform(28, 45) * ((1 + np.cos(THETA - SEPTUM)) / 2) ** 2)


def depths(heart: Heart, phase: int, w: Image) -> tuple[Image, Image, Image]:
    """Squared depths in both ellipsoids, and the right ventricle's taper (1 at its base)."""
    below = w - np.float32(heart.equator_w[phase])
    endo = (below / np.float32(heart.endo_length[phase])) ** 2
    epi = (below / np.float32(heart.epi_length[phase])) ** 2
    taper = np.clip(1 - (w / np.float32(heart.rv_end_w)) * np.abs(w / heart.rv_end_w), 0, 1)
    return endo, epi, np.asarray(np.sqrt(taper), dtype=np.float32)


def tricuspid_w(heart: Heart, phase: int) -> float:
    """Give the plane of the tricuspid valve, which descends further than the mitral one."""
    return float(1.25 * heart.base_w[phase] - 4)


def outlines(heart: Heart, phase: int, w: float) -> tuple[Floats | None, ...]:
    """Endocardium, epicardium and right ventricle in the short-axis plane at w: (k, 2) u, v."""
    endo_depth, epi_depth, taper = (
        float(d) for d in depths(heart, phase, np.array(w, dtype=np.float32))
    )
    below_base = w > heart.base_w[phase]
    endo = epi = rv = None
    if below_base and endo_depth < 1:
        endo = _polygon(heart.endo[phase, :-1] * np.sqrt(1 - endo_depth))
    if below_base and epi_depth < 1:
        epi = _polygon(heart.epi[phase, :-1] * np.sqrt(1 - epi_depth))
    if taper > 0.15 and epi_depth < 1 and w > tricuspid_w(heart, phase):
        rv = _crescent(
            heart.epi[phase, :-1] * np.sqrt(1 - epi_depth), heart.rv_width[phase, :-1] * taper
        )
    return endo, epi, rv


def _polygon(radii: Floats) -> Floats:
    return np.stack([radii * np.cos(THETA), radii * np.sin(THETA)], axis=-1)


def _crescent(inner: Floats, width: Floats) -> Floats:
    """Out along the free wall, back along the septum."""
    side = np.flatnonzero(width > 0.5)
    outer_wall, septum = _polygon(inner + width)[side], _polygon(inner)[side]
    return np.concatenate([outer_wall, septum[::-1]])


def _angle_to(centre: float) -> Floats:
    """Distance of each angle from a centre, 0 to pi."""
    return np.abs((THETA - centre + np.pi) % (2 * np.pi) - np.pi)


def closed(table: Floats) -> Floats:
    """Repeat the first angle at the end, for interpolation."""
    return np.concatenate([table, table[:, :1]], axis=1)


def _positive(rng: np.random.Generator, mean: float, sd: float, least: float, most: float) -> float:
    """Draw from the lognormal distribution of this mean and SD, within limits."""
    spread = np.sqrt(np.log1p((sd / mean) ** 2))
    return float(np.clip(mean * np.exp(rng.normal(-(spread**2) / 2, spread)), least, most))


def _truncated(
    rng: np.random.Generator, mean: float, sd: float, least: float, most: float
) -> float:
    """Draw from a normal distribution until the draw lies within limits."""
    while not least <= (value := rng.normal(mean, sd)) <= most:
        pass
    return float(value)
