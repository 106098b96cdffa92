"""The training loop: cycles in, a folder with trained networks out."""

from __future__ import annotations

import hashlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from tqdm import tqdm

from cinegan import figures
from cinegan.errors import CineganError
from cinegan.files import atomic_file, atomic_folder, sha256
from cinegan.models import WEIGHTS
from cinegan.params import Budget, Model
from cinegan.sampling import draw_cycles
from cinegan.tracking import WEIGHTS_TAG, Run
from cinegan.training.checkpoint import checkpoint_folder, load_state, save_state
from cinegan.training.cost import training_cost
from cinegan.training.networks import (
    build_discriminator,
    build_generator,
    has_independent_logits,
    save_networks,
    settle_statistics,
)
from cinegan.training.runtime import configure, set_seed
from cinegan.training.schedule import Schedule
from cinegan.training.step import METRICS, TrainingStep
from cinegan.workspace import main_checkout

CHECKPOINT_EVERY_S = 60.0
SNAPSHOT_CYCLES = 8


def train(
    cycles: np.ndarray,
    patients: np.ndarray,
    *,
    name: str,
    model: Model,
    budget: Budget,
    seed: int,
    threads: int,
    folder: Path,
    curves: Path,
    run: Run,
) -> None:
    """Train a pair of networks and write them with their pictures and curves.

    An interrupted training leaves its state in `.checkpoints/` of the main checkout; the same call
    goes on from there and ends with the same bytes.

    Parameters
    ----------
    cycles : (n, size, size, phases) uint8
        Real cycles of the train patients.
    patients : (n,) str
        The patient of each.
    folder, curves : Path
        Where the networks and the curves (CSV) go.

    Raises
    ------
    CineganError
        If there are too few cycles, if a loss is not finite, or on SIGINT and SIGTERM, once the
        state is saved.
    """
    if len(cycles) < 2:
        raise CineganError(f"{name}: {len(cycles)} train cycle(s); at least 2 are needed")
    record = _record(cycles, patients, model, budget, seed, threads)
    schedule = Schedule(model.training.batch, budget.total_kimg, budget.snapshot_kimg)
    step = _prepare(cycles, record, model, seed, threads)
    print(
        f"{name}: {schedule.steps} steps of {schedule.batch} ({schedule.kimg(schedule.steps):g} "
        "kimg), "
        + training_cost(
            step.generator, step.discriminator, schedule.steps * schedule.batch, schedule.batch
        ),
        flush=True,
    )
    run.params({"model": name, **record})
    work = checkpoint_folder(main_checkout(), name, record)
    work.mkdir(parents=True, exist_ok=True)
    # Another worker may be at the same recipe: it waits, and then trains for itself.
    with FileLock(f"{work}.lock"):
        history = _train(step, schedule, work, seed, name, run)
        settle_statistics(step.average, seed)
        with atomic_folder(folder) as partial:
            save_networks(partial, record, step.average, step.discriminator)
            shutil.copytree(work / "snapshots", partial / "snapshots")
            digest = sha256(partial / WEIGHTS)
        # A finished state would make the next run look reproducible untrained.
        shutil.rmtree(work)
        Path(f"{work}.lock").unlink()
    with atomic_file(curves) as partial:
        pd.DataFrame(history, columns=["kimg", *METRICS]).to_csv(
            partial, index=False, float_format="%.6g", lineterminator="\n"
        )
    run.tags({WEIGHTS_TAG: digest})
    run.artifact(folder, "model")
    run.artifact(curves, "model")


