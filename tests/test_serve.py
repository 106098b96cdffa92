"""A real server of a registered generator: what it gives, and what it survives."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from imports import ROOT
from journals import mark_best
from loopback import free_port, serving
from small_generator import LABELS, PHASES, SIZE, make_generator, record_with

from cinegan.data.conditions import Conditions
from cinegan.errors import CineganError
from cinegan.files import sha256
from cinegan.model_card import CARD, card_of, write_card
from cinegan.models import RECORD, WEIGHTS
from cinegan.sampling import draw_cycles
from cinegan.serve import app
from cinegan.serve.__main__ import main
from cinegan.serve.model import Asked, Served
from cinegan.tracking.registry import fetch
from cinegan.tracking.runs import new_run
from cinegan.tracking.store import store as address
from cinegan.training.networks import load_generator

NAME, MODEL, MOST = "small16", "cinegan-ventricles-16", 40
FIGURES = {
    **{"input": "ventricles", "size": SIZE, "n_synthetic": 8, "n_train": 6, "n_test": 3},
    **{"kid_texture_train": 3.0, "kid_texture_test": 4.0, "kid_texture_floor": 0.5},
    **{"copied": 0.02, "copied_floor": 0.04},
}


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """A generator's folder with its card."""
    folder = tmp_path_factory.mktemp("models") / NAME
    digest = make_generator(folder)
    write_card(folder / CARD, NAME, record_with(), digest, "sunnybrook", FIGURES)
    return folder


