"""The whole pipeline under DVC, once, in a copy of the project; and dvc.yaml held to the code."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import yaml
from digests import sha256_of_folder
from imports import ROOT, closure, imported_by, packages_imported_by

from cinegan.data.cohort import Cohort
from cinegan.data.conditions import Conditions, of_cycles
from cinegan.data.labels import joint, source_for
from cinegan.errors import CineganError
from cinegan.files import read_json, sha256_of_arrays
from cinegan.params import Params, load_params
from cinegan.serve.model import Asked, Served
from cinegan.study.arms import fold_of

STAGES = [
    *("download", "convert", "crop", "train", "sample", "encode", "evaluate", "compare"),
    *("generate", "segment", "segment_gan", "study"),
]
# Stages that there are several of, and one of each.
EACH = {
    "train": ["dcgan64"],
    "sample": ["dcgan64"],
    "evaluate": ["dcgan64"],
    "encode": ["ventricles"],
    "generate": ["50", "0"],
    "segment": ["classical", "50", "0"],
    "segment_gan": ["classical_gan", "50", "0"],
}
# Small in all that no test is about: with networks as wide as those of the default run, most of the
# time would go into arithmetic.
SMOKE = {
    ("budget",): "smoke",
    ("data", "phantom", "patients_per_group"): 1,
    ("data", "phantom", "slices"): 9,
    ("data", "phantom", "size"): 128,
    ("sample", "cycles"): 40,
    ("evaluate", "encoder_steps"): 10,
    ("evaluate", "inception"): "skip",
    ("models", "dcgan64", "labels"): "moments",
    ("models", "dcgan64", "conditions"): ["group", "level"],
    ("models", "dcgan64", "network", "generator"): [32, 16, 8, 8],
    ("models", "dcgan64", "network", "discriminator"): [8, 8, 16, 32],
    ("models", "pggan256", "network", "latent"): 32,
    ("models", "pggan256", "network", "filters"): 128,
    ("models", "pggan256", "network", "most_filters"): 32,
    ("study", "gan"): "dcgan64",
    ("study", "arms"): ["none"],
    ("study", "gan_arms"): ["classical_gan"],
    ("study", "shares"): [50],
    ("study", "segmenter", "steps"): 5,
}
RATE = "models.dcgan64.training.learning_rate"


def declared():
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def body_of(stage):
    return declared()[stage].get("do", declared()[stage])


# dvc.yaml against the code


@pytest.mark.parametrize("stage", STAGES)
def test_declared_code_is_what_the_stage_imports(stage):
    files = {path.relative_to(ROOT).as_posix() for path in closure(ROOT / "stages" / f"{stage}.py")}
    if stage == "generate":  # whatever the study's GAN is
        files = {f for f in files if not f.startswith("cinegan/models/")} | {"cinegan/models"}
    elif "cinegan/training/networks.py" in files:  # loads the architecture's file by its name
        files.add("cinegan/models/${item.architecture}.py")
        files = {f for f in files if not f.startswith("cinegan/models/layers/")}
        files.add("cinegan/models/layers")  # a folder: each architecture uses what it likes of it
        for path in (ROOT / "cinegan" / "models").glob("[!_]*.py"):
            used = {p.relative_to(ROOT).as_posix() for p in closure(path)}
            own = f"cinegan/models/{path.name}"
            files |= {f for f in used if f != own and not f.startswith("cinegan/models/layers/")}
    deps = set(body_of(stage)["deps"])
    code = {dep for dep in deps if dep.endswith(".py") or dep.startswith("cinegan/")}
    assert code == files


@pytest.mark.parametrize("stage", STAGES)
def test_stage_runs_its_own_script(stage):
    assert body_of(stage)["cmd"].startswith(f"stages/python stages/{stage}.py")
    assert bool({"foreach", "matrix"} & declared()[stage].keys()) == (stage in EACH)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="no such kernel here")
def test_numpy_adds_in_one_order_whatever_the_processor_and_the_shell_would_take():
    program = "import numpy, threadpoolctl as t; print(t.threadpool_info()[0]['architecture'])"
    for others in ({}, {"OPENBLAS_CORETYPE": "Prescott"}):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS")}
        kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
        told = subprocess.run(
            ["stages/python", "-c", program],
            cwd=ROOT,
            env=kept | others,
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout == "Haswell\n"


def test_committed_results_are_of_the_code_as_it_stands():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    known = {dep["path"]: dep["md5"] for stage in lock.values() for dep in stage.get("deps", [])}
    code = [path for path in known if path.endswith(".py")]
    stale = [p for p in code if hashlib.md5((ROOT / p).read_bytes()).hexdigest() != known[p]]
    assert code
    assert not stale, "`dvc repro`, or `dvc commit` after a change that alters no result"


# Who may import what: the package that only these files of the library speak to.
RESERVED = {
    "mlflow": ("cinegan/tracking/",),
    "tensorflow": ("cinegan/training/",),
    "pydicom": (
        "cinegan/data/dicom.py",
        "cinegan/data/dicom_writer.py",
        "cinegan/data/dicom_segmentation.py",
        "cinegan/data/deidentify.py",
    ),
    "dvc": (),
    "stages": (),
}
FLOOR_2 = (
    "cinegan/training/",
    "cinegan/evaluation/",
    "cinegan/segmentation/",
    "cinegan/study/",
    "cinegan/export/",
    "cinegan/serve/",
    "cinegan/model_card.py",
    "cinegan/sampling.py",
    "cinegan/sweep.py",
    "cinegan/comparison.py",
    "cinegan/conversion.py",
    "cinegan/stack_reading.py",
    "cinegan/contact_sheet.py",
    "cinegan/outline.py",
    "cinegan/drawings.py",
    "cinegan/models/__main__.py",
)


@pytest.mark.parametrize("package", RESERVED)
def test_a_package_is_spoken_to_where_the_house_says(package):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "cinegan").rglob("*.py")
        if package in packages_imported_by(path)
    }
    assert (
        all(user.startswith(RESERVED[package]) for user in users)
        if RESERVED[package]
        else not users
    )
    assert bool(users) == bool(RESERVED[package])


def test_no_room_of_the_first_floor_imports_from_the_second():
    for path in (ROOT / "cinegan").rglob("*.py"):
        if not path.relative_to(ROOT).as_posix().startswith(FLOOR_2):
            imported = {p.relative_to(ROOT).as_posix() for p in imported_by(path)}
            assert not {p for p in imported if p.startswith(FLOOR_2)}, path


def test_imports_go_round_in_no_circle():
    for path in (ROOT / "cinegan").rglob("*.py"):
        assert path not in set().union(*(closure(p) for p in imported_by(path) - {path})), path


# One run of everything


def run(folder, *command, **options):
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


def set_params(folder, values):
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    for keys, value in values.items():
        block = params
        for key in keys[:-1]:
            block = block[key]
        block[keys[-1]] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def keep_models(folder, *names):
    """Leave out the other models: a small and a growing one go through all that all do."""
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["models"] = {name: params["models"][name] for name in names}
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def stages_run(told):
    return re.findall(r"Running stage '([^']+)'", told)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project in which the whole pipeline has run under the smoke budget."""
    folder = tmp_path_factory.mktemp("project")
    listed = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "docs/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    keep_models(folder, "dcgan64", "pggan256")
    set_params(folder, SMOKE)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "copy")
    run(folder, "dvc", "repro")
    run(folder, "git", "add", ".")
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "lock")
    return folder


