"""What a function does in its own process is an error here, and no more."""

import ctypes
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cinegan.data.isolation import Isolated
from cinegan.data.refusal import RefusedError


def work(content):
    """What the tests have done in another process, told by the content."""
    match content:
        case b"crash":
            ctypes.string_at(0)
        case b"abort":
            os.abort()
        case b"exit":
            os._exit(3)
        case b"fill":
            return np.ones(2**32, np.uint8)
        case b"hang":
            time.sleep(60)
        case b"wait":
            time.sleep(0.5)
            return np.array([os.getppid()])
        case b"refuse":
            raise RefusedError("not this one")
        case b"name":
            raise ValueError("DOE^JOHN")
        case b"noise":
            print("out")
            print("err", file=sys.stderr)
    return np.frombuffer(content, np.uint8)


@pytest.fixture(scope="module")
def isolated():
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(__file__).parent))
    yield Isolated("test_isolation", "work", seconds=60.0, memory=2 * 2**30)
    patch.undo()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"crash", "the decoder crashes on it"),
        (b"abort", "the decoder crashes on it"),
        (b"exit", "the decoder crashes on it"),
        (b"fill", r"it cannot be decoded \(.*MemoryError\)"),
        (b"hang", "decoding takes longer than 1 s"),
        (b"refuse", "^not this one$"),
        (b"name", r"^it cannot be decoded \(ValueError\)$"),
    ],
)
def test_whatever_happens_there_is_an_error_and_the_next_call_works(isolated, content, why):
    isolated(b"warm")  # starting takes longer than this call may
    isolated.seconds = 1.0 if content == b"hang" else 60.0
    with pytest.raises(ValueError, match=why):
        isolated(content)
    isolated.seconds = 60.0
    np.testing.assert_array_equal(isolated(b"next"), np.frombuffer(b"next", np.uint8))


def test_it_is_quiet(isolated, capfd):
    isolated(b"noise")
    assert capfd.readouterr() == ("", "")


def test_large_contents_go_there_and_back(isolated):
    content = bytes(range(256)) * 2**16
    assert isolated(content).tobytes() == content


def test_two_threads_have_a_process_each_and_one_thread_has_one(isolated):
    with ThreadPoolExecutor(2) as threads:
        assert len({int(pid[0]) for pid in threads.map(isolated, [b"wait"] * 4)}) == 2
    assert len({int(isolated(b"wait")[0]) for _ in range(2)}) == 1
