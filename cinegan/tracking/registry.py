"""The registry: trained generators as versions of models, and how they are fetched."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import cinegan
from cinegan.errors import CineganError
from cinegan.files import sha256
from cinegan.tracking.store import (
    MISSING,
    WEIGHTS_TAG,
    alone,
    as_default_store,
    asked_once,
    public,
    quiet_mlflow,
    reason,
    store,
    tell,
)
from cinegan.workspace import main_checkout

REGISTERED = "generator"  # folder of a run's artifacts that a registered version is
LOADER = "cinegan.serve.pyfunc"  # loads it, so that no pickle is needed
BEST = "best"


def register(
    client: Any,
    run_id: str,
    *,
    model: str,
    name: str,
    files: Sequence[str],
    shape: Sequence[int],
    figures: Mapping[str, str],
    alias: str,
    provisional: bool,
    when: str,
) -> None:
    """Make a run's weights a version of a registered model, as `Run.version` tells of it.

    Weights that are a version already stay that version, which is told the new figures. What was
    told of the alias later than `when`, since this has waited for its server, stays.

    Raises
    ------
    Exception
        Whatever the registry's server or database raises. To do it again does no harm.
    """
    weights, _, card = paths = [Path(file) for file in files]
    with alone():
        told_at = f"judged.{alias}"
        made = [
            version
            for version in _versions(client, model, {WEIGHTS_TAG: sha256(weights)})
            if _is_whole(client, version, weights.name)
        ]
        version = made[0] if made else _new_version(client, run_id, model, name, paths, shape)
        if later := _judged_later(version, told_at, when):
            tell(f"figures of {model}@{alias} stay those of {later}, which are newer")
        else:
            for key, value in {**figures, told_at: when}.items():
                client.set_model_version_tag(model, version.version, key, value)
            if made and not provisional:
                folder = f"{REGISTERED}/data/{version.tags['model']}"
                client.log_artifact(version.run_id, str(card), folder)
        before = client.get_registered_model(model).aliases.get(alias)
        if before is None or str(before) == str(version.version):
            client.set_registered_model_alias(model, alias, version.version)
        elif later := _judged_later(client.get_model_version(model, before), told_at, when):
            tell(f"{model}@{alias} stays version {before}, which was judged later, at {later}")
        else:
            client.set_registered_model_alias(model, alias, version.version)
            tell(f"{model}@{alias} was version {before}, and is {version.version} from now on")


def now() -> str:
    """The time as versions are told it, in UTC; texts of it are in the order of times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _judged_later(version: Any, told_at: str, when: str) -> str:
    """The time of a version's judgement if it is later; one yet to come is a wrong clock's."""
    judged = version.tags.get(told_at, "")
    return judged if when < judged <= now() else ""


def _is_whole(client: Any, version: Any, weights: str) -> bool:
    """Whether its weights are in the store as they were registered: somebody may delete them."""
    path = f"{REGISTERED}/data/{version.tags['model']}/{weights}"
    try:
        there = client.list_artifacts(version.run_id, str(Path(path).parent))
    except Exception as error:  # whatever the store's server or database raises
        if getattr(error, "error_code", None) == MISSING:
            return False
        raise
    if path not in {each.path for each in there}:
        return False
    with tempfile.TemporaryDirectory() as folder:
        got = client.download_artifacts(version.run_id, path, folder)
        return sha256(Path(got)) == version.tags[WEIGHTS_TAG]


def _new_version(
    client: Any,
    run_id: str,
    model: str,
    name: str,
    files: Sequence[Path],
    shape: Sequence[int],
) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            model, description="Generators of synthetic heartbeats that see and make the same."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    digest = sha256(files[0])
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / name
        data.mkdir()
        for file in files:
            shutil.copy2(file, data)
        _save_pyfunc(Path(folder) / REGISTERED, data, shape, digest)
        client.log_artifacts(run_id, f"{folder}/{REGISTERED}", REGISTERED)
    with asked_once():  # a second answer would be a second version
        return client.create_model_version(
            model,
            f"{client.get_run(run_id).info.artifact_uri}/{REGISTERED}",
            run_id,
            tags={"model": name, WEIGHTS_TAG: digest},
            description=f"{name}; {files[-1].name} among its artifacts says what it is and is not",
        )


def mark_best(client: Any, *, model: str, figure: str, real: Mapping[str, str]) -> None:
    """Let the alias `best` point to a registered model's version of the lowest figure.

    Parameters
    ----------
    figure : str
        Such as "kid_texture_test".
    real : mapping
        Figures that versions share which were judged on the same real cycles; others are no rivals.

    Raises
    ------
    Exception
        Whatever the registry's server or database raises.
    """
    with alone():
        # Another checkout may register or mark one meanwhile: look until nobody has.
        while (best := _best(client, model, figure, real)) and not _is_marked(client, best):
            client.set_registered_model_alias(model, BEST, best.version)


def _best(client: Any, model: str, figure: str, real: Mapping[str, str]) -> Any:
    """The version of the lowest figure among rivals; None if there are none."""
    rivals = [
        version
        for version in _versions(client, model, real)
        if version.tags.get(figure, as_tag(None)) != as_tag(None)
    ]
    return min(rivals, key=lambda each: (float(each.tags[figure]), int(each.version)), default=None)


def _is_marked(client: Any, version: Any) -> bool:
    aliases = client.get_registered_model(version.name).aliases
    return str(aliases.get(BEST)) == str(version.version)


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
        mlflow = quiet_mlflow()
        with as_default_store():
            got = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
            told = mlflow.models.Model.load(str(got)).metadata or {}
        (data,) = (got / "data").iterdir()
        (weights,) = data.glob("generator.*.h5")
        digest = sha256(weights)
    except Exception as error:  # whatever the registry's server or database raises
        raise CineganError(
            f"{uri}: cannot be had from MLflow at {public(store())} ({reason(error)}); name a "
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


def as_tag(value: Any) -> str:
    """A figure as the text of a version's tag."""
    return value if isinstance(value, str) else json.dumps(value)


def _save_pyfunc(path: Path, data: Path, shape: Sequence[int], digest: str) -> None:
    """Write weights as MLflow's model: a folder of theirs, and which module loads it."""
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    with as_default_store():  # the check of the example asks for one
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
