"""Sweeps: experiments judged against val patients, and an optimiser that proposes them.

`python -m cinegan.sweep optimise NAME MODEL` runs trials that Optuna proposes, each an experiment
of DVC's in a copy of its own; `python -m cinegan.sweep judge MODEL EXPERIMENT ...` judges any
experiments. Both add what they find to the training's run in MLflow and register the generator. No
test patient is read.
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from filelock import FileLock, Timeout

from cinegan.comparison import contest
from cinegan.data.cohort import Cohort
from cinegan.errors import CineganError, run_command
from cinegan.evaluation.extractors import MOTION, TEXTURE
from cinegan.evaluation.features import unfit
from cinegan.evaluation.kernel import kernel
from cinegan.evaluation.report import SYNTHETIC, features_of
from cinegan.evaluation.subsamples import Group, at_size
from cinegan.export.origin import source_of_data
from cinegan.files import read_json, rounded, sha256
from cinegan.model_card import CARD, write_card
from cinegan.models import RECORD, WEIGHTS
from cinegan.params import PARAMS_FILE, load_params
from cinegan.tracking.runs import flattened, run_of_weights

CHOSEN_BY = "kid_texture_val"  # lower is better
DRAWS = 20
DVC = (sys.executable, "-m", "dvc")
STUDIES = Path(".sweeps")
NAME = re.compile(r"[A-Za-z0-9_]+")
EXPERIMENTS = "refs/exps/*/*/*"  # where DVC keeps them: a commit's first two digits, the rest, name
SETTING = "KEY=VALUE, as of dvc exp run, fixed; or choice(A, B, ...), interval(LOW, HIGH), "
SETTING += "int(interval(...)), tag(log, interval(...)) to choose from"


# Judging


def against_val(samples: np.ndarray, cohort: Cohort) -> dict[str, Any]:
    """Kernel distances of samples to real cycles of val patients, who taught no network.

    A generator gains nothing here by copying train cycles, as it would against train.

    Parameters
    ----------
    samples : ndarray of uint8, shape (n, H, H, T)

    Returns
    -------
    dict
        `kid_texture_val`, `kid_motion_val`: as `kid_..._test` of `evaluate`, in features that are
        measured in standard deviations of train cycles, too.

    Raises
    ------
    CineganError
        If samples cannot be judged, such as those of a generator that makes nothing but grey.
    """
    real = {split: cohort.split(split, samples.shape[1])[0] for split in ("train", "val")}
    if fault := unfit(samples, real["train"]):
        raise CineganError(fault)
    size = min(len(samples), len(real["val"]))
    figures = {}
    for extractor in (TEXTURE, MOTION):
        features = features_of(samples, real, extractor)
        groups = [Group(features[each]) for each in (SYNTHETIC, "val")]
        found = at_size(kernel, groups, size, draws=DRAWS, seed=0)
        figures[f"kid_{extractor.name}_val"] = rounded(found["kid"].value)
    return figures


def judge(model: str, experiment: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Judge an experiment's samples; figures and tags are added to its training's run.

    Its generator is registered with the figures, under the alias MODEL-EXPERIMENT.

    Raises
    ------
    CineganError
        If there is no such experiment, it has no samples, or they cannot be judged here.
    """
    folder = Path(load_params().model_named(model).folder)
    commit = commit_of(experiment)
    if commit is None:
        raise CineganError("no such experiment; `dvc exp list` names those there are")
    if _md5_of(folder, _git("show", f"{commit}:dvc.lock")) != _md5_of(folder, _workspaces_lock()):
        raise CineganError(
            f"trained on other cycles than those in {folder}; with its parameters in "
            f"{PARAMS_FILE}, `dvc repro {folder}` brings them"
        )
    with tempfile.TemporaryDirectory() as temporary:
        samples, trained = Path(temporary) / "cycles.npy", Path(temporary) / "model"
        _get(commit, f"data/samples/{model}/cycles.npy", samples)
        _get(commit, f"models/{model}", trained)
        figures = against_val(np.load(samples), Cohort(folder))
        record, card = read_json(trained / RECORD), trained / CARD
        source = source_of_data(Cohort(folder), load_params().data.source)
        write_card(card, model, record, sha256(trained / WEIGHTS), source, of_val=figures)
        with run_of_weights(trained / WEIGHTS, model, experiment) as run:
            run.metrics(figures, group="figures")
            run.tags(tags)
            run.version(
                contest(record),
                model,
                (trained / WEIGHTS, trained / RECORD, card),
                (record["size"], record["size"], record["phases"]),
                figures,
                alias=f"{model}-{experiment}",
                provisional=True,
            )
    return figures


def commit_of(experiment: str) -> str | None:
    """The commit of an experiment of DVC's, of several of that name the newest."""
    listed = _git(
        "for-each-ref", "--sort=-committerdate", "--format=%(objectname) %(refname)", EXPERIMENTS
    )
    commits = [line.split(" ", 1) for line in listed.splitlines()]
    return next((each for each, ref in commits if ref.split("/")[-1] == experiment), None)


