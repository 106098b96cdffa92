"""The states of a training on disk: when they are due, whose they are, and what is refused."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.training import checkpoint
from cinegan.training.checkpoint import EVERY_S, Checkpoints

RECORD = {"architecture": "dcgan", "seed": 1}
STATE = {"weights": np.arange(3.0), "step": np.int64(5)}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def states(tmp_path):
    return Checkpoints(tmp_path, "tiny", RECORD)


def test_a_state_comes_back_as_it_was_and_is_gone_once_deleted(states):
    with states.lock():
        assert states.load() is None
        states.save(STATE)
        found = states.load()
        assert found.keys() == STATE.keys()
        np.testing.assert_array_equal(found["weights"], STATE["weights"])
        assert found["step"] == 5
        states.delete()
    assert not any(states.snapshots.parents[1].iterdir())


def test_a_state_is_due_after_a_minute(clock, states):
    clock[0] += EVERY_S
    assert not states.due()
    clock[0] += 1
    assert states.due()


def test_states_that_take_long_are_rare(clock, states):
    """Ten seconds, of which eight went into gathering: no sooner than 500 s later."""
    with states.lock():
        begun = clock[0]
        clock[0] += 10
        states.save(STATE, begun)
    clock[0] += 500
    assert not states.due()
    clock[0] += 1
    assert states.due()


@pytest.mark.parametrize("what", ["record", "code", "library"])
def test_the_key_stands_for_parameters_code_and_libraries(tmp_path, states, monkeypatch, what):
    record = RECORD
    if what == "record":
        record = RECORD | {"seed": 2}
    elif what == "code":
        whole = checkpoint.sha256
        changed = lambda path: whole(path) + ("!" if path.name == "step.py" else "")  # noqa: E731
        monkeypatch.setattr(checkpoint, "sha256", changed)
    else:
        monkeypatch.setattr(checkpoint, "version", lambda library: "0")
    assert Checkpoints(tmp_path, "tiny", record).key != states.key


def test_a_state_that_is_not_finite_is_refused_and_the_last_good_one_stays(states):
    with states.lock():
        states.save(STATE)
        expected = "tiny: weights is not finite; lower the learning rate or train in float32"
        with pytest.raises(CineganError, match=rf"^{expected} \(the last good state is .*\)$"):
            states.save({"weights": np.array([1.0, np.nan])})
        np.testing.assert_array_equal(states.load()["weights"], STATE["weights"])


def test_a_damaged_state_starts_the_training_anew(states):
    with states.lock():
        (states.snapshots.parent / checkpoint.STATE).write_bytes(b"PK not a state")
        assert states.load() is None
        assert states.snapshots.is_dir()


def test_a_second_process_says_that_it_waits_for_the_first(tmp_path, states, capsys):
    entered = threading.Event()

    def second():
        with Checkpoints(tmp_path, "tiny", RECORD).lock():
            entered.set()

    with states.lock():
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.5)
    assert entered.wait(10)
    thread.join()
    assert "tiny: another process trains by this recipe; waiting" in capsys.readouterr().err


# Saves one state after another, each of 80 MB that say which it is.
SAVING = """
import sys
from pathlib import Path
import numpy as np
from cinegan.training.checkpoint import Checkpoints
states = Checkpoints(Path(sys.argv[1]), "tiny", {"architecture": "dcgan", "seed": 1})
with states.lock():
    for step in range(1000):
        states.save({"weights": np.full(10**7, float(step)), "step": np.int64(step)})
        print(step, flush=True)
"""


@pytest.mark.parametrize("written", [1, 3])
def test_a_kill_during_a_write_leaves_the_state_before_it(tmp_path, states, written):
    partial = states.snapshots.with_name(".state.npz.partial.npz")
    with subprocess.Popen(
        [sys.executable, "-c", SAVING, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        for _ in range(written):
            process.stdout.readline()
        while not partial.exists():
            assert process.poll() is None
        process.kill()
        last = ([written - 1] + [int(line) for line in process.stdout])[-1]
    assert process.returncode == -signal.SIGKILL
    found = states.load()
    assert int(found["step"]) in (last, last + 1)  # renamed, and killed before it could say so
    np.testing.assert_array_equal(found["weights"], np.full(10**7, float(found["step"])))