@pytest.fixture(scope="module")
def store(generator, tmp_path_factory):
    """Address of a store in which it is registered."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("checkout"))
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        with new_run(NAME) as run:
            files = [generator / each for each in (WEIGHTS, RECORD, CARD)]
            run.version(MODEL, NAME, files, (SIZE, SIZE, PHASES), FIGURES)
        mark_best(MODEL, {"kid_texture_floor": 0.5})
        return address()


@pytest.fixture(scope="module")
def service(store, tmp_path_factory):
    """The registered generator served to a folder that has nothing of the project."""
    command = [sys.executable, "-m", "cinegan.serve", f"models:/{MODEL}@best", "--port", "0"]
    with subprocess.Popen(
        [*command, "--most-cycles", str(MOST)],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={**os.environ, "MLFLOW_TRACKING_URI": store, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(f"{NAME} at http://127.0.0.1:"), line + process.stderr.read()
            yield SimpleNamespace(process=process, port=int(line.split()[2].rpartition(":")[2]))
        finally:
            process.terminate()
        assert "Traceback" not in process.stderr.read()


@pytest.fixture(scope="module")
def expected(generator):
    """What the stage `sample` draws with a seed, `expected(n, seed)`: phases and labels."""
    loaded = load_generator(generator)
    conditions = Conditions(record_with()["condition_counts"])

    def drawn(n, seed, wanted=conditions):
        return draw_cycles(loaded, n, seed, wanted, progress=False)

    drawn.conditions = conditions
    return drawn


def ask(service, body, method="POST", path="/cycles", kind="application/json"):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, content, {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def cycles_of(service, **asked):
    status, headers, body = ask(service, asked)
    assert status == 200, body
    assert headers["Content-Type"] == "application/octet-stream"
    return np.load(io.BytesIO(body))


def test_a_seed_gives_the_cycles_that_sample_draws(service, expected):
    cycles = cycles_of(service, n=11, seed=4)
    assert (cycles.shape, cycles.dtype) == ((11, SIZE, SIZE, PHASES), np.uint8)
    np.testing.assert_array_equal(cycles, expected(11, 4)[..., :PHASES])
    np.testing.assert_array_equal(cycles_of(service, n=3, seed=4), cycles[:3])
    assert (cycles_of(service, n=3, seed=5) != cycles[:3]).any()


def test_labels_and_conditions_come_if_asked_for(service, expected):
    got = cycles_of(service, n=9, seed=4, labels=True, conditions=True)
    np.testing.assert_array_equal(
        np.concatenate([got["cycles"], got["labels"]], axis=-1), expected(9, 4)
    )
    drawn = expected.conditions.draw(4, 0, 9)
    assert got["conditions"].tolist() == drawn.to_numpy().tolist()
    assert len(set(map(tuple, got["conditions"].tolist()))) > 1
    apex = cycles_of(service, n=9, seed=4, conditions=True, groups=["Normal"], levels=["apex"])
    assert {tuple(each) for each in apex["conditions"].tolist()} == {("Normal", "apex")}
    wanted = expected.conditions.only(["Normal"], ["apex"])
    np.testing.assert_array_equal(apex["cycles"], expected(9, 4, wanted)[..., :PHASES])


def test_it_says_what_it_is(service, generator):
    status, _, body = ask(service, None, "GET", "/")
    about = json.loads(body)
    assert status == 200
    assert (about["name"], about["synthetic"], about["most_cycles"]) == (NAME, True, MOST)
    assert about["cycle_shape"] == [SIZE, SIZE, PHASES]
    assert about["label_channels"] == LABELS
    assert about["conditions"] == {"group": ["HYP", "Normal"], "level": ["base", "apex"]}
    assert about["weights_sha256"] == sha256(generator / WEIGHTS)
    assert json.loads(ask(service, None, "GET", "/health")[2]) == {"status": "ok"}
    status, headers, body = ask(service, None, "GET", "/card")
    assert headers["Content-Type"].startswith("text/markdown")
    assert body.decode() == (generator / CARD).read_text()


def test_clients_at_once_get_each_what_it_asked_for(service, expected):
    asked = [(1 + seed % 5, seed) for seed in range(24)]
    with ThreadPoolExecutor(12) as clients:
        got = list(clients.map(lambda each: cycles_of(service, n=each[0], seed=each[1]), asked))
    for (n, seed), cycles in zip(asked, got, strict=True):
        np.testing.assert_array_equal(cycles, expected(n, seed)[..., :PHASES])


GOOD = {"n": 2, "seed": 1}
UNFIT = [  # each lets the body above go wrong
    *({"n": wrong} for wrong in ("2", 1.5, 2.0, True, None, [2], {}, 0, -1, MOST + 1, 10**30)),
    *({"seed": wrong} for wrong in ("1", 1.5, True, None, [1], -1, 2**63, 10**400, float("nan"))),
    *({"labels": wrong} for wrong in ("yes", 1, None)),
    *({"groups": wrong} for wrong in ("Normal", [1], ["Nobody's"], None)),
    *({"levels": wrong} for wrong in ("apex", ["top"], [["apex"]])),
    {"groups": ["HYP"], "levels": ["apex"]},  # never seen together
    {"conditions": "all"},
    {"n_cycles": 2},
    {"x" * 5000: 1},
]
NO_REQUEST = [
    *(b"", b"null", b"2", b'"2"', b"[2, 1]", b"{}", b'{"n": 2}', b'{"seed": 1}', b'{"n": 2, "se'),
    *(b'{"n": 2, "seed": 1} and more', b"n=2&seed=1", b"\xff\xfe\x00", bytes(range(256))),
    *(b"[" * 50_000, b'{"n": 2, "seed": 1' + b"0" * 5000 + b"}", b"<n>2</n>"),
]
BAD = [
    *((422, "POST", "/cycles", "application/json", GOOD | each) for each in UNFIT),
    *((422, "POST", "/cycles", "application/json", each) for each in NO_REQUEST),
    *((415, "POST", "/cycles", kind, GOOD) for kind in (None, "text/plain", "application/xml")),
    *((413, "POST", "/cycles", "application/json", bytes(size)) for size in (70_000, 30_000_000)),
    *((405, method, "/cycles", None, None) for method in ("GET", "PUT", "DELETE", "OPTIONS")),
    *((405, "POST", path, "application/json", GOOD) for path in ("/", "/health", "/card")),
    *((404, "GET", path, None, None) for path in ("/cycle", "/../../etc/passwd", "/%00", "/" * 99)),
]
RAW = [  # not HTTP, or not to its end
    b"\x00\x01\x02\x03\r\n\r\n",
    b"give me cycles\r\n\r\n",
    b"GET / HTTP/one\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nno header\r\n\r\n",
    b"POST /cycles HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n{}",
    b"POST /cycles HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n{}",
    b"POST /cycles HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
]


def test_more_than_fifty_bad_requests_are_refused_and_the_server_lives_on(service, expected):
    assert len(BAD) + len(RAW) > 50
    for status, method, path, kind, body in BAD:
        got, headers, answer = ask(service, body, method, path, kind)
        assert got == status, (method, path, kind, str(body)[:100], answer)
        assert headers["Content-Type"] == "application/json"
        (reason,) = json.loads(answer).values()
        assert 0 < len(reason) <= app.FAULT_CHARACTERS
        assert "\n" not in reason
    for sent in RAW:
        assert b" 400 " in answer_to(service, sent).partition(b"\r\n")[0], sent[:100]
    np.testing.assert_array_equal(cycles_of(service, **GOOD), expected(2, 1)[..., :PHASES])
    assert service.process.poll() is None


def answer_to(service, sent):
    """All that comes back for some bytes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(sent)
        got = b""
        while b"\r\n\r\n" not in got and (more := connection.recv(65536)):
            got += more
        return got


