"""Artefacts are in some patients and not in others."""

from dataclasses import replace

import numpy as np

from cinegan.data.phantom.artefacts import add_ghost, bands, draw_artefacts
from cinegan.data.phantom.cohort import cohort
from cinegan.data.phantom.stack import plan_stack
from cinegan.data.phantom.subject import paint_cine

from .helpers import subject


def test_some_patients_have_each_and_others_have_not():
    drawn = [draw_artefacts(1, patient) for patient in cohort(1, 30)]
    for kind, share in (("curvature", 1 / 2), ("ghost", 1 / 3), ("fold", 1 / 3)):
        present = np.mean([np.any(getattr(artefacts, kind)) for artefacts in drawn])
        assert abs(present - share) < 0.15


def test_bands_are_narrow_and_spare_the_place_that_was_shimmed():
    examined = subject("PH-N-1")
    curvature = np.array([1.0, 0.5, -1.5]) / 2 / 90**2
    artefacts = replace(examined.artefacts, curvature=curvature, shim_mm=np.zeros(3))
    plane = plan_stack(examined, 8).planes[4]
    left = bands(plane.points.astype(np.float32), artefacts, examined.scan)
    assert left.min() < 0.3 and left.max() <= 1.001
    assert 0.01 < np.mean(left < 0.5) < 0.2
    here = examined.scan.heart_base.astype(np.float32)[:, None, None]
    np.testing.assert_allclose(bands(here, artefacts, examined.scan), 1, atol=1e-6)


def test_a_ghost_is_a_faint_shifted_copy():
    examined = subject("PH-N-1")
    artefacts = replace(examined.artefacts, ghost=0.05, ghost_shift=0.25)
    signal = np.zeros((8, 8), dtype=np.float32)
    signal[4, 4] = 1
    add_ghost(signal, artefacts, replace(examined.scan, encoding_axis=-1), contraction=0.5)
    expected = np.zeros((8, 8))
    expected[4, 4], expected[4, 6] = 1, 0.05
    np.testing.assert_allclose(signal, expected, atol=1e-6)


def test_fold_over_changes_the_field_s_edges_only():
    examined = subject("PH-N-1")
    plane = plan_stack(examined, 8).planes[4]
    plane = replace(plane, spacing_mm=plane.spacing_mm / 2)  # less than the body's width
    folded, clean = (
        next(
            paint_cine(
                replace(examined, artefacts=replace(examined.artefacts, ghost=0, fold=fold)),
                plane,
                4,
                np.zeros(3),
            )
        )
        for fold in (0.15, 0.0)
    )
    changed = (folded != clean).any(axis=0 if examined.scan.encoding_axis == -1 else 1)
    width = round(0.15 * examined.size)
    assert changed[:width].any() or changed[-width:].any()
    assert not changed[width:-width].any()
