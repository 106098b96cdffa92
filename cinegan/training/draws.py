"""Random draws of a step, each a function of (seed, step, stream) alone."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from cinegan.training.devices import part_of_this_device

# Streams; the networks' layers draw from those after these, in order of calls.
(ORDER, LATENT, MIRROR, FLIP_REAL, FLIP_FAKE, NOISE_REAL, NOISE_FAKE, AUGMENT_REAL, AUGMENT_FAKE,
 MIX, LAYERS) = range(11)  # fmt: skip
WARP = -1  # before them: the layers' go on without end


class Draws:
    """Draws of one step, made for the whole batch, of which each device takes its part.

    Parameters
    ----------
    seed : int
    step : scalar int64 tensor
    batch : int
        Cycles in the whole batch.
    """

    def __init__(self, seed: int, step: tf.Tensor, batch: int) -> None:
        self._seed, self._step, self._batch = seed, step, batch
        self._masks = 0  # so far; each has a stream of its own

    def uniform(self, stream: int, *shape: int) -> tf.Tensor:
        """Numbers in [0, 1) for each cycle of this device, (n, *shape) float32."""
        return part_of_this_device(
            tf.random.stateless_uniform((self._batch, *shape), self._seed_of(stream), alg="philox")
        )

    def normal(self, stream: int, *shape: int) -> tf.Tensor:
        """Standard normal numbers for each cycle of this device, (n, *shape) float32."""
        return part_of_this_device(
            tf.random.stateless_normal((self._batch, *shape), self._seed_of(stream), alg="philox")
        )

    def mask(self, shape: tuple[int, ...], rate: float) -> tf.Tensor:
        """A layer's mask of a `shape` (n, ...), True with probability `rate`.

        From 16 random bits an element: masks of dropout are the largest draws of all.
        """
        whole = (self._batch, *shape[1:])
        count = int(np.prod(whole))
        words = tf.random.stateless_uniform(
            (-(-count // 2),),
            self._seed_of(LAYERS + self._masks),
            minval=None,
            maxval=None,
            dtype=tf.uint32,
            alg="philox",
        )
        self._masks += 1
        bits = tf.reshape(tf.bitcast(words, tf.int16), (-1,))[:count]
        limit = tf.constant(round(rate * 2**16) - 2**15, tf.int16)
        return part_of_this_device(tf.reshape(bits, whole) < limit)

    def _seed_of(self, stream: int) -> tf.Tensor:
        """(2,) int64."""
        return tf.stack([tf.constant((self._seed * 65_537 + stream) % 2**32, tf.int64), self._step])
