"""Where a result comes from: its commit, what differs from it, the command that makes it again."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DVC = ".venv/bin/dvc"
PARAMS = "params.yaml"
MADE = (PARAMS, "dvc.lock", "metrics/")  # what a run of the pipeline itself changes in Git
BARE = re.compile(r"[A-Za-z_][\w./-]*")  # a string that needs no quotes in an override
NUMBER = re.compile(r"[-+]?\d+e[-+]?\d+")  # which YAML 1.1 reads as a string, and DVC does not
RESERVED = ("null", "true", "false", "nan", "inf", "yes", "no", "on", "off")


def tags() -> dict[str, str]:
    """Who, Git commit, whether files differed from it, DVC's stage and experiment, where known."""
    commit = _git("rev-parse", "HEAD").strip()
    dirty = str(bool(_git("status", "--porcelain"))).lower()
    found = {
        "mlflow.user": _user(),
        "mlflow.source.name": os.environ.get("DVC_STAGE", ""),
        "mlflow.source.git.commit": commit,
        "git_commit": commit,
        "git_dirty": dirty if commit else "",
        "dvc_stage": os.environ.get("DVC_STAGE", ""),
        "dvc_exp_name": os.environ.get("DVC_EXP_NAME", ""),
    }
    return {key: value for key, value in found.items() if value}


def description() -> str:
    """Markdown that says how to make this again; empty outside Git or DVC."""
    commit, stage = _git("rev-parse", "HEAD").strip(), os.environ.get("DVC_STAGE", "")
    if not commit or not stage:
        return ""
    lines = ["Made again by:", "", "```sh", f"git checkout {commit}", command(stage), "```"]
    if changed := changed_files():
        listed = ", ".join(f"`{name}`" for name in changed)
        lines += ["", f"Not in that commit: changes in {listed}, which the command does not bring."]
    return "\n".join(lines)


def command(stage: str) -> str:
    """What runs the stage, and all before it, with the parameters as they are."""
    committed = _git("show", f"HEAD:./{PARAMS}")
    try:
        before, now = (yaml.safe_load(text) or {} for text in (committed, Path(PARAMS).read_text()))
    except (OSError, yaml.YAMLError):
        return f"{DVC} repro {stage}"
    changes = overrides(before, now)
    if not changes:
        return f"{DVC} repro {stage}"
    return " ".join([DVC, "exp run", *(f"-S {shlex.quote(each)}" for each in changes), stage])


def overrides(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What `dvc exp run -S` is given to turn the parameters of before into those of now."""
    found: list[str] = []
    for key in [*before, *(key for key in now if key not in before)]:
        name, old, new = f"{prefix}{key}", before.get(key), now.get(key)
        if key not in now:
            found.append(f"~{name}")
        elif key not in before:
            found.append(f"+{name}={_hydra(new)}")
        elif isinstance(old, Mapping) and isinstance(new, Mapping) and old and new:
            found += overrides(old, new, f"{name}.")
        elif old != new:
            found.append(f"{name}={_hydra(new)}")
    return found


def changed_files() -> list[str]:
    """Tracked files that differ from the commit, but for what a run itself changes."""
    changed = _git("diff", "--name-only", "HEAD").splitlines()
    return [name for name in changed if not name.startswith(MADE)]


def _hydra(value: Any) -> str:
    """A value as Hydra's grammar writes it, which `-S` takes."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return "{" + ",".join(f"{key}:{_hydra(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_hydra, value)) + "]"
        case str() if NUMBER.fullmatch(value):
            return value
        case str() if not BARE.fullmatch(value) or value.lower() in RESERVED:
            # Backslashes count as such but before a quote, which they escape.
            return "'" + re.sub(r"(\\*)('|\Z)", _escaped, value) + "'"
        case _:
            return str(value)


def _escaped(found: re.Match[str]) -> str:
    return found[1] * 2 + found[2].replace("'", "\\'")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return ""


def _git(*arguments: str) -> str:
    try:
        answer = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return answer.stdout if answer.returncode == 0 else ""
