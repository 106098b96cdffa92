"""How fast a step is, and the answers of a program that is measured in turn with others."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable

# Of an answer: so many steps, or fewer once they have taken so long.
STEPS, SECONDS = 4, 2.0


def step_seconds(step: Callable[[], object], steps: int = STEPS, seconds: float = SECONDS) -> float:
    """Median time of a step."""
    times: list[float] = []
    while not times or (len(times) < steps and sum(times) < seconds):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def serve(step: Callable[[], object], amount: float) -> None:
    """Warm up, say "ready", then answer every line of standard input with two numbers.

    They are `amount` per second, and the most memory that the process has held so far, in GB.
    """
    step_seconds(step)
    print("ready", flush=True)
    for _ in sys.stdin:
        rate = amount / step_seconds(step)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux tells KiB
        print(f"{rate:.4g} {peak:.2f}", flush=True)
