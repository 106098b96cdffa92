"""Sweeps with the real training: a queue that two workers do, and trials that Optuna proposes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
from small_generator import record_with

from benchmarks import sweeps
from cinegan.errors import CineganError
from cinegan.sweep import (
    Sweep,
    commit_of,
    in_words,
    judge,
    last_words,
    main,
    run_experiment,
    space_of,
)
from cinegan.tracking.runs import new_run

RATE = sweeps.RATE
RATES = {"rate-1": "0.0001", "rate-2": "-1", "rate-3": "0.0002"}  # one is refused
TOLD = {"model": "dcgan64", "settings": [f"{RATE}=choice(0.0001,0.0002)"]}


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> SimpleNamespace:
    """A small copy of the project in which two workers have done three queued experiments."""
    project = sweeps.prepared(tmp_path_factory.mktemp("sweeps") / "project")
    assert not (project / "mlflow.db").exists()
    values = f"{RATE}={','.join(RATES.values())}"
    target = "sample@dcgan64"
    told = sweeps.dvc(project, "exp", "run", "--queue", "--name", "rate", "-S", values, target)
    queued = [name for name in RATES if f"'{name}'" in told]
    return SimpleNamespace(
        project=project,
        queued=queued,
        faults=sweeps.work(project),
        runs=sweeps.trainings_of(project),
    )


@pytest.fixture
def project(swept, monkeypatch):
    """The copy, to work in."""
    monkeypatch.chdir(swept.project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return swept.project


def test_every_experiment_that_can_be_trained_has_one_whole_run_of_its_own(swept):
    assert swept.queued == list(RATES)
    assert swept.faults == []
    good = {name: rate for name, rate in RATES.items() if name != "rate-2"}
    assert [sweeps.faults(name, rate, swept.runs) for name, rate in good.items()] == [[], []]
    assert len(swept.runs) == len(good)
    assert len({run.data.tags["weights_sha256"] for run in swept.runs}) == len(good)
    assert sweeps.experiments_of(swept.project) == set(good)


def test_one_that_fails_is_told_with_its_reason_and_the_others_go_on(swept):
    status = sweeps.dvc(swept.project, "queue", "status")
    (failed,) = [line for line in status.splitlines() if "Failed" in line]
    assert "rate-2" in failed
    assert status.count("Success") == 2
    told = sweeps.dvc(swept.project, "queue", "logs", "rate-2")
    assert f"error: params.yaml: {RATE}" in told


def test_copies_and_states_of_trainings_are_cleared_away(swept):
    assert not list((swept.project / ".dvc/tmp/exps").glob("tmp*"))
    assert not list((swept.project / ".checkpoints").glob("*/state.npz"))


def test_an_optimisers_trials_are_experiments_judged_on_val_in_the_runs_of_their_trainings(project):
    space = space_of(TOLD["settings"])[1]
    interrupted = Sweep("opt", TOLD, space).trials(2, seed=4)
    first = next(interrupted)  # and its process is gone
    interrupted.close()
    command = ["-m", "cinegan.sweep", "optimise", "opt", "dcgan64", "--trials", "2"]
    done = subprocess.run(
        [sys.executable, *command, "-S", *TOLD["settings"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"opt-0: {RATE}={first.values[RATE]}" in done.stdout
    assert "dvc exp branch opt-" in done.stdout
    assert commit_of("opt-0")
    assert commit_of("opt-1")
    assert not commit_of("opt-2")

    # What the queue had trained with these values was not trained again.
    runs = sweeps.trainings_of(project)
    assert len(runs) == 2
    judged = {run.data.tags["sweep_trial"]: run for run in runs if "sweep" in run.data.tags}
    chosen = judged["1"]
    assert chosen.data.tags["sweep"] == "opt"
    figures = {
        key: chosen.data.metrics[f"figures/{key}"] for key in ("kid_texture_val", "kid_motion_val")
    }
    assert f"opt-1: {in_words(figures)}" in done.stdout

    # Each is registered, with the figures that it was chosen by; as the best is none of them.
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    (registered,) = client.search_registered_models()
    assert registered.name == "cinegan-ventricles-64"
    assert {"dcgan64-opt-0", "dcgan64-opt-1"} <= set(registered.aliases)
    assert "best" not in registered.aliases
    version = client.get_model_version_by_alias(registered.name, "dcgan64-opt-1")
    assert version.tags["weights_sha256"] == chosen.data.tags["weights_sha256"]
    assert version.run_id == chosen.info.run_id
    assert {key: float(version.tags[key]) for key in figures} == figures
    card = mlflow.artifacts.download_artifacts(f"{version.source}/data/dcgan64/card.md")
    assert f"`kid_texture_val`: {figures['kid_texture_val']:.3g}" in Path(card).read_text()

    assert list(Sweep("opt", TOLD, space).trials(2, seed=4)) == []  # it has as many
    with pytest.raises(CineganError, match="give another sweep another name"):
        Sweep("opt", {**TOLD, "model": "another"}, space)


def test_experiments_of_a_queue_are_judged_the_best_first(project, capsys):
    with pytest.raises(CineganError, match=r"^nobody: no such experiment"):
        main(["judge", "dcgan64", "rate-1", "nobody", "rate-3"])
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split(":")[0] for line in lines) == ["rate-1", "rate-3"]
    distances = [float(line.split("kid_texture_val ")[1].split(",")[0]) for line in lines]
    assert distances == sorted(distances)
    runs = {run.data.tags["dvc_exp_name"]: run for run in sweeps.trainings_of(project)}
    best = runs[lines[0].split(":")[0]]
    assert best.data.metrics["figures/kid_texture_val"] == distances[0]


def get(to):
    """What an experiment made: for a model, its folder."""
    if to.suffix:
        return
    to.mkdir()
    (to / "generator.weights.h5").write_bytes(b"made")
    (to / "model.json").write_text(json.dumps(record_with()))


def test_figures_go_to_the_experiments_own_run_of_weights_that_others_trained_too(
    tmp_path, blank_store, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(blank_store, "mlflow.db")
    monkeypatch.setenv("DVC_STAGE", sweeps.STAGE)
    for name in ("rate-1", "rate-2"):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        with new_run("dcgan64") as run:
            run.tags({"weights_sha256": hashlib.sha256(b"made").hexdigest()})
    monkeypatch.delenv("DVC_EXP_NAME")
    model, data = SimpleNamespace(folder="data/ventricles"), SimpleNamespace(source="phantom")
    params = SimpleNamespace(model_named=lambda _: model, data=data)
    monkeypatch.setattr("cinegan.sweep.load_params", lambda: params)
    monkeypatch.setattr("cinegan.sweep.commit_of", lambda _: "a commit")
    monkeypatch.setattr("cinegan.sweep._git", lambda *_: "")
    monkeypatch.setattr("cinegan.sweep._get", lambda commit, path, to: get(to))
    monkeypatch.setattr("numpy.load", lambda _: None)
    monkeypatch.setattr("cinegan.sweep.Cohort", lambda _: None)
    monkeypatch.setattr("cinegan.sweep.source_of_data", lambda *_: "phantom")
    monkeypatch.setattr("cinegan.sweep.against_val", lambda *_: {"kid_texture_val": 1.0})
    judge("dcgan64", "rate-1", {"sweep": "rate"})
    own, other = sweeps.trainings_of(tmp_path)
    if own.data.tags["dvc_exp_name"] != "rate-1":
        own, other = other, own
    assert (own.data.tags["sweep"], own.data.metrics) == ("rate", {"figures/kid_texture_val": 1.0})
    assert other.data.metrics == {}


def test_an_experiment_that_fails_is_told_in_a_line(project, tmp_path):
    log = tmp_path / "log"
    with pytest.raises(CineganError, match=rf"failed: ERROR: .*nobody.* \({log}\)"):
        run_experiment("bad", [], "sample@nobody", log)


# A search, and its place on disk


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A folder with parameters and nothing else."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    (tmp_path / "params.yaml").write_text("models: {dcgan64: {training: {rate: 1, batch: 8}}}")
    return tmp_path


RATE_OF_ALL, BATCH = "models.dcgan64.training.rate", "models.dcgan64.training.batch"


def test_hydras_syntax_says_what_is_searched(empty):
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    fixed, space = space_of([f"{RATE_OF_ALL}=tag(log, interval(1e-5, 1e-3))", f"{BATCH}=16"])
    assert fixed == [f"{BATCH}=16"]
    assert space == {RATE_OF_ALL: FloatDistribution(1e-5, 1e-3, log=True)}
    _, space = space_of([f"{RATE_OF_ALL}=1e-4,[1,2],bce", f"{BATCH}=int(interval(4, 8))"])
    assert space[RATE_OF_ALL] == CategoricalDistribution(["0.0001", "[1,2]", "bce"])
    assert space[BATCH] == IntDistribution(4, 8)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("models.dcgan64.training.rat=1", f"nearest key of params.yaml is {RATE_OF_ALL}"),
        (f"{RATE_OF_ALL}=range(1, 4)", r"choice\(...\) or interval\(...\)"),
        (f"{RATE_OF_ALL}=tag(log, interval(0, 1))", "log"),
        (f"{RATE_OF_ALL}=interval(2, 1)", "low"),
        (f"{RATE_OF_ALL}", "EQUAL"),
    ],
)
def test_what_is_no_search_is_refused_in_a_line(empty, setting, fault):
    with pytest.raises(CineganError, match=fault) as refused:
        space_of([setting])
    assert "\n" not in str(refused.value)


def test_trials_are_shared_among_processes_and_one_whose_process_is_gone_is_taken_over(empty):
    _, space = space_of([f"{RATE_OF_ALL}=interval(0, 1)"])
    one, other = (Sweep("s", TOLD, space).trials(3, seed=1) for _ in range(2))
    of_one, of_other = next(one), next(other)
    assert (of_one.number, of_other.number) == (0, 1)
    assert of_one.values != of_other.values
    one.close()  # without a word about trial 0
    third = Sweep("s", TOLD, space)
    trials = third.trials(3, seed=1)
    assert next(trials) == of_one
    third.tell(of_one, 2.0)
    last = next(trials)
    assert last.number == 2  # 1 is somebody's
    third.tell(last, None)
    assert third.best() == ("s-0", 2.0)
    assert next(trials, None) is None


def test_a_sweep_draws_the_same_whether_or_not_it_was_interrupted(empty):
    _, space = space_of([f"{RATE_OF_ALL}=interval(0, 1)"])
    drawn = []
    for name in ("whole", "parts"):
        sweep = Sweep(name, TOLD, space)
        for number in range(12):  # Optuna draws at random up to 10
            if name == "parts":
                sweep = Sweep(name, TOLD, space)
            trial = next(sweep.trials(number + 1, seed=7))
            sweep.tell(trial, abs(trial.values[RATE_OF_ALL] - 0.3))
            drawn.append(trial.values[RATE_OF_ALL])
    assert drawn[:12] == drawn[12:]
    assert len(set(drawn)) == 12


def test_the_last_words_of_a_command_are_its_own_fault_rather_than_dvcs():
    dvcs = "ERROR: failed to reproduce 'train@dcgan64': exited with 1"
    assert last_words(f"error: ours\n{dvcs}\n") == "error: ours"
    assert last_words(f"hm\n{dvcs}\n\n") == dvcs
    assert last_words("a\nb\n") == "b"
    assert last_words("") == "it said nothing"
