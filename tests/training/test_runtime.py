"""The same inputs give the same bits, also where a graph is large."""

from __future__ import annotations

import pytest
import tensorflow as tf

from cinegan.params import FRESH
from cinegan.training.loop import prepare
from cinegan.training.runtime import configure
from cinegan.training.schedule import Level


def test_a_sum_is_taken_in_one_order_however_large_the_graph():
    """Of 1, 1e8 and -1e8 the sum is 0 or 1 in float32: the order tells."""
    configure(2)

    @tf.function
    def total(one, large, minus_large, slow):
        for _ in range(10):  # keeps the first term waiting
            slow = tf.matmul(slow, slow)
        late = one + slow[0, 0]
        return tf.add_n([late, tf.abs(large), -tf.abs(minus_large)])[0, 0]

    def of(side):
        one, large = tf.ones((side, side)), tf.fill((side, side), 1e8)
        return float(total(one, large, -large, tf.zeros((2000, 2000))))

    # 100 MB a term: a graph that TensorFlow thinks too large for the CPU's memory.
    assert of(100) == of(5000) == of(5000)


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_training_is_deterministic_unless_told_otherwise(
    monkeypatch, model, cycles_at, deterministic
):
    asked = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    training = model.training.model_copy(update={"deterministic": deterministic})
    block = model.model_copy(update={"training": training})
    recipe = {**block.model_dump(), "phases": 6, "seed": 1, "threads": 2, "start_from": FRESH}
    prepare(Level(16, False, 4, 0, 2, 0), block, recipe, cycles_at)
    assert bool(asked) == deterministic
