"""Runs: what a training, a judgement, a comparison and a study tell MLflow."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from cinegan.files import sha256
from cinegan.tracking import outbox, provenance
from cinegan.tracking.machine import Machine
from cinegan.tracking.outbox import (
    EXPERIMENT_TAG,
    SEND,
    Draft,
    RunDeletedError,
    now_ms,
    run_with,
)
from cinegan.tracking.registry import as_tag, now
from cinegan.tracking.store import GENERATORS, NOTE_TAG, WEIGHTS_TAG, after, connect, reason, tell

SLOW_S = 5  # after which who waits for the last sending is told so
DIGEST = 16  # characters of a SHA-256 that tell data apart; MLflow takes 36 at most


class Run:
    """One MLflow run; without a draft, a silent one.

    What the store does not take is kept, tried again now and then, and at the end left in the
    outbox of the main checkout.
    """

    def __init__(
        self, draft: Draft | None = None, *, nested: bool = False, machine: Machine | None = None
    ) -> None:
        self._draft = draft
        self._nested = nested
        self._machine = machine
        self._client: Any = None
        self._ask_again = 0.0  # by the monotonic clock
        self._lost = False

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters; nested mappings are joined by dots."""
        self._tell("params", [[key, str(each)] for key, each in flattened(values).items()])

    def metrics(self, values: Mapping[str, Any], kimg: float = 0.0, group: str = "") -> None:
        """Record what is a number among the values, at the count of images shown.

        MLflow shows the metrics of a group together, groups by the alphabet.
        """
        prefix, now = f"{group}/" if group else "", now_ms()
        rows = [
            [f"{prefix}{key}", float(value), now, _step(kimg)]
            for key, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        self._tell("metrics", rows)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._tell("tags", dict(values))

    def describe(self, text: str) -> None:
        """Put Markdown above what the description says, which is how to make the run again."""
        if self._draft is not None:
            self.tags({NOTE_TAG: f"{text}\n\n{self._draft.tags.get(NOTE_TAG, '')}".strip()})

    def dataset(
        self, name: str, digest: str, source: str, context: str, profile: Mapping[str, Any]
    ) -> None:
        """Record cycles that were learnt from or judged on.

        Parameters
        ----------
        digest : str
            SHA-256 of the cycles.
        source : str
            Where the pipeline has them.
        context : str
            "training" or "evaluation".
        profile : mapping
            What they are, such as how many of how many patients.
        """
        told = {"name": name, "digest": digest[:DIGEST], "context": context}
        told |= {"source": json.dumps({"uri": source}), "profile": json.dumps(dict(profile))}
        self._tell("datasets", [told])

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file, or of a folder's files."""
        self._tell("artifact", {"path": str(path), "folder": folder})

    def picture(self, picture: np.ndarray, key: str, kimg: float) -> None:
        """Keep a grey picture, (H, W) uint8, as one of a series over training."""
        what = {"pixels": picture[..., None], "key": key, "step": _step(kimg), "time": now_ms()}
        self._tell("picture", what)

    def version(
        self,
        model: str,
        name: str,
        files: Sequence[Path],
        shape: tuple[int, int, int],
        figures: Mapping[str, Any],
        *,
        alias: str = "",
        provisional: bool = False,
    ) -> None:
        """Make the run's weights a version of a registered model.

        Parameters
        ----------
        model : str
            The registered model.
        name : str
            Of the generator.
        files : sequence of Path
            The weights, what rebuilds them, and their card.
        shape : tuple of int
            Of a cycle, (H, W, T).
        figures : mapping
            Kept as tags.
        alias : str
            That then points to this version: the generator's name where it is empty. What MLflow
            does not take in one becomes a hyphen.
        provisional : bool
            Whether test patients are yet to judge it; weights that are a version already then keep
            the card that they have.
        """
        what = {
            "model": model,
            "name": name,
            "files": [str(file) for file in files],
            "shape": shape,
            "figures": {key: as_tag(value) for key, value in figures.items()},
            "alias": re.sub(r"[^\w-]", "-", alias or name),
            "provisional": provisional,
            "when": now(),
        }
        self._tell("version", what)

    def best(self, model: str, figure: str, real: Mapping[str, Any]) -> None:
        """Let the alias `best` point to a registered model's version of the lowest figure.

        Parameters
        ----------
        figure : str
            Such as "kid_texture_test".
        real : mapping
            Figures that versions share which were judged on the same real cycles; others are no
            rivals.
        """
        told = {key: as_tag(value) for key, value in real.items()}
        self._tell("best", {"model": model, "figure": figure, "real": told})

    def end(self, status: str) -> None:
        """End it, "FINISHED" or "FAILED"; what has not arrived goes to the outbox."""
        self._tell("end", {"status": status, "time": now_ms()}, last=True)

    def _tell(self, kind: str, what: Any, *, last: bool = False) -> None:
        if self._draft is not None and what:
            if self._machine and (rows := self._machine.take()):
                self._draft.entries.append(["metrics", rows])
            self._draft.entries.append([kind, what])
            self.send(last=last)

    def send(self, *, last: bool = False) -> None:
        """Send what has been told; the last time, what does not arrive goes to the outbox.

        A signal ends the last sending, and nothing else: the work that it tells of is done.
        """
        if self._draft is None or self._nested:  # what is nested is sent with its parent
            return
        begun = time.monotonic()
        if begun < self._ask_again and not last:
            return
        try:
            with _left_at_a_signal() if last else nullcontext():
                if self._client is None:
                    self._client = connect(at_once=last)
                    self._send_kept()
                self._draft.deliver(self._client)
        except Exception as error:  # whatever the store's server or database raises
            self._ask_again = float("inf") if isinstance(error, RunDeletedError) else after(begun)
            if last:
                self._keep(error)
            elif not self._lost:
                tell(f"{_reason(error)}; going on, what it does not have is kept")
            self._lost = True
            return
        except KeyboardInterrupt as stopped:  # as where a silent server is waited for
            if not last:
                raise
            if self._draft.left():  # what it tells of is done, and stays
                self._keep(stopped)
        if self._lost:
            tell("answers again, and has all that was kept")
            self._lost = False

    def _send_kept(self) -> None:
        """Send what other runs left; what is left still is told in one line."""
        if left := outbox.send(self._client):
            more = f", and {len(left) - 1} more" if left[1:] else ""
            tell(f"kept still: {left[0]}{more}; `{SEND}` tries again")

    def _keep(self, error: BaseException) -> None:
        assert self._draft is not None
        try:
            folder = outbox.keep(self._draft)
        except OSError as full:
            tell(f"{_reason(error)}, and nothing can be kept ({full}); going on without")
            return
        where = f"{folder.parent.name}/{folder.name}"
        tell(
            f"{_reason(error)}; what it does not have of {self._draft.name} lies in {where} "
            f"until `{SEND}`, or the next stage, can send it"
        )


@contextmanager
def _left_at_a_signal() -> Iterator[None]:
    """Let SIGTERM interrupt as SIGINT does, and tell who waits long that it may be left."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    what = "is slow; Ctrl-C leaves it, and what it does not have is kept"
    slow = threading.Timer(SLOW_S, tell, [what])
    slow.daemon = True
    with outbox.signals(stop):
        slow.start()
        try:
            yield
        finally:
            slow.cancel()


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) if isinstance(error, RunDeletedError) else reason(error)


@contextmanager
def new_run(
    name: str, experiment: str = GENERATORS, *, within: Run | None = None, monitored: bool = False
) -> Iterator[Run]:
    """Open a new run; it ends as failed where the block does.

    Parameters
    ----------
    within : Run, optional
        The run that it is nested in, with which it is sent.
    monitored : bool
        Whether to tell what the machine is busy with meanwhile.
    """
    tags, parent = provenance.tags(), within._draft if within else None
    if parent is None:
        name = " ".join(filter(None, (name, tags.get(EXPERIMENT_TAG))))
        tags[NOTE_TAG] = provenance.description()
    draft = Draft(experiment, name, tags)
    if parent is not None:
        parent.children.append(draft)
    machine = Machine() if monitored else None
    run = Run(draft, nested=parent is not None, machine=machine)
    run.send()
    status = "FAILED"
    try:
        with machine or nullcontext():
            yield run
        status = "FINISHED"
    finally:
        run.end(status)


@contextmanager
def run_of_weights(
    weights: Path, name: str, experiment: str | None = None, kind: str = GENERATORS
) -> Iterator[Run]:
    """Give the newest run that trained these weights, of this experiment of DVC's if one did.

    Where there is none, one is made.

    Parameters
    ----------
    experiment : str, optional
        DVC's name of it; that which runs if None.
    kind : str
        MLflow's experiment for a run that is made.
    """
    digest = sha256(weights)
    tags = provenance.tags() | {WEIGHTS_TAG: digest, "restored": "true"}
    if experiment is not None:
        tags[EXPERIMENT_TAG] = experiment
    run = Run(Draft(kind, name, tags, weights=digest))
    try:
        yield run
    finally:
        run.send(last=True)


def linked(text: str, digest: str) -> str:
    """Markdown that links to the run that trained weights of this SHA-256, if any did."""
    try:
        found = run_with(connect(), digest, provenance.tags())
    except Exception:  # whatever the store's server or database raises; it is told elsewhere
        return text
    if found is None:
        return text
    return f"[{text}](#/experiments/{found.info.experiment_id}/runs/{found.info.run_id})"


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _step(kimg: float) -> int:
    """MLflow's steps are whole numbers: images shown."""
    return round(kimg * 1000)
