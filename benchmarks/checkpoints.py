"""What it costs to save the state of a training, measured in the training itself.

Each network trains on noise for about three minutes, saving its state as often as a training does;
what counts is the time within `state` and `save` beside all of it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.ours import make_trained, record_of
from cinegan.errors import CineganError
from cinegan.training.checkpoint import Checkpoints

MEASURED = ("dcgan64", "dcgan128", "pggan256")
SECONDS = 200.0
ROOT = Path(__file__).resolve().parents[1]


def measure(only: str | None = None) -> dict[str, Any]:
    """Train each network for a while, or `only` one."""
    if only is not None and only not in MEASURED:
        raise CineganError(f"no network {only!r}; there are {', '.join(MEASURED)}")
    return {name: _cost(name) for name in MEASURED if only in (None, name)}


def _cost(workload: str) -> dict[str, Any]:
    step = make_trained(workload)
    step(measure=False)  # compiles
    writes: list[float] = []
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:  # on the disk that a training uses
        states = Checkpoints(Path(folder), workload, record_of(workload))
        start = time.monotonic()
        while time.monotonic() - start < SECONDS:
            step(measure=False)
            if states.due():
                before = time.monotonic()
                states.save(step.state(), before)
                writes.append(time.monotonic() - before)
        whole = time.monotonic() - start
        size = max(path.stat().st_size for path in Path(folder).rglob("*.npz"))
    return {
        "state_mb": round(size / 1e6),
        "states_written": len(writes),
        "seconds_a_state": round(statistics.median(writes), 2),
        "share_of_the_time": round(sum(writes) / whole, 4),
    }
