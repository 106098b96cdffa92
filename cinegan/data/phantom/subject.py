"""A patient in the scanner: heart and body put together, and any plane through them imaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.artefacts import (
    Artefacts,
    add_fold_over,
    add_ghost,
    bands,
    draw_artefacts,
)
from cinegan.data.phantom.beat import HeartPainter
from cinegan.data.phantom.body import Body, draw_body, paint_body
from cinegan.data.phantom.cohort import Patient, Purpose, draws
from cinegan.data.phantom.heart import Heart, draw_heart
from cinegan.data.phantom.painting import Canvas
from cinegan.data.phantom.scan import Plane, Scan, coil_sensitivity, draw_scan, field_edge, receive
from cinegan.data.phantom.window import HeartWindow


@dataclass(frozen=True)
class Subject:
    """A patient, ready to be cut by planes."""

    seed: int
    patient: Patient
    heart: Heart
    body: Body
    scan: Scan
    artefacts: Artefacts
    size: int

    def rng(self, purpose: Purpose, plane: int) -> np.random.Generator:
        """Random numbers for one purpose in one plane."""
        return draws(self.seed, self.patient.number, purpose, plane)

    def to_patient(self, heart_points: Floats) -> Floats:
        """Patient coordinates (k, 3) of heart coordinates (k, 3)."""
        return self.scan.heart_base + heart_points @ self.scan.heart_axes

    def to_heart(self, points: Floats) -> Floats:
        """Heart coordinates (3, H, W) of patient coordinates (3, H, W)."""
        offset = points - self.scan.heart_base[:, None, None]
        return np.stack(
            [sum(a * o for a, o in zip(axis, offset, strict=True)) for axis in self.scan.heart_axes]
        )


def lie_down(seed: int, patient: Patient, size: int, phases: int) -> Subject:
    """Draw heart, body and scan of a patient, and seat the heart behind the chest wall."""
    heart, body = draw_heart(seed, patient, phases), draw_body(seed, patient)
    scan = _seat_heart(draw_scan(seed, patient, size), heart, body)
    artefacts = draw_artefacts(seed, patient)
    return Subject(seed, patient, heart, body, scan, artefacts, size)


def _seat_heart(scan: Scan, heart: Heart, body: Body) -> Scan:
    """Move the heart forwards or back until its apex lies just behind the chest wall."""
    wall_mm = body.fat_mm + body.muscle_mm
    apex = scan.heart_base + heart.left.length_mm * scan.heart_axes[2]
    sideways = (apex[0] + 12) / (body.half_width_mm - wall_mm)
    wall_y = -(body.half_depth_mm - wall_mm) * np.sqrt(1 - min(sideways, 0.8) ** 2)
    return replace(scan, heart_base=scan.heart_base + np.array([0, wall_y + 20 - apex[1], 0]))


def scan_cine(subject: Subject, plane: Plane, number: int, breath_mm: Floats) -> Iterator[Image]:
    """Magnitude images (H, W) of all phases in one plane, as the scanner gives them.

    Parameters
    ----------
    subject
        Who lies in the scanner.
    plane
        What is imaged.
    number
        Of the plane within the examination: planes have textures and noise of their own.
    breath_mm : (3,) float64
        How far the chest lies from where it was planned: every slice is another breath-hold.
    """
    scan, rng = subject.scan, subject.rng(Purpose.NOISE, number)
    gain = np.float32(scan.gain) * field_edge(subject.size, scan.mask_radius)
    for signal in paint_cine(subject, plane, number, breath_mm):
        yield receive(signal, scan.noise, scan.softness, rng) * gain


def paint_cine(subject: Subject, plane: Plane, number: int, breath_mm: Floats) -> Iterator[Image]:
    """Signals (H, W) that reach the coils: what `scan_cine` receives, without its noise."""
    heart, scan, artefacts = subject.heart, subject.scan, subject.artefacts
    rng = subject.rng(Purpose.TEXTURE, number)
    points = plane.points - breath_mm[:, None, None]
    points_32 = points.astype(np.float32)
    edge_mm = 1.2 * plane.spacing_mm
    body = Canvas(np.zeros(points.shape[1:], dtype=np.float32), edge_mm)
    lung_mm = paint_body(body, points_32, subject.body, rng)
    window = HeartWindow(subject.to_heart(points), heart)
    where = window.where
    painter = HeartPainter(window, heart, scan.thickness_mm, rng)
    painter.paint_fat_pad(Canvas(body.signal[where], edge_mm), lung_mm[:, *where])
    shading = coil_sensitivity(points_32, subject.body, scan.coil_focus_mm)
    shading *= bands(points_32, artefacts, scan)
    still = body.signal * shading
    add_fold_over(still, plane, breath_mm, artefacts, scan, subject.body, rng)
    folded_over = still[where] - body.signal[where] * shading[where]
    for phase, contraction in enumerate(heart.left.contraction):
        beating = Canvas(body.signal[where].copy(), edge_mm)
        painter.paint(beating, phase)
        signal = still.copy()
        signal[where] = beating.signal * shading[where] + folded_over
        add_ghost(signal, artefacts, scan, contraction)
        yield signal
