"""How fast a step is, and the answers of a program that is measured in turn with others."""

from __future__ import annotations

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
    """Warm up, say "ready", then answer every line of standard input with `amount` per second."""
    step_seconds(step)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(f"{amount / step_seconds(step):.4g}", flush=True)
