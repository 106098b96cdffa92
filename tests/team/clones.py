"""A small project in the manner of dvc.yaml, and the clones of it that people work in."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from loopback import absent
from pages import DVC, Block

ONE_BY_ONE = """
import shlex, sys
from dvc.cli import main

for command in sys.argv[1:]:
    code = main(shlex.split(command))
    if code:
        sys.exit(code)
"""
PROJECT = {
    ".gitignore": "/data/cycles\n",
    "params.yaml": """\
seed: 4
patients: 3
models:
  small: {rate: 1}
  large: {rate: 2}
""",
    "dvc.yaml": """\
stages:
  convert:
    cmd: python stages/convert.py
    params:
      - seed
      - patients
    deps:
      - stages/convert.py
    outs:
      - data/cycles
    metrics:
      - metrics/convert.json:
          cache: false

  train:
    foreach: ${models}
    do:
      cmd: python stages/train.py ${key}
      params:
        - seed
        - models.${key}
      deps:
        - data/cycles
        - stages/train.py
      outs:
        - models/${key}
      metrics:
        - metrics/models/${key}.json:
            cache: false

  compare:
    cmd: python stages/compare.py
    deps:
      - metrics/models
      - stages/compare.py
    metrics:
      - metrics/compare.json:
          cache: false
""",
    "stages/convert.py": """\
import json, pathlib, random, yaml

params = yaml.safe_load(pathlib.Path("params.yaml").read_text())
cycles = pathlib.Path("data/cycles")
cycles.mkdir(parents=True, exist_ok=True)
for patient in range(params["patients"]):
    pixels = random.Random(params["seed"] * 1000 + patient).randbytes(40_000)
    (cycles / f"patient{patient}.npy").write_bytes(pixels)
metrics = pathlib.Path("metrics")
metrics.mkdir(exist_ok=True)
(metrics / "convert.json").write_text(json.dumps({"patients": params["patients"]}) + "\\n")
""",
    "stages/train.py": """\
import json, pathlib, random, sys, yaml

name = sys.argv[1]
params = yaml.safe_load(pathlib.Path("params.yaml").read_text())
rate = params["models"][name]["rate"]
model = pathlib.Path("models", name)
model.mkdir(parents=True, exist_ok=True)
(model / "model.json").write_text(json.dumps({"name": name}) + "\\n")
weights = random.Random(f"{name} {params['seed']} {rate}").randbytes(300_000)
(model / "generator.weights.h5").write_bytes(weights)
metrics = pathlib.Path("metrics/models")
metrics.mkdir(parents=True, exist_ok=True)
(metrics / f"{name}.json").write_text(json.dumps({"kid": 1 / rate}) + "\\n")
""",
    "stages/compare.py": """\
import json, pathlib

models = sorted(pathlib.Path("metrics/models").glob("*"))
found = {path.stem: json.loads(path.read_text()) for path in models}
pathlib.Path("metrics/compare.json").write_text(json.dumps(found) + "\\n")
""",
}
RESULTS = ("data", "models", "metrics")


@dataclass(frozen=True)
class Clone:
    """A person's clone, with a home of their own: nothing of this machine's user is used."""

    folder: Path
    home: Path

    def environment(self) -> dict[str, str]:
        """What the person's commands see."""
        ours = ("AWS_", "DVC_", "GIT_", "MLFLOW_", "SSH_", "XDG_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        return kept | {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc"),
            **{f"GIT_{who}_NAME": self.home.name for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": f"{self.home.name}@team" for who in ("AUTHOR", "COMMITTER")},
        }

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it; nobody answers its questions."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def run(self, *command: str) -> str:
        """Run a command that must succeed; what it told."""
        done = self.attempt(*command)
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(command)}: {told[-6000:]}"
        return told

    def dvc(self, *commands: str) -> subprocess.CompletedProcess[str]:
        """Run DVC's commands, up to one that fails, in one process: it takes long to start."""
        return self.attempt(sys.executable, "-c", ONE_BY_ONE, *commands)

    def must(self, *commands: str) -> str:
        """Run DVC's commands, which must all succeed; what they told."""
        done = self.dvc(*commands)
        assert done.returncode == 0, f"{commands}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def follow(self, block: Block, instead: dict[str, str] | None = None) -> str:
        """Run what a page shows, some words replaced by others; what it told."""
        text = block.text
        for old, new in (instead or {}).items():
            assert old in text, f"{block} does not say {old}"
            text = text.replace(old, new)
        told = ""
        lines = replace(block, text=text).lines
        for ours, several in groupby(lines, lambda words: words[0] == DVC):
            if ours:
                told += self.must(*(shlex.join(words[1:]) for words in several))
            else:
                told += "".join(self.run(*words) for words in several)
        return told

    def on_a_small_disk(self, place: Path, script: str) -> str:
        """Run a shell's script in which a folder is a small disk that the script alone sees.

        The script finds the folder as `$1`; `dvcs` is `dvc` for several commands, `resize` gives
        the disk another size.
        """
        place.mkdir(parents=True, exist_ok=True)
        begin = (
            "exec 2>&1\n"
            'mount -t tmpfs -o size=600k tmpfs "$1" || exit 77\n'
            'resize() { mount -o remount,size="$1" "$disk"; }\n'
            'dvcs() { python -c "$one_by_one" "$@"; }\n'
            "disk=$1 one_by_one=$2\n"
        )
        command = ["sh", "-c", begin + script, "sh", str(place), ONE_BY_ONE]
        done = self.attempt("unshare", "-rm", *command)
        if done.returncode == 77 or "unshare" in done.stderr:
            absent("a kernel that lets a test mount a small disk")
        return done.stdout + done.stderr

    def commit(self, message: str) -> None:
        """Give all that Git takes to the team."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)
        self.run("git", "push", "--quiet", "origin", "HEAD")

    def set(self, old: str, new: str) -> None:
        """Change a line of params.yaml."""
        path = self.folder / "params.yaml"
        text = path.read_text()
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new))

    def results(self) -> dict[str, bytes]:
        """Every file that stages have made, by its name."""
        paths = [p for name in RESULTS for p in (self.folder / name).rglob("*") if p.is_file()]
        return {
            p.relative_to(self.folder).as_posix(): p.read_bytes()
            for p in paths
            if p.name != ".gitignore"
        }


def stages_run(told: str) -> list[str]:
    """Names of the stages that a `dvc repro` ran."""
    return re.findall(r"Running stage '([^']+)'", told)


def clone(origin: Path, folder: Path) -> Clone:
    """Clone a repository as somebody new."""
    home = folder.parent / f"home of {folder.name}"
    home.mkdir(parents=True)
    made = Clone(folder, home)
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], check=True)
    return made


def make_origin(root: Path) -> Path:
    """A bare repository with the small project; nothing has run yet."""
    work, origin = root / "work", root / "origin.git"
    for name, content in PROJECT.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(content)
    return publish(work, origin)


def publish(work: Path, origin: Path) -> Path:
    """Make a folder of files a DVC project, and a bare repository of it."""
    home = work.parent / "home of the author"
    home.mkdir()
    author = Clone(work, home)
    author.run("git", "init", "--quiet", "--initial-branch", "main")
    if not (work / ".dvc").exists():
        author.run("dvc", "init", "--quiet")
    author.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(origin))
    author.run("git", "remote", "add", "origin", str(origin))
    author.commit("the project")
    shutil.rmtree(work)
    return origin
