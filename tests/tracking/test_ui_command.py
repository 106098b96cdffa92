"""`make ui`: pages of a store of one's own, the address of a team's server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from imports import ROOT
from loopback import HOST, chromium, free_port, serving
from selenium.common import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from cinegan.tracking.__main__ import main
from cinegan.tracking.runs import new_run

ON_A_PORT = "import cinegan.tracking.__main__ as m; m.UI_PORT = {}; m.main(['ui'])"


def test_the_pages_of_ones_own_store_are_served(checkout):
    with new_run("dcgan64 laptop"):
        pass
    port = free_port()
    command = [sys.executable, "-c", ON_A_PORT.format(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with serving(command, port, Path("ui.log"), environment):
        url = f"http://{HOST}:{port}"
        assert "<title>MLflow</title>" in requests.get(url, timeout=60).text
        found = requests.get(
            f"{url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=cinegan", timeout=60
        )
        assert found.json()["experiment"]["artifact_location"].startswith(checkout.as_uri())
        first, second = Path("ui.log").read_text().splitlines()[:2]
        with chromium() as browser:  # on a first visit
            browser.get(second.removeprefix("the runs: "))
            WebDriverWait(browser, 120, ignored_exceptions=[WebDriverException]).until(
                lambda driver: "dcgan64 laptop" in driver.find_element(By.TAG_NAME, "body").text
            )
    assert not answers(port)  # it ended with the command
    assert first == f"{url} (Ctrl-C ends it)"


def test_ctrl_c_ends_it_also_where_whoever_started_it_ignores_that(checkout):
    port = free_port()
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    process = subprocess.Popen(
        [sys.executable, "-c", ignoring + ON_A_PORT.format(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        while process.poll() is None and not answers(port):
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.terminate()
        process.wait()
    assert not answers(port)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_of_a_teams_server_the_address_is_told_without_a_password(
    bare_checkout, monkeypatch, capsys, scheme
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://ana:secret@mlflow.example.org:5001")
    main(["ui"])
    told = capsys.readouterr()
    assert told.out == (
        f"{scheme}://mlflow.example.org:5001 has the pages of the runs; open it in a browser\n"
    )
    assert told.err == ""
    assert not list(bare_checkout.iterdir())