def test_every_output_is_there_and_says_what_it_should(project):
    convert = json.loads((project / "metrics/convert.json").read_text())
    assert convert["patients"] == 4
    assert convert["slices"] == 36
    assert convert["frames"] == 720
    assert convert["images_left_out"] == 4 * (20 + 3)  # a long-axis cine and three localizers each
    index = pd.read_csv(project / "data/ventricles/index.csv")
    assert set(index["split"]) == {"train", "val", "test"}
    assert (index.groupby("patient")["split"].nunique() == 1).all()
    crop = json.loads((project / "metrics/crop.json").read_text())
    assert crop["contours_inside"] == 1
    samples = np.load(project / "data/samples/dcgan64/cycles.npy")
    assert samples.shape == (40, 64, 64, 20)
    assert samples.dtype == np.uint8
    assert samples.std() > 0
    assert len(iio.imread(project / "data/samples/dcgan64/preview.gif")) == 20
    asked = pd.read_csv(project / "data/samples/dcgan64/conditions.csv")
    assert list(asked) == ["group", "level"]
    assert len(asked) == 40
    assert not (project / "data/samples/pggan256/conditions.csv").exists()
    report = json.loads((project / "metrics/models/dcgan64.json").read_text())
    for name in ("kid_texture", "kid_motion", "kid_cardiac", "swd_patches"):
        assert report[f"{name}_train"] > report[f"{name}_floor"]
    assert "data:image/png" in (project / "metrics/plots/dcgan64/report.html").read_text()
    compare = json.loads((project / "metrics/compare.json").read_text())
    assert compare["dcgan64"]["kid_texture_test"] == report["kid_texture_test"]
    curves = pd.read_csv(project / "metrics/plots/dcgan64/training.csv")
    assert curves["kimg"].iloc[-1] == pytest.approx(0.128)


