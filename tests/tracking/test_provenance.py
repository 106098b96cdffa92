"""The command in a run's description makes its parameters again; DVC itself reads it."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cinegan.tracking import provenance

BEFORE = {
    "seed": 4,
    "budget": "laptop",
    "data": {"mirror": None, "spacing_mm": None, "exclude": []},
    "models": {"a": {"training": {"rate": 1.0e-4, "augment": []}}, "b": {"training": {"rate": 1}}},
    "crop": {"override": {}},
}


def git(*words):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@a")
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    Path("params.yaml").write_text(yaml.safe_dump(BEFORE))
    Path("code.py").write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "a")
    return tmp_path


def now(**changes):
    return {**BEFORE, **changes}


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (now(), []),
        (now(seed=11), ["seed=11"]),
        (now(budget="smoke"), ["budget=smoke"]),
        (now(data={**BEFORE["data"], "spacing_mm": 1.5}), ["data.spacing_mm=1.5"]),
        (now(data={**BEFORE["data"], "mirror": "../a b"}), ["data.mirror='../a b'"]),
        (now(data={**BEFORE["data"], "exclude": ["SC1:3", "2"]}), ["data.exclude=['SC1:3','2']"]),
        (now(crop={"override": {"P1": [3, 4]}}), ["crop.override={P1:[3,4]}"]),
        (
            now(models={**BEFORE["models"], "a": {"training": {"rate": 3e-5, "augment": ["cut"]}}}),
            ["models.a.training.rate=3e-05", "models.a.training.augment=[cut]"],
        ),
        (now(seed="3e-05"), ["seed=3e-05"]),
        (now(more=True), ["+more=true"]),
        ({key: BEFORE[key] for key in BEFORE if key != "seed"}, ["~seed"]),
    ],
)
def test_what_differs_from_the_commit_is_an_override(after, wanted):
    assert provenance.overrides(BEFORE, after) == wanted


texts = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=12).filter(
    lambda text: not provenance.NUMBER.fullmatch(text.lower())
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-999, 999), st.floats(1e-6, 1e6), texts,
    st.lists(st.one_of(st.integers(0, 9), texts), max_size=3),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(values)
def test_dvc_reads_an_override_as_what_it_was(value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(yaml.safe_dump(BEFORE))
        apply_overrides(path, provenance.overrides(BEFORE, now(budget=value)))
        assert YAML(typ="safe").load(path) == now(budget=value)


def test_a_description_has_the_commit_and_the_command(project):
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    told = provenance.description()
    assert f"git checkout {commit}\n.venv/bin/dvc repro train@a\n" in told
    Path("params.yaml").write_text(yaml.safe_dump(now(data={**BEFORE["data"], "mirror": "a b"})))
    (line,) = [x for x in provenance.description().splitlines() if x.startswith(provenance.DVC)]
    assert shlex.split(line)[1:] == ["exp", "run", "-S", "data.mirror='a b'", "train@a"]
    assert "Not in that commit" not in provenance.description()
    Path("code.py").write_text("2")
    assert "changes in `code.py`" in provenance.description()


def test_without_git_or_dvc_there_is_no_description(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@a")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.description() == ""
    assert "git_commit" not in provenance.tags()
