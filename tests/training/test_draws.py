"""Draws are a function of seed, step and stream."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cinegan.training.draws import LATENT, MIX, Draws


def draws(seed=3, step=0):
    return Draws(seed, tf.constant(step, tf.int64), batch=100)


def test_numbers_repeat_and_differ_by_seed_step_and_stream():
    first = np.asarray(draws().normal(LATENT, 8))
    np.testing.assert_array_equal(first, draws().normal(LATENT, 8))
    for other in (draws(seed=4), draws(step=1)):
        assert np.abs(np.asarray(other.normal(LATENT, 8)) - first).min() > 0
    assert np.abs(np.asarray(draws().normal(MIX, 8)) - first).min() > 0
    uniform = np.asarray(draws().uniform(MIX, 50))
    assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() < 1


def test_masks_drop_their_share_and_differ_by_step_and_place():
    at_0, at_1 = draws(), draws(step=1)
    masks = [np.asarray(at_0.mask((100, 1001), 0.3)) for _ in range(2)]
    masks.append(np.asarray(at_1.mask((100, 1001), 0.3)))
    for mask in masks:
        assert mask.mean() == pytest.approx(0.3, abs=0.01)
    assert 0.4 < (masks[0] == masks[1]).mean() < 0.7
    assert 0.4 < (masks[0] == masks[2]).mean() < 0.7
