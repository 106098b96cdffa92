"""The training loop: cycles in, a folder with trained networks out."""

from __future__ import annotations

import gc
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from cinegan import figures
from cinegan.data.conditions import Conditions
from cinegan.data.labels import NO_CHANNELS, Channels
from cinegan.errors import CineganError
from cinegan.files import atomic_file, atomic_folder, sha256, sha256_of_arrays
from cinegan.models import DISCRIMINATOR_WEIGHTS, WEIGHTS
from cinegan.params import FRESH, Budget, Model
from cinegan.sampling import draw_cycles
from cinegan.tracking.runs import Run
from cinegan.tracking.store import WEIGHTS_TAG
from cinegan.training import devices as spread
from cinegan.training.checkpoint import Checkpoints
from cinegan.training.cost import training_cost
from cinegan.training.networks import (
    build_discriminator,
    build_generator,
    load_pair,
    save_networks,
    settle_statistics,
)
from cinegan.training.runtime import configure, precision_of, set_seed
from cinegan.training.schedule import Level, Schedule, at_level
from cinegan.training.step import AVERAGED, METRICS, Pair, TrainingStep
from cinegan.workspace import main_checkout

SNAPSHOT_CYCLES = 8

CyclesAt = Callable[[int], np.ndarray]  # size to (n, size, size, phases + labels) uint8


def train(
    cycles_at: CyclesAt,
    patients: np.ndarray,
    labels: Channels = NO_CHANNELS,
    told: pd.DataFrame | None = None,
    *,
    name: str,
    model: Model,
    budget: Budget,
    seed: int,
    threads: int,
    devices: str,
    folder: Path,
    curves: Path,
    run: Run,
) -> None:
    """Train a pair of networks and write them with their pictures and curves.

    An interrupted training leaves its state in `.checkpoints/` of the main checkout; the same call
    goes on from there and ends with the same bytes.

    Parameters
    ----------
    cycles_at : callable
        Size to the real cycles of the train patients, (n, size, size, phases + labels) uint8.
    patients : (n,) str
        The patient of each.
    labels : Channels
        What the last channels are maps of, if any are.
    told : DataFrame, optional
        What each cycle is, and networks are told, as `conditions.of_cycles` says it.
    devices : str
        "one", "all" or "workers", as `devices.strategy_of` has it.
    folder, curves : Path
        Where the networks and the curves (CSV) go.

    Raises
    ------
    CineganError
        If there are too few cycles, if the batch does not divide over the devices, if the weights
        to start from do not fit, if a loss is not finite, or on SIGINT and SIGTERM, once the state
        is saved.
    """
    if len(patients) < 2:
        raise CineganError(f"{name}: {len(patients)} train cycle(s); at least 2 are needed")
    cycles_at = lru_cache(maxsize=2)(cycles_at)
    configure(threads, deterministic=model.training.deterministic)
    strategy, chief = spread.strategy_of(devices), spread.is_chief(devices)
    told = pd.DataFrame(index=range(len(patients))) if told is None else told
    conditions = Conditions.among(told)
    vectors = conditions.vectors(told)
    record = _record(cycles_at(model.size), patients, labels, vectors, model, budget, seed, threads)
    record |= {"condition_inputs": conditions.names, "condition_counts": conditions.counts}
    record |= {"devices": devices, "device_count": strategy.num_replicas_in_sync}
    start = None
    if model.start_from != FRESH:
        start = load_pair(Path(model.start_from), record)
        record["start_sha256"] = [
            sha256(Path(model.start_from) / file) for file in (WEIGHTS, DISCRIMINATOR_WEIGHTS)
        ]
    schedule = Schedule.of(model, budget, start.size if start else None)
    for level in schedule.levels:
        spread.check_batch(name, level.batch, record["device_count"], model.network.check_batch)
    print(f"{name}: {_plan(schedule, record)}", flush=True)
    run.params(_told(name, record))
    run.dataset(
        f"{model.input}, train, {record['size']}",
        record["train_sha256"],
        model.folder,
        "training",
        {key: record[f"train_{key}"] for key in ("cycles", "patients")},
    )
    states = Checkpoints(main_checkout(), name, record)
    # Another process may be at the same recipe: it waits, and then trains for itself.
    alone = states.lock() if chief else nullcontext()
    # Only what is trained is built in the strategy's scope: there, variables wait for all workers.
    with strategy.scope(), spread.loss_explained(name), alone:
        training = _Training(name, model, schedule, record, cycles_at, vectors, states, run)
        training.begin(start)
        # A signal after the last step is too late: what is left takes seconds, or a minute where
        # MLflow is silent.
        with _stop_signals() as stopped:
            training.go_on(stopped)
            states.check(training.step.state())
            if chief:
                settle_statistics(training.step.pair.average, seed, conditions)
                with atomic_folder(folder) as partial:
                    pair = training.step.pair
                    save_networks(partial, training.record, pair.average, pair.discriminator)
                    shutil.copytree(states.snapshots, partial / "snapshots")
                    digest = sha256(partial / WEIGHTS)
                _write_curves(curves, training.history)
                run.tags({WEIGHTS_TAG: digest})
                run.artifact(folder, "model")
                run.artifact(curves, "model")
                # A finished state would make the next run look reproducible untrained. It goes
                # last: until all is written and told, the same command must find it.
                states.delete()
        spread.meet()  # a worker that is done before would look like one that is lost


