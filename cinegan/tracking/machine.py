"""What the machine is busy with while a run lasts: processor, memory, disk, network, graphics card.

MLflow's own thread speaks to the store itself and ends for good when one call fails. Here only its
meters are read. The run tells what they say with all else, so what the store does not take is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Self

from cinegan.tracking.outbox import now_ms
from cinegan.tracking.store import quiet_mlflow, reason, tell

PREFIX = "system/"  # MLflow's pages show what begins so apart
EVERY_S = 10.0
PATIENCE_S = 5.0  # for a meter that does not answer, at the end


class Machine:
    """While it is entered, reads the meters every few seconds, and once more at the end.

    It does so in a thread of its own. A meter that cannot be read is told of once.
    """

    def __init__(self) -> None:
        quiet_mlflow()
        self._rows: SimpleQueue[list[Any]] = SimpleQueue()
        self._failed: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(PATIENCE_S)

    def take(self) -> list[list[Any]]:
        """What was read since this was last asked: rows of key, value, time, reading."""
        return [self._rows.get() for _ in range(self._rows.qsize())]

    def _measure(self) -> None:
        meters = dict(self._meters())
        self._read(meters)  # the processor's tells of the time since it was read last
        reading, last = 0, False
        while not last:
            last = self._ended.wait(EVERY_S)
            values, now = self._read(meters), now_ms()
            for key, value in values.items():
                self._rows.put([f"{PREFIX}{key}", float(value), now, reading])
            reading += 1

    def _meters(self) -> Iterator[tuple[str, Any]]:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
        from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

        meters = {"processor": CPUMonitor, "disk": DiskMonitor, "network": NetworkMonitor}
        for name, kind in meters.items():
            try:
                yield name, kind()
            except Exception as error:  # whatever a system raises that does not tell
                self._complain(name, error)
        for kind in (GPUMonitor, ROCMMonitor):
            with suppress(Exception):  # whatever it raises where there is no such card
                yield kind.__name__, kind()

    def _read(self, meters: dict[str, Any]) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, meter in meters.items():
            try:
                meter.collect_metrics()
                values |= meter.aggregate_metrics()
                meter.clear_metrics()
            except Exception as error:  # whatever a system raises that does not tell
                self._complain(name, error)
        return values

    def _complain(self, name: str, error: Exception) -> None:
        if name not in self._failed:
            self._failed.add(name)
            tell(f"what the {name} is busy with is not told: {reason(error)}")
