"""Layers for closed cycles against what the mathematics say."""

from __future__ import annotations

import numpy as np
import pytest

from cinegan.models.layers.cyclic import HarmonicSynthesis, WithMotion, harmonics


@pytest.mark.parametrize("phases", [1, 2, 3, 8, 20, 25])
def test_harmonics_without_a_preference_are_an_orthonormal_basis(phases):
    matrix = harmonics(phases, 0.0)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(phases), atol=1e-5)


@pytest.mark.parametrize("smoothness", [0.0, 1.0, 2.0])
def test_any_cycle_can_be_made_and_white_coefficients_make_values_of_their_variance(smoothness):
    matrix = harmonics(20, smoothness)
    assert np.linalg.matrix_rank(matrix) == 20
    coefficients = np.random.default_rng(0).normal(size=(20_000, 20))
    assert (coefficients @ matrix).std() == pytest.approx(1, abs=0.01)


def test_smoothness_weakens_the_faster_harmonics():
    norms = np.linalg.norm(harmonics(20, 1.0), axis=1)
    frequencies = np.array([0, *np.repeat(np.arange(1, 10), 2), 10])
    np.testing.assert_allclose(norms * (1 + frequencies), norms[0], rtol=1e-5)


def test_a_harmonic_goes_on_from_the_last_phase_to_the_first():
    first = harmonics(20, 0.0)[1]  # one turn's cosine
    np.testing.assert_allclose(first, np.cos(2 * np.pi * np.arange(20) / 20) / np.sqrt(10), 1e-5)


def test_synthesis_of_each_pixel_by_itself():
    maps = np.random.default_rng(0).normal(size=(2, 3, 4, 8)).astype("float32")
    made = np.asarray(HarmonicSynthesis(maps.shape[-1], 1.0)(maps))
    assert made.shape == maps.shape
    np.testing.assert_allclose(made[1, 2, 3], maps[1, 2, 3] @ harmonics(8, 1.0), atol=1e-6)


def test_motion_is_what_changes_to_the_next_phase_around_the_cycle():
    cycle = np.float32([[[[1.0, 4.0, 2.0]]]])
    seen = np.asarray(WithMotion(cycle.shape[-1], 10.0)(cycle))
    np.testing.assert_allclose(seen[0, 0, 0], [1, 4, 2, 30, -20, -10])
    assert WithMotion(20, 1.0).compute_output_shape((None, 4, 4, 23)) == (None, 4, 4, 43)


def test_further_cycles_are_made_of_harmonics_too_and_what_is_left_stays():
    maps = np.random.default_rng(0).normal(size=(2, 3, 3, 20)).astype(np.float32)
    alone = np.asarray(HarmonicSynthesis(6, 1.0)(maps[..., :6]))
    made = np.asarray(HarmonicSynthesis(6, 1.0)(maps))
    np.testing.assert_array_equal(made[..., :6], alone)
    second = np.asarray(HarmonicSynthesis(6, 1.0)(maps[..., 6:12]))
    np.testing.assert_array_equal(made[..., 6:12], second)
    np.testing.assert_array_equal(made[..., 18:], maps[..., 18:])


def test_motion_is_that_of_the_phases_alone():
    cycle = np.random.default_rng(0).normal(size=(1, 2, 2, 9)).astype(np.float32)
    seen = np.asarray(WithMotion(6, 2.0)(cycle))
    np.testing.assert_array_equal(seen[..., :9], cycle)
    moved = 2 * (np.roll(cycle[..., :6], -1, axis=-1) - cycle[..., :6])
    np.testing.assert_allclose(seen[..., 9:], moved, rtol=1e-6)
