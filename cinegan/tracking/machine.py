"""What the machine is busy with while a run lasts: processor, memory, disk, network, graphics card.

MLflow's own thread speaks to the store itself and ends for good when one call fails. Here only its
meters are read. The run tells what they say with all else, so what the store does not take is kept.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Self

from cinegan.tracking.outbox import now_ms
from cinegan.tracking.store import quiet_mlflow, reason, tell

PREFIX = "system/"  # MLflow's pages show what begins so apart
EVERY_S = 10  # but where MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise


class Machine:
    """While it is entered, reads the meters every few seconds, and once more at the end."""

    def __init__(self) -> None:
        self._rows: SimpleQueue[list[Any]] = SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._measure, args=(_meters(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def take(self) -> list[list[Any]]:
        """What was read since this was last asked: rows of key, value, time, reading."""
        return [self._rows.get() for _ in range(self._rows.qsize())]

    def _measure(self, meters: list[Any]) -> None:
        from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL

        every, reading, last = MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or EVERY_S, 0, False
        try:
            _read(meters)  # the processor's tells of the time since it was read last
            while not last:
                last = self._ended.wait(every)
                values, now = _read(meters), now_ms()
                for key, value in values.items():
                    self._rows.put([f"{PREFIX}{key}", float(value), now, reading])
                reading += 1
        except Exception as error:  # whatever a system raises that does not tell all of it
            tell(f"what the machine is busy with is not told: {reason(error)}")


def _meters() -> list[Any]:
    quiet_mlflow()
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    meters = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    for kind in (GPUMonitor, ROCMMonitor):
        with suppress(Exception):  # whatever it raises where there is no such card
            meters.append(kind())
    return meters


def _read(meters: list[Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for meter in meters:
        meter.collect_metrics()
        values |= meter.aggregate_metrics()
        meter.clear_metrics()
    return values