def test_plots_show_how_the_quantities_of_motion_are_distributed(project):
    table = "metrics/plots/dcgan64/quantities.csv"
    told = run(project, "dvc", "plots", "show", table, "--json")
    drawn = json.loads(told[told.index("{") : told.rindex("}") + 1])["data"][table][0]["content"]
    assert drawn["facet"]["field"] == "quantity"
    rows = {(row["quantity"], row["set"]) for row in drawn["data"]["values"]}
    assert {("amplitude", "synthetic"), ("end_systole", "test")} <= rows


def test_a_growing_model_is_judged_at_the_size_that_its_budget_reached(project):
    curves = pd.read_csv(project / "metrics/plots/pggan256/training.csv")
    assert curves["size"].tolist() == [4, 4, 8, 8, 8, 8, 16, 16, 16, 16]
    assert np.load(project / "data/samples/pggan256/cycles.npy").shape == (40, 16, 16, 20)
    compare = json.loads((project / "metrics/compare.json").read_text())
    assert (compare["pggan256"]["input"], compare["pggan256"]["size"]) == ("frame", 16)


def test_nothing_identifies_this_machine_or_this_run(project):
    words = [str(project), str(Path.home()) + "/"]
    for folder in ("data", "models", "metrics"):
        for path in (project / folder).rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert not any(word.encode() in content for word in words), path


def test_with_nothing_to_do_nothing_runs(project):
    assert "Running stage" not in run(project, "dvc", "repro")


def test_a_colleague_who_pulls_has_nothing_to_run(project, tmp_path):
    run(project, "dvc", "remote", "add", "--local", "shared", str(tmp_path / "remote"))
    run(project, "dvc", "push", "--remote", "shared")
    colleague = tmp_path / "colleague"
    run(project, "git", "clone", "-q", ".", str(colleague))
    (colleague / ".venv").symlink_to(sys.prefix)
    run(colleague, "dvc", "remote", "add", "--local", "shared", str(tmp_path / "remote"))
    run(colleague, "dvc", "pull", "--remote", "shared")
    assert not stages_run(run(colleague, "dvc", "repro"))
    assert not run(colleague, "git", "status", "--porcelain", "--untracked-files=no")
    for name in ("models/dcgan64/generator.weights.h5", "metrics/plots/dcgan64/report.html"):
        assert (colleague / name).read_bytes() == (project / name).read_bytes()


def test_a_served_model_gives_the_cycles_that_its_stage_drew(project):
    stage = np.load(project / "data/samples/dcgan64/cycles.npy")
    asked = pd.read_csv(project / "data/samples/dcgan64/conditions.csv")
    served = Served(project / "models/dcgan64")
    got = served.submit(Asked(n=len(stage), seed=load_params().seed, conditions=True)).result()
    np.testing.assert_array_equal(got["cycles"], stage)
    assert got["conditions"].tolist() == asked.to_numpy().tolist()


def test_training_again_gives_the_same_bytes(project):
    before = (project / "dvc.lock").read_text()
    told = run(project, "dvc", "repro", "-f", "-s", "train@dcgan64")
    assert "Running stage 'train@dcgan64'" in told
    assert (project / "dvc.lock").read_text() == before


