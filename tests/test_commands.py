"""Every command that README.md and docs/ show is run as it stands there, or says why it is not.

A block whose first line is `# long: ...`, `# GPU: ...` or `# cluster: ...` is not run, but what it
names must exist. What needs a team or a folder of its own is run by the tests that `FOLLOWED`
names. All other blocks run here, one after another, in a small copy of the project: the tutorial
first, since what it leaves behind is what the other pages speak of.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import requests
import yaml
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from imports import ROOT
from pages import PAGES, UNTIL, commands, fenced

from benchmarks.__main__ import BENCHMARKS
from cinegan.files import read_json
from cinegan.params import load_params

TUTORIAL = "docs/tutorial.md"
FOLLOWED = {
    "docs/data.md": ("tests/test_commands.py",),
    "docs/team.md": tuple(
        f"tests/team/{name}.py" for name in ("stores", "test_sharing", "test_sharing_amiss")
    ),
    "docs/team-server.md": ("tests/team/test_team_server.py",),
}
SMALL = {
    "data.phantom": {"patients_per_group": 1, "slices": 8, "size": 64},
    "models.cinegan64.network.latent": 16,
    "models.cinegan64.network.generator": [32, 24, 16, 12, 8],
    "models.cinegan64.network.discriminator": [12, 16, 24, 32],
    "models.cinegan64.training.batch": 50,  # 60 steps for what the tutorial asks for
    "models.cinegan64.training.r1": 0.0,
    "models.cinegan64.training.warp": 0.0,
    "sample.cycles": 16,
    "evaluate.encoder_steps": 4,
    "evaluate.inception": "skip",
}
EXAMPLES = ("docs/export.md", "docs/serving.md")  # whose Python is run among their commands
PORTS = (5000, 8000)  # of `make ui` and of a served generator, where nobody names another
SHELL = ("bash", "-euo", "pipefail", "-c")  # ends at the first command that fails
PATIENCE_S = 300  # a busy machine takes its time
SHOWN = [block for page in PAGES for block in fenced(page) if block.language == "sh"]
HERE = [block for block in SHOWN if block.page not in FOLLOWED and not block.marked]


def once(shown):
    """What pages show, without what an earlier one shows word for word."""
    first = {}
    for each in shown:
        first.setdefault(getattr(each, "text", each), each)
    return list(first.values())


SERVING = once(
    line.partition(UNTIL)[0].strip()
    for block in HERE
    if block.serves
    for line in block.text.splitlines()
)
# In the order of the pages: what some make, others below read.
PYTHON = [each for page in EXAMPLES for each in fenced(page) if each.language == "python"]
(CLIENT,) = [block for block in PYTHON if f":{PORTS[1]}/" in block.text]  # asks a served generator
OTHERS = sorted(
    once(
        block
        for block in [*HERE, *PYTHON]
        if not block.serves and block.page != TUTORIAL and block != CLIENT
    ),
    key=lambda block: (block.page, block.line),
)


# The pages


def test_python_that_is_shown_is_run():
    shown = {page for page in PAGES for block in fenced(page) if block.language == "python"}
    extension = (ROOT / "tests/models/test_extension.py").read_text()
    assert shown == {*EXAMPLES, "docs/models.md"}
    assert "docs/models.md" in extension


def test_shells_commands_are_marked_as_such():
    for page in PAGES:
        for block in fenced(page):
            assert block.language in ("sh", "python", "yaml", "ini", ""), block
            if block.language == "":
                assert not re.search(r"^(\S*/)?(dvc|python|make|git) ", block.text, re.M), block


def test_every_block_is_marked_or_run_or_followed():
    assert {block.page for block in SHOWN} >= {"README.md", TUTORIAL, *FOLLOWED}
    for page, tests in FOLLOWED.items():
        sources = "".join((ROOT / test).read_text() for test in tests)
        for block in commands(page):
            called = rf'commands\(\s*"{page}",\s*"{re.escape(block.heading)}",?\s*\)'
            assert block.marked or re.search(called, sources), block


def test_what_serves_stands_apart_from_what_ends():
    for block in HERE:
        assert not block.serves or all(UNTIL in line for line in block.text.splitlines()), block


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
    parser.add_argument(
        "-s", "-f", "--force", "--temp", "--queue", "--single-item", action="store_true"
    )
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


# What is run


def environment(project):
    """What a reader's commands see: an identity for Git, and nothing of whoever runs the tests."""
    ours = ("MLFLOW_", "DVC_", "GIT_", "MAKE", "MFLAGS", "PYTEST", "PYTHONPATH")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    (project / "tmp").mkdir(exist_ok=True)
    return kept | {
        "TMPDIR": str(project / "tmp"),
        **{f"GIT_{who}_NAME": "a reader" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "reader@example.org" for who in ("AUTHOR", "COMMITTER")},
    }


