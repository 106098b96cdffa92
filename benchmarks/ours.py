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
    from cinegan.params import Model
    from cinegan.training.schedule import Level
    from cinegan.training.step import TrainingStep

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
THREADS = 2
CYCLES, PHASES = 256, 20  # at hand


# The model of params.yaml, and the size at which it is trained.
WORKLOADS = {
    "dcgan64": ("dcgan64", 64),
    "dcgan128": ("dcgan128", 128),
    **{f"pggan{size}": ("pggan256", size) for size in (4, 8, 16, 32, 64, 128, 256)},
}


def model_of(workload: str) -> Model:
    """The model of params.yaml that a workload trains."""
    from cinegan.params import load_params

    return load_params(PARAMS).model_named(WORKLOADS[workload][0])


def level_of(workload: str) -> Level:
    """The stretch of training that a workload measures: at one size, nothing fading, no end."""
    from cinegan.training.schedule import Level

    model, size = model_of(workload), WORKLOADS[workload][1]
    batch = model.training.batch
    if isinstance(batch, list):
        batch = batch[model.sizes.index(size)]
    return Level(size, False, batch, first=0, steps=10**9, images=0)


def record_of(workload: str) -> dict[str, Any]:
    """What builds a workload's networks."""
    from cinegan.training.schedule import at_level

    recipe = model_of(workload).model_dump(exclude={"budgets", "folder"})
    recipe |= {"phases": PHASES, "seed": 0, "threads": THREADS}
    return at_level(recipe, level_of(workload))


def make_step(workload: str) -> tuple[Callable[[], object], int]:
    """Return a function that trains a workload's networks one step, and its batch."""
    step = make_trained(workload)
    return lambda: step(measure=False), step.level.batch


def make_trained(workload: str) -> TrainingStep:
    """Build a workload's networks, ready to be trained."""
    from cinegan.training.loop import prepare

    record, level = record_of(workload), level_of(workload)
    shape = (CYCLES, level.size, level.size, PHASES)
    cycles = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return prepare(level, model_of(workload), record, lambda size: cycles)


def gflop(workload: str, passes: tuple[float, float]) -> float:
    """GFLOP of so many passes of the generator and of the discriminator, per image."""
    from cinegan.training.cost import flops_per_image
    from cinegan.training.networks import build_discriminator, build_generator
    from cinegan.training.runtime import configure

    configure(THREADS)
    record = record_of(workload)
    networks = build_generator(record), build_discriminator(record)
    each = zip(passes, networks, strict=True)
    return sum(count * flops_per_image(network) for count, network in each) / 1e9


if __name__ == "__main__":
    serve(*make_step(sys.argv[1]))
