"""Our side of the training benchmark: each workload's networks, and a step of their training.

`python -m benchmarks.ours WORKLOAD` trains, to be measured in turn with others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.timing import serve

if TYPE_CHECKING:
    from cinegan.training.step import TrainingStep

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
    **{f"pggan{size}": _pggan(size) for size in (4, 8, 16, 32, 64, 128, 256)},
}


# What differs from the training of the model dcgan64 in params.yaml.
TRAININGS: dict[str, dict[str, Any]] = {
    "dcgan": {},
    "pggan": {
        "batch": 16,
        "learning_rate": 1e-3,
        "beta_1": 0.0,
        "beta_2": 0.99,
        "epsilon": 1e-8,
        "loss": "wasserstein",
        "gradient_penalty": 10.0,
        "drift": 1e-3,
    },
}


def make_step(workload: str) -> tuple[Callable[[], object], int]:
    """Return a function that trains a workload's networks one step, and its batch."""
    step = make_trained(workload)
    return lambda: step(measure=False), step.level.batch


def make_trained(workload: str) -> TrainingStep:
    """Build a workload's networks, ready to be trained."""
    from cinegan.params import FRESH, load_params
    from cinegan.training.loop import prepare
    from cinegan.training.networks import options_of
    from cinegan.training.schedule import Level

    record = WORKLOADS[workload]
    base = load_params(PARAMS).model_named("dcgan64")
    training = base.training.model_copy(update=TRAININGS[record["architecture"]])
    batch = training.batch
    assert isinstance(batch, int)
    model = base.model_copy(update={"network": options_of(record), "training": training})
    shape = (CYCLES, record["size"], record["size"], record["phases"])
    cycles = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    # The stretch of training that a growing pair spends at this size, whole.
    level = Level(record["size"], False, batch, first=0, steps=10**9, images=0)
    recipe = {**record, "start_from": FRESH, "seed": 0, "threads": THREADS}
    return prepare(level, model, recipe, lambda size: cycles)


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
