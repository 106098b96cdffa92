"""A team shares artifacts: pushed from one clone, pulled into another, and nothing runs again."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml
from clones import Clone, clone, publish, stages_run
from imports import ROOT
from stores import Store, folder_store, folders, hashes, pull, share, ssh_store


def signed_in_apart(person: Clone, store: Store) -> bool:
    """Whether Git has where the store is, and nothing of what the person signs in with."""
    in_git = person.run("git", "grep", "-h", "", "--", ".dvc")
    return store.url in in_git and not any(f"{k} = {v}" in in_git for k, v in store.own.items())


def test_a_colleague_pulls_what_was_pushed_and_nothing_runs(team, store):
    share(team.ann, store)
    assert signed_in_apart(team.ann, store)
    first = store.files()
    assert set(first) - folders(first) == hashes(team.ann.results())
    assert len(folders(first)) == 3  # cycles and two models

    team.ann.set("small: {rate: 1}", "small: {rate: 5}")
    assert stages_run(team.ann.must("repro", "push")) == ["train@small", "compare"]
    team.ann.commit("another rate")
    second = store.files()
    assert first.items() <= second.items()
    sent = second.keys() - first.keys()
    weights = (team.ann.folder / "models/small/generator.weights.h5").read_bytes()
    assert sent - folders(second) == {hashlib.md5(weights).hexdigest()}
    assert len(sent) == 2  # and the new list of the model's files

    ben = team.join("ben")
    assert not stages_run(pull(ben, store, "repro"))
    assert ben.results() == team.ann.results()
    assert ben.run("git", "status", "--porcelain") == ""


def test_an_experiment_is_taken_over_with_its_results_and_nothing_runs(team, tmp_path):
    store = folder_store(tmp_path / "share" / "cinegan")
    share(team.ann, store)
    default = team.ann.results()
    before = store.files().keys()
    team.ann.must("exp run --name faster --set-param models.small.rate=5", "exp push origin faster")
    assert len(store.files().keys() - before) == 2
    results = team.ann.results()
    assert results != default
    team.ann.run("git", "checkout", "--quiet", ".")
    team.ann.must("checkout")
    assert team.ann.results() == default

    ben = team.join("ben")
    told = ben.must("exp pull origin faster", "exp apply faster", "pull", "repro")
    assert not stages_run(told)
    assert ben.results() == results


@pytest.fixture
def real(tmp_path) -> Path:
    """The project itself with a tiny phantom; nothing has run."""
    work = tmp_path / "real" / "work"
    for name in ("cinegan", "stages"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".gitignore", "data/incoming/.gitignore", "models/fresh"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, work / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["phantom"] = {"patients_per_group": 1, "slices": 3, "size": 64}
    (work / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return publish(work, tmp_path / "real" / "origin.git")


def test_the_projects_own_stages_do_not_run_again_at_a_colleagues(real, ssh, tmp_path):
    ann = clone(real, tmp_path / "real" / "ann")
    assert stages_run(ann.must("repro crop")) == ["download", "convert", "crop"]
    store = ssh_store(ssh, ssh.key)
    with ssh.running():
        share(ann, store)
        ben = clone(real, tmp_path / "real" / "ben")
        told = ben.must(*store.signing_in(), "pull --with-deps crop", "repro crop")
    assert not stages_run(told)
    assert ben.results() == ann.results()
    assert hashes({k: v for k, v in ann.results().items() if k.startswith("data/")}) <= set(
        store.files()
    )
    assert ben.run("git", "status", "--porcelain") == ""
