"""What goes wrong in a scan: dark bands, ghosts and fold-over, each in some patients only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.body import Body, paint_body
from cinegan.data.phantom.cohort import Patient, Purpose, draws
from cinegan.data.phantom.painting import Canvas, stripes
from cinegan.data.phantom.scan import Plane, Scan, coil_sensitivity


@dataclass(frozen=True)
class Artefacts:
    """Of one patient's scan."""

    curvature: Floats  # (3,) of the field along the axes: turns between two pulses, per square mm
    shim_mm: Floats  # (3,) where the field was made even, from the heart's base
    ghost: float  # strength of the ghost that motion leaves; 0: none
    ghost_shift: float  # how far off it lies, as a share of the field
    fold: float  # share of the field onto which the body beyond it is folded; 0: none


def draw_artefacts(seed: int, patient: Patient) -> Artefacts:
    """Draw what goes wrong: bands in half of the patients, ghosts and fold-over in a third."""
    rng = draws(seed, patient.number, Purpose.ARTEFACTS)
    bands, ghosts, folds = rng.random(3) < (1 / 2, 1 / 3, 1 / 3)
    # Without sources the field's curvature sums to nothing (Laplace): it is a saddle.
    curvature = rng.normal(0, 1, 3)
    curvature -= curvature.mean()
    curvature /= np.abs(curvature).max() * rng.uniform(75, 125) ** 2
    return Artefacts(
        curvature=curvature / 2 * bool(bands),
        shim_mm=rng.normal(0, 20, 3),
        ghost=float(rng.uniform(0.02, 0.06)) * bool(ghosts),
        ghost_shift=float(rng.uniform(0.2, 0.5)),
        fold=float(rng.uniform(0.05, 0.15)) * bool(folds),
    )


def bands(points: Image, artefacts: Artefacts, scan: Scan) -> Image | float:
    """Share of the signal that is left where the field is off resonance.

    Balanced SSFP loses its signal where spins turn by half a cycle between two pulses.
    """
    if not artefacts.curvature.any():
        return 1.0
    centre = (scan.heart_base + artefacts.shim_mm).astype(np.float32)
    curvature = artefacts.curvature.astype(np.float32)
    turns = sum(a * (p - c) ** 2 for p, c, a in zip(points, centre, curvature, strict=True))
    near = np.clip(stripes(np.asarray(turns) + np.float32(0.5), 1) / np.float32(0.16), 0, 1)
    return np.asarray(0.1 + 0.9 * near * (2 - near), dtype=np.float32)


def add_ghost(signal: Image, artefacts: Artefacts, scan: Scan, contraction: float) -> None:
    """Add the picture to itself, shifted along the phase-encoding axis, as motion does."""
    if artefacts.ghost:
        shift = round(artefacts.ghost_shift * signal.shape[0])
        strength = np.float32(artefacts.ghost * (0.5 + contraction))
        signal += strength * np.roll(signal, shift, scan.encoding_axis)


def add_fold_over(
    signal: Image,
    plane: Plane,
    breath_mm: Floats,
    artefacts: Artefacts,
    scan: Scan,
    body: Body,
    rng: np.random.Generator,
) -> None:
    """Add the body beyond both edges of the field, where phase encoding mistakes it for within."""
    width = round(artefacts.fold * plane.size)
    if not width:
        return
    along_rows = scan.encoding_axis == -1
    field_mm = plane.spacing_mm * plane.size * (plane.row if along_rows else plane.column)
    # The coils' filter lets less through the farther off it comes from.
    fading = 1 - (np.arange(width, dtype=np.float32) + 0.5) / width
    for side, strip in ((1, slice(0, width)), (-1, slice(-width, None))):
        where = (slice(None), strip) if along_rows else (strip, slice(None))
        beyond = replace(plane, origin=plane.origin + side * field_mm - breath_mm)
        points = beyond.points[:, *where].astype(np.float32)
        canvas = Canvas(np.zeros(points.shape[1:], dtype=np.float32), 1.2 * plane.spacing_mm)
        paint_body(canvas, points, body, rng)
        passed = fading[::side] if along_rows else fading[::side, None]
        shading = coil_sensitivity(points, body, scan.coil_focus_mm)
        signal[where] += canvas.signal * shading * passed
