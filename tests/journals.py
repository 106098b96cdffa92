"""What tests of the journal share: runs of a store, and a server to keep them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
from loopback import HOST, free_port, serving

from cinegan.tracking.runs import new_run
from cinegan.tracking.store import COMPARISONS, EXPERIMENTS


def runs_of(uri):
    """A client of the store, and all its runs, oldest first."""
    client = mlflow.MlflowClient(uri)
    found = [client.get_experiment_by_name(name) for name in EXPERIMENTS]
    return client, client.search_runs(
        [each.experiment_id for each in found if each], order_by=["attributes.start_time ASC"]
    )


def mark_best(model, real):
    """Let `best` point to the lowest distance of those judged on the same real cycles."""
    with new_run("comparison", COMPARISONS) as run:
        run.best(model, "kid_texture_test", real)


class Forgetful(BaseHTTPRequestHandler):
    """Answers like a server that has the experiments but no run; the answer to a POST is lost."""

    def do_GET(self):
        """Tell an experiment."""
        told = json.dumps({"experiment": {"experiment_id": "1", "name": "cinegan"}}).encode()
        self._answer(told)

    def do_POST(self):
        """Find no run; make one and say nothing."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("runs/search"):
            self._answer(b"{}")
        else:
            self.server.made.append(self.path)

    def _answer(self, told):
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def forgetful_server():
    """Its address, and a list of what was made there."""
    with ThreadingHTTPServer((HOST, 0), Forgetful) as server:
        server.made = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_port}", server.made
        server.shutdown()


@contextmanager
def silent_server():
    """The address of one that takes every connection and says nothing, and a list of them."""
    with socket.create_server((HOST, 0)) as listener:
        taken = []

        def take():
            with suppress(OSError):  # closed
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=take)
        thread.start()
        yield f"http://{HOST}:{listener.getsockname()[1]}", taken
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in taken:
            each.close()


class Server:
    """MLflow's own server on loopback, with its store and files in a folder."""

    def __init__(self, folder: Path, empty: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://{HOST}:{self.port}"
        shutil.copy(empty, folder / "server.db")

    def running(self):
        """From when it answers until the block ends."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", HOST]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "served")]
        # Without its runner of jobs, half a dozen processes that nobody here needs.
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        return serving(command, self.port, self.folder / "server.log", environment)
