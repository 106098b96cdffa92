"""Weights that are stored in one form and run in another."""

from __future__ import annotations

from typing import Any

import keras


class StoredAsIs(keras.layers.Layer):
    """Before a Keras layer among the bases: a file keeps the variables, whatever `kernel` says.

    Keras' own convolutions and dense layers write `kernel` and read it back as the variable, which
    is wrong where a layer makes its kernel of the variable.
    """

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Write every variable."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: dict[str, Any]) -> None:
        """Read what `save_own_variables` wrote."""
        keras.layers.Layer.load_own_variables(self, store)
