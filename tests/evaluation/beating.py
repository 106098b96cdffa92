"""Cycles of made-up patients for the tests of evaluation: discs that beat."""

from __future__ import annotations

import numpy as np

SIZE, PHASES, SLICES = 24, 12, 8


def patient_cycles(patient, slices=SLICES):
    """Beating discs of one patient: alike in brightness and strength, varied along the heart."""
    generator = np.random.default_rng(patient)
    rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    beat = np.cos(2 * np.pi * np.arange(PHASES) / PHASES)
    strength, bright = generator.uniform([0.1, 120], [0.25, 180])
    cycles = []
    for radius in generator.uniform(4.5, 7, slices):
        edge = radius * (1 + strength * beat)  # (T,)
        disc = bright / (1 + np.exp(np.hypot(rows, columns)[..., None] - edge))  # (H, W, T)
        noise = generator.normal(0, 6, (SIZE, SIZE, 1)) + generator.normal(0, 2, disc.shape)
        cycles.append(np.clip(50 + disc + noise, 0, 255).astype(np.uint8))
    return np.stack(cycles)


def cohort(patients):
    """Cycles (n, SIZE, SIZE, PHASES) and the patient of each."""
    return (
        np.concatenate([patient_cycles(patient) for patient in patients]),
        np.repeat([f"P{patient:02}" for patient in patients], SLICES),
    )
