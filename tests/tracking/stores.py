"""What tests of the journal share: runs of a store, and servers to keep them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import mlflow

from cinegan.tracking.store import EXPERIMENTS


def runs_of(uri):
    """A client of the store, and all its runs, oldest first."""
    client = mlflow.MlflowClient(uri)
    found = [client.get_experiment_by_name(name) for name in EXPERIMENTS]
    return client, client.search_runs(
        [each.experiment_id for each in found if each], order_by=["attributes.start_time ASC"]
    )


def free_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """MLflow's own server on loopback, with its store and files in a folder."""

    def __init__(self, folder: Path, empty: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        shutil.copy(empty, folder / "server.db")

    @contextmanager
    def running(self):
        """From when it answers until the block ends."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "served")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 240  # a busy machine takes its time
            with socket.socket() as probe:
                while probe.connect_ex(("127.0.0.1", self.port)) != 0:
                    assert process.poll() is None, "the server ended"
                    assert time.monotonic() < deadline, "the server does not answer"
                    time.sleep(0.1)
            yield self.url
        finally:
            process.terminate()
            process.wait()
