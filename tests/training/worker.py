"""A process of a training: `worker.py JOB ...`, each JOB a folder that `prepare` has made."""

from __future__ import annotations

import gc
import importlib
import json
import os
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import numpy as np

from cinegan.errors import CineganError, run_command
from cinegan.files import read_json, write_json
from cinegan.params import Model
from cinegan.tracking.runs import Run


def prepare(job, model, cycles_at, **options):
    """Write down what to train, and how.

    Options are `devices` and, for the middle of it, `signal`: worker, step, number; `longer`: the
    worker that has twice the budget.
    """
    job.mkdir()
    write_json(job / "job.json", {"model": model.model_dump(), **options})
    for size in (4, 8, 16):
        np.save(job / f"{size}.npy", cycles_at(size))


def train_as_told(job, threads):
    """Train in the working directory; `JOB.name` there is the result."""
    from cinegan.training import loop

    options = read_json(job / "job.json")
    block = options["model"]
    module = importlib.import_module(f"cinegan.models.{block['architecture']}")
    block["network"] = module.Network.model_validate(block["network"])
    model = Model.model_validate(block)
    budget = model.budgets.smoke
    if options.get("longer") == own_index():
        budget = budget.model_copy(update={"total_kimg": 2 * budget.total_kimg})
    loop.train(
        lambda size: np.load(job / f"{size}.npy"),
        np.array(["a", "b"] * 5),
        name="tiny",
        model=model,
        budget=budget,
        seed=1,
        threads=threads,
        devices=options["devices"],
        folder=Path(job.name),
        curves=Path(job.name) / "training.csv",
        run=Run(),
    )


def own_index():
    """Of this worker."""
    return json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]


@contextmanager
def signalled(step, number):
    """Let a signal reach this process once it has trained so many steps."""
    from cinegan.training.step import TrainingStep

    whole = TrainingStep.__call__

    def call(self, *arguments):
        told = whole(self, *arguments)
        if self.done == step:
            os.kill(os.getpid(), number)
        return told

    TrainingStep.__call__ = call
    yield
    TrainingStep.__call__ = whole


def on_two_logical_cpus():
    """Let `devices: all` find two devices where there is one CPU."""
    import tensorflow as tf

    from cinegan.training import devices

    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    devices.strategy_of = lambda _: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def main(arguments):
    """Train one job after the other; a fault is told, and the next one begins."""
    from cinegan.training import cost, loop  # noqa: F401

    gc.freeze()  # what was imported stays, and need not be looked through at each level
    cost._matrix_rate = cache(cost._matrix_rate)  # once, not by every job
    own = own_index()
    for job in map(Path, arguments):
        options = read_json(job / "job.json")
        if options["devices"] == "all":
            on_two_logical_cpus()
        index, *when = options.get("signal", [None])
        with signalled(*when) if index == own else nullcontext():
            try:
                train_as_told(job, threads=1)
            except CineganError as error:
                print(f"{job.name}: {error}", flush=True)


if __name__ == "__main__":
    run_command(main)
