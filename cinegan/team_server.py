"""The team's tracking server: MLflow with passwords, over PostgreSQL: `make team-server`.

Everything that it keeps lies in one folder: `postgres/` (runs, users), `artifacts/` (files of
runs), `admin-password`, `secret-key` and `pgpass` (readable by their owner alone), logs.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import requests
from filelock import FileLock, Timeout

from cinegan.background import Server, beside
from cinegan.errors import CineganError, run_command
from cinegan.files import atomic_file
from cinegan.postgres import OWNER, SUPERUSER, Cluster, cluster
from cinegan.workspace import main_checkout

FOLDER = "team-server"
HOST, PORT = "127.0.0.1", 5001  # 5000 is that of `make ui`
ADMIN = "admin"
RUNS, USERS = "mlflow", "users"  # databases
LOCK, DATABASES, ARTIFACTS = ".lock", "postgres", "artifacts"
PASSWORDS, ADMIN_PASSWORD, SECRET_KEY = "pgpass", "admin-password", "secret-key"
PATIENCE_S = 300  # that MLflow has to answer; it makes its tables first

# Members see and log into each other's experiments; to delete is its maker's and the admin's.
# A password that was right is believed for a minute: checking one costs more than most requests.
AUTH = """[mlflow]
default_permission = EDIT
database_uri = {uri}
admin_username = {admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a team server's folder, which is made if need be, against other starts.

    Raises
    ------
    CineganError
        If it is in use or somebody else's.
    """
    # PostgreSQL's user must get through to its own part where it is not ours.
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    if {path.name for path in folder.iterdir()} - {LOCK} and not (folder / PASSWORDS).exists():
        what = "holds other files" if not (folder / DATABASES).exists() else "its pgpass is gone"
        raise CineganError(f"{folder}: {what}; name an empty or new folder with --folder")
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise CineganError(f"{folder}: a team server runs on this folder already") from None


@contextmanager
def databases(folder: Path, account: str | None) -> Iterator[Cluster]:
    """Serve the databases of a folder that is held, to its owner alone, while the block lasts."""
    passwords = folder / PASSWORDS
    if not passwords.exists():
        lines = [f"*:*:*:{role}:{secrets.token_urlsafe()}" for role in (SUPERUSER, OWNER)]
        _write_secret(passwords, "\n".join(lines))
    log = folder / "postgres.log"
    with cluster(folder / DATABASES, passwords, log, (RUNS, USERS), account) as served:
        yield served


def upgrade(served: Cluster) -> None:
    """Make MLflow's tables, or bring them to the form that the installed MLflow wants.

    Raises
    ------
    CineganError
        If MLflow cannot.
    """
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", served.uri(RUNS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CineganError(f"MLflow could not bring its tables up to date: {reason}")


def artifacts_of(folder: Path) -> Path:
    """Where the files of runs lie; whoever has no password shall not read them here either."""
    artifacts = folder / ARTIFACTS
    artifacts.mkdir(mode=0o700, exist_ok=True)
    artifacts.chmod(0o700)  # also where it is there already
    return artifacts


@contextmanager
def mlflow(folder: Path, served: Cluster, host: str, port: int) -> Iterator[Server]:
    """Serve MLflow over these databases while the block lasts, which begins once it answers."""
    artifacts = artifacts_of(folder)
    for name in (ADMIN_PASSWORD, SECRET_KEY):
        if not (folder / name).exists():
            _write_secret(folder / name, secrets.token_urlsafe())
    config = folder / "auth.ini"
    # In such a file a per cent sign is doubled.
    config.write_text(AUTH.format(uri=served.uri(USERS).replace("%", "%%"), admin=ADMIN))
    # By the environment, as a command line is everybody's to read. Other settings of MLflow's
    # (workers, allowed hosts) come through from ours.
    environment = {
        # Several would each wait 40 ms before every answer, as uvicorn leaves Nagle's algorithm on.
        "MLFLOW_WORKERS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # a second server, which cinegan needs not
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": served.uri(RUNS),
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": (folder / ADMIN_PASSWORD).read_text().strip(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": (folder / SECRET_KEY).read_text().strip(),
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
    command += ["--app-name", "basic-auth", "--uvicorn-opts", "--no-access-log"]
    command += ["--serve-artifacts", "--artifacts-destination", str(artifacts)]
    log = folder / "mlflow.log"
    with beside("MLflow", command, log, environment=environment) as server:
        deadline = time.monotonic() + PATIENCE_S
        while not _healthy(host, port):
            server.check()
            served.server.check()
            if time.monotonic() > deadline:
                raise CineganError(f"MLflow does not answer on port {port}; {log} says more")
            time.sleep(0.2)
        yield server


def _write_secret(path: Path, text: str) -> None:
    """Write what nobody but the owner may read, not even for the moment of writing."""
    with atomic_file(path) as partial:
        partial.touch(0o600)
        partial.write_text(text + "\n")


def _check_port(host: str, port: int) -> None:
    """See whether a port is free, before anything is made.

    Raises
    ------
    CineganError
        If it is not, or not ours to take.
    """
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as MLflow's server does
            probe.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CineganError(
            f"port {port} of {host} cannot be taken: {reason}; name others with --port and --host"
        ) from None


def _healthy(host: str, port: int) -> bool:
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    with requests.Session() as session:
        session.trust_env = False  # no proxy
        try:
            return session.get(_url(here, port) + "/health", timeout=5).ok
        except requests.RequestException:
            return False


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _stop(number: int, frame: FrameType | None) -> None:
    """End in order; whoever asks again waits with us."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> None:
    """Run both servers until Ctrl-C, or until one of them ends.

    Raises
    ------
    CineganError
        If one cannot start, or ends by itself.
    """
    options = _parser().parse_args(arguments)
    folder = options.folder.resolve()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _stop)
    try:
        with held(folder):
            _check_port(options.host, options.port)
            with databases(folder, options.user) as served:
                if options.upgrade:
                    upgrade(served)
                with mlflow(folder, served, options.host, options.port) as server:
                    print(f"{_url(options.host, options.port)} (Ctrl-C ends it)")
                    print(f"{ADMIN}'s first password: {folder / ADMIN_PASSWORD}", flush=True)
                    while True:
                        server.check()
                        served.server.check()
                        time.sleep(0.5)
    except KeyboardInterrupt:
        print("stopped")


def folder_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which team server is meant."""
    parser.add_argument(
        "--folder",
        type=Path,
        default=main_checkout() / FOLDER,
        metavar="FOLDER",
        help=f"where it keeps everything (default: {FOLDER})",
    )
    parser.add_argument(
        "--user",
        metavar="NAME",
        help="that PostgreSQL runs as where root starts it (default: postgres, else nobody)",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cinegan.team_server",
        description="Serve MLflow to a team: runs and users in PostgreSQL, artifacts in a folder.",
    )
    folder_options(parser)
    parser.add_argument(
        "--host", default=HOST, help="address to listen on (default: %(default)s, this machine)"
    )
    parser.add_argument("--port", type=int, default=PORT, help="(default: %(default)s)")
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="first bring tables of an earlier MLflow up to date; copy the folder before",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
