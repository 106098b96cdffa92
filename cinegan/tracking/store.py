"""Where MLflow keeps things: how the store is reached, and what is told when it is not."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import make_url

from cinegan.workspace import main_checkout

EXPERIMENTS = {  # name: what MLflow tells of it
    "cinegan": "Generators. A run is a training; `evaluate` adds its figures of merit to it.",
    "cinegan-comparison": "All models side by side, as `compare` found them.",
    "cinegan-study": "Does augmentation help? A run is a study, each arm's training within it; "
    "generators that learnt from a part of the patients are runs of their own.",
}
GENERATORS, COMPARISONS, STUDIES = EXPERIMENTS
NOTE_TAG = "mlflow.note.content"  # what MLflow's UI shows as a description
WEIGHTS_TAG = "weights_sha256"
KIND_TAG = "mlflow.experimentKind"  # without it, MLflow takes it for one of language models
MISSING = "RESOURCE_DOES_NOT_EXIST"  # as MLflow answers
PAUSE = 10  # seconds, at least, before a store that did not answer is asked again
PATIENCE = 10  # times as long as the answer took, at least
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


def store() -> str:
    """Where runs are kept: MLFLOW_TRACKING_URI, else a database in the main checkout."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_checkout() / 'mlflow.db'}"


_faults: dict[str, tuple[Exception, float]] = {}  # of stores: what they said, when to ask again


def connect(*, at_once: bool = False) -> Any:
    """A client of the store, which has all experiments.

    A store that could not be reached is not asked again for a while, but where it is to be at once.

    Raises
    ------
    Exception
        Whatever the store's server or database raises, or raised when it was last asked.
    """
    fault, ask_again = _faults.get(store(), (None, 0.0))
    if fault is not None and time.monotonic() < ask_again and not at_once:
        raise fault
    begun = time.monotonic()
    try:
        client = _connect()
    except Exception as error:  # whatever the store's server or database raises
        _faults[store()] = error, after(begun)
        raise
    _faults.pop(store(), None)
    return client


def after(begun: float) -> float:
    """When a store that was asked in vain from then on may be asked again, by the same clock."""
    now = time.monotonic()
    return now + max(PAUSE, PATIENCE * (now - begun))


def _connect() -> Any:
    mlflow = quiet_mlflow()
    # Two processes that create one sqlite store or experiment at once would break it.
    with alone() if _is_sqlite() else nullcontext():
        client = mlflow.MlflowClient(tracking_uri=store())
        for name in EXPERIMENTS:
            if client.get_experiment_by_name(name) is None:
                _create_experiment(client, name)
    return client


def alone() -> FileLock:
    """Keep others from the store: those of this checkout, of a SQLite file all who write to it."""
    database = make_url(store()).database if _is_sqlite() else None
    folder = Path(database).absolute().parent if database else main_checkout()
    return FileLock(folder / ".mlflow.lock", timeout=120)


def _is_sqlite() -> bool:
    return store().startswith("sqlite:")


def experiment_id(client: Any, name: str) -> str:
    """The number that the store gave an experiment."""
    return client.get_experiment_by_name(name).experiment_id


def _create_experiment(client: Any, name: str) -> None:
    local = _is_sqlite()
    try:
        client.create_experiment(
            name,
            artifact_location=(main_checkout() / "mlartifacts" / name).as_uri() if local else None,
            tags={NOTE_TAG: EXPERIMENTS[name], KIND_TAG: "custom_model_development"},
        )
    except Exception:  # of the same name, perhaps: made by somebody else of the team meanwhile
        if client.get_experiment_by_name(name) is None:
            raise


def quiet_mlflow() -> Any:
    """The package: quick to give up, and quiet."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # A silent server is waited for a minute each time, not a quarter of an hour.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.filterwarnings("ignore", module="mlflow")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if not store().startswith("http"):  # a lost database costs minutes otherwise, line by line
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = 3
        logging.getLogger(utils.__name__).setLevel(logging.ERROR)
    # What a machine was busy with is no result: where it cannot be told, nobody need know.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    return mlflow


def as_default_store() -> AbstractContextManager[None]:
    """Let the parts of MLflow that take no store find ours, not a file in the current folder."""
    return _environment("MLFLOW_TRACKING_URI", store())


def asked_once() -> AbstractContextManager[None]:
    """Let MLflow's client not repeat a request whose answer was lost."""
    return _environment("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def tell(what: str) -> None:
    """One line about the store, for the person who waits."""
    print(f"MLflow at {public(store())}: {what}", file=sys.stderr, flush=True)


def reason(error: BaseException) -> str:
    """One line, without a password."""
    if getattr(error, "error_code", None) == "UNAUTHENTICATED":
        return f"no such user or wrong password (401); {USER} and {PASSWORD} name them"
    told = str(error).replace(store(), public(store()))  # whole, before it is cut
    told = re.sub(r"(?<=://)[^\s/]*@", "", told)  # as libraries spell it
    return (told.strip().splitlines() or [type(error).__name__])[0][:200]


def public(uri: str) -> str:
    """A store's address without user, password and query, which may name them too."""
    # A password may hold `/`, `?` and `@`, too: it ends at the last `@`.
    return re.sub(r"^([^/]*//)[^/:?]*(:.*)?@", r"\1", uri).partition("?")[0]
