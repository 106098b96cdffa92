"""Runs as far as MLflow does not have them yet: kept, in order, until it takes them.

What a run tells is a list of entries, [kind, what], that any store can be given later: times
are those of the run, not of the sending.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from cinegan.files import atomic_folder, write_json
from cinegan.tracking.registry import mark_best, register
from cinegan.tracking.store import (
    EXPERIMENTS,
    MISSING,
    WEIGHTS_TAG,
    asked_once,
    experiment_id,
    public,
    reason,
    store,
    tell,
)
from cinegan.workspace import main_checkout

FOLDER, DRAFT = ".mlflow-unsent", "run.json"
EXPERIMENT_TAG = "dvc_exp_name"
DRAFT_TAG = "mlflow.cinegan.draft"  # whose name begins so, MLflow's pages do not show
USER_TAG = "mlflow.user"
PARENT_TAG = "mlflow.parentRunId"  # by which MLflow's UI nests runs
AT_ONCE = {"metrics": 1000, "params": 100}  # that a server takes
REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "MALFORMED_REQUEST"}
TOO_LARGE = 413  # HTTP's word for a file that is more than a server, or a proxy before it, takes
SEND = "python -m cinegan.tracking send"

Entry = list[Any]  # [kind, what]


class RunDeletedError(Exception):
    """Somebody deleted the run from the store."""


def now_ms() -> int:
    """As MLflow tells times."""
    return round(time.time() * 1000)


@dataclass
class Draft:
    """A run as far as the store does not have it.

    Attributes
    ----------
    weights : str, optional
        SHA-256. If given, what is told goes to the newest run that trained these; only where there
        is none, a run is made.
    draft_id : str
        By which the store's run is found again where its answer was lost.
    run_id : str, optional
        Of the run, once the store has it.
    entries : list
        What the store has not been told, in order.
    children : list of Draft
        Runs nested within this one. They follow when all of this one has arrived.
    """

    experiment: str
    name: str
    tags: dict[str, str]
    weights: str | None = None
    began: int = field(default_factory=now_ms)
    draft_id: str = field(default_factory=lambda: uuid4().hex)
    run_id: str | None = None
    entries: list[Entry] = field(default_factory=list)
    children: list[Draft] = field(default_factory=list)

    def deliver(self, client: Any) -> None:
        """Tell the store all it has not been told; what it takes is gone from here.

        Raises
        ------
        RunDeletedError
            If the run is in the store's bin.
        Exception
            Whatever the store's server or database raises. What is left is as it was.
        """
        if self.run_id is None:
            self.run_id = self._open(client)
        while self.entries:
            kind, what = self.entries[0]
            try:
                TELL[kind](client, self.run_id, what)
            except Exception as error:  # whatever the store's server or database raises
                self._check_refusal(client, kind, what, error)
            del self.entries[0]
        while self.children:
            self.children[0].tags[PARENT_TAG] = self.run_id
            self.children[0].deliver(client)
            del self.children[0]

    def left(self) -> int:
        """How much the store has not been told."""
        return (self.run_id is None) + len(self.entries) + sum(x.left() for x in self.children)

    def _open(self, client: Any) -> str:
        run_id = self._made(client)
        if run_id is None:
            if self.weights and (found := run_with(client, self.weights, self.tags)):
                return found.info.run_id
            run_id = self._make(client)
        if self.weights:  # nothing else will end it
            client.set_terminated(run_id, end_time=self.began)
        return run_id

    def _made(self, client: Any) -> str | None:
        """The run, if the store has made it and we did not hear of it."""
        from mlflow.entities import ViewType

        found = client.search_runs(
            [experiment_id(client, self.experiment)],
            f"tags.{DRAFT_TAG} = '{self.draft_id}'",
            run_view_type=ViewType.ALL,  # also where somebody has deleted it since
        )
        return found[0].info.run_id if found else None

    def _make(self, client: Any) -> str:
        with asked_once():  # a second answer would be a second run
            made = client.create_run(
                experiment_id(client, self.experiment),
                start_time=self.began,
                tags={**self.tags, DRAFT_TAG: self.draft_id},
                run_name=self.name,
            )
        return made.info.run_id

    def _check_refusal(self, client: Any, kind: str, what: Any, error: Exception) -> None:
        """Tell of what the store will never take; raise anything that may yet pass."""
        code = getattr(error, "error_code", None)
        if self._is_deleted(client, code):
            raise RunDeletedError(
                f"run {self.name} ({self.run_id}) was deleted; `mlflow runs restore --run-id "
                f"{self.run_id}` brings it back"
            ) from error
        if missing := _missing(kind, what):
            tell(f"{kind} of run {self.name} left out, since {missing[0]} is gone")
            return
        answer = getattr(getattr(error, "response", None), "status_code", None)
        if code not in REFUSALS and answer != TOO_LARGE:
            raise error
        tell(f"{kind} of run {self.name} left out, since it refuses them: {reason(error)}")

    def _is_deleted(self, client: Any, code: str | None) -> bool:
        if code not in {*REFUSALS, MISSING}:
            return False
        try:
            return client.get_run(self.run_id).info.lifecycle_stage == "deleted"
        except Exception as error:  # whatever the store's server or database raises
            if getattr(error, "error_code", None) != MISSING:
                raise
            return True


def run_with(client: Any, digest: str, tags: Mapping[str, str]) -> Any:
    """The newest run that trained these weights, as MLflow's entity; None if there is none.

    Of those, one of the same experiment of DVC's and the same person as `tags` goes first, then
    one of the same experiment: others may have trained the same weights.
    """
    found = client.search_runs(
        [experiment_id(client, name) for name in EXPERIMENTS],
        f"tags.{WEIGHTS_TAG} = '{digest}'",
        order_by=["attributes.start_time DESC"],
    )

    def fits(run: Any) -> tuple[bool, bool]:
        same = [run.data.tags.get(key) == tags.get(key) for key in (EXPERIMENT_TAG, USER_TAG)]
        return all(same), same[0]

    return max(found, key=fits, default=None)  # of several the first, which is the newest


# How each kind of entry is told.


def _tell_metrics(client: Any, run_id: str, rows: list[list[Any]]) -> None:
    """Rows are key, value, time and step."""
    from mlflow.entities import Metric

    for first in range(0, len(rows), AT_ONCE["metrics"]):
        part = rows[first : first + AT_ONCE["metrics"]]
        metrics = [Metric(key, float(value), when, step) for key, value, when, step in part]
        client.log_batch(run_id, metrics=metrics)


def _tell_params(client: Any, run_id: str, rows: list[list[str]]) -> None:
    from mlflow.entities import Param

    for first in range(0, len(rows), AT_ONCE["params"]):
        part = rows[first : first + AT_ONCE["params"]]
        client.log_batch(run_id, params=[Param(*row) for row in part])


def _tell_tags(client: Any, run_id: str, tags: dict[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def _tell_datasets(client: Any, run_id: str, told: list[dict[str, str]]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(each["name"], each["digest"], "local", each["source"], profile=each["profile"]),
            [InputTag("mlflow.data.context", each["context"])],
        )
        for each in told
    ]
    client.log_inputs(run_id, inputs)


def _tell_picture(client: Any, run_id: str, what: dict[str, Any]) -> None:
    client.log_image(
        run_id, what["pixels"], key=what["key"], step=what["step"], timestamp=what["time"]
    )


def _tell_artifact(client: Any, run_id: str, what: dict[str, Any]) -> None:
    path = Path(what["path"])
    action = client.log_artifacts if path.is_dir() else client.log_artifact
    action(run_id, str(path), what["folder"])


def _tell_version(client: Any, run_id: str, what: dict[str, Any]) -> None:
    register(client, run_id, **what)


def _tell_best(client: Any, _: str, what: dict[str, Any]) -> None:
    mark_best(client, **what)


def _tell_end(client: Any, run_id: str, what: dict[str, Any]) -> None:
    client.set_terminated(run_id, status=what["status"], end_time=what["time"])


TELL: dict[str, Callable[[Any, str, Any], None]] = {
    "metrics": _tell_metrics,
    "params": _tell_params,
    "tags": _tell_tags,
    "datasets": _tell_datasets,
    "picture": _tell_picture,
    "artifact": _tell_artifact,
    "version": _tell_version,
    "best": _tell_best,
    "end": _tell_end,
}


# What is kept on disk between a run and its sending.


def keep(draft: Draft, folder: Path | None = None) -> Path:
    """Write what the store does not have of a run into a folder of the outbox; where that is.

    Files that it tells of are copied, since stages write theirs anew.
    """
    slug = re.sub(r"\W+", "-", draft.name)
    folder = folder or main_checkout() / FOLDER / f"{draft.began}-{os.getpid()}-{slug}"
    with signals(lambda *_: None), atomic_folder(folder) as partial:  # impatience loses nothing
        write_json(partial / DRAFT, {"store": public(store()), **_stored(draft, partial)})
    return folder


@contextmanager
def signals(handler: Callable[..., None]) -> Iterator[None]:
    """Let it handle what asks us to stop."""
    if threading.current_thread() is not threading.main_thread():  # no other hears of signals
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)


def _missing(kind: str, what: Any) -> list[str]:
    """Files that an entry tells of and that are not there any more."""
    files = {"artifact": lambda: [what["path"]], "version": lambda: what["files"]}
    return [file for file in files.get(kind, list)() if not Path(file).exists()]


def _stored(draft: Draft, folder: Path) -> dict[str, Any]:
    """A draft as JSON; pictures and files go to the folder."""
    entries = []
    for kind, what in draft.entries:
        place = f"{len(list(folder.iterdir())):04d}"
        if missing := _missing(kind, what):
            tell(f"{kind} of run {draft.name} left out, since {missing[0]} is gone")
            continue
        match kind:
            case "metrics":  # JSON has no number that is not finite
                what = [[key, repr(value), *more] for key, value, *more in what]
            case "picture":
                np.save(folder / f"{place}.npy", what["pixels"])
                what = {**what, "pixels": f"{place}.npy"}
            case "artifact":
                path = Path(what["path"])
                copied = folder / place / path.name
                copied.parent.mkdir()
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, copied)
                what = {**what, "path": f"{place}/{path.name}"}
            case "version":
                (folder / place).mkdir()
                copies = [shutil.copy2(file, folder / place) for file in what["files"]]
                what = {**what, "files": [f"{place}/{Path(copy).name}" for copy in copies]}
        entries.append([kind, what])
    children = [_stored(child, folder) for child in draft.children]
    return {**vars(draft), "entries": entries, "children": children}


def _read(folder: Path) -> tuple[str, Draft]:
    """The store that a kept draft is for, and the draft."""
    told = json.loads((folder / DRAFT).read_text(encoding="utf-8"))
    return told.pop("store"), _draft(told, folder)


def _draft(told: dict[str, Any], folder: Path) -> Draft:
    for kind, what in told["entries"]:
        if kind == "picture":
            what["pixels"] = np.load(folder / what["pixels"])
        elif kind == "artifact":
            what["path"] = str(folder / what["path"])
        elif kind == "version":
            what["files"] = [str(folder / file) for file in what["files"]]
    children = [_draft(child, folder) for child in told.pop("children")]
    return Draft(**told, children=children)


def kept() -> list[Path]:
    """Folders of what has not been sent, oldest first."""
    return sorted(path.parent for path in (main_checkout() / FOLDER).glob(f"[!.]*/{DRAFT}"))


def send(client: Any) -> list[str]:
    """Send what is kept for this store; returns a line for each run that is still kept.

    What the store took is not sent again.

    Raises
    ------
    Exception
        Whatever the store's server or database raises when it is gone altogether.
    """
    if not kept():
        return []
    try:
        with FileLock(main_checkout() / FOLDER / ".lock", timeout=60):
            left = [_send(client, folder) for folder in kept()]
    except Timeout:
        return ["another process is sending them"]
    return [line for line in left if line]


def _send(client: Any, folder: Path) -> str:
    where = folder.relative_to(main_checkout())
    try:
        meant_for, draft = _read(folder)
    except Exception as error:  # whatever a file that was cut short raises
        return f"{where}: cannot be read ({reason(error)}); remove it"
    if meant_for != public(store()):
        return f"{where}: kept for {meant_for}; set MLFLOW_TRACKING_URI to that"
    before = draft.left()
    try:
        draft.deliver(client)
    except RunDeletedError as error:
        return f"{where}: {error}; or remove the folder"
    except Exception as error:  # whatever the store's server or database raises
        client.get_experiment_by_name(draft.experiment)  # fails too where it is not this run alone
        return f"{where}: {reason(error)}"
    finally:  # also where somebody stops us
        if 0 < draft.left() < before:
            keep(draft, folder)
    shutil.rmtree(folder)
    return ""