def prepare(
    level: Level,
    model: Model,
    record: dict[str, Any],
    cycles_at: CyclesAt,
    vectors: np.ndarray | None = None,
) -> TrainingStep:
    """Build a level's networks in the training's precision, their average in float32.

    Their fresh weights are a function of the seed and the level. `vectors` are what networks are
    told of each cycle, if anything.
    """
    training, threads = model.training, record["threads"]
    configure(threads, training.precision, training.deterministic)
    set_seed((record["seed"] * 2048 + 2 * level.size + level.fading) % 2**32)
    generator, discriminator = build_generator(record), build_discriminator(record)
    configure(threads, deterministic=training.deterministic)
    pair = Pair(generator, discriminator, build_generator(record))
    for network in pair[:2]:
        spread.synchronise(network)
    sizes = (level.size, level.size // 2) if level.fading else (level.size,)
    return TrainingStep(
        pair,
        tuple(cycles_at(size) for size in sizes),
        training,
        level,
        record["seed"],
        independent_logits=model.network.independent_logits,
        fresh=record["start_from"] == FRESH,
        labels=len(record.get("label_channels", ())),
        conditions=vectors,
    )


class _Training:
    """A training under way: the present step, the curves so far, and what is saved of them."""

    def __init__(
        self,
        name: str,
        model: Model,
        schedule: Schedule,
        record: dict[str, Any],
        cycles_at: CyclesAt,
        vectors: np.ndarray,
        states: Checkpoints,
        run: Run,
    ) -> None:
        self.name, self.model, self.schedule, self.whole = name, model, schedule, record
        self.chief = spread.is_chief(record["devices"])
        self.cycles_at, self.vectors, self.states, self.run = cycles_at, vectors, states, run
        self.conditions = Conditions(record["condition_counts"])
        self.history: list[list[float]] = []  # the curves' points, (kimg, size, *METRICS) each
        self.since: list[np.ndarray] = []  # metrics of the steps since the last of them
        self.step: TrainingStep

    @property
    def record(self) -> dict[str, Any]:
        """What rebuilds the networks as they are."""
        return at_level(self.whole, self.step.level)

    def begin(self, start: Any) -> None:
        """Take up the last state that was saved; without one, start."""
        if not spread.agree(np.frombuffer(bytes.fromhex(self.states.key), np.int32)):
            raise CineganError(
                f"{self.name}: the workers differ in parameters, data, code or libraries; give all "
                "of them the same commit, params.yaml and data"
            )
        state = self.states.load() if self.chief else None
        level = int(spread.from_chief(np.array(state["level"] if state else -1)))
        self.step = self._prepare(self.schedule.levels[max(level, 0)])
        if level < 0:
            if start is not None:
                self.step.start_from(start.generator, start.discriminator)
            return
        blank = {key: np.zeros_like(value) for key, value in self.step.state().items()}
        saved = state or blank
        self.step.restore({key: spread.from_chief(saved[key]) for key in blank})
        if state:
            self.history, self.since = state["history"].tolist(), list(state["since"])
            for row in self.history:  # this run's curves begin where the training did
                self._report(row)
        print(
            f"{self.name}: goes on from step {self.step.done} of {self.schedule.steps}", flush=True
        )

    def go_on(self, stopped: Callable[[], bool]) -> None:
        """Run all steps that are left, or until `stopped` says so."""
        schedule, first = self.schedule, self.step.done
        shown = schedule.shown(first)
        started = time.monotonic()
        with tqdm(
            total=schedule.shown(schedule.steps),
            initial=shown,
            desc=self.name,
            unit="img",
            unit_scale=True,
            mininterval=1,
            disable=not self.chief,
        ) as bar:
            for number in range(first + 1, schedule.steps + 1):
                if self.step.done == self.step.level.end:
                    self._grow(schedule.level_after(self.step.done))
                    bar.set_postfix_str(f"{self.step.level.size}x{self.step.level.size}")
                metrics, stop = self.step(schedule.is_curve_point(number), stopped())
                self.since.append(metrics)
                if not np.isfinite(metrics).all():
                    raise CineganError(self._diverged(number, metrics))
                bar.update(self.step.level.batch)
                if schedule.is_curve_point(number):
                    seconds = time.monotonic() - started
                    self._add_point(number, (schedule.shown(number) - shown) / seconds)
                if self.chief:
                    if schedule.is_snapshot(number):
                        kimg = schedule.kimg(number)
                        self.run.picture(self._snapshot(kimg), "samples", kimg)
                    if stop or (self.states.due() and number < schedule.steps):
                        self._save()
                if stop:
                    raise CineganError(
                        f"{self.name}: interrupted after step {number} of {schedule.steps}; its "
                        "state is saved, the same command goes on from there"
                    )

    def _prepare(self, level: Level) -> TrainingStep:
        record = at_level(self.whole, level)
        return prepare(level, self.model, record, self.cycles_at, self.vectors)

    def _grow(self, level: Level) -> None:
        """Go on with the networks of the next level; what both have keeps its weights."""
        previous, self.step = self.step, self._prepare(level)
        self.step.take_over(previous)
        del previous
        gc.collect()  # compiled steps refer to themselves; kept, each level would add its memory

    def _add_point(self, number: int, rate: float) -> None:
        kimg = self.schedule.kimg(number)
        point = [*np.mean(self.since, axis=0)[: len(AVERAGED)], *self.since[-1][len(AVERAGED) :]]
        self.since = []
        self.history.append([kimg, self.step.level.size, *map(float, point)])
        self._report(self.history[-1], images_per_s=rate)

    def _report(self, row: list[float], **more: float) -> None:
        """Journal a point of the curves."""
        kimg, *values = row
        told = dict(zip(("size", *METRICS), values, strict=True))
        self.run.metrics(told | more, kimg, group="training")

    def _save(self) -> None:
        begun = time.monotonic()
        state = {
            **self.step.state(),
            "level": np.array(self.schedule.levels.index(self.step.level)),
            "history": np.array(self.history),
            "since": np.array(self.since),
        }
        self.states.save(state, begun)

    def _snapshot(self, kimg: float) -> np.ndarray:
        """Draw the same few latents as they look now; keep and return the picture."""
        average, seed = self.step.pair.average, self.whole["seed"]
        settle_statistics(average, seed, self.conditions)
        cycles = draw_cycles(average, SNAPSHOT_CYCLES, seed, self.conditions, progress=False)
        cycles = cycles[..., : self.whole["phases"]]
        grid = figures.magnify(figures.phase_grid(cycles), cycles.shape[1])
        figures.write_png(self.states.snapshots / f"{kimg:09.3f}.png", grid)
        return grid

    def _diverged(self, number: int, metrics: np.ndarray) -> str:
        first = METRICS[int(np.argmin(np.isfinite(metrics)))]
        return (
            f"{self.name}: {first} is not finite at step {number}; lower the learning rate or "
            f"train in float32 ({self.states.last_good()})"
        )


def _write_curves(path: Path, history: list[list[float]]) -> None:
    table = pd.DataFrame(history, columns=["kimg", "size", *METRICS]).astype({"size": int})
    with atomic_file(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")


def _record(
    cycles: np.ndarray,
    patients: np.ndarray,
    labels: Channels,
    vectors: np.ndarray,
    model: Model,
    budget: Budget,
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """What the result depends on but for the devices, and what rebuilds the networks."""
    recipe = model.model_dump(exclude={"budgets", "folder"})
    recipe["training"]["precision"] = precision_of(model.training.precision)
    return {
        **recipe,
        **budget.model_dump(exclude_none=True),
        "phases": cycles.shape[-1] - len(labels.names),
        "label_channels": labels.names,
        "label_phases": labels.phases,
        "seed": seed,
        "threads": threads,
        "train_cycles": len(cycles),
        "train_patients": len(set(patients)),
        "train_sha256": sha256_of_arrays(cycles, vectors),
    }


def _told(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """The recipe as people compare it: by group, without what follows from the data."""
    groups = {
        "model": ("architecture", "input", "size", "labels", "conditions", "start_from"),
        "budget": ("total_kimg", "snapshot_kimg", "fade_kimg", "stable_kimg"),
        "machine": ("threads", "devices", "device_count"),
    }
    told = {
        group: {key: record[key] for key in keys if key in record} for group, keys in groups.items()
    }
    return {
        "seed": record["seed"],
        **told,
        "model": {"name": name, **told["model"]},
        "network": record["network"],
        "training": record["training"],
        "data": {key: record[f"train_{key}"] for key in ("cycles", "patients")},
    }


def _plan(schedule: Schedule, record: dict[str, Any]) -> str:
    """One line: what will be done, and what it takes."""
    sizes = dict.fromkeys(level.size for level in schedule.levels)
    told = [f"{schedule.steps} steps, {schedule.kimg(schedule.steps):g} kimg"]
    if len(schedule.levels) > 1:
        told.append("growing " + ", ".join(f"{size}x{size}" for size in sizes))
        if schedule.levels[-1].size < record["size"]:
            told.append(f"which ends before {record['size']}x{record['size']}")
    return "; ".join([*told, training_cost(schedule, record)])


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
