"""MLflow: the journal of what was trained, the registry of models. No other file speaks to it.

DVC's lock and the files in metrics/ are the truth; a stage restored from DVC's cache makes no run
here. So a fault of the journal is told in one line and never stops a stage.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

import cinegan
from cinegan.errors import CineganError, run_command
from cinegan.files import sha256
from cinegan.workspace import main_checkout

EXPERIMENT = "cinegan"
WEIGHTS_TAG = "weights_sha256"
PARENT_TAG = "mlflow.parentRunId"  # by which MLflow's UI nests runs
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
REGISTERED = "generator"  # folder of a run's artifacts that a registered version is
LOADER = "cinegan.serve.pyfunc"  # loads it, so that no pickle is needed
BEST = "best"
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

    def register(
        self,
        model: str,
        name: str,
        files: Sequence[Path],
        shape: tuple[int, int, int],
        figures: Mapping[str, Any],
    ) -> None:
        """Make this run's weights a version of a registered model.

        Weights that are a version already stay that version, which is told the new figures.

        Parameters
        ----------
        model : str
            The registered model.
        name : str
            Of the generator: an alias that then points to this version.
        files : sequence of Path
            The weights, what rebuilds them, and their card.
        shape : tuple of int
            Of a cycle, (H, W, T).
        figures : mapping
            Kept as tags.
        """
        if self._client is None or self._failures >= PATIENCE:
            return
        try:
            with FileLock(main_checkout() / ".mlflow.lock", timeout=120):
                digest = sha256(files[0])
                made = _versions(self._client, model, {WEIGHTS_TAG: _told(digest)})
                version = made[0] if made else self._new_version(model, name, files, shape, digest)
                for key, value in figures.items():
                    self._client.set_model_version_tag(model, version.version, key, _told(value))
                self._client.set_registered_model_alias(model, name, version.version)
                if made:
                    folder = f"{REGISTERED}/data/{version.tags['model']}"
                    self._client.log_artifact(version.run_id, str(files[-1]), folder)
        except Exception as error:  # whatever the journal's server or database raises
            _warn(error)

    def _new_version(
        self, model: str, name: str, files: Sequence[Path], shape: tuple[int, int, int], digest: str
    ) -> Any:
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / name
            data.mkdir()
            for file in files:
                shutil.copy2(file, data)
            _save_pyfunc(Path(folder) / REGISTERED, data, shape, digest)
            self._client.log_artifacts(self._run_id, f"{folder}/{REGISTERED}", REGISTERED)
        try:
            self._client.create_registered_model(
                model, description="Generators of synthetic heartbeats that see and make the same."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._client.create_model_version(
            model,
            f"{self._client.get_run(self._run_id).info.artifact_uri}/{REGISTERED}",
            self._run_id,
            tags={"model": name, WEIGHTS_TAG: digest},
            description=f"{name}; {files[-1].name} among its artifacts says what it is and is not",
        )

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


def mark_best(model: str, figure: str, real: Mapping[str, Any]) -> None:
    """Let the alias `best` point to a registered model's version of the lowest figure.

    Parameters
    ----------
    figure : str
        Such as "kid_texture_test".
    real : mapping
        Figures that versions share which were judged on the same real cycles; others are no rivals.
    """
    client = _connected()
    if client is None:
        return
    try:
        rivals = [
            version
            for version in _versions(client, model, {key: _told(real[key]) for key in real})
            if version.tags.get(figure, _told(None)) != _told(None)
        ]
        if rivals:
            best = min(rivals, key=lambda each: (float(each.tags[figure]), int(each.version)))
            client.set_registered_model_alias(model, BEST, best.version)
    except Exception as error:  # whatever the journal's server or database raises
        _warn(error)


def fetch(uri: str, folder: Path) -> Path:
    """Download a registered version; returns the folder with its weights, called as its generator.

    Parameters
    ----------
    uri : str
        As MLflow writes it: "models:/NAME@ALIAS" or "models:/NAME/VERSION".

    Raises
    ------
    CineganError
        If the registry has none, cannot be reached, or its weights are not whole.
    """
    if not os.environ.get("MLFLOW_TRACKING_URI") and not (main_checkout() / "mlflow.db").exists():
        raise CineganError(
            f"{uri}: this folder has no MLflow store; set MLFLOW_TRACKING_URI to that of the "
            "registry, or run from the top folder of the project"
        )
    try:
        mlflow = _quiet_mlflow()
        with _as_default_store():
            got = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
            told = mlflow.models.Model.load(str(got)).metadata or {}
        (data,) = (got / "data").iterdir()
        (weights,) = data.glob("generator.*.h5")
        digest = sha256(weights)
    except Exception as error:  # whatever the registry's server or database raises
        raise CineganError(
            f"{uri}: cannot be had from MLflow at {_public(store())} ({_reason(error)}); name a "
            "registered model and an alias or version of it, or a folder models/NAME"
        ) from None
    if digest != told.get(WEIGHTS_TAG):
        raise CineganError(
            f"{uri}: its weights are not those that were registered; register them anew"
        )
    return data


def _versions(client: Any, model: str, tags: Mapping[str, str]) -> list[Any]:
    """Versions of a registered model that have all these tags."""
    found = client.search_model_versions(f"name = '{model}'")
    return [each for each in found if tags.items() <= each.tags.items()]


def _told(value: Any) -> str:
    """A tag's text."""
    return value if isinstance(value, str) else json.dumps(value)


def _save_pyfunc(path: Path, data: Path, shape: tuple[int, int, int], digest: str) -> None:
    """Write weights as MLflow's model: a folder of theirs, and which module loads it."""
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    with _as_default_store():  # the check of the example asks for one
        mlflow.pyfunc.save_model(
            str(path),
            loader_module=LOADER,
            data_path=str(data),
            signature=ModelSignature(
                Schema([ColSpec("long", "n"), ColSpec("long", "seed")]),
                Schema([TensorSpec(np.dtype(np.uint8), (-1, *shape))]),
            ),
            input_example=pd.DataFrame({"n": [2], "seed": [0]}),
            pip_requirements=[f"cinegan=={cinegan.__version__}"],
            metadata={WEIGHTS_TAG: digest},
        )


@contextmanager
def _as_default_store() -> Iterator[None]:
    """Let the parts of MLflow that take no store find ours, not a file in the current folder."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = store()
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


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
    try:
        mlflow = _quiet_mlflow()
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


def _quiet_mlflow() -> Any:
    """The package: quick to give up, and quiet."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # A lost server costs seconds, not minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.filterwarnings("ignore", module="mlflow")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow


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
    print(f"MLflow at {_public(store())}: {_reason(error)}; going on", file=sys.stderr)


def _reason(error: Exception) -> str:
    """One line, without a password."""
    if getattr(error, "error_code", None) == "UNAUTHENTICATED":
        return f"no such user or wrong password (401); {USER} and {PASSWORD} name them"
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return line.replace(store(), _public(store()))


def _public(uri: str) -> str:
    return re.sub(r"//[^/@]*@", "//", uri)  # without a password


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
