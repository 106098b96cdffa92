"""What it costs to save the state of a training: seconds a write, and its share of the time."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.ours import WORKLOADS, make_trained
from cinegan.training.checkpoint import EVERY_S, MOST_TIME, Checkpoints

WRITES = 5
MEASURED = ("dcgan64", "dcgan128", "pggan256")


def measure() -> dict[str, Any]:
    """Save the state of each network's training a few times."""
    return {name: _cost(name) for name in MEASURED}


def _cost(workload: str) -> dict[str, Any]:
    step = make_trained(workload)
    step()
    with tempfile.TemporaryDirectory() as folder:
        states = Checkpoints(Path(folder), workload, WORKLOADS[workload])
        seconds = []
        for _ in range(WRITES):
            start = time.perf_counter()
            states.save(step.state())
            seconds.append(time.perf_counter() - start)
        size = max(path.stat().st_size for path in Path(folder).rglob("*.npz"))
    write = statistics.median(seconds)
    return {
        "state_mb": round(size / 1e6),
        "seconds_a_write": round(write, 2),
        "share_of_the_time": round(write / (max(EVERY_S, write / MOST_TIME) + write), 4),
    }
