"""Commands that README.md and docs/ show: a shell can read them, and what they name is there."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass

import pytest
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from imports import ROOT

from benchmarks.__main__ import BENCHMARKS
from cinegan.params import load_params

FENCED = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the language that is named."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def fenced(page):
    """All fenced blocks of a page, from top to bottom."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        yield Block(page, text[: found.start()].count("\n") + 2, found[1], found[2])


SHOWN = [block for page in PAGES for block in fenced(page) if block.language == "sh"]


def test_shells_commands_are_marked_as_such():
    for page in PAGES:
        for block in fenced(page):
            assert block.language in ("sh", "python", "yaml", "ini", ""), block
            if block.language == "":
                assert not re.search(r"^(\S*/)?(dvc|python|make|git) ", block.text, re.M), block


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_shell_can_read_it(block):
    assert subprocess.run(["bash", "-n"], input=block.text, text=True, check=False).returncode == 0


def test_programs_of_the_project_are_named_by_their_place():
    for block in SHOWN:
        for line in re.sub(r"<<'(\w+)'\n.*?^\1$", "", block.text, flags=re.S | re.M).splitlines():
            assert not re.match(r"(python3?|dvc|mlflow|pytest)\b", line), (block, line)


# What is told to DVC, wherever it stands: in blocks, tables and sentences, marked or not


def _experiment(words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("-S", "--set-param", action="append", default=[])
    parser.add_argument("-n", "--name")
    parser.add_argument("-s", "-f", "--temp", "--queue", "--single-item", action="store_true")
    parser.add_argument("targets", nargs="*")
    return parser.parse_intermixed_args(words)


def told_to_dvc(page):
    """Parameters and stages of each `dvc exp run` and `dvc repro` of a page."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    for found in re.finditer(r"\bdvc (?:exp run|repro)\b([^`\n&|]*)", text):
        yield _experiment(shlex.split(found[1].replace("...", ""), comments=True))


@pytest.mark.parametrize("page", PAGES)
def test_parameters_that_a_page_sets_can_be_set_so(page, tmp_path):
    for asked in told_to_dvc(page):
        if asked.set_param and not any(each.endswith("=") for each in asked.set_param):
            for sweep in get_hydra_sweeps({"params.yaml": asked.set_param}):
                shutil.copy(ROOT / "params.yaml", tmp_path)
                apply_overrides(tmp_path / "params.yaml", sweep["params.yaml"])
                load_params(tmp_path / "params.yaml")


def test_stages_that_a_page_names_are_there():
    known = {stage.addressing for stage in Repo(ROOT).index.stages}
    known |= {stage.partition("@")[0] for stage in known}
    named = {target for page in PAGES for asked in told_to_dvc(page) for target in asked.targets}
    assert {"study", "evaluate@cinegan64"} <= named
    assert not {name for name in named if not re.search(r"[<A-Z]", name)} - known


def test_modules_and_targets_that_a_page_names_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        for module in re.findall(r"\.venv/bin/python -m ([\w.]+)", text):
            assert importlib.util.find_spec(module), (page, module)
        for name in re.findall(r"python -m benchmarks (\w+)", text):
            assert name in BENCHMARKS, (page, name)
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M):
            assert target in targets, (page, target)