def run(project, text):
    """Run commands as one script that ends at the first failure; what they printed."""
    done = subprocess.run(
        [*SHELL, text],
        cwd=project,
        env=environment(project),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    told = f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    assert done.returncode == 0, told
    assert "Traceback" not in done.stderr, told
    return done.stdout


def as_pasted(block):
    """A block as a shell takes it."""
    if block.language == "sh":
        return block.text
    return f".venv/bin/python - <<'EOF'\n{block.text}EOF\n"


def with_environment(project):
    """Give a checkout the environment that runs the tests, in the place where `make` puts one."""
    (project / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != ".ready":
            (project / ".venv" / path.name).symlink_to(path)
    (project / ".venv/.ready").touch()  # by which `make` sees that nothing is to be installed


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A clone of the project, but for a small cohort and a small cinegan64."""
    folder = tmp_path_factory.mktemp("reader") / "cinegan"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for path, value in SMALL.items():
        *above, key = path.split(".")
        block = params
        for each in above:
            block = block[each]
        block[key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    with_environment(folder)
    run(folder, "echo /tmp >> .gitignore; git init -qb main; git add .; git commit -qm small")
    return folder


@pytest.fixture(scope="module")
def walked(project):
    """The project as the tutorial leaves it to a reader who has pasted its blocks."""
    for block in commands(TUTORIAL):
        if not block.marked and not block.serves:
            run(project, block.text)
    return project


def test_the_tutorial_ends_with_two_experiments_and_keeps_one(walked):
    shown = run(walked, ".venv/bin/dvc exp list --name-only --all-commits").split()
    assert sorted(shown) == ["first", "second"]
    assert run(walked, "git status --short") == ""
    assert run(walked, "git rev-list --count HEAD").strip() == "2"
    report = read_json(walked / "metrics/models/cinegan64.json")
    assert report["n_synthetic"] == SMALL["sample.cycles"]
    assert report != read_json(ROOT / "metrics/models/cinegan64.json")


@pytest.mark.parametrize("block", OTHERS, ids=str)
def test_a_block_runs_as_it_stands(walked, block):
    missing = {
        name for name in ("dciodvfy", "unzip") if name in block.text and not shutil.which(name)
    }
    if missing:
        assert os.environ.get("CI") != "true", missing
        pytest.skip(f"not installed: {', '.join(missing)}")
    run(walked, as_pasted(block))


def test_a_file_that_was_left_out_is_found_by_its_number(walked):
    (block,) = commands("docs/data.md", "In short")
    incoming = walked / "data/incoming"
    for number in range(40):
        (incoming / f"{number:02d}").touch()
    (incoming / ".hidden").touch()
    with zipfile.ZipFile(incoming / "ARCHIVE", "w") as archive:
        for number in range(20):
            archive.writestr(f"{number:02d}", "")
        archive.writestr("__MACOSX/00", "")
    try:
        assert run(walked, block.text).split() == ["./36", "11"]
    finally:
        run(walked, "git clean -qfdx data/incoming")


def in_use(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("command", SERVING)
def test_a_command_that_serves_answers_until_ctrl_c(walked, command, tmp_path):
    if any(map(in_use, PORTS)):
        told = f"somebody listens on port {' or '.join(map(str, PORTS))} already"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(told)
    with (tmp_path / "told").open("w+") as told:
        process = subprocess.Popen(
            [*SHELL, command],
            cwd=walked,
            env=environment(walked),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            start_new_session=True,  # a group of its own, which Ctrl-C reaches as a whole
        )
        try:
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address, (tmp_path / "told").read_text()
            assert answers(address[0], process), (tmp_path / "told").read_text()
            if f":{PORTS[1]}" in address[0]:
                run(walked, as_pasted(CLIENT))
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert not in_use(int(address[0].rpartition(":")[2]))
    assert "Traceback" not in (tmp_path / "told").read_text()


def answers(address, process):
    """Whether a server answers before patience or the server ends."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return requests.get(address, timeout=PATIENCE_S).ok
        except requests.ConnectionError:
            time.sleep(0.2)
    return False
