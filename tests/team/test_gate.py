"""The gate, `.ci/run`, with Debian at hand, without, and told to do without."""

from __future__ import annotations

import shutil
import subprocess
from types import SimpleNamespace

import pytest
from imports import ROOT

NEEDED = ("sh", "dirname", "tail", "ls")


@pytest.fixture
def gate(tmp_path):
    """The gate of an empty project, on a machine without Debian's packages: `gate(apt, **told)`."""
    programs = tmp_path / "bin"
    (tmp_path / ".ci").mkdir()
    programs.mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    for name in NEEDED:
        (programs / name).symlink_to(shutil.which(name))

    def program(name, script):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    def run(apt, **told):
        program("apt-get", apt)
        program("make", 'echo "$1 with CI=$CI"')
        done = subprocess.run(
            [tmp_path / ".ci/run"],
            env={"PATH": str(programs), **told},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return SimpleNamespace(status=done.returncode, out=done.stdout, err=done.stderr)

    return run


def test_where_debians_packages_can_be_had_nothing_may_skip(gate):
    done = gate("echo setting up; echo a warning >&2")
    assert (done.status, done.out, done.err) == (0, "lint with CI=true\ntest with CI=true\n", "")


def test_where_they_cannot_be_had_it_fails_and_says_why(gate):
    done = gate("for i in 1 2 3 4 5 6 7; do echo E: $i >&2; done; exit 100", CI="true")
    assert (done.status, done.out) == (1, "")
    *reasons, remedy = done.err.splitlines()
    assert reasons == ["E: 3", "E: 4", "E: 5", "E: 6", "E: 7"]
    assert "WITHOUT_DEBIAN=1" in remedy


def test_told_to_do_without_it_asks_nobody_and_lets_tests_skip(gate):
    done = gate("exit 100", WITHOUT_DEBIAN="1", CI="true")
    assert (done.status, done.out, done.err) == (0, "lint with CI=\ntest with CI=\n", "")
