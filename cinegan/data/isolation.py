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
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import LifoQueue

import numpy as np

from cinegan.data.refusal import RefusedError, refusing

ROOT = Path(__file__).parents[2]  # the package that asks, wherever it was imported from
SERVE = f"from {__name__} import serve; serve()"
MOST = 2  # processes: conversion reads with two threads
ARRAY, REASON, CRASH = b"a", b"r", b"c"


class Isolated:
    """A function from bytes to an array, called in a process of its own.

    The process starts with the first call and ends with its owner; calls from several threads at
    once have up to `MOST` processes.

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
        # The one last used comes first: another is started when this one is at work only.
        self._free: LifoQueue[_Process] = LifoQueue()
        for _ in range(MOST):
            self._free.put(_Process(module, function, str(memory)))

    def __call__(self, content: bytes) -> np.ndarray:
        """Give what the function gives.

        Raises
        ------
        RefusedError
            If it raises, crashes, wants too much memory or does not return in time.
        """
        process = self._free.get()
        try:
            answer = process.answer(content, self.seconds)
        finally:
            self._free.put(process)
        kind, answer = answer[:1], answer[1:]
        if kind == ARRAY:
            return np.load(io.BytesIO(answer), allow_pickle=False)
        raise RefusedError(answer.decode() if kind == REASON else "the decoder crashes on it")


class _Process:
    """One process, for one call at a time."""

    def __init__(self, *task: str) -> None:
        self._task = task
        self._owner = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def answer(self, content: bytes, seconds: float) -> bytes:
        """What it says to a content within this time."""
        connection = self._started()
        try:
            connection.send_bytes(content)
            if connection.poll(seconds):
                return connection.recv_bytes()
        except (EOFError, OSError):
            return CRASH
        self._end()
        raise RefusedError(f"decoding takes longer than {seconds:.0f} s")

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
