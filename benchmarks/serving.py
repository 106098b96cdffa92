"""How soon and how fast a served generator answers, over HTTP, one client and four at once.

The networks are those of params.yaml with fresh weights, which are as fast as trained ones. The
machine's load beforehand and the processor's time tell what a busy machine makes of it.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ours import PARAMS, PHASES, THREADS
from cinegan.errors import CineganError

SERVED = ("dcgan64", "cinegan64", "dcgan128")
CYCLES, REQUESTS, CLIENTS = 16, 50, 4
ROOT = Path(__file__).resolve().parents[1]


def measure(only: str | None = None) -> dict[str, Any]:
    """Serve each model, or `only` one."""
    if only is not None and only not in SERVED:
        raise CineganError(f"no model {only!r}; there are {', '.join(SERVED)}")
    return {name: _served(name) for name in SERVED if only in (None, name)}


def _served(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / name
        _make(folder)
        busy, start = os.getloadavg()[0], time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "cinegan.serve", str(folder), "--port", "0"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                assert server.stdout is not None
                port = int(server.stdout.readline().split()[2].rpartition(":")[2])
                size = _ask(port, 0)
                first = time.monotonic() - start
                worked = _cpu_seconds(server.pid)
                alone = [_timed(port, seed) for seed in range(REQUESTS)]
                worked = _cpu_seconds(server.pid) - worked
                begun = time.monotonic()
                with ThreadPoolExecutor(CLIENTS) as clients:
                    together = list(clients.map(lambda seed: _timed(port, seed), range(REQUESTS)))
                all_of_them = time.monotonic() - begun
            finally:
                server.terminate()
    return {
        "load_before": round(busy, 2),
        "first_answer_s": round(first, 1),
        "cycles_a_request": CYCLES,
        "mb_a_request": round(size / 1e6, 2),
        "median_s": round(statistics.median(alone), 3),
        "slowest_s": round(max(alone), 3),
        "cpu_s_a_request": round(worked / REQUESTS, 3),
        f"median_s_of_{CLIENTS}_clients": round(statistics.median(together), 3),
        f"cycles_per_s_of_{CLIENTS}_clients": round(REQUESTS * CYCLES / all_of_them, 1),
    }


def _make(folder: Path) -> None:
    """Write a model of params.yaml with fresh weights, as a training does."""
    from cinegan.params import load_params
    from cinegan.training.networks import build_discriminator, build_generator, save_networks
    from cinegan.training.runtime import configure, set_seed

    configure(THREADS)
    set_seed(0)
    record = load_params(PARAMS).model_named(folder.name).model_dump(exclude={"budgets", "folder"})
    record |= {"phases": PHASES, "threads": THREADS, "condition_counts": []}
    record |= {"label_channels": [], "label_phases": {}}
    folder.mkdir()
    save_networks(folder, record, build_generator(record), build_discriminator(record))


def _cpu_seconds(process: int) -> float:
    """What a process has worked, however busy the machine is: of Linux."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _timed(port: int, seed: int) -> float:
    start = time.perf_counter()
    _ask(port, seed)
    return time.perf_counter() - start


def _ask(port: int, seed: int) -> int:
    """Ask for cycles, and check that they came; how many bytes they were."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        body = json.dumps({"n": CYCLES, "seed": seed})
        connection.request("POST", "/cycles", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200 or len(np.load(io.BytesIO(content))) != CYCLES:
            raise CineganError(f"the server answered {answer.status}: {content[:200]!r}")
        return len(content)
    finally:
        connection.close()
