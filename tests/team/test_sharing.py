"""A team shares artifacts: pushed from one clone, pulled into another, and nothing runs again."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml
from clones import Clone, clone, publish, stages_run
from imports import ROOT
from pages import commands
from stores import Store, filled, folder_store, folders, hashes, of_dvc, s3_store, share, ssh_store


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
    day, _, _ = commands("docs/team.md", "Day by day")
    assert stages_run(team.ann.follow(day, {"MESSAGE": "faster"})) == ["train@small", "compare"]
    second = store.files()
    assert first.items() <= second.items()
    sent = second.keys() - first.keys()
    weights = (team.ann.folder / "models/small/generator.weights.h5").read_bytes()
    assert sent - folders(second) == {hashlib.md5(weights).hexdigest()}
    assert len(sent) == 2  # and the new list of the model's files

    ben = team.join("ben")
    ben.must(*store.signing_in())
    _, first_pull = commands("docs/team.md", "The first clone")
    assert not stages_run(ben.follow(first_pull))
    assert ben.results() == team.ann.results()
    assert ben.run("git", "status", "--porcelain") == ""


def test_an_experiment_is_taken_over_with_its_results_and_nothing_runs(team, tmp_path):
    store = folder_store(tmp_path / "share" / "cinegan")
    share(team.ann, store)
    default = team.ann.results()
    before = store.files().keys()
    _, giving, taking = commands("docs/team.md", "Day by day")
    rate = {"models.dcgan64.training.learning_rate=2.0e-4": "models.small.rate=5"}
    team.ann.follow(giving, rate)
    assert len(store.files().keys() - before) == 2
    results = team.ann.results()
    assert results != default
    team.ann.run("git", "checkout", "--quiet", ".")
    team.ann.must("checkout")
    assert team.ann.results() == default

    ben = team.join("ben")
    ben.must("pull")
    assert not stages_run(ben.follow(taking))
    assert ben.results() == results


def test_every_setting_that_the_page_names_is_of_a_store(ssh, s3, tmp_path):
    stores = [folder_store(tmp_path), ssh_store(ssh, ssh.key), s3_store(s3, tmp_path, s3.secret)]
    for heading, of in (("Once: choose a remote", "shared"), ("Once each: sign in", "own")):
        blocks = commands("docs/team.md", heading)
        settings = [line for line in of_dvc(*blocks) if "modify" in line]
        values = {key: value for store in stores for key, value in getattr(store, of).items()}
        assert len(filled(settings, values)) == len(settings)


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
    ann.commit("the first results")
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
