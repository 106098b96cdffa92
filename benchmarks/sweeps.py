"""Experiments in a queue and two workers: whether all runs arrive, each whole and its own.

In a copy of the project at smoke budgets, whose MLflow store does not exist before the two workers
need it; eight experiments that differ in their learning rate, three times over.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from cinegan.errors import CineganError

ROOT = Path(__file__).resolve().parents[1]
MODEL = "dcgan64"
STAGE = f"train@{MODEL}"
RATE = f"models.{MODEL}.training.learning_rate"
RATES = ("0.0001", "0.0002", "0.0003", "0.0004", "0.0005", "0.0006", "0.0007", "0.0008")
WORKERS, REPETITIONS = 2, 3
PATIENCE_S = 3600.0
LOOK_S = 20  # between two looks at the queue
IDLE_S = 60  # in which workers without work end by themselves
# What keeps the copy small: it is about the queue.
SMALL: Mapping[tuple[str, ...], Any] = {
    ("budget",): "smoke",
    ("threads",): 1,
    ("data", "phantom", "patients_per_group"): 1,
    ("data", "phantom", "slices"): 4,
    ("data", "phantom", "size"): 128,
    ("sample", "cycles"): 16,
    ("study", "gan"): MODEL,
    ("models", MODEL, "labels"): "moments",
    ("models", MODEL, "network", "generator"): [32, 16, 16, 8],
    ("models", MODEL, "network", "discriminator"): [8, 16, 16, 32],
    ("models", MODEL, "budgets", "smoke"): {"total_kimg": 0.064, "snapshot_kimg": 0.064},
}


def measure() -> dict[str, Any]:
    """Work off the queue so many times, each in a copy that nothing was trained in."""
    with tempfile.TemporaryDirectory() as folder:
        project = prepared(Path(folder) / "project")
        found = {}
        for number in range(1, REPETITIONS + 1):
            copy = Path(folder) / str(number)
            shutil.copytree(project, copy, symlinks=True)
            found[f"repetition {number}"] = worked_off(copy, RATES)
        return found


def worked_off(project: Path, rates: Sequence[str]) -> dict[str, Any]:
    """Queue an experiment for each rate, let two workers do them, and look what arrived."""
    dvc(
        project, "exp", "run", "--queue", "--name", "rate", "-S", f"{RATE}={','.join(rates)}", STAGE
    )
    start = time.monotonic()
    errors = work(project)
    seconds = time.monotonic() - start
    names = {f"rate-{number}": rate for number, rate in enumerate(rates, start=1)}
    runs = trainings_of(project)
    errors += [fault for name, rate in names.items() for fault in faults(name, rate, runs)]
    errors += [f"{len(runs)} runs for {len(names)} experiments"] * (len(runs) != len(names))
    collected = experiments_of(project)
    errors += [f"{name} is not in dvc exp show" for name in names if name not in collected]
    whole = sum(not faults(name, rate, runs) for name, rate in names.items())
    different = len({run.data.tags.get("weights_sha256") for run in runs})
    return {
        "complete runs": whole,
        "different weights": different,
        "errors": len(errors),
        **{f"error {number}": error for number, error in enumerate(errors, start=1)},
        "seconds": round(seconds),
    }


def prepared(project: Path) -> Path:
    """A copy of the working tree as a repository of its own, small, with cycles and one model."""
    listed = _run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "docs/", "dvc.lock")):
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["models"] = {MODEL: params["models"][MODEL]}
    for keys, value in SMALL.items():
        block = params
        for key in keys[:-1]:
            block = block[key]
        block[keys[-1]] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    _run(project, "git", "init", "-q", "-b", "main")
    dvc(project, "repro", "crop")
    _run(project, "git", "add", ".")
    author = ("-c", "user.name=author", "-c", "user.email=author@example.org")
    _run(project, "git", *author, "commit", "-qm", "small")
    return project


def work(project: Path, workers: int = WORKERS) -> list[str]:
    """Start workers and wait until the queue is done.

    They end by themselves once it is empty, unless DVC's word to do so is lost between them: then
    they wait for more, and are ended here.

    Returns
    -------
    list of str
        What went wrong with the queue.
    """
    dvc(project, "queue", "start", "--jobs", str(workers))
    files = [
        project / ".dvc/tmp/exps/celery" / f"dvc-exp-worker-{number}.pid"
        for number in range(1, workers + 1)
    ]
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not _within(LOOK_S, files):
            if _is_done(project):
                _within(IDLE_S, files)
                return []
            if time.monotonic() > deadline:
                return ["the queue was not done"]
        return []
    finally:
        _clear(project)


def _clear(project: Path) -> None:
    """End whatever still works in a folder: idle workers, or, interrupted, trainings too."""
    while there := [each for each in psutil.process_iter() if _works_in(project, each)]:
        for process in there:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(there)


def _works_in(project: Path, process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        here = Path(process.cwd()).is_relative_to(project.resolve())
        return here and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _is_done(project: Path) -> bool:
    """Whether no experiment waits or is in work."""
    return not re.search(r"\b(Queued|Running)\b", dvc(project, "queue", "status"))


def _within(seconds: float, files: Sequence[Path]) -> bool:
    """Whether the workers end within this time."""
    deadline = time.monotonic() + seconds
    while not (over := all(path.exists() and _ended(path) for path in files)):
        if time.monotonic() >= deadline:
            break
        time.sleep(0.5)
    return over


def _ended(path: Path) -> bool:
    """Whether the process that a file names has ended."""
    try:
        os.kill(int(path.read_text() or 0) or os.getpid(), 0)
    except ProcessLookupError:
        return True
    return False


def trainings_of(project: Path) -> list[Any]:
    """Runs of the train stage in the store of the project."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("cinegan")
    runs = client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []
    return [run for run in runs if run.data.tags.get("dvc_stage") == STAGE]


