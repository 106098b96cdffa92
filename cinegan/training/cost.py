"""What a training will take, before it starts: time and memory."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

GB = 1e9
# A training step is about three forward passes of the generator and six of the discriminator.
GENERATOR_PASSES, DISCRIMINATOR_PASSES = 3, 6
# Share of the machine's matrix-product rate that a training step reaches.
REACHED = 0.8


def training_cost(generator: Any, discriminator: Any, images: int, batch: int) -> str:
    """One line: how long a training will take and how much memory."""
    flops = GENERATOR_PASSES * flops_per_image(generator)
    flops += DISCRIMINATOR_PASSES * flops_per_image(discriminator)
    seconds = images * flops / (REACHED * _matrix_rate(generator.compute_dtype))
    memory = _memory_bytes(generator, discriminator, batch)
    return (
        f"about {_duration(seconds)} and {memory / GB:.1f} GB of memory "
        f"({flops / 1e9:.1f} GFLOP an image and step)"
    )


def flops_per_image(network: Any) -> float:
    """Floating-point operations of one forward pass of one image: 2 per multiply-add.

    Counts convolutions and dense layers, beside which the rest is small.
    """
    total = 0.0
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        # A transposed convolution applies its kernel at every input pixel, the others at every
        # output pixel; a dense layer applies it once.
        tensor = layer.input if "Transpose" in type(layer).__name__ else layer.output
        total += 2.0 * np.prod(tensor.shape[1:-1]) * np.prod(layer.kernel.shape)
    return float(total)


def _memory_bytes(generator: Any, discriminator: Any, batch: int) -> float:
    """Weights with gradients, two moments and an average, activations, and the libraries."""
    weights = 4.0 * (5 * generator.count_params() + 4 * discriminator.count_params())
    bytes_each = 2 if generator.compute_dtype == "bfloat16" else 4
    outputs = sum(
        int(np.prod(layer.output.shape[1:])) * passes
        for network, passes in ((generator, 1), (discriminator, 2))
        for layer in network.layers
    )
    return weights + 2.0 * batch * bytes_each * outputs + 1.0 * GB


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
