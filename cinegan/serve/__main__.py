"""Serve a trained generator: `python -m cinegan.serve models/NAME`."""

from __future__ import annotations

import argparse
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from cinegan.errors import CineganError, run_command
from cinegan.serve.app import application
from cinegan.serve.model import Served
from cinegan.tracking.registry import fetch

ABOUT = """Serve a trained generator over HTTP, until Ctrl-C.

MODEL is a folder models/NAME, or models:/NAME@ALIAS or models:/NAME/VERSION of MLflow's registry
(that of MLFLOW_TRACKING_URI, else of this checkout). POST /cycles with {"n": 16, "seed": 1} answers
with an .npy file; GET /, /health and /card tell what the model is. Nobody is asked for a password:
beyond this machine, put a server in front that does."""
REGISTRY = "models:/"
END_S = 5  # for answers under way once it is asked to end


def main(arguments: Sequence[str]) -> None:
    """Load, listen, say where, and answer.

    Raises
    ------
    CineganError
        If there is no such model, or the address is taken.
    """
    options = _parser().parse_args(arguments)
    served = _served(options.model, options.threads)
    with _listening(options.host, options.port) as listener:
        host = f"[{options.host}]" if ":" in options.host else options.host
        config = uvicorn.Config(
            application(served, options.most_cycles),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=END_S,
        )
        print(
            f"{served.about['name']} at http://{host}:{listener.getsockname()[1]} (Ctrl-C ends it)",
            flush=True,
        )
        try:
            uvicorn.Server(config).run([listener])
        except KeyboardInterrupt:
            print("ended")


def _served(model: str, threads: int | None) -> Served:
    if not model.startswith(REGISTRY):
        return Served(Path(model), threads)
    with tempfile.TemporaryDirectory() as folder:  # weights are in memory before it goes
        return Served(fetch(model, Path(folder)), threads)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise CineganError(
            f"{host}, port {port}: cannot be listened at ({error.strerror}); choose --host, --port"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cinegan.serve",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="what to serve")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port",
        type=_within(0, 65535),
        default=8000,
        metavar="N",
        help="default: %(default)s; 0: any",
    )
    parser.add_argument(
        "--most-cycles",
        type=_within(1, 4096),
        default=256,
        metavar="N",
        help="that one request may ask for (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=_within(1, 1024),
        metavar="N",
        help="within an operation (default: as the model was trained; others change last bits)",
    )
    return parser


def _within(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text}; {least} to {most}")
        return int(text)

    return number


if __name__ == "__main__":
    run_command(main)
