"""A beating heart: both ventricles with what lies on and in them, and its outlines in a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cinegan.data.phantom.arrays import Floats
from cinegan.data.phantom.cohort import Patient, Purpose, draw_function, draws, group_of
from cinegan.data.phantom.left_ventricle import (
    SEPTUM,
    THETA,
    LeftVentricle,
    angle_to,
    closed,
    draw_left_ventricle,
)
from cinegan.data.phantom.motion import systole_share, volume_curve
from cinegan.data.phantom.right_ventricle import RightVentricle, draw_right_ventricle


@dataclass(frozen=True)
class Heart:
    """One heart; tables by angle are closed, (ANGLES + 1,)."""

    heart_rate_bpm: int
    left: LeftVentricle
    right: RightVentricle
    fat_mm: Floats  # thickness of the pericardial fat, by angle
    effusion_mm: Floats  # and of fluid around it
    pad_mm: Floats  # how far fat reaches into the angle between heart and chest wall
    papillary_mm: Floats  # (2,) radii
    papillary_angle: Floats  # (2,) at end-diastole
    papillary_share: float  # depth of their middle, as a share of the cavity's length
    trabeculation: float  # 1 is usual
    muscle: float  # signal; blood is 1
    blood: Floats  # (phases,) signal, 1 at rest: flow dims it a little


def draw_heart(seed: int, patient: Patient, phases: int) -> Heart:
    """Draw a heart from its group's statistics and work out its motion."""
    rng = draws(seed, patient.number, Purpose.HEART)
    function = draw_function(seed, patient)
    failing = function.ejection_fraction < 0.5
    rate = int(np.clip(rng.normal(76 if failing else 68, 10), 46, 110))
    curve = volume_curve(phases, systole_share(rate, rng))
    left = draw_left_ventricle(rng, function, curve, group_of(patient).code == "HF-I")
    size = np.clip(left.endo[0].mean() / 27, 0.65, 1.15)
    return Heart(
        heart_rate_bpm=rate,
        left=left,
        right=draw_right_ventricle(rng, left),
        fat_mm=closed(_pericardial_fat(rng)),
        effusion_mm=closed(_effusion(rng)),
        pad_mm=closed(_fat_pad(rng)),
        papillary_mm=rng.uniform(4, 7.5, 2) * size,
        papillary_angle=np.radians(np.array([-42, 108]) + rng.normal(0, 9, 2)),
        papillary_share=float(rng.uniform(0.5, 0.62)),
        trabeculation=float(rng.uniform(0.4, 1.6)),
        muscle=float(rng.uniform(0.22, 0.36)),
        blood=1 - rng.uniform(0.1, 0.3) * np.abs(np.gradient(curve)),
    )


def _pericardial_fat(rng: np.random.Generator) -> Floats:
    """Thickness of the pericardial fat by angle: most in both grooves and before the septum."""
    grooves = np.exp(-((angle_to(SEPTUM + 1.2) / 0.45) ** 2))
    grooves += np.exp(-((angle_to(SEPTUM - 1.3) / 0.45) ** 2))
    septal = (1 + np.cos(THETA - SEPTUM)) / 2
    return np.asarray(
        rng.uniform(0.3, 2) + rng.uniform(2, 8) * grooves + rng.uniform(0, 5) * septal
    )


def _effusion(rng: np.random.Generator) -> Floats:
    """Thickness of pericardial fluid by angle: in one patient of twelve, most below and behind."""
    amount = rng.uniform(3, 10) * (rng.random() < 1 / 12)
    return np.asarray(amount * (0.2 + 0.8 * ((1 + np.cos(THETA - np.radians(60))) / 2) ** 2))


def _fat_pad(rng: np.random.Generator) -> Floats:
    """Reach of the paracardial fat by angle: before and below the right ventricle."""
    return np.asarray(10 + rng.uniform(15, 50) * ((1 + np.cos(THETA - SEPTUM)) / 2) ** 2)


def outlines(heart: Heart, phase: int, w: float) -> tuple[Floats | None, ...]:
    """Endocardium, epicardium and right ventricle in the short-axis plane at w: (k, 2) u, v."""
    endo, epi = heart.left.radii(phase, w)
    width = heart.right.outline * heart.right.width_mm[phase] * heart.right.taper(np.array(w))
    below_mitral = w > heart.left.base_w[phase]
    in_right = w > heart.right.base_w[phase] and width.max() > 1
    return (
        _polygon(endo[:-1]) if below_mitral and endo[0] > 0 else None,
        _polygon(epi[:-1]) if below_mitral and epi[0] > 0 else None,
        _crescent(epi[:-1], width[:-1]) if in_right else None,
    )


def _polygon(radii: Floats) -> Floats:
    return np.stack([radii * np.cos(THETA), radii * np.sin(THETA)], axis=-1)


def _crescent(inner: Floats, width: Floats) -> Floats:
    """Out along the free wall, back along the septum."""
    side = np.flatnonzero(width > 0.05)
    outer_wall, septum = _polygon(inner + width)[side], _polygon(inner)[side]
    return np.concatenate([outer_wall, septum[::-1]])