@pytest.fixture(scope="session")
def experiment(project):
    """An experiment of one changed model, in a copy: its name, and what DVC told."""
    lock, change = (project / "dvc.lock").read_text(), f"{RATE}=0.0002"
    told = run(project, "dvc", "exp", "run", "--temp", "-n", "in-a-copy", "-S", change)
    assert (project / "dvc.lock").read_text() == lock
    return SimpleNamespace(name="in-a-copy", told=told)


def test_a_changed_model_reruns_its_own_stages_and_the_comparison(experiment):
    assert set(stages_run(experiment.told)) == {
        *("train@dcgan64", "sample@dcgan64", "evaluate@dcgan64", "compare"),
        *("generate@50-0", "segment_gan@classical_gan-50-0", "study"),  # which takes this model
    }


def json_of(folder, *command):
    """What a command tells in JSON, among other lines."""
    told = run(folder, *command, "--json")
    return json.JSONDecoder().raw_decode(told, re.search(r"^[\[{]", told, re.MULTILINE).start())[0]


def test_dvc_and_mlflow_tell_the_same_of_an_experiment(project, experiment):
    client, trainings = trainings_of(project)
    judged = [each for each in trainings if "figures/kid_texture_test" in each.data.metrics]
    runs = {each.data.tags.get("dvc_exp_name", "HEAD"): each for each in judged}
    assert set(runs) == {"HEAD", experiment.name}
    revisions = ("HEAD", experiment.name)
    before, after = (runs[each].data.params for each in revisions)

    # Parameters: one differs.
    ((key, change),) = json_of(project, "dvc", "params", "diff", *revisions)["params.yaml"].items()
    assert (key, change["old"], change["new"]) == (RATE, 0.0001, 0.0002)
    differ = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    assert differ == {"training.learning_rate": ("0.0001", "0.0002")}

    # Figures: where they differ, from the same to the same.
    metrics = json_of(project, "dvc", "metrics", "diff", *revisions)["metrics/models/dcgan64.json"]
    told = [
        {key.partition("/")[2]: value for key, value in runs[each].data.metrics.items()}
        for each in revisions
    ]
    both = metrics.keys() & told[0].keys()
    assert {"kid_texture_test", "kid_motion_test", "precision_texture_test"} & both
    assert {k: (metrics[k]["old"], metrics[k]["new"]) for k in both} == {
        key: (told[0][key], told[1][key]) for key in both
    }

    # Curves: point for point.
    plots = json_of(project, "dvc", "plots", "diff", *revisions)["data"]
    (scores,) = plots["dcgan64, mean scores of the discriminator"]
    drawn = scores["content"]["data"]["values"]
    for each in revisions:
        curve = client.get_metric_history(runs[each].info.run_id, "training/score_real")
        rows = [row for row in drawn if (row["rev"], row["field"]) == (each, "score_real")]
        assert [point.step for point in curve] == [round(1000 * float(r["kimg"])) for r in rows]
        values = [float(row["score_real"]) for row in rows]
        assert [point.value for point in curve] == pytest.approx(values, rel=1e-5)

    # The table of experiments: the same figure again.
    (commit,) = [each for each in json_of(project, "dvc", "exp", "show") if each["experiments"]]
    (row,) = [each["revs"][0] for each in commit["experiments"]]
    shown = row["data"]["metrics"]["metrics/models/dcgan64.json"]["data"]
    assert (row["name"], shown["kid_texture_test"]) == (
        experiment.name,
        told[1]["kid_texture_test"],
    )


