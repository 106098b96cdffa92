"""Programs measured in turn, so that a machine whose speed drifts treats them alike."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from types import TracebackType

from cinegan.errors import CineganError


class Served:
    """A program that says "ready", then answers every line with a rate and its peak memory.

    Its own process, so that each has its threads and its memory to itself; it sleeps while another
    is measured.

    Attributes
    ----------
    peak_gb : float
        The most memory that the program has held, GB, as of its last answer.
    """

    peak_gb: float

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._answer() != "ready":
            raise CineganError(f"{' '.join(command)}: did not start")

    def rate(self) -> float:
        """Run once more and return its rate."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        rate, self.peak_gb = map(float, self._answer().split())
        return rate

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline().strip()
        if not line:
            reason = self._process.stderr.read().strip().splitlines()[-1:]
            raise CineganError(f"{self._process.args!r}: ended: {' '.join(reason)}")
        return line


# Rounds of programs that take long end after so many seconds, but not before so many rounds.
LONG_S, FEWEST_ROUNDS = 240.0, 5


def in_turn(programs: dict[str, Served], rounds: int) -> dict[str, list[float]]:
    """Rates of each program, one a round, all programs in every round."""
    rates: dict[str, list[float]] = {name: [] for name in programs}
    start = time.monotonic()
    for done in range(rounds):
        if done >= FEWEST_ROUNDS and time.monotonic() - start > LONG_S:
            break
        for name, program in programs.items():
            rates[name].append(program.rate())
    return rates


def peer_python(root: Path) -> str:
    """Interpreter of the environment with the peers' packages."""
    python = root / ".venv-bench" / "bin" / "python"
    if not python.exists():
        raise CineganError(f"{python}: not found; `make bench` sets the peers up")
    return str(python)
