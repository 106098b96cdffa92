"""MLflow: the journal of what was trained. The one file that speaks to it.

DVC's lock and the files in metrics/ are the truth; a stage restored from DVC's cache makes no run
here. So a fault of the journal is told in one line and never stops a stage.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from cinegan.errors import CineganError, run_command
from cinegan.files import sha256
from cinegan.workspace import main_checkout

EXPERIMENT = "cinegan"
WEIGHTS_TAG = "weights_sha256"
PARENT_TAG = "mlflow.parentRunId"  # by which MLflow's UI nests runs
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
UI_HOST, UI_PORT = "127.0.0.1", 5000

BATCH = 1000  # metrics that a server takes at once
PATIENCE = 3  # failures in a row after which a run's details are given up; its end is still told


class Run:
    """One MLflow run; silent where the journal cannot be reached."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self._failures = 0

    def _try(self, action: str, *arguments: Any, last: bool = False, **options: Any) -> None:
        if self._client is None or (self._failures >= PATIENCE and not last):
            return
        try:
            getattr(self._client, action)(self._run_id, *arguments, **options)
            self._failures = 0
        except Exception as error:  # whatever the journal's server or database raises
            self._failures += 1
            _warn(error)

    def params(self, values: Mapping[str, Any]) -> None:
        """Record parameters; nested mappings are joined by dots."""
        for key, value in flattened(values).items():
            self._try("log_param", key, value)

    def metrics(self, values: Mapping[str, Any], kimg: float = 0.0) -> None:
        """Record what is a number among the values, at the count of images shown."""
        if self._client is None:
            return
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        numbers = [
            Metric(key, float(value), now, _step(kimg))
            for key, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        for first in range(0, len(numbers), BATCH):
            self._try("log_batch", metrics=numbers[first : first + BATCH])

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        for key, value in values.items():
            self._try("set_tag", key, value, last=True)

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file, or of a folder's files."""
        action = "log_artifacts" if path.is_dir() else "log_artifact"
        self._try(action, str(path), folder)

    def picture(self, picture: np.ndarray, key: str, kimg: float) -> None:
        """Keep a grey picture, (H, W) uint8, as one of a series over training."""
        self._try("log_image", picture[..., None], key=key, step=_step(kimg))


@contextmanager
def new_run(name: str, within: Run | None = None) -> Iterator[Run]:
    """Open a new run, if wanted nested within another; it ends as failed where the block does."""
    client = _connected()
    run = Run(None, "")
    if client is not None:
        try:
            experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
            tags = _provenance() | (
                {PARENT_TAG: within._run_id} if within and within._run_id else {}
            )
            made = client.create_run(experiment, run_name=name, tags=tags)
            run = Run(client, made.info.run_id)
        except Exception as error:  # whatever the journal's server or database raises
            _warn(error)
    try:
        yield run
    except BaseException:
        run._try("set_terminated", status="FAILED", last=True)
        raise
    run._try("set_terminated", status="FINISHED", last=True)


@contextmanager
def run_of_weights(weights: Path, name: str) -> Iterator[Run]:
    """Give the newest run that trained these weights; make one where there is none."""
    digest = sha256(weights)
    found = _newest_with(digest)
    if found is not None:
        yield found
        return
    with new_run(name) as run:
        run.tags({WEIGHTS_TAG: digest, "restored": "true"})
        yield run


def _step(kimg: float) -> int:
    """MLflow's steps are whole numbers: images shown."""
    return round(kimg * 1000)


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def store() -> str:
    """Where runs are kept: MLFLOW_TRACKING_URI, else a database in the main checkout."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{main_checkout() / 'mlflow.db'}"


def _connected() -> Any:
    """Return a client of a store that is ready, or None."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # A lost server costs seconds, not minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    warnings.filterwarnings("ignore", module="mlflow")
    try:
        import mlflow

        logging.getLogger("alembic").setLevel(logging.WARNING)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        # Two processes that create one sqlite store or experiment at once would break it.
        with FileLock(main_checkout() / ".mlflow.lock", timeout=120):
            client = mlflow.MlflowClient(tracking_uri=store())
            if client.get_experiment_by_name(EXPERIMENT) is None:
                local = store().startswith("sqlite:")
                artifacts = (main_checkout() / "mlartifacts").as_uri() if local else None
                _create_experiment(client, artifacts)
    except Exception as error:  # whatever the journal's server or database raises
        _warn(error)
        return None
    return client


def _create_experiment(client: Any, artifacts: str | None) -> None:
    try:
        client.create_experiment(EXPERIMENT, artifact_location=artifacts)
    except Exception:  # of the same name, perhaps: made by somebody else of the team meanwhile
        if client.get_experiment_by_name(EXPERIMENT) is None:
            raise


def _newest_with(digest: str) -> Run | None:
    client = _connected()
    if client is None:
        return Run(None, "")
    try:
        experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
        found = client.search_runs(
            [experiment],
            f"tags.{WEIGHTS_TAG} = '{digest}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
    except Exception as error:  # whatever the journal's server or database raises
        _warn(error)
        return Run(None, "")
    return Run(client, found[0].info.run_id) if found else None


def _provenance() -> dict[str, str]:
    """Where a run comes from: git commit, whether files differed from it, DVC stage, experiment."""
    commit = _git("rev-parse", "HEAD")
    dirty = str(bool(_git("status", "--porcelain"))).lower()
    tags = {
        "mlflow.source.git.commit": commit,
        "git_commit": commit,
        "git_dirty": dirty if commit else "",
        "dvc_stage": os.environ.get("DVC_STAGE", ""),
        "dvc_exp_name": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {key: value for key, value in tags.items() if value}


def _git(*arguments: str) -> str:
    try:
        answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _warn(error: Exception) -> None:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    if getattr(error, "error_code", None) == "UNAUTHENTICATED":
        reason = f"no such user or wrong password (401); {USER} and {PASSWORD} name them"
    where = re.sub(r"//[^/@]*@", "//", store())  # without a password
    print(f"MLflow at {where}: {reason.replace(store(), where)}; going on", file=sys.stderr)


def main(arguments: Sequence[str]) -> None:
    """`python -m cinegan.tracking ui`: the MLflow UI on loopback, over the store of the runs."""
    if list(arguments) != ["ui"]:
        raise CineganError("usage: python -m cinegan.tracking ui")
    _connected()
    command = ["mlflow", "ui", "--host", UI_HOST, "--port", str(UI_PORT), "--workers", "1"]
    print(f"http://{UI_HOST}:{UI_PORT} (Ctrl-C ends it)", flush=True)
    # By the environment: a command line with a password is everybody's to read.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": store()}
    sys.exit(subprocess.call([sys.executable, "-m", *command], env=environment))


if __name__ == "__main__":
    run_command(main)
