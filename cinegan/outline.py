"""A network as a reader wants it told: its layers in rows, with shapes, parameters and FLOPs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from cinegan.training.cost import flops_of_layer


@dataclass(frozen=True)
class Row:
    """A layer that has a kernel or changes how many values there are, and those that follow it.

    Normalisations, activations and reshapes that follow are told in the same row.

    Attributes
    ----------
    layers : tuple of keras.Layer
        In the order in which they run.
    inputs : tuple of int
        Places of the rows that this one takes its input from.
    """

    layers: tuple[Any, ...]
    inputs: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the first layer, by which its weights are kept."""
        return self.layers[0].name

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """What each layer is."""
        return tuple(_kind(layer) for layer in self.layers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image's output: (height, width, channels) or (values,)."""
        return _shape(self.layers[-1])

    @property
    def parameters(self) -> int:
        """Weights, those that no optimizer moves included."""
        return sum(layer.count_params() for layer in self.layers)

    @property
    def flops(self) -> float:
        """Floating-point operations of one image's forward pass, 2 per multiply-add."""
        return sum(flops_of_layer(layer) for layer in self.layers)


def outline(network: Any) -> list[Row]:
    """Tell a network of Keras' functional kind in rows; each layer is in exactly one of them."""
    sources = {layer.name: _sources(layer) for layer in network.layers}
    uses = Counter(source for each in sources.values() for source in each)
    rows: list[list[Any]] = []
    place: dict[str, int] = {}  # layer to its row
    for layer in network.layers:
        before = sources[layer.name]
        if len(before) == 1 and uses[before[0]] == 1 and _accompanies(layer):
            place[layer.name] = place[before[0]]
            rows[place[layer.name]].append(layer)
        else:
            place[layer.name] = len(rows)
            rows.append([layer])
    return [
        Row(tuple(layers), tuple(place[source] for source in sources[layers[0].name]))
        for layers in rows
    ]


def main_path(rows: list[Row]) -> list[int]:
    """Places of the rows on the longest way from the input to the last row."""
    longest: list[list[int]] = []
    for k, row in enumerate(rows):
        longest.append([*max((longest[i] for i in row.inputs), key=len, default=[]), k])
    return longest[-1]


def _accompanies(layer: Any) -> bool:
    """Whether a layer has no kernel and keeps as many values, and rows and columns, as it gets."""
    if hasattr(layer, "kernel") or isinstance(layer.input, list):
        return False
    before, after = layer.input.shape[1:], layer.output.shape[1:]
    return prod(before) == prod(after) and len(after) >= len(before)


def _sources(layer: Any) -> list[str]:
    """Names of the layers that a layer takes its input from; none for the network's input."""
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    operations = [tensor._keras_history.operation for tensor in inputs]
    return [operation.name for operation in operations if operation is not layer]


def _kind(layer: Any) -> str:
    kind = type(layer).__name__
    if kind == "InputLayer":
        return "input"
    if kind == "Activation":
        return layer.activation.__name__
    window = next(
        (
            getattr(layer, key)
            for key in ("kernel_size", "pool_size", "size")
            if hasattr(layer, key)
        ),
        None,
    )
    strides = getattr(layer, "strides", (1, 1)) if hasattr(layer, "kernel") else (1, 1)
    told = f"{kind} {'x'.join(map(str, window))}" if window else kind
    return told if set(strides) == {1} else f"{told}, stride {strides[0]}"


def _shape(layer: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in layer.output.shape[1:])
