"""Our side of the training benchmark: each workload's networks, and a step of their training.

`python -m benchmarks.ours WORKLOAD` trains, to be measured in turn with others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import serve
from cinegan.errors import CineganError

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
THREADS = 2
CYCLES = 256  # at hand


def _dcgan(size: int, filters: list[int]) -> dict[str, Any]:
    shared = {
        "latent": 100,
        "leak": 0.3,
        "dropout": 0.3,
        "generator_dropout": 0.0,
        "spectral_normalization": False,
    }
    network = {"generator": filters[::-1], "discriminator": filters, **shared}
    return {"architecture": "dcgan", "size": size, "phases": 20, "network": network}


def _pggan(size: int) -> dict[str, Any]:
    network = {"latent": 512, "filters": 2048, "most_filters": 512, "group": 4}
    return {"architecture": "pggan", "size": size, "phases": 20, "network": network}


# The record that builds the networks of each.
WORKLOADS = {
    "dcgan64": _dcgan(64, [64, 128, 256, 512]),
    "dcgan128": _dcgan(128, [64, 128, 256, 512, 1024]),
    "pggan16": _pggan(16),
    "pggan64": _pggan(64),
    "pggan256": _pggan(256),
}


def make_step(workload: str) -> tuple[Callable[[], object], int]:
    """Build a workload's networks and return a function that trains them one step, and its batch.

    The training is that of the model dcgan64 in params.yaml.
    """
    from cinegan.params import load_params
    from cinegan.training.networks import build_discriminator, build_generator
    from cinegan.training.runtime import configure, set_seed
    from cinegan.training.step import TrainingStep

    record = WORKLOADS[workload]
    if record["architecture"] != "dcgan":
        raise CineganError(f"{workload}: there is no training step for it")
    training = load_params(PARAMS).model_named("dcgan64").training
    configure(THREADS, training.precision)
    set_seed(0)
    generator, discriminator = build_generator(record), build_discriminator(record)
    configure(THREADS)
    average = build_generator(record)
    shape = (CYCLES, record["size"], record["size"], record["phases"])
    cycles = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    step = TrainingStep(
        generator, discriminator, average, cycles, training, 0, independent_logits=True
    )
    return step, training.batch


def gflop(workload: str, passes: tuple[int, int]) -> float:
    """GFLOP of so many passes of the generator and of the discriminator, per image."""
    from cinegan.training.cost import flops_per_image
    from cinegan.training.networks import build_discriminator, build_generator
    from cinegan.training.runtime import configure

    configure(THREADS)
    networks = build_generator(WORKLOADS[workload]), build_discriminator(WORKLOADS[workload])
    each = zip(passes, networks, strict=True)
    return sum(count * flops_per_image(network) for count, network in each) / 1e9


if __name__ == "__main__":
    serve(*make_step(sys.argv[1]))