def trainings_of(project, stage="train@dcgan64"):
    """A client of the project's store, and the stage's runs, oldest first."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    number = client.get_experiment_by_name("cinegan").experiment_id
    found = client.search_runs([number], order_by=["attributes.start_time ASC"])
    return client, [each for each in found if each.data.tags["dvc_stage"] == stage]


def test_another_budget_of_a_model_reruns_nothing(project):
    original = (project / "params.yaml").read_text()
    set_params(project, {("models", "dcgan64", "budgets", "full", "total_kimg"): 1e4})
    try:
        assert not stages_run(run(project, "dvc", "repro", "--dry"))
    finally:
        (project / "params.yaml").write_text(original)


def test_a_training_is_one_run_that_later_stages_add_to(project):
    client, (first, *_) = trainings_of(project)
    assert first.info.status == "FINISHED"
    assert first.data.params["training.batch"] == "32"
    assert first.data.tags["dvc_stage"] == "train@dcgan64"
    assert first.data.tags["git_commit"] == run(project, "git", "rev-parse", "HEAD~").strip()
    weights = (project / "models/dcgan64/generator.weights.h5").read_bytes()
    assert first.data.tags["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert "figures/kid_texture_test" in first.data.metrics
    curve = client.get_metric_history(first.info.run_id, "training/loss_generator")
    assert [point.step for point in curve] == [32, 64, 96, 128]
    kept = {item.path for item in client.list_artifacts(first.info.run_id)}
    assert {"model", "samples", "evaluation", "images", "generator"} <= kept


def test_what_was_judged_is_registered_and_the_best_of_its_contest_is_marked(project, tmp_path):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    best = client.get_model_version_by_alias("cinegan-ventricles-64", "best")
    assert best.tags["model"] == "dcgan64"
    named = client.get_model_version_by_alias("cinegan-frame-16", "pggan256")
    weights = (project / "models/pggan256/generator.weights.h5").read_bytes()
    assert named.tags["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    report = json.loads((project / "metrics/models/pggan256.json").read_text())
    assert float(named.tags["kid_texture_floor"]) == report["kid_texture_floor"]
    weights = (project / "data/study/50-0/model/generator.weights.h5").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    parts = client.search_model_versions("name = 'cinegan-ventricles-64-study'")
    (part,) = [each for each in parts if each.tags["weights_sha256"] == digest]
    assert client.get_run(part.run_id).info.run_name == "dcgan64 of 50 % of the patients, 0"
    aliases = client.get_registered_model(part.name).aliases
    assert aliases == {"dcgan64-50-0": max(each.version for each in parts)}  # that was judged last
    assert (part.tags["protocol"], part.tags["share"], part.tags["seed"]) == ("split", "50", "0")
    scores = json.loads((project / "metrics/study.json").read_text())
    taught = "dice_endo_classical_gan_50"
    assert float(part.tags["classical_gan.dice_endo_test"]) == pytest.approx(scores[taught], 1e-4)
    card = (project / "metrics/plots/pggan256/card.md").read_text()
    assert named.tags["weights_sha256"] in card
    assert "the digital phantom of cinegan" in card
    artifact = f"{part.source}/data/dcgan64/card.md"
    told = Path(mlflow.artifacts.download_artifacts(artifact, dst_path=str(tmp_path))).read_text()
    assert digest in told
    assert "of the ventricles, cut out" in told
    assert "nothing is known of how true to life" in told


# Parameters declared against those read


class Recorder:
    """Stands for a block of parameters and notes which leaves are read."""

    def __init__(self, block, path, seen):
        self._block, self._path, self._seen = block, path, seen

    def _give(self, value, key):
        path = f"{self._path}.{key}".lstrip(".")
        if hasattr(value, "model_fields_set") or (path == "models"):
            return Recorder(value, path, self._seen)
        self._seen.add(path)
        return value

    def __getattr__(self, name):
        value = getattr(self._block, name)
        if callable(value):
            return getattr(type(self._block), name).__get__(self)
        return self._give(value, name)

    def __getitem__(self, key):
        return self._give(self._block[key], key)

    def __contains__(self, key):
        return key in self._block

    def __iter__(self):
        return iter(self._block)

    def model_dump(self, exclude=(), **options):
        dumped = self._block.model_dump(exclude=set(exclude), **options)
        for key in dumped:
            self._seen.add(f"{self._path}.{key}")
        return dumped


def keys_read(stage, monkeypatch, changes=None):
    """Leaves of params.yaml that a stage's script reads, run in the current folder."""
    module = importlib.import_module(f"stages.{stage}")
    seen = set()
    if hasattr(module, "load_params"):
        params = load_params()
        if changes:
            params = params.model_copy(update={"data": params.data.model_copy(update=changes)})
        monkeypatch.setattr(module, "load_params", lambda: Recorder(params, "", seen))
    module.main(EACH.get(stage, []))
    return seen


