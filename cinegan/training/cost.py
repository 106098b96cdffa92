"""What a training will take, before it starts: time and memory."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np

from cinegan.params import NetworkOptions, Training
from cinegan.training.networks import build_discriminator, build_generator, options_of
from cinegan.training.runtime import precision_of
from cinegan.training.schedule import Schedule, at_level

GB = 1e9
# Share of the machine's matrix-product rate that a training step reaches, about.
REACHED = 0.6


def training_cost(schedule: Schedule, record: dict[str, Any]) -> str:
    """One line: how long a training will take and how much memory."""
    training = Training.model_validate(record["training"])
    precision = precision_of(training.precision)
    generator_passes, discriminator_passes = passes(training, options_of(record))
    flops, memory = 0.0, 0.0
    for level in schedule.levels:
        here = at_level(record, level)
        generator, discriminator = build_generator(here), build_discriminator(here)
        each = generator_passes * flops_per_image(generator)
        each += discriminator_passes * flops_per_image(discriminator)
        flops += level.steps * level.batch * each
        number = 2 if precision == "bfloat16" else 4  # bytes
        memory = max(memory, _memory_bytes(generator, discriminator, level.batch, number))
        del generator, discriminator
        gc.collect()  # networks refer to themselves; kept, all levels would be in memory at once
    seconds = flops / (REACHED * _matrix_rate(precision))
    return f"about {_duration(seconds)} and {memory / GB:.1f} GB of memory on a CPU"


def passes(training: Training, network: NetworkOptions) -> tuple[float, float]:
    """Forward passes of the generator and of the discriminator that a step amounts to, per image.

    A pass back is two forward passes: by the weights and by the input. The generator runs forward
    and back once; the discriminator on real and on fake cycles, and one pass back serves both
    networks, but for cross-entropy of logits that depend on each other (or, which is not counted,
    where the logit of a fake cycle is too low for that, see `losses`). A gradient penalty adds a
    forward pass, its gradient by the input (one), and the pass back through both (four). R1 adds
    all but the forward pass, every so many steps.
    """
    discriminator = 6.0
    if training.loss == "bce" and not network.independent_logits:
        discriminator += 1.0  # back to the fake cycles once more
    if training.gradient_penalty:
        discriminator += 6.0
    if training.r1:
        discriminator += 5.0 / training.r1_every
    return 3.0, discriminator


def flops_per_image(network: Any) -> float:
    """Floating-point operations of one forward pass of one image, the sum over layers."""
    return sum(flops_of_layer(layer) for layer in network.layers)


def flops_of_layer(layer: Any) -> float:
    """Floating-point operations of a layer for one image, forward: 2 per multiply-add.

    Counts convolutions and dense layers, as their definition has them; the rest is small beside
    them and counts as 0.
    """
    if not hasattr(layer, "kernel"):
        return 0.0
    # A transposed convolution applies its kernel at every input pixel, the others at every output
    # pixel; a dense layer applies it once.
    tensor = layer.input if "Transpose" in type(layer).__name__ else layer.output
    return 2.0 * float(np.prod(tensor.shape[1:-1]) * np.prod(layer.kernel.shape))


def _memory_bytes(generator: Any, discriminator: Any, batch: int, number: int) -> float:
    """Weights with gradients, two moments and an average, activations, and the libraries.

    Activations are kept for the pass back, with their gradients and some workspace: two and a
    half times, as measured, of `number` bytes each.
    """
    weights = 4.0 * (5 * generator.count_params() + 4 * discriminator.count_params())
    outputs = sum(
        int(np.prod(layer.output.shape[1:])) * times
        for network, times in ((generator, 1), (discriminator, 2))
        for layer in network.layers
    )
    return weights + 2.5 * batch * number * outputs + 1.0 * GB


def _matrix_rate(dtype: str) -> float:
    """This machine's FLOP/s in a large matrix product, measured for a moment."""
    from keras import ops

    matrix = ops.ones((2048, 2048), dtype=dtype)
    float(ops.matmul(matrix, matrix)[0, 0])
    times = []
    for _ in range(5):
        start = time.perf_counter()
        float(ops.matmul(matrix, matrix)[0, 0])
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