def faults(name: str, rate: str, runs: Sequence[Any]) -> list[str]:
    """What an experiment's run lacks."""
    own = [run for run in runs if run.data.tags.get("dvc_exp_name") == name]
    if len(own) != 1:
        return [f"{name}: {len(own)} runs"]
    (run,) = own
    data = run.data
    whole = {
        f"status {run.info.status}": run.info.status == "FINISHED",
        f"learning rate {data.params.get('training.learning_rate')}": (
            float(data.params.get("training.learning_rate", "nan")) == float(rate)
        ),
        "no loss": {"training/loss_generator", "training/loss_discriminator"}
        <= data.metrics.keys(),
        "no weights": "weights_sha256" in data.tags,
    }
    return [f"{name}: {fault}" for fault, well in whole.items() if not well]


def experiments_of(project: Path) -> set[str]:
    """Names of the experiments that `dvc exp show` shows with results."""
    told = dvc(project, "exp", "show", "--json")
    (_, *baselines) = json.loads(told[told.index("[") : told.rindex("]") + 1])
    shown = [each for baseline in baselines for each in baseline["experiments"] or []]
    whole = [each for each in shown if not any(rev.get("error") for rev in each["revs"])]
    return {each["name"] for each in whole}


def dvc(project: Path, *arguments: str) -> str:
    """Run a command of DVC's; what it told."""
    return _run(project, sys.executable, "-m", "dvc", *arguments)


def _run(folder: Path, *command: str) -> str:
    # Workers start `dvc` by its name. Whoever runs this may have a store of their own.
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    # Not pipes, which workers would hold open until they end.
    with tempfile.TemporaryFile("w+") as told, tempfile.TemporaryFile("w+") as amiss:
        ended = subprocess.run(
            command, cwd=folder, env=environment, stdout=told, stderr=amiss, check=False
        )
        for file in (told, amiss):
            file.seek(0)
        output = told.read()
        if ended.returncode:
            raise CineganError(f"{' '.join(command)}: {(output + amiss.read()).strip()[-1000:]}")
    return output
