"""Adam equals Keras' own, and the average its formula."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from recipes import training_with

from cinegan.training.optimizer import Adam, move_average


def test_adam_equals_keras_adam():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 4)).astype("float32")
    ours, theirs = tf.Variable(start), keras.Variable(start)
    training = training_with(beta_1=0.5, beta_2=0.99, epsilon=1e-3)
    adam = Adam([ours], training)
    reference = keras.optimizers.Adam(training.learning_rate, 0.5, 0.99, epsilon=1e-3)
    for number in range(5):
        gradient = tf.constant(rng.normal(size=(3, 4)), tf.float32)
        adam.apply([gradient], tf.constant(number, tf.int64))
        reference.apply([gradient], [theirs])
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)


def test_an_average_moves_by_its_formula():
    average, weight = tf.Variable([1.0, 2.0]), tf.Variable([3.0, -2.0])
    move_average([average], [weight], tf.constant(0.75))
    np.testing.assert_allclose(average, [0.75 * 1 + 0.25 * 3, 0.75 * 2 - 0.25 * 2])
