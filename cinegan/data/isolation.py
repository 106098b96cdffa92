"""A function of bytes run in a process of its own, so that its crash is an error here.

Decoders written in C and C++ end their process, fill the memory or never return on damaged data,
and nothing in Python can catch that: on one bit changed in a JPEG stream, GDCM aborts.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

import numpy as np

from cinegan.data.refusal import RefusedError, refusing

ROOT = Path(__file__).parents[2]  # the package that asks, wherever it was imported from
SERVE = f"from {__name__} import serve; serve()"
ARRAY, REASON, CRASH = b"a", b"r", b"c"


class Isolated:
    """A function from bytes to an array, called in a process of its own.

    The process starts with the first call and ends with its owner.

    Parameters
    ----------
    module, function : str
        Where the function is; that it was called from another process, it does not notice.
    seconds : float
        Most time for one call.
    memory : int
        Most bytes of address space.
    """

    def __init__(self, module: str, function: str, *, seconds: float, memory: int) -> None:
        self.seconds = seconds
        self._task = (module, function, str(memory))
        self._lock = threading.Lock()
        self._owner = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __call__(self, content: bytes) -> np.ndarray:
        """Give what the function gives.

        Raises
        ------
        RefusedError
            If it raises, crashes, wants too much memory or does not return in time.
        """
        with self._lock:
            connection = self._started()
            try:
                connection.send_bytes(content)
                answer = connection.recv_bytes() if connection.poll(self.seconds) else None
            except (EOFError, OSError):
                answer = CRASH
            if answer is None:
                self._end()
                raise RefusedError(f"decoding takes longer than {self.seconds:.0f} s")
        kind, answer = answer[:1], answer[1:]
        if kind == ARRAY:
            return np.load(io.BytesIO(answer), allow_pickle=False)
        raise RefusedError(answer.decode() if kind == REASON else "the decoder crashes on it")

    def _started(self) -> Connection:
        """The way to the process; a fork of its owner needs another one."""
        if self._owner == os.getpid() and self._process and self._process.poll() is None:
            assert self._connection
            return self._connection
        self._connection, its_end = Pipe()
        self._owner = os.getpid()
        search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with its_end:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", SERVE, str(its_end.fileno()), *self._task],
                pass_fds=[its_end.fileno()],
                env={**os.environ, "PYTHONPATH": search, "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._connection

    def _end(self) -> None:
        assert self._process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def serve() -> None:
    """Answer one owner's calls, each in a fork, so that none can harm the next."""
    handle, module, name, memory = sys.argv[1:]
    function = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not leave an image in a file
    with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    with Connection(int(handle)) as connection, contextlib.suppress(EOFError):
        while True:
            content = connection.recv_bytes()
            pid = os.fork()
            if pid == 0:
                connection.send_bytes(_answer(function, content))
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            if status != 0:
                connection.send_bytes(CRASH)


def _answer(function: Callable[[bytes], np.ndarray], content: bytes) -> bytes:
    try:
        packed = io.BytesIO(ARRAY)
        packed.seek(0, io.SEEK_END)
        with refusing("it cannot be decoded"):
            np.save(packed, function(content), allow_pickle=False)
        return packed.getvalue()
    except RefusedError as error:
        return REASON + str(error).encode()