def test_clients_that_leave_do_no_harm(service, expected):
    whole = b"POST /cycles HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
    for sent in (b"", b"POST", whole + b"Content-Length: 99\r\n\r\n{", whole + b"\r\n"):
        with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
            connection.sendall(sent)
    np.testing.assert_array_equal(cycles_of(service, **GOOD), expected(2, 1)[..., :PHASES])


def test_a_body_that_does_not_come_is_given_up(generator, monkeypatch):
    monkeypatch.setattr(app, "BODY_S", 0.05)
    scope = {"type": "http", "method": "POST", "path": "/cycles", "headers": []}
    told = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        told.append(message)

    asyncio.run(
        app.application(Served(generator), MOST)({**scope, "query_string": b""}, receive, send)
    )
    assert told[0]["status"] == 408


def test_mlflow_loads_a_registered_generator_without_a_pickle(
    store, expected, monkeypatch, tmp_path
):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.chdir(tmp_path)
    loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}/1")
    assert loaded.metadata.get_output_schema().inputs[0].shape == (-1, SIZE, SIZE, PHASES)
    example = loaded.input_example
    np.testing.assert_array_equal(loaded.predict(example), expected(2, 0)[..., :PHASES])
    both = loaded.predict(example.iloc[[0, 0]].assign(n=[3, 1], seed=[4, 5]))
    np.testing.assert_array_equal(both[:3], expected(3, 4)[..., :PHASES])
    np.testing.assert_array_equal(both[3:], expected(1, 5)[..., :PHASES])
    folder = fetch(f"models:/{MODEL}@{NAME}", tmp_path)
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, RECORD, CARD}


def test_mlflows_own_server_gives_the_same_cycles(store, expected, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{MODEL}@best"]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": store,
    }
    command += ["--env-manager", "local", "--port", str(port), "--workers", "1"]
    with serving(command, port, tmp_path / "log", environment):
        asked = {"dataframe_records": [{"n": 2, "seed": 4}]}
        url = f"http://127.0.0.1:{port}/invocations"
        for n in (-1, 10**12):
            bad = {"dataframe_records": [{"n": n, "seed": 4}]}
            assert requests.post(url, json=bad, timeout=60).status_code == 400
        answer = requests.post(url, json=asked, timeout=60)
    assert answer.status_code == 200, answer.text
    got = np.array(answer.json()["predictions"], np.uint8)
    np.testing.assert_array_equal(got, expected(2, 4)[..., :PHASES])


