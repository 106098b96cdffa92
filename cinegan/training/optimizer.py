"""Adam and the moving average, as kernels on each device's own copy of the weights."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cinegan.params import Training


class Adam:
    """Adam in TensorFlow's fused kernel, which needs no optimizer object to be restored.

    Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".
    """

    def __init__(self, weights: list[tf.Variable], training: Training) -> None:
        self.weights, self.training = weights, training
        self.moments = [
            (tf.Variable(tf.zeros(w.shape)), tf.Variable(tf.zeros(w.shape))) for w in weights
        ]

    def apply(self, gradients: list[tf.Tensor], done: tf.Tensor) -> None:
        """Update the weights; `done` updates, an integer scalar, have been made before."""
        beta_1, beta_2 = self.training.beta_1, self.training.beta_2
        count = tf.cast(done + 1, tf.float32)
        for weight, (first, second), gradient in zip(
            self.weights, self.moments, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=tf.pow(beta_1, count),
                beta2_power=tf.pow(beta_2, count),
                lr=self.training.learning_rate,
                beta1=beta_1,
                beta2=beta_2,
                epsilon=self.training.epsilon,
                grad=gradient,
            )


def move_average(averages: list[Any], weights: list[Any], decay: tf.Tensor) -> None:
    """Move averages towards the weights: average = decay * average + (1 - decay) * weight."""
    for average, weight in zip(averages, weights, strict=True):
        set_value(average, average - (1.0 - decay) * (average - weight))


def set_value(variable: tf.Variable, value: tf.Tensor) -> None:
    """Assign to this device's own copy, which all devices give the same value."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
