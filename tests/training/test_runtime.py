"""The same inputs give the same bits, also where a graph is large."""

from __future__ import annotations

import tensorflow as tf

from cinegan.training.runtime import configure


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
