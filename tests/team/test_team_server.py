"""A team's server as a team has it: a store moved to it, members who log at once, a crash."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from imports import ROOT
from pages import commands
from sqlalchemy import create_engine

from cinegan import postgres, store_move, team_server
from cinegan.errors import CineganError
from cinegan.files import sha256
from cinegan.tracking.registry import fetch
from cinegan.tracking.runs import new_run, run_of_weights
from cinegan.tracking.store import COMPARISONS, EXPERIMENTS, GENERATORS, WEIGHTS_TAG

PROCESSES, BATCHES = 4, 250
PASSWORDS = {"ana": "a-long-password-of-ana", "ben": "a-long-password-of-ben"}
MODEL, FLOOR = "cinegan-ventricles-64", {"kid_texture_floor": 0.2}
PRODUCT = ("generator.weights.h5", "model.json", "card.md")
PATIENCE_S = 600  # a busy machine takes its time


@pytest.fixture(scope="module")
def place():
    """A folder that PostgreSQL's user can reach too, where root runs the tests."""
    try:
        postgres._programs(None)
    except CineganError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    folder = Path(tempfile.mkdtemp(prefix="team-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def paste(block, folder, instead, typed=""):
    """Paste what the page shows into a shell, names replaced and questions answered."""
    text = block.text
    for old, new in instead.items():
        assert old in text, f"{block} does not say {old}"
        text = text.replace(old, new)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{text}\nenv"],
        cwd=folder,
        input=typed,
        start_new_session=True,  # no terminal, which would be asked for a password
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^(MLFLOW_\w+)=(.*)$", done.stdout, re.M))


def start(folder, port):
    """Run the command, under the public name of the page, until it says where it serves."""
    command = [sys.executable, "-m", "cinegan.team_server", "--folder", folder, "--port", str(port)]
    _, named = commands("docs/team-server.md", "For colleagues")
    exports = [words[1].split("=", 1) for words in named.lines if words[0] == "export"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | dict(exports),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = [process.stdout.readline() for _ in range(2)]
    assert all(said), process.communicate()[1]
    assert said == [
        f"http://127.0.0.1:{port} (Ctrl-C ends it)\n",
        f"admin's first password: {folder}/admin-password\n",
    ]
    return process


def run(module, *arguments):
    command = [sys.executable, "-m", f"cinegan.{module}", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def one_line(ended):
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def judge(folder, name, weights, distance, model=MODEL):
    """Register a generator and see which is the best, as `evaluate` and `compare` do."""
    files = [folder / each for each in PRODUCT]
    for file, content in zip(files, (weights, f"{name}.json", f"{name}, {distance}"), strict=True):
        file.write_text(content)
    with run_of_weights(files[0], name) as run:
        run.version(model, name, files, (64, 64, 20), {"kid_texture_test": distance, **FLOOR})
    with new_run("comparison", COMPARISONS) as run:
        run.best(model, "kid_texture_test", FLOOR)
        run.artifact(files[2])


def _fill(checkout):
    """Leave in a store what cinegan's trainings leave there; give all that a client tells of it."""
    os.chdir(checkout)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    weights = Path("generator.weights.h5").absolute()
    weights.write_bytes(b"weights")
    with new_run("study") as run:
        run.params({"training": {"batch": 32}, "seed": 1})
        for i in range(30):
            run.metrics({"loss": i / 7, "norm": [np.nan, np.inf, 1.0][i % 3]}, kimg=i)
        with new_run("an arm: ä, µ", within=run) as arm:
            arm.picture(np.eye(8, dtype=np.uint8), "samples", 0.032)
            arm.artifact(weights, "model")
            arm.tags({WEIGHTS_TAG: sha256(weights)})
            arm.dataset("ventricles, train, 64", "ab" * 32, "data/ventricles", "training", {})
    with pytest.raises(ValueError, match="boom"), new_run("failed"):
        raise ValueError("boom")
    judge(checkout, "worse", "other weights", 4.0)
    judge(checkout, "dcgan64", "weights", 3.0)
    uri = f"sqlite:///{checkout}/mlflow.db"
    return all_of(uri, checkout), versions_of(uri)


@pytest.fixture(scope="module")
def store(place):
    """A SQLite store: its checkout's folder, its runs, and its registered model."""
    checkout = place / "checkout"
    checkout.mkdir()
    # A process of its own, since MLflow's client remembers where a run's artifacts lie.
    with get_context("spawn").Pool(1) as pool:
        runs, product = pool.apply(_fill, (checkout,))
        return SimpleNamespace(folder=checkout, runs=runs, product=product)


@contextmanager
def without_artifacts(store):
    """The store as if its artifacts were gone, while the block lasts."""
    (store.folder / "mlartifacts").rename(store.folder / "away")
    try:
        yield
    finally:
        (store.folder / "away").rename(store.folder / "mlartifacts")


@pytest.fixture(scope="module")
def team(place, store):
    """A server to which the store was moved, with two members."""
    folder, port = place / "team", free_port()
    folder.mkdir()
    folder.chmod(0o755)  # as somebody may have made it
    (moving,) = commands("docs/team-server.md", "Moving the runs you have")
    ((_, _, module, runs),) = moving.lines
    moved = run(module.removeprefix("cinegan."), store.folder / runs, "--folder", folder)
    assert moved.returncode == 0, moved.stderr
    served = SimpleNamespace(
        folder=folder,
        port=port,
        url=f"http://127.0.0.1:{port}",
        moved=moved.stdout,
        artifacts_mode=mode(folder / "artifacts"),
        process=start(folder, port),
    )
    try:
        admin = ("admin", (folder / "admin-password").read_text().strip())
        for name, password in PASSWORDS.items():
            answer = requests.post(
                f"{served.url}/api/2.0/mlflow/users/create",
                json={"username": name, "password": password},
                auth=admin,
            )
            assert answer.status_code == 200, answer.text
        yield served
    finally:
        served.process.terminate()
        served.process.communicate()


@pytest.fixture
def ana(team, monkeypatch, tmp_path):
    """Ana's environment, in a folder of her own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", team.url)
    sign_in("ana", monkeypatch)


def sign_in(name, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORDS[name])


def client_of(uri):
    import mlflow

    client = mlflow.MlflowClient(uri)
    return client, client.get_experiment_by_name(GENERATORS).experiment_id


def files_of(client, run_id, folder=None):
    for each in client.list_artifacts(run_id, folder):
        if each.is_dir:
            yield from files_of(client, run_id, each.path)
        else:
            yield each.path


def all_of(uri, into):
    """All that a client can tell of all runs: by run id, what compares."""
    client, experiment = client_of(uri)
    found = {}
    for run in client.search_runs([experiment]):
        info, data, key = run.info, run.data, run.info.run_id
        histories = {
            name: [
                (m.step, m.timestamp, repr(m.value)) for m in client.get_metric_history(key, name)
            ]
            for name in data.metrics
        }
        files = {
            path: Path(client.download_artifacts(key, path, into)).read_bytes()
            for path in files_of(client, key)
        }
        times = (info.start_time, info.end_time)
        cycles = [each.to_dictionary() for each in run.inputs.dataset_inputs]
        told = (data.params, data.tags, histories, cycles, files)
        found[key] = (info.run_name, info.status, times, *told)
    return found


def versions_of(uri, model=MODEL):
    """All that a client can tell of a registered model, but where its files lie."""
    client, _ = client_of(uri)
    found = client.get_registered_model(model)
    versions = {
        int(each.version): (each.run_id, each.tags, each.description, each.creation_timestamp)
        for each in client.search_model_versions(f"name = '{model}'")
    }
    return found.description, {key: int(alias) for key, alias in found.aliases.items()}, versions


def test_what_was_moved_is_told_alike_by_both_clients(team, store, ana, tmp_path):
    assert team.moved == (
        f"6 runs of {len(EXPERIMENTS) + 1} experiments, 60 values of metrics, and their artifacts "
        f"are in {team.folder} now; {store.folder}/mlflow.db is as it was\n"
    )
    before = store.runs
    assert sorted(each[1] for each in before.values()) == ["FAILED"] + 3 * ["FINISHED"]
    files = max((each[-1] for each in before.values()), key=len)
    assert {Path(path).parts[0] for path in files} == {"model", "images", "generator"}
    after = all_of(team.url, tmp_path)
    assert {key: after[key] for key in before} == before
    assert team.artifacts_mode == 0o700


def test_the_best_generator_of_a_store_that_was_moved_is_a_members_to_fetch(
    team, store, ana, tmp_path
):
    _, aliases, versions = store.product
    assert (aliases, set(versions)) == ({"worse": 1, "dcgan64": 2, "best": 2}, {1, 2})
    assert versions_of(team.url) == store.product
    with without_artifacts(store):  # so that they come from the server
        folder = fetch(f"models:/{MODEL}@best", tmp_path)
    assert folder.name == "dcgan64"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: (store.folder / name).read_bytes() for name in PRODUCT
    }


def test_a_store_that_was_moved_is_gone_on_with(team, store, ana):
    with run_of_weights(store.folder / "generator.weights.h5", "dcgan64") as run:
        run.metrics({"frechet": 7.0})
        run.artifact(store.folder / "generator.weights.h5", "again")
    client, experiment = client_of(team.url)
    (found,) = client.search_runs([experiment], "metrics.frechet = 7")
    assert found.info.run_name == "an arm: ä, µ"
    assert found.info.artifact_uri == f"mlflow-artifacts:/1/{found.info.run_id}/artifacts"
    kept = team.folder / "artifacts/1" / found.info.run_id / "artifacts/again"
    assert (kept / "generator.weights.h5").read_bytes() == b"weights"
    assert int(client.create_experiment("a new one")) > int(experiment)


def test_members_add_versions_to_each_others_models_and_delete_only_their_own(
    team, ana, monkeypatch, capfd, tmp_path
):
    import mlflow

    judge(tmp_path, "anas", "weights of ana", 3.0, "shared")
    sign_in("ben", monkeypatch)
    judge(tmp_path, "bens", "weights of ben", 2.0, "shared")
    judge(tmp_path, "anas", "weights of ana", 1.0, "shared")  # the same, judged anew
    assert "is kept" not in capfd.readouterr().err
    _, aliases, versions = versions_of(team.url, "shared")
    assert (aliases, set(versions)) == ({"anas": 1, "bens": 2, "best": 1}, {1, 2})
    assert (fetch("models:/shared@best", tmp_path / "got") / "card.md").read_text() == "anas, 1.0"
    client, _ = client_of(team.url)
    for delete in (
        lambda: client.delete_model_version("shared", "1"),
        lambda: client.delete_registered_model_alias("shared", "anas"),
        lambda: client.delete_registered_model("shared"),
    ):
        with pytest.raises(mlflow.MlflowException, match="Permission denied"):
            delete()
    sign_in("ana", monkeypatch)
    client.delete_model_version("shared", "1")
    assert set(versions_of(team.url, "shared")[2]) == {2}


def _log(url, name, folder, barrier):
    os.chdir(folder)
    os.environ["MLFLOW_TRACKING_URI"] = url
    os.environ["MLFLOW_TRACKING_USERNAME"] = name
    os.environ["MLFLOW_TRACKING_PASSWORD"] = PASSWORDS[name]
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(PATIENCE_S)
    with new_run(f"at once, {name}") as run:
        barrier.wait(PATIENCE_S)
        for i in range(BATCHES):
            run.metrics({"loss": i / 3, "score": -i}, kimg=i / 1000)


def log_at_once(url, folders):
    context = get_context("spawn")
    barrier = context.Barrier(len(folders))
    processes = [
        context.Process(target=_log, args=(url, name, str(folder), barrier))
        for name, folder in zip(list(PASSWORDS) * 2, folders, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_four_members_processes_log_at_once_and_all_arrives(team, ana, tmp_path):
    folders = [
        tmp_path / str(i) for i in range(PROCESSES)
    ]  # checkouts of their own: no shared lock
    for folder in folders:
        folder.mkdir()
    log_at_once(team.url, folders)
    client, experiment = client_of(team.url)
    runs = client.search_runs([experiment], "attributes.run_name LIKE 'at once%'")
    assert [run.info.status for run in runs] == ["FINISHED"] * PROCESSES
    for run in runs:
        for name, values in (("loss", lambda i: i / 3), ("score", lambda i: -i)):
            history = client.get_metric_history(run.info.run_id, name)
            assert {m.step: m.value for m in history} == {i: values(i) for i in range(BATCHES)}
            assert len(history) == BATCHES


def test_a_wrong_password_is_told_in_one_line_and_work_goes_on(team, ana, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "guessed")
    done = False
    with new_run("intruder") as run:
        run.metrics({"loss": 1.0})
        done = True
    assert done
    first, second = capsys.readouterr().err.splitlines()
    reason = (
        f"MLflow at {team.url}: no such user or wrong password (401); MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD name them; "
    )
    assert first == f"{reason}going on, what it does not have is kept"
    assert second.startswith(f"{reason}what it does not have of intruder lies in .mlflow-unsent/")
    assert "guessed" not in first + second


def test_make_starts_the_command_that_is_tested_here():
    plain, with_options = commands("docs/team-server.md", "One MLflow for a team")
    _, named = commands("docs/team-server.md", "For colleagues")
    options = ["--folder", "/srv/team-server", "--port", "5002"]
    for words, given in (
        (*plain.lines, []),
        (*with_options.lines, options),
        (named.lines[-1], []),
    ):
        said = subprocess.run(
            [*words, "--dry-run", "--no-print-directory", "--old-file=.venv/.ready"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert shlex.split(said) == [".venv/bin/python", "-m", "cinegan.team_server", *given]


def test_a_member_is_added_and_signs_in_as_the_page_says(team, tmp_path):
    adding, signing_in = commands("docs/team-server.md", "Members")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    names = {"http://127.0.0.1:5001": team.url, "ana": "cleo"}
    password = "a-long-password-of-cleo"
    paste(adding, tmp_path, names | {"team-server/": f"{team.folder}/"}, f"{password}\n")
    member = paste(signing_in, tmp_path, names, f"{password}\n")
    answer = requests.get(
        f"{member['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/get?experiment_id=1",
        auth=(member["MLFLOW_TRACKING_USERNAME"], member["MLFLOW_TRACKING_PASSWORD"]),
    )
    assert answer.status_code == 200, answer.text


def test_runs_are_backed_up_as_the_page_says(team, store, tmp_path):
    if shutil.which("pg_dump") is None:
        assert os.environ.get("CI") != "true"
        pytest.skip("pg_dump is not installed")
    (backup,) = commands("docs/team-server.md", "What lies in its folder")
    paste(backup, tmp_path, {"$PWD/team-server": str(team.folder)})
    written = (tmp_path / "mlflow.sql").read_text()
    assert all(run_id in written for run_id in store.runs)


def test_strangers_see_nothing_and_members_are_no_admins(team, store):
    def ask(path, who=None, **more):
        auth = (who, PASSWORDS[who]) if who else None
        return requests.get(f"{team.url}{path}", auth=auth, **more).status_code

    experiment = "/api/2.0/mlflow/experiments/get?experiment_id=1"
    artifacts = "/api/2.0/mlflow-artifacts/artifacts?path=1"
    for path in ("/", "/signup", experiment, artifacts):
        assert ask(path) == 401, path
    assert (ask(experiment, "ana"), ask(artifacts, "ana")) == (200, 200)
    assert ask("/signup", "ana") == 403
    deleted = requests.post(
        f"{team.url}/api/2.0/mlflow/runs/delete",
        json={"run_id": next(iter(store.runs))},
        auth=("ana", PASSWORDS["ana"]),
    )
    assert deleted.status_code == 403
    assert ask(experiment, "ana", headers={"Host": "mlflow.example.org"}) == 200
    assert ask(experiment, "ana", headers={"Host": "elsewhere.example.org"}) == 403
    assert (
        requests.get(f"{team.url}{experiment}", auth=("admin", "password1234")).status_code == 401
    )


def test_secrets_are_their_owners_alone_and_on_no_command_line(team):
    secrets = [team.folder / name for name in ("pgpass", "admin-password", "secret-key")]
    assert {mode(path) for path in secrets} == {0o600}
    words = {path.read_text().strip().rsplit(":", 1)[-1] for path in secrets}
    words |= {(team.folder / "pgpass").read_text().splitlines()[0].rsplit(":", 1)[-1]}
    assert len(words) == 4
    assert all(len(word) > 40 for word in words)
    commands = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands += path.read_bytes()
        except OSError:
            continue
    assert str(team.folder).encode() in commands
    told = commands + b"".join(path.read_bytes() for path in team.folder.glob("*.log"))
    assert not [word for word in words if word.encode() in told]
    assert list(team.folder.glob("**/*.db")) == []


def test_a_second_start_and_a_taken_port_are_refused(team, place):
    second = one_line(run("team_server", "--folder", team.folder, "--port", free_port()))
    assert "a team server runs on this folder already" in second
    taken = one_line(run("team_server", "--folder", place / "other", "--port", team.port))
    assert taken == (
        f"error: port {team.port} of 127.0.0.1 cannot be taken: Address already in use; name "
        "others with --port and --host\n"
    )
    moved = one_line(run("store_move", place / "checkout/mlflow.db", "--folder", team.folder))
    assert "a team server runs on this folder already" in moved


def ends(port):
    """Whether nobody listens any more."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_crash_ends_both_a_restart_keeps_everything_and_ctrl_c_ends_it(
    team, store, ana, tmp_path
):
    before = all_of(team.url, tmp_path)
    assert len(before) >= 3
    postmaster = int((team.folder / "postgres/postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    _, said = team.process.communicate(timeout=PATIENCE_S)
    assert team.process.returncode == 1
    assert said.startswith("error: PostgreSQL ended by itself; the last line of ")
    assert said.count("\n") == 1
    assert ends(team.port)

    held, served = team_server.held(team.folder), team_server.databases(team.folder, None)
    old = create_engine(store_move._sqlite(store.folder / "mlflow.db"))
    with held, served as databases:
        new = create_engine(databases.uri("mlflow"))
        with (
            old.connect() as one,
            pytest.raises(
                CineganError, match=r"the team's server has .* runs, .*metrics.* already"
            ),
            new.begin() as other,
        ):
            store_move.move(one, other, store_move.locations_of(one), team.folder / "artifacts")
        new.dispose()

    (team.folder / "artifacts").chmod(0o755)  # as an earlier version left it
    team.process = start(team.folder, team.port)
    assert mode(team.folder / "artifacts") == 0o700
    assert all_of(team.url, tmp_path) == before
    team.process.send_signal(signal.SIGINT)
    said = team.process.communicate(timeout=PATIENCE_S)
    assert (said, team.process.returncode) == (("stopped\n", ""), 0)
    assert ends(team.port)
    assert not (team.folder / "postgres/postmaster.pid").exists()


def test_without_postgresql_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        CineganError, match=r"PostgreSQL is not installed: .* apt install postgresql"
    ):
        team_server.main(["--folder", str(tmp_path / "team"), "--port", str(free_port())])


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("/sys/team", "cannot be written or read here"),
        ("/dev/null/team", "Not a directory; something else stands in its place"),
        (str(ROOT / "tests"), "holds other files; name an empty or new folder with --folder"),
    ],
)
def test_a_folder_that_cannot_be_is_refused(folder, reason):
    said = one_line(run("team_server", "--folder", folder, "--port", free_port()))
    assert said.startswith(f"error: {folder}: {reason}")


def test_a_path_too_long_for_a_socket_is_refused(tmp_path):
    folder = tmp_path / ("long" * 30)
    said = one_line(run("team_server", "--folder", folder, "--port", free_port()))
    assert "too long a path for a Unix socket" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_root_is_told_of_a_user_who_cannot_run_postgresql(place, tmp_path):
    for user, folder, reason in (
        ("nobody-of-that-name", place / "a", "nobody-of-that-name is none; name one with --user"),
        ("root", place / "b", "PostgreSQL needs a user other than root"),
        ("nobody", tmp_path / "private/c", "user nobody cannot reach it"),
    ):
        (tmp_path / "private").mkdir(mode=0o700, exist_ok=True)
        options = ("--folder", folder, "--port", free_port(), "--user", user)
        assert reason in one_line(run("team_server", *options))


def test_what_is_no_store_is_not_moved(tmp_path):
    (tmp_path / "empty.db").touch()
    (tmp_path / "other.db").write_text("these are not the runs")
    for name, reason in (
        ("none.db", "no such file; name the SQLite store that holds the runs"),
        ("empty.db", "not a store of MLflow's"),
        ("other.db", "file is not a database; nothing was moved"),
    ):
        said = one_line(run("store_move", tmp_path / name, "--folder", tmp_path / "team"))
        assert said == f"error: {tmp_path / name}: {reason}\n"
    assert not (tmp_path / "team").exists()


def test_a_store_whose_artifacts_are_gone_is_not_moved(store, tmp_path):
    with without_artifacts(store):
        said = one_line(
            run("store_move", store.folder / "mlflow.db", "--folder", tmp_path / "team")
        )
    assert said.startswith(
        f"error: {store.folder}/mlartifacts/cinegan: the store has its artifacts there, but"
    )
    assert not (tmp_path / "team").exists()