def _record(
    cycles: np.ndarray,
    patients: np.ndarray,
    model: Model,
    budget: Budget,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """Everything that the result depends on, and what rebuilds the networks."""
    return {
        **model.model_dump(exclude={"budgets", "folder"}),
        "phases": cycles.shape[-1],
        "total_kimg": budget.total_kimg,
        "snapshot_kimg": budget.snapshot_kimg,
        "seed": seed,
        "threads": threads,
        "train_cycles": len(cycles),
        "train_patients": len(set(patients)),
        "train_sha256": hashlib.sha256(np.ascontiguousarray(cycles).tobytes()).hexdigest(),
    }


def _prepare(
    cycles: np.ndarray, record: dict[str, Any], model: Model, seed: int, threads: int
) -> TrainingStep:
    """Build the networks in the training's precision, their average in float32."""
    configure(threads, model.training.precision)
    set_seed(seed)
    generator, discriminator = build_generator(record), build_discriminator(record)
    configure(threads)
    average = build_generator(record)
    return TrainingStep(
        generator,
        discriminator,
        average,
        cycles,
        model.training,
        seed,
        independent_logits=has_independent_logits(record),
    )


def _train(
    step: TrainingStep, schedule: Schedule, work: Path, seed: int, name: str, run: Run
) -> list[list[float]]:
    """Run all steps that are left; return the curves' points, (kimg, *METRICS) each."""
    history: list[list[float]] = []  # the curves' points so far
    since_point: list[np.ndarray] = []  # metrics of the steps since the last of them
    state = load_state(work)
    if state is not None:
        history, since_point = state.pop("history").tolist(), list(state.pop("since_point"))
        step.restore(state)
        print(f"{name}: goes on from step {step.step} of {schedule.steps}", flush=True)
    (work / "snapshots").mkdir(parents=True, exist_ok=True)

    def checkpoint() -> None:
        curves = {"history": np.array(history), "since_point": np.array(since_point)}
        save_state(work, {**step.state(), **curves})

    saved_at = started = time.monotonic()
    first = step.step
    with (
        _stop_signals() as stopped,
        tqdm(
            total=schedule.steps * schedule.batch,
            initial=first * schedule.batch,
            desc=name,
            unit="img",
            unit_scale=True,
            mininterval=1,
        ) as bar,
    ):
        for number in range(first + 1, schedule.steps + 1):
            since_point.append(step())
            if not np.isfinite(since_point[-1]).all():
                raise CineganError(_diverged(name, number, work))
            bar.update(schedule.batch)
            kimg = schedule.kimg(number)
            if schedule.is_curve_point(number):
                point = np.mean(since_point, axis=0).tolist()
                since_point = []
                history.append([kimg, *point])
                rate = (number - first) * schedule.batch / (time.monotonic() - started)
                run.metrics(dict(zip(METRICS, point, strict=True)) | {"images_per_s": rate}, kimg)
            if schedule.is_snapshot(number):
                run.picture(_snapshot(step.average, work, seed, kimg), "samples", kimg)
            if time.monotonic() - saved_at > CHECKPOINT_EVERY_S and number < schedule.steps:
                checkpoint()
                saved_at = time.monotonic()
            if stopped():
                checkpoint()
                raise CineganError(
                    f"{name}: interrupted after step {number} of {schedule.steps}; its state is "
                    "saved, the same command goes on from there"
                )
    return history


def _snapshot(average: Any, work: Path, seed: int, kimg: float) -> np.ndarray:
    """Draw the same few latents as they look now; keep and return the picture."""
    settle_statistics(average, seed)
    cycles = draw_cycles(average, SNAPSHOT_CYCLES, seed, progress=False)
    grid = figures.magnify(figures.phase_grid(cycles), cycles.shape[1])
    figures.write_png(work / "snapshots" / f"{kimg:09.3f}.png", grid)
    return grid


def _diverged(name: str, number: int, work: Path) -> str:
    state = work / "state.npz"
    last = f"the last good state is {state}" if state.exists() else "no state was saved yet"
    return (
        f"{name}: a loss is not finite at step {number}; lower the learning rate or train in "
        f"float32 ({last})"
    )


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that the loop asks between steps."""
    received: list[int] = []

    def note(number: int, _: object) -> None:
        if received:  # asked twice: at once, with the state of a minute ago
            raise KeyboardInterrupt
        received.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