def _workspaces_lock() -> str:
    path = Path("dvc.lock")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _md5_of(folder: Path, lock: str) -> str | None:
    """What a lock file says that a stage has made of a folder."""
    stages = (yaml.safe_load(lock) or {}).get("stages", {})
    outs = (out for stage in stages.values() for out in stage.get("outs", []))
    return next((out["md5"] for out in outs if out["path"] == folder.as_posix()), None)


def _get(commit: str, path: str, to: Path) -> None:
    """Bring what an experiment made, out of DVC's cache."""
    done = subprocess.run(
        [*DVC, "get", ".", path, "--rev", commit, "--out", str(to)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CineganError(f"no {path}: {last_words(done.stdout)}")


# Optimising


def space_of(settings: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Settings that are fixed, and Optuna's distributions of those that are not, by their keys.

    Raises
    ------
    CineganError
        If one is not in Hydra's syntax, or its key is not in params.yaml.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    known = flattened(yaml.safe_load(PARAMS_FILE.read_text(encoding="utf-8")))
    parser = OverridesParser.create()
    fixed, swept = [], {}
    for setting in settings:
        try:
            override = parser.parse_override(setting)
        except HydraException as error:
            raise CineganError(f"-S {setting}: {str(error).splitlines()[0]}") from None
        key = override.key_or_group
        if not any(each == key or each.startswith(f"{key}.") for each in known):
            (nearest,) = difflib.get_close_matches(key, known, 1, cutoff=0)
            raise CineganError(f"-S {setting}: the nearest key of {PARAMS_FILE} is {nearest}")
        if override.is_sweep_override():
            swept[key] = _distribution(setting, override)
        else:
            fixed.append(setting)
    return fixed, swept


def _distribution(setting: str, override: Any) -> Any:
    from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    try:
        if isinstance(value, ChoiceSweep):
            return CategoricalDistribution(list(override.sweep_string_iterator()))
        if isinstance(value, IntervalSweep):
            whole = isinstance(value.start, int)
            kind: Any = IntDistribution if whole else FloatDistribution
            return kind(value.start, value.end, log="log" in value.tags)
    except ValueError as error:
        raise CineganError(f"-S {setting}: {error}") from None
    raise CineganError(f"-S {setting}: an optimiser chooses from choice(...) or interval(...)")


class Trial(NamedTuple):
    """What an experiment is to be trained with."""

    number: int
    values: Mapping[str, Any]


class Sweep:
    """A study of Optuna's on disk, which several processes may work at.

    A trial belongs to the process that holds its lock. One whose process is gone, by Ctrl-C, a
    kill or a power cut, is taken over by the next that asks, under its own number and name: its
    training goes on from the state that was saved.
    """

    def __init__(self, name: str, told: Mapping[str, Any], space: Mapping[str, Any]) -> None:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.name, self.folder = name, STUDIES / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._space = dict(space)
        self._states = optuna.trial.TrialState
        self._sampler = optuna.samplers.TPESampler
        with self._alone():
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(self.folder / "journal"))),
                study_name=name,
                load_if_exists=True,
            )
            begun = self._study.user_attrs.get("told", told)
            self._study.set_user_attr("told", begun)
        if begun != told:
            raise CineganError(f"{name} was begun with {begun}; give another sweep another name")

    def trials(self, most: int, seed: int) -> Iterator[Trial]:
        """Trials that are this process' to run, until the sweep has `most`."""
        while True:
            with self._alone():
                found = self._abandoned() or self._new(most, seed)
            if found is None:
                return
            trial, lock = found
            try:
                yield trial
            finally:
                lock.release()

    def tell(self, trial: Trial, value: float | None) -> None:
        """Say what came of a trial; None if it failed."""
        self._study.tell(trial.number, value, None if value is not None else self._states.FAIL)

    def best(self) -> tuple[str, float] | None:
        """The experiment of the lowest figure, and that figure."""
        ended = self._study.get_trials(deepcopy=False, states=[self._states.COMPLETE])
        if not ended:
            return None
        lowest = min(ended, key=lambda each: (each.value, each.number))
        return self.experiment(lowest.number), float(lowest.value or 0.0)

    def experiment(self, number: int) -> str:
        """What DVC calls a trial."""
        return f"{self.name}-{number}"

    def _alone(self) -> FileLock:
        return FileLock(self.folder / "lock")

    def _claim(self, number: int) -> FileLock | None:
        lock = FileLock(self.folder / f"{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        return lock

    def _abandoned(self) -> tuple[Trial, FileLock] | None:
        for begun in self._study.get_trials(deepcopy=False, states=[self._states.RUNNING]):
            lock = self._claim(begun.number)
            if lock is None:
                continue
            if begun.params.keys() == self._space.keys():
                return Trial(begun.number, begun.params), lock
            self._study.tell(begun.number, state=self._states.FAIL)  # killed while it was drawn
            lock.release()
        return None

    def _new(self, most: int, seed: int) -> tuple[Trial, FileLock] | None:
        number = len(self._study.get_trials(deepcopy=False))
        if number >= most:
            return None
        if commit_of(self.experiment(number)):
            raise CineganError(
                f"{self.experiment(number)}: there is such an experiment already; give the sweep "
                "another name, or remove it with `dvc exp remove`"
            )
        # Of the trial's number alone, so that a sweep that was interrupted draws the same.
        self._study.sampler = self._sampler(seed=seed + number, constant_liar=True)
        made = self._study.ask(self._space)
        lock = self._claim(made.number)
        assert lock is not None
        return Trial(made.number, made.params), lock


def run_experiment(name: str, settings: Sequence[str], target: str, log: Path) -> None:
    """Run a stage and what it depends on as an experiment, in a copy of its own.

    Raises
    ------
    CineganError
        If it fails; what it said last is told.
    """
    command = [*DVC, "--wait-for-lock", "exp", "run", "--temp", "--name", name]
    command += [*(word for setting in settings for word in ("-S", setting)), target]
    with log.open("a") as told, subprocess.Popen(command, stdout=told, stderr=told) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C reached it too: it saves the training's state and clears up
            raise
    # What was left running by a sweep that was killed may have made it meanwhile.
    if code and commit_of(name) is None:
        raise CineganError(f"failed: {last_words(log.read_text(errors='replace'))} ({log})")


def last_words(told: str) -> str:
    """The last fault that a command told, in one line."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    faults = [line for line in lines if line.lower().startswith("error")]
    ours = [line for line in faults if line.startswith("error: ")]
    return ((ours or faults or lines)[-1:] or ["it said nothing"])[0]


def optimise(name: str, model: str, settings: Sequence[str], most: int) -> None:
    """Run trials until the sweep has so many; several processes may do so at once.

    Raises
    ------
    CineganError
        If settings are no search, or no trial came to an end.
    """
    params = load_params()
    params.model_named(model)
    fixed, space = space_of(settings)
    if not space:
        raise CineganError("nothing to choose from: give -S KEY=choice(...) or interval(...)")
    sweep = Sweep(name, {"model": model, "settings": sorted(settings)}, space)
    for trial in sweep.trials(most, params.seed):
        experiment = sweep.experiment(trial.number)
        chosen = [f"{key}={value}" for key, value in trial.values.items()]
        print(f"{experiment}: {', '.join(chosen)}", flush=True)
        try:
            if commit_of(experiment) is None:
                log = sweep.folder / f"{trial.number}.log"
                run_experiment(experiment, [*fixed, *chosen], f"sample@{model}", log)
            figures = judge(model, experiment, {"sweep": name, "sweep_trial": str(trial.number)})
        except CineganError as error:
            sweep.tell(trial, None)
            print(f"{experiment}: {error}", file=sys.stderr, flush=True)
        else:
            sweep.tell(trial, figures[CHOSEN_BY])
            print(f"{experiment}: {in_words(figures)}", flush=True)
    best = sweep.best()
    if best is None:
        raise CineganError(f"{name}: no trial came to an end; {sweep.folder} has what they said")
    print(
        f"best so far: {best[0]}, {CHOSEN_BY} {best[1]:g}; `dvc exp branch {best[0]} NAME` keeps it"
    )


# The command


def in_words(figures: Mapping[str, Any]) -> str:
    """Figures in one line."""
    return ", ".join(f"{key} {value:g}" for key, value in figures.items())


def judge_all(model: str, experiments: Sequence[str]) -> None:
    """Judge experiments and print them, the best first.

    Raises
    ------
    CineganError
        If one could not be judged; the others are printed.
    """
    judged, faults = {}, []
    for experiment in experiments:
        try:
            judged[experiment] = judge(model, experiment, {})
        except CineganError as error:
            faults.append(f"{experiment}: {error}")
    for experiment in sorted(judged, key=lambda each: judged[each][CHOSEN_BY]):
        print(f"{experiment}: {in_words(judged[experiment])}")
    if faults:
        raise CineganError("\n".join(faults))


def main(arguments: Sequence[str]) -> None:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(prog="python -m cinegan.sweep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    search = commands.add_parser("optimise", help="run trials that Optuna proposes")
    search.add_argument("name", metavar="NAME", help="of the sweep; its trials are NAME-0, NAME-1")
    search.add_argument("model", metavar="MODEL")
    search.add_argument("--trials", type=int, default=20, help="in all (default: %(default)s)")
    search.add_argument("-S", action="append", default=[], dest="settings", help=SETTING)
    judged = commands.add_parser("judge", help="judge experiments against val patients")
    judged.add_argument("model", metavar="MODEL")
    judged.add_argument("experiments", metavar="EXPERIMENT", nargs="+")
    options = parser.parse_args(arguments)
    if options.command == "judge":
        load_params().model_named(options.model)
        judge_all(options.model, options.experiments)
    elif not NAME.fullmatch(options.name):
        parser.error(f"NAME is of letters, digits and _, not {options.name!r}")
    else:
        optimise(options.name, options.model, options.settings, options.trials)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CineganError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    run_command(main)