def test_what_a_model_does_not_make_or_know_is_refused(tmp_path):
    plain = {"label_channels": [], "condition_inputs": [], "condition_counts": []}
    make_generator(tmp_path / "plain16", **plain)
    served = Served(tmp_path / "plain16")
    assert served.card is None
    for asked in (
        {"labels": True},
        {"conditions": True},
        {"groups": ["HYP"]},
        {"levels": ["apex"]},
    ):
        with pytest.raises(CineganError, match=f"^{next(iter(asked))}: this model"):
            served.submit(Asked(n=1, seed=1, **asked))
    assert list(served.submit(Asked(n=1, seed=1)).result()) == ["cycles"]


def test_a_card_of_other_weights_is_not_told(generator, tmp_path):
    make_generator(tmp_path / "models" / NAME, seed=2)
    card = tmp_path / "metrics/plots" / NAME / CARD
    write_card(card, NAME, record_with(), sha256(generator / WEIGHTS), "phantom", FIGURES)
    assert Served(tmp_path / "models" / NAME).card is None
    mine = sha256(tmp_path / "models" / NAME / WEIGHTS)
    write_card(card, NAME, record_with(), mine, "phantom", FIGURES)
    assert mine in Served(tmp_path / "models" / NAME).card


def test_a_folder_without_a_usable_generator_is_refused(generator, tmp_path):
    with pytest.raises(CineganError, match=r"no generator\.weights\.h5 with its model\.json here"):
        Served(tmp_path)
    broken = tmp_path / "broken16"
    broken.mkdir()
    (broken / RECORD).write_bytes((generator / RECORD).read_bytes())
    (broken / WEIGHTS).write_bytes((generator / WEIGHTS).read_bytes()[:5000])
    with pytest.raises(CineganError, match="no usable generator"):
        Served(broken)


def test_an_address_that_is_taken_is_refused_in_one_line(generator, service):
    with pytest.raises(CineganError, match=rf"port {service.port}: cannot be listened at"):
        main([str(generator), "--port", str(service.port)])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("phantom", "the hearts are drawings"),
        ("sunnybrook", "near-copies of a patient's cannot be"),
    ],
)
def test_a_card_tells_data_budget_floors_copies_use_and_limits(source, told):
    text = card_of(NAME, record_with(), "f" * 64, source, FIGURES)
    for words in (
        told,
        "Intended use",
        "not for diagnosis",
        "0.5 kimg",
        "6 cycles of 2 train",
        "f" * 64,
    ):
        assert words in text
    assert "| `kid_texture_test` | 4 | 0.5 |" in text
    assert "| `copied` | 0.02 | 0.04 |" in text
    assert "group HYP; group Normal; level base; level apex" in text
    assert "begun from models/other" in card_of(
        NAME, record_with(start_from="models/other"), "f" * 64, source, FIGURES
    )


def test_a_card_of_what_was_not_judged_on_test_patients_says_so():
    text = card_of(NAME, record_with(), "f" * 64, "phantom")
    assert "nothing is known of how true to life" in text
    assert "nothing is known of how much was copied" in text
    trial = card_of(NAME, record_with(), "f" * 64, "phantom", of_val={"kid_texture_val": 2.125})
    assert "cycles of val patients alone" in trial
    assert "- `kid_texture_val`: 2.12" in trial
    assert "true to life they are" not in trial
    assert "nothing is known of how much was copied" in trial


def test_the_committed_models_noise_is_warned_of_in_its_card():
    figures = json.loads((ROOT / "metrics/models/dcgan128.json").read_text())
    assert "**Warning: these samples are not like real hearts" in card_of(
        "dcgan128", record_with(), "f" * 64, "phantom", figures
    )
