"""The scanner: image planes, coils, and how signal and noise become a magnitude image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.body import Body
from cinegan.data.phantom.cohort import Patient, Purpose, draws


@dataclass(frozen=True)
class Plane:
    """An image plane in the patient: centre of its first pixel, axes (unit vectors), pixel size."""

    origin: Floats
    row: Floats
    column: Floats
    spacing_mm: float
    size: int

    @cached_property
    def points(self) -> Floats:
        """Patient coordinates of all pixels, (3, H, W)."""
        steps = np.arange(self.size) * self.spacing_mm
        across = self.row[:, None, None] * steps[None, None, :]
        down = self.column[:, None, None] * steps[None, :, None]
        return self.origin[:, None, None] + across + down

    def pixels(self, points: Floats) -> Floats:
        """Pixel coordinates (k, 2) of patient coordinates (k, 3)."""
        offset = points - self.origin
        return np.stack([offset @ self.row, offset @ self.column], axis=-1) / self.spacing_mm


def plane_at(centre: Floats, row: Floats, column: Floats, spacing_mm: float, size: int) -> Plane:
    """Give the plane whose image has this centre."""
    half = (size - 1) / 2 * spacing_mm
    return Plane(centre - half * row - half * column, row, column, spacing_mm, size)


@dataclass(frozen=True)
class Scan:
    """How a patient was positioned and scanned."""

    heart_base: Floats  # origin of the heart's frame, patient coordinates
    heart_axes: Floats  # (3, 3): unit vectors u, v, w in patient coordinates, as rows
    spacing_mm: float
    thickness_mm: float
    rotation: float  # of the short-axis image in its plane, radians, quarter turns included
    quarter_turns: int
    offset_mm: Floats  # (2,) image centre from the heart's, in u and v
    breath_mm: Floats  # (3,) SD of the chest's place from one breath-hold to the next
    coil_focus_mm: float
    gain: float
    noise: float  # SD per channel before the low-pass, relative to blood
    softness: float  # weight of either neighbour in the low-pass
    mask_radius: float  # of the field's round edge in half widths; beyond the corners: none
    encoding_axis: (
        int  # of the image, along which phase is encoded: -1 along rows, -2 along columns
    )


def draw_scan(seed: int, patient: Patient, size: int) -> Scan:
    """Draw where the heart lies, how the stack is planned and how well the coils receive."""
    rng = draws(seed, patient.number, Purpose.SCAN)
    axis = np.array([0.62, -0.66, -0.42]) + rng.normal(0, 0.08, 3)
    right = np.array([0.77, 0.62, 0.155]) + rng.normal(0, 0.04, 3)
    # Some technicians let rows run from head to foot, as in Sunnybrook's first patient.
    quarter_turns = int(rng.choice(4, p=[0.75, 0.15, 0.0, 0.1]))
    rotation = np.clip(rng.normal(0, np.radians(18)), -0.7, 0.7) + quarter_turns * np.pi / 2
    return Scan(
        heart_base=np.array([8.0, -17.0, 2.0]) + rng.normal(0, (6, 3, 5)),
        heart_axes=_orthonormal(axis, right),
        spacing_mm=float(rng.choice([300, 320, 330, 340, 350, 360, 380])) / size,
        thickness_mm=float(rng.choice([8, 8, 10])),
        rotation=float(rotation),
        quarter_turns=quarter_turns,
        offset_mm=np.clip(rng.normal((4, 8), 9, 2), -18, 18),
        breath_mm=np.array([0.4, 0.6, 1.2]) * rng.uniform(0.3, 1.6),
        coil_focus_mm=float(rng.uniform(30, 80)),
        gain=float(rng.uniform(250, 480)),
        noise=float(rng.uniform(0.02, 0.06)),
        softness=float(rng.uniform(0.1, 0.19)),
        mask_radius=float(rng.choice([0.9, 0.98, 1.18, 9.0])),
        encoding_axis=int(rng.choice([-1, -2])),
    )


def _orthonormal(axis: Floats, right: Floats) -> Floats:
    """Axes u, v, w with w along `axis`, u near `right` and v = u x w."""
    w = axis / np.linalg.norm(axis)
    u = right - (right @ w) * w
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(u, w), w])


def coil_sensitivity(points: Image, body: Body, focus_mm: float) -> Image:
    """Sensitivity of coils before the chest and weaker ones behind; about 1 at the heart."""
    front = (points[1] + np.float32(body.half_depth_mm)) / np.float32(focus_mm)
    side = (points[0] - np.float32(30)) / np.float32(150)
    back = (np.float32(body.half_depth_mm) - points[1]) / np.float32(focus_mm)
    near = 1.9 / (1 + front * np.abs(front) + side * side)
    return np.asarray(0.35 + np.clip(near, 0, 2.6) + 0.5 / (1 + back * back), dtype=np.float32)


_NORMAL_QUANTILES: Image = ndtri((np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float32)


def receive(signal: Image, noise_sd: float, softness: float, rng: np.random.Generator) -> Image:
    """Magnitude of the band-limited signal with noise in both channels: Rician."""
    # Uniform numbers through a table: three times as fast as drawing normal ones.
    channels = (np.float32(noise_sd) * _NORMAL_QUANTILES).take(
        rng.integers(0, 1 << 16, (2, *signal.shape), dtype=np.uint16)
    )
    channels[0] += signal
    real, imaginary = _blur(channels, softness)
    real *= real
    imaginary *= imaginary
    real += imaginary
    return np.sqrt(real, out=real)


def _blur(images: Image, weight: float) -> Image:
    """Low-pass: three taps along both last axes, `weight` on each neighbour."""
    side, centre = np.float32(weight), np.float32(1 - 2 * weight)
    aside = images * side
    images = images * centre
    images[..., 1:] += aside[..., :-1]
    images[..., :-1] += aside[..., 1:]
    aside = images * side
    images *= centre
    images[..., 1:, :] += aside[..., :-1, :]
    images[..., :-1, :] += aside[..., 1:, :]
    return images


def field_edge(size: int, radius: float) -> Image:
    """1 within the reconstructed field, 0 beyond its round edge (gradient-warp correction)."""
    along = (np.arange(size, dtype=np.float32) - (size - 1) / 2) / (size / 2)
    return (along[:, None] ** 2 + along**2 < radius**2).astype(np.float32)
