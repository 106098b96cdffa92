"""Layers with spectral normalization: their weights, as a matrix, have a largest gain of 1.

Miyato, Kataoka, Koyama and Yoshida 2018, "Spectral Normalization for Generative Adversarial
Networks", algorithm 1. The stored weights are the raw ones, so the optimizer and the files of
weights see plain layers.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from cinegan.models.layers.fast import PatchConv2D
from cinegan.models.layers.stored import StoredAsIs


class _SpectralNormalization(StoredAsIs):
    """Before a Keras layer among the bases: the kernel that runs is the stored one over sigma.

    In float32 inside, whatever the layer computes in.

    Attributes
    ----------
    u : keras.Variable
        (filters, 1), of norm 1: what the weights amplify most, as far as it is known. Sigma is
        its gain. One power iteration a training call improves it.
    """

    def add_weight(self, *args: Any, **options: Any) -> Any:
        """Make a weight, the kernel without a cast to the layer's precision."""
        if options.get("name") == "kernel":
            options["autocast"] = False
        return super().add_weight(*args, **options)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights and u."""
        super().build(input_shape)
        self.u = self.add_weight(
            (super().kernel.shape[-1], 1),
            initializer="orthogonal",  # one column, so a random direction
            trainable=False,
            autocast=False,
            # All devices have the same weights, so the same u.
            aggregation="only_first_replica",
            name="u",
        )

    @property
    def kernel(self) -> Any:
        """The normalized weights, of the stored shape.

        Sigma = |W u| is Miyato's v' W u with v = W u / |W u|; its gradient, v u', is theirs too.
        """
        sigma = ops.norm(ops.matmul(self._matrix(), self.u))
        return ops.cast(super().kernel / sigma, self.compute_dtype)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Run the layer with normalized weights."""
        if training:
            w = ops.stop_gradient(self._matrix())
            u = ops.matmul(ops.transpose(w), ops.matmul(w, self.u))
            self.u.assign(ops.normalize(u, axis=0))
        return super().call(inputs)

    def _matrix(self) -> Any:
        return ops.reshape(super().kernel, (-1, self.u.shape[0]))  # (inputs, filters)


class SpectralConv2D(_SpectralNormalization, keras.layers.Conv2D):
    """Conv2D with spectral normalization."""


class SpectralPatchConv2D(_SpectralNormalization, PatchConv2D):
    """PatchConv2D with spectral normalization."""


class SpectralDense(_SpectralNormalization, keras.layers.Dense):
    """Dense with spectral normalization."""
