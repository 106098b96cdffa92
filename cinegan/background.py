"""Servers of other programs that run beside us and end with us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cinegan.errors import CineganError

GRACE_S = 30  # that a server has to end in order
SET_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


@dataclass(frozen=True)
class Server:
    """A running server: what people call it, its process, where its words go."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """See that it runs.

        Raises
        ------
        CineganError
            If it has ended, with the last line of its log.
        """
        if self.process.poll() is not None:
            said = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = said[-1].strip() if said else "nothing"
            raise CineganError(f"{self.name} ended by itself; the last line of {self.log}: {last}")


@contextmanager
def beside(
    name: str,
    command: Sequence[str],
    log: Path,
    stop: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Server]:
    """Run a server; at the end of the block, whatever ends it, nothing of it runs any more.

    Parameters
    ----------
    stop : signal.Signals
        What asks it to end in order.
    options
        Of `subprocess.Popen`, such as the user that it runs as.
    """
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches us alone: we end servers in their order
            preexec_fn=partial(_end_with_us, stop),
            **options,
        )
    try:
        yield Server(name, process, log)
    finally:
        process.send_signal(stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        with suppress(ProcessLookupError):  # its workers, where it was killed
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _end_with_us(stop: signal.Signals) -> None:
    """Let Linux ask the server to end if we are killed; elsewhere it would go on alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, stop)
