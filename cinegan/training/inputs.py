"""The real cycles of each step, made ready while the step before it runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from cinegan.data import intensity

AHEAD = 2  # batches made ready in advance


def batches(
    of_cycles: tuple[np.ndarray, ...], batch: int, shown: int, seed: tuple[int, int]
) -> Iterator[tuple[tf.Tensor, ...]]:
    """Real cycles without end, each once an epoch, in an order that the seed fixes.

    Which cycle stands at a place is a function of the seed and the place, so that training goes on
    from any count of cycles shown without drawing those before.

    Parameters
    ----------
    of_cycles : tuple of (n, ...) uint8 or float32
        The same cycles, at one resolution or more, as grey levels; and what else goes with them,
        as it is.
    shown : int
        Cycles shown before.
    seed : tuple of two int

    Yields
    ------
    tuple of (batch, ...) float32
        One tensor for each; grey levels are in [-1, 1].
    """
    tensors = tuple(tf.constant(each) for each in of_cycles)
    count = len(of_cycles[0])

    def load(place: tf.Tensor) -> tuple[tf.Tensor, ...]:
        places = place + tf.range(batch, dtype=tf.int64)
        epochs = tf.cast(places // count, tf.uint32)
        streams = [tf.fill(epochs.shape, tf.constant(s % 2**32, tf.uint32)) for s in seed]
        order = tf.raw_ops.RandomIndexShuffle(
            index=places % count,
            seed=tf.stack([*streams, epochs], axis=-1),
            max_index=count - 1,
        )
        return tuple(_ready(tf.gather(each, order)) for each in tensors)

    places = tf.data.Dataset.range(shown, np.iinfo(np.int64).max, batch)
    return iter(places.map(load).prefetch(AHEAD))


def _ready(taken: tf.Tensor) -> tf.Tensor:
    grey = taken.dtype == tf.uint8
    return intensity.to_network(tf.cast(taken, tf.float32)) if grey else taken
