"""Servers beside us: they end with us, in order, and are missed when they end before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from imports import ROOT

from cinegan.background import beside
from cinegan.errors import CineganError

# A server with a worker in its process group, that says so and ends in order when it is asked to.
SERVER = """
import signal, subprocess, sys
worker = subprocess.Popen(["sleep", "600"])
def stop(number, frame):
    print("asked to end", flush=True)
    worker.terminate()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print(worker.pid, flush=True)
worker.wait()
print("no worker any more", flush=True)
"""
COMMAND = [sys.executable, "-c", SERVER]


def words(log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if log.exists() and log.read_text().endswith("\n"):
            return log.read_text().split("\n")[:-1]
        time.sleep(0.05)
    raise AssertionError(f"nothing in {log}")


def gone(pid):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_it_ends_in_order_whatever_ends_the_block(tmp_path, error):
    log = tmp_path / "log"
    try:
        with beside("a server", COMMAND, log) as server:
            (worker,) = words(log)
            server.check()
            if error:
                raise error
    except (ValueError, KeyboardInterrupt) as raised:
        assert isinstance(raised, error)
    assert server.process.returncode == 0
    assert words(log) == [worker, "asked to end"]
    assert gone(int(worker))


def test_one_that_was_killed_is_missed_and_its_workers_end(tmp_path):
    log = tmp_path / "log"
    with (
        pytest.raises(
            CineganError, match=r"a server ended by itself; the last line of .*log: \d+$"
        ),
        beside("a server", COMMAND, log) as server,
    ):
        worker = int(words(log)[0])
        server.process.kill()
        server.process.wait()
        server.check()
    assert gone(worker)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it goes on alone")
def test_it_ends_in_order_when_we_are_killed(tmp_path):
    log = tmp_path / "log"
    ours = (
        "import sys, time; from pathlib import Path; from cinegan.background import beside\n"
        "with beside('a server', sys.argv[2:], Path(sys.argv[1])): time.sleep(600)"
    )
    we = subprocess.Popen([sys.executable, "-c", ours, str(log), *COMMAND], cwd=ROOT)
    worker = int(words(log)[0])
    we.send_signal(signal.SIGKILL)
    we.wait()
    assert gone(worker)
    assert words(log)[-1] == "asked to end"