@pytest.fixture
def copy(project, blank_store, tmp_path, monkeypatch):
    """A copy of what the pipeline left, without DVC's and MLflow's stores, to work in."""
    folder = tmp_path / "copy"
    shutil.copytree(
        project, folder, ignore=shutil.ignore_patterns("cache", "mlflow.db", "mlartifacts")
    )
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(ROOT))
    shutil.copyfile(blank_store, tmp_path / "m.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/m.db")
    return folder


def learnt_from(record, cohort, patients):
    """Whether a model's record says that just these patients taught it."""
    owners = cohort.cycles_of(patients)
    told = of_cycles(cohort, owners, record["conditions"])
    source = source_for(cohort, record["labels"])
    cycles, vectors = joint(cohort, owners, 64, source), Conditions.among(told).vectors(told)
    return sha256_of_arrays(cycles, vectors) == record["train_sha256"]


def test_a_shares_gan_learns_from_the_shares_patients_alone(project):
    cohort = Cohort(project / "data/ventricles")
    train = sorted(set(cohort.patient_of_each("train")))
    fold = fold_of(cohort, "split", 50, 0)
    assert set(fold.learn) < set(train)
    record = read_json(project / "data/study/50-0/model/model.json")
    assert learnt_from(record, cohort, fold.learn)
    assert not learnt_from(record, cohort, train)


def test_of_all_patients_the_study_takes_the_pipelines_own_samples(copy):
    importlib.import_module("stages.generate").main(["100", "0"])
    drawn, own = copy / "data/study/100-0/samples", copy / "data/samples/dcgan64"
    assert sha256_of_folder(drawn) == sha256_of_folder(own)
    assert not (drawn.parent / "model").exists()


def test_a_left_out_patient_does_not_teach_the_gan(copy, monkeypatch):
    module, params = importlib.import_module("stages.generate"), load_params()
    study = params.study.model_copy(update={"protocol": "leave_one_out"})
    left_out = params.model_copy(update={"study": study})
    monkeypatch.setattr(module, "load_params", lambda: left_out)
    module.main(["100", "1"])
    cohort = Cohort(copy / "data/ventricles")
    others = [patient for patient in cohort.patients if patient != cohort.patients[1]]
    record = read_json(copy / "data/study/100-1/model/model.json")
    assert learnt_from(record, cohort, others)
    assert fold_of(cohort, "leave_one_out", 100, 1).judge["test"] == cohort.patients[1:2]


def test_workers_do_not_train_a_gan_of_a_share(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(ROOT))
    module, params = importlib.import_module("stages.generate"), load_params()
    workers = params.model_copy(update={"devices": "workers"})
    monkeypatch.setattr(module, "load_params", lambda: workers)
    with pytest.raises(CineganError, match="devices: workers train the pipeline's GANs only"):
        module.main(["50", "0"])


@pytest.mark.parametrize("stage", STAGES)
def test_declared_parameters_are_those_read(stage, copy, tmp_path, monkeypatch):
    seen = keys_read(stage, monkeypatch)
    if stage == "download":  # each source reads its own
        mirror, own = tmp_path / "mirror", tmp_path / "own"
        shutil.copytree(copy / "data/raw", mirror)
        sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}" for p in mirror.glob("*")]
        (mirror / "SHA256SUMS").write_text("\n".join(sums))
        with zipfile.ZipFile(mirror / "SCD_IMAGES_01.zip") as archive:
            archive.extractall(own)
        seen |= keys_read(stage, monkeypatch, {"source": "sunnybrook", "mirror": str(mirror)})
        seen |= keys_read(stage, monkeypatch, {"source": "folder", "folder": str(own)})
    listed = {
        key.replace("${key}", "dcgan64")
        .replace("${study.gan}", "dcgan64")
        .replace("${budget}", "smoke")
        for key in body_of(stage).get("params", [])
    }
    covers = {key: {s for s in seen if s == key or s.startswith(f"{key}.")} for key in listed}
    assert not seen - set().union(*covers.values()), "read but not declared"
    assert not {key for key, found in covers.items() if not found}, "declared but not read"


def test_the_schema_knows_every_key_of_params_yaml():
    assert isinstance(load_params(ROOT / "params.yaml"), Params)
