"""`python -m cinegan.tracking`: MLflow's UI on loopback; what MLflow does not have, sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from cinegan.errors import CineganError, run_command
from cinegan.tracking import outbox
from cinegan.tracking.store import GENERATORS, connect, experiment_id, public, reason, store

UI_HOST, UI_PORT = "127.0.0.1", 5000


def ui() -> None:
    """Show the runs of the store, on loopback; of a server, which has pages, tell the address."""
    if store().startswith("http"):
        print(f"{public(store())} has the pages of the runs; open it in a browser")
        return
    try:
        runs = f"experiments/{experiment_id(connect(), GENERATORS)}/runs"
    except Exception as error:  # whatever the store's server or database raises
        raise CineganError(f"MLflow at {public(store())}: {reason(error)}") from None
    command = ["mlflow", "ui", "--host", UI_HOST, "--port", str(UI_PORT), "--workers", "1"]
    address = f"http://{UI_HOST}:{UI_PORT}"
    print(f"{address} (Ctrl-C ends it)")
    # From its front page MLflow leads to pages for language models, which have nothing to show.
    print(f"the runs: {address}/#/{runs}?workflowType=machine_learning", flush=True)
    # By the environment: a command line with a password is everybody's to read.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": store()}
    # Its runner of jobs, for language models, is half a dozen processes that nobody here needs.
    environment.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    # In a session of its own, and told to end once: Ctrl-C would reach MLflow and its server, to
    # which MLflow hands it on, and a server that is told twice does not end in order.
    for told in (signal.SIGINT, signal.SIGTERM):  # whoever started us may ignore Ctrl-C
        signal.signal(told, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, start_new_session=True
    ) as server:
        try:
            sys.exit(server.wait())
        except KeyboardInterrupt:
            server.terminate()


def send() -> None:
    """Send what was kept while MLflow was away.

    Raises
    ------
    CineganError
        If something is left.
    """
    before = len(outbox.kept())
    try:
        left = outbox.send(connect()) if before else []
    except Exception as error:  # whatever the store's server or database raises
        raise CineganError(
            f"MLflow at {public(store())}: {reason(error)}; {len(outbox.kept())} of {before} runs "
            "are kept still"
        ) from None
    print(f"{before - len(left)} runs sent to {public(store())}")
    if left:
        raise CineganError("kept still:\n" + "\n".join(left))


COMMANDS = {"ui": ui, "send": send}


def main(arguments: Sequence[str]) -> None:
    """Run the command that the arguments name."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        raise CineganError(f"usage: python -m cinegan.tracking {'|'.join(COMMANDS)}")
    COMMANDS[arguments[0]]()


if __name__ == "__main__":
    run_command(main)
