"""A team shares artifacts: pushed from one clone, pulled into another, and nothing runs again."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from clones import Clone, clone, make_origin, publish, stages_run
from imports import ROOT
from servers import HOST, free_port

CACHED = ("data/", "models/")  # what DVC keeps; metrics/ is Git's


@dataclass(frozen=True)
class Store:
    """Where a team keeps artifacts, as DVC is told of it: for everybody, and for one person."""

    url: str
    shared: dict[str, Any]
    own: dict[str, Any]
    files: Callable[[], dict[str, int]]  # name -> bytes of what is there
    refused: str = ""  # what DVC says of wrong credentials

    def connecting(self) -> list[str]:
        """The commands of docs/team.md, for whoever is the first."""
        shared = [f"remote modify team {k} {v}" for k, v in self.shared.items()]
        return [f"remote add --default team {self.url}", *shared, *self.signing_in()]

    def signing_in(self) -> list[str]:
        """The commands of docs/team.md, for everybody."""
        return [f"remote modify --local team {k} {v}" for k, v in self.own.items()]


def folder_store(folder: Path) -> Store:
    return Store(str(folder), {"verify": "true"}, {}, lambda: named(folder))


def named(folder: Path) -> dict[str, int]:
    """Files of a remote by the hash that their path spells."""
    return {f"{p.parent.name}{p.name}": p.stat().st_size for p in folder.rglob("*") if p.is_file()}


def ssh_store(server, key: Path) -> Store:
    return Store(
        server.url,
        {"verify": "true"},
        {"keyfile": key},
        lambda: named(server.folder),
        "Permission denied for user",
    )


def s3_store(server, folder: Path, secret: str) -> Store:
    """The store as somebody sees it whose credentials lie in a file that only they read."""
    credentials = folder / "credentials"
    credentials.write_text(
        f"[team]\naws_access_key_id = {server.key_id}\naws_secret_access_key = {secret}\n"
    )
    credentials.chmod(0o600)

    def files() -> dict[str, int]:
        found = server.client().list_objects_v2(Bucket=server.bucket).get("Contents", [])
        return {"".join(each["Key"].split("/")[-2:]): each["Size"] for each in found}

    return Store(
        f"s3://{server.bucket}/cinegan",
        {"verify": "true", "endpointurl": server.endpoint},
        {"credentialpath": credentials, "profile": "team"},
        files,
        "Forbidden",
    )


@pytest.fixture(params=["folder", "ssh", "s3"])
def store(request, tmp_path):
    """Each kind of store, ready."""
    match request.param:
        case "folder":
            yield folder_store(tmp_path / "share" / "cinegan")
        case "ssh":
            server = request.getfixturevalue("ssh")
            with server.running():
                yield ssh_store(server, server.key)
        case "s3":
            server = request.getfixturevalue("s3")
            yield s3_store(server, tmp_path, server.secret)


@pytest.fixture(scope="session")
def ran(tmp_path_factory) -> Path:
    """The small project, which Ann has run."""
    root = tmp_path_factory.mktemp("ran")
    ann = clone(make_origin(root), root / "ann")
    ann.must("repro")
    ann.commit("the first results")
    return root


@pytest.fixture
def team(ran, tmp_path) -> SimpleNamespace:
    """Ann, who has run the project, and a way for others to join."""
    root = tmp_path / "team"
    shutil.copytree(ran, root, symlinks=True)
    ann = Clone(root / "ann", root / "home of ann")
    ann.run("git", "remote", "set-url", "origin", str(root / "origin.git"))
    return SimpleNamespace(ann=ann, join=lambda name: clone(root / "origin.git", root / name))


def hashes(results: dict[str, bytes]) -> set[str]:
    """How DVC names what it keeps of the results."""
    return {
        hashlib.md5(content).hexdigest()
        for name, content in results.items()
        if name.startswith(CACHED)
    }


def folders(files: dict[str, int]) -> set[str]:
    return {name for name in files if name.endswith(".dir")}


def share(person: Clone, store: Store, *further: str) -> None:
    """Tell the team of a store, and send what there is."""
    person.must(*store.connecting(), "push", *further)
    person.commit("where artifacts are")


def pull(person: Clone, store: Store, *further: str) -> str:
    """Get what the team has; what DVC told."""
    return person.must(*store.signing_in(), "pull", *further)


def signed_in_apart(person: Clone, store: Store) -> bool:
    """Whether Git has where the store is, and nothing of what the person signs in with."""
    in_git = person.run("git", "grep", "-h", "", "--", ".dvc")
    return store.url in in_git and not any(f"{k} = {v}" in in_git for k, v in store.own.items())


def test_a_colleague_pulls_what_was_pushed_and_nothing_runs(team, store):
    share(team.ann, store)
    assert signed_in_apart(team.ann, store)
    first = store.files()
    assert set(first) - folders(first) == hashes(team.ann.results())
    assert len(folders(first)) == 3  # cycles and two models

    team.ann.set("small: {rate: 1}", "small: {rate: 5}")
    assert stages_run(team.ann.must("repro", "push")) == ["train@small", "compare"]
    team.ann.commit("another rate")
    second = store.files()
    assert first.items() <= second.items()
    sent = second.keys() - first.keys()
    weights = (team.ann.folder / "models/small/generator.weights.h5").read_bytes()
    assert sent - folders(second) == {hashlib.md5(weights).hexdigest()}
    assert len(sent) == 2  # and the new list of the model's files

    ben = team.join("ben")
    assert not stages_run(pull(ben, store, "repro"))
    assert ben.results() == team.ann.results()
    assert ben.run("git", "status", "--porcelain") == ""


@pytest.fixture(params=["ssh", "s3"])
def doors(request, tmp_path):
    """A store as it is seen with the right credentials, and with wrong ones."""
    server = request.getfixturevalue(request.param)
    if request.param == "ssh":
        with server.running():
            yield ssh_store(server, server.key), ssh_store(server, server.other_key)
    else:
        (tmp_path / "wrong").mkdir()
        yield (
            s3_store(server, tmp_path, server.secret),
            s3_store(server, tmp_path / "wrong", "guessed"),
        )


def test_wrong_credentials_are_refused_and_right_ones_complete_the_same_command(team, doors):
    right, wrong = doors
    mine = team.ann.results()
    done = team.ann.dvc(*wrong.connecting(), "push")
    assert done.returncode != 0
    assert wrong.refused in done.stderr
    assert right.files() == {}
    assert team.ann.results() == mine
    team.ann.must(*right.signing_in(), "push")
    team.ann.commit("where artifacts are")

    ben = team.join("ben")
    from_git = ben.results()
    done = ben.dvc(*wrong.signing_in(), "pull")
    assert done.returncode != 0
    assert wrong.refused in done.stderr
    assert ben.results() == from_git
    pull(ben, right)
    assert ben.results() == mine


def test_without_credentials_s3_is_not_asked(team, s3, tmp_path):
    store = replace(s3_store(s3, tmp_path, s3.secret), own={})
    done = team.ann.dvc(*store.connecting(), "push")
    assert done.returncode != 0
    assert "Unable to locate credentials" in done.stderr


def test_a_server_that_does_not_answer_is_named_and_the_same_command_completes_later(team, ssh):
    store = ssh_store(ssh, ssh.key)
    done = team.ann.dvc(*store.connecting(), "push")
    assert done.returncode != 0
    assert f"Connect call failed ('{HOST}', {ssh.port})" in done.stderr
    with ssh.running():
        team.ann.must("push")
    team.ann.commit("where artifacts are")
    ben = team.join("ben")
    from_git = ben.results()
    done = ben.dvc(*store.signing_in(), "pull")
    assert done.returncode != 0
    assert "failed to connect to ssh" in done.stderr
    assert ben.results() == from_git


def test_an_s3_endpoint_that_does_not_answer_is_named(team, s3, tmp_path):
    store = s3_store(s3, tmp_path, s3.secret)
    nobody = f"http://{HOST}:{free_port()}"
    elsewhere = replace(store, shared={**store.shared, "endpointurl": nobody})
    (team.ann.home / ".aws").mkdir()
    (team.ann.home / ".aws/config").write_text("[profile team]\nmax_attempts = 1\n")  # soon told
    done = team.ann.dvc(*elsewhere.connecting(), "push")
    assert done.returncode != 0
    assert f'Could not connect to the endpoint URL: "{nobody}/' in done.stderr
    team.ann.must(f"remote modify team endpointurl {s3.endpoint}", "push")
    assert hashes(team.ann.results()) < store.files().keys()


def test_a_folder_that_is_not_there_has_nothing_to_pull(team, tmp_path):
    ben = team.join("ben")
    from_git = ben.results()
    done = ben.dvc(*folder_store(tmp_path / "not-mounted").connecting(), "pull")
    assert done.returncode != 0
    assert "do not exist neither locally nor on remote" in done.stderr
    assert ben.results() == from_git


def on_a_small_disk(person: Clone, place: Path, *commands: str) -> list[str]:
    """What a script told between its marks."""
    return person.on_a_small_disk(place, "\n".join(commands)).split("MARK\n")


@pytest.mark.parametrize("doors", ["ssh", "s3"], indirect=True)
def test_a_pull_that_fills_the_disk_ends_so_and_the_next_one_completes_it(team, doors):
    store, _ = doors
    share(team.ann, store)
    ben = team.join("ben")
    signing_in = " ".join(f"'{command}'" for command in store.signing_in())
    failed, completed = on_a_small_disk(
        ben,
        ben.folder / ".dvc/cache",
        "head -c 300000 /dev/zero > .dvc/cache/something-else",
        f"dvcs {signing_in} pull; echo ended with $?; echo MARK",
        "rm .dvc/cache/something-else; resize 4M",
        "dvcs pull repro; echo ended with $?",
    )
    assert "No space left on device" in failed
    assert "ended with 1\n" in failed
    assert "ended with 0\n" in completed
    assert not stages_run(completed)
    assert ben.results() == team.ann.results()


def test_a_full_store_has_nothing_half_written_and_the_next_push_completes_it(team, tmp_path):
    disk = tmp_path / "disk"
    store = folder_store(disk / "cinegan")
    connecting = " ".join(f"'{command}'" for command in store.connecting())
    failed, there, completed = on_a_small_disk(
        team.ann,
        disk,
        f"dvcs {connecting} push; echo ended with $?; echo MARK",
        f"md5sum {disk}/cinegan/files/md5/*/*; echo MARK",
        "resize 4M",
        "dvcs push; echo ended with $?",
        f"md5sum {disk}/cinegan/files/md5/*/*",
    )
    assert "No space left on device" in failed
    assert "ended with 1\n" in failed
    assert "ended with 0\n" in completed
    whole = hashes(team.ann.results())
    assert kept(there) < whole
    assert kept(completed) == whole


def kept(told: str) -> set[str]:
    """Hashes of the files that `md5sum` listed, each of which must bear the name it is kept by."""
    lines = [line.split() for line in told.splitlines() if "/files/md5/" in line]
    for found, path in lines:
        assert "".join(path.split("/")[-2:]).removesuffix(".dir") == found
    return {found for found, path in lines if not path.endswith(".dir")}


def test_what_was_trained_while_the_cache_was_full_is_kept_without_training_again(team, tmp_path):
    store = folder_store(tmp_path / "share" / "cinegan")
    share(team.ann, store)
    ben = team.join("ben")
    ben.set("small: {rate: 1}", "small: {rate: 7}")
    failed, completed = on_a_small_disk(
        ben,
        ben.folder / ".dvc/cache",
        "resize 900k",  # room for what is pulled, and for no further model
        "dvcs pull 'repro train@small' 'status --quiet'; echo ended with $?; echo MARK",
        "resize 4M",
        "dvcs 'commit --force train@small' repro push 'status --quiet'; echo ended with $?",
    )
    assert stages_run(failed) == ["train@small"]
    assert "No space left on device" in failed
    assert "ended with 1\n" in failed  # by `dvc status`; `dvc repro` does not tell
    assert stages_run(completed) == ["compare"]
    assert "ended with 0\n" in completed
    assert hashes(ben.results()) < store.files().keys()


def test_a_damaged_artifact_is_not_taken_and_whoever_has_it_whole_mends_the_store(team, tmp_path):
    folder = tmp_path / "share" / "cinegan"
    share(team.ann, folder_store(folder))
    whole = (team.ann.folder / "models/small/generator.weights.h5").read_bytes()
    name = hashlib.md5(whole).hexdigest()
    damaged = folder / "files/md5" / name[:2] / name[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(whole[:1000])

    ben = team.join("ben")
    done = ben.dvc("pull")
    assert done.returncode != 0
    assert "models/small" in done.stderr
    assert not (ben.folder / "models/small").exists()

    lock = yaml.safe_load((team.ann.folder / "dvc.lock").read_text())
    (listing,) = (
        out["md5"] for out in lock["stages"]["train@small"]["outs"] if out["path"] == "models/small"
    )
    damaged.unlink()
    (folder / "files/md5" / listing[:2] / listing[2:]).unlink()
    assert "2 files pushed" in team.ann.must("push")
    assert damaged.read_bytes() == whole


def test_an_experiment_is_taken_over_with_its_results_and_nothing_runs(team, tmp_path):
    store = folder_store(tmp_path / "share" / "cinegan")
    share(team.ann, store)
    default = team.ann.results()
    before = store.files().keys()
    team.ann.must("exp run --name faster --set-param models.small.rate=5", "exp push origin faster")
    assert len(store.files().keys() - before) == 2
    results = team.ann.results()
    assert results != default
    team.ann.run("git", "checkout", "--quiet", ".")
    team.ann.must("checkout")
    assert team.ann.results() == default

    ben = team.join("ben")
    told = ben.must("exp pull origin faster", "exp apply faster", "pull", "repro")
    assert not stages_run(told)
    assert ben.results() == results


@pytest.fixture
def real(tmp_path) -> Path:
    """The project itself with a tiny phantom; nothing has run."""
    work = tmp_path / "real" / "work"
    for name in ("cinegan", "stages"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".gitignore", "data/incoming/.gitignore", "models/fresh"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, work / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["phantom"] = {"patients_per_group": 1, "slices": 3, "size": 64}
    (work / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return publish(work, tmp_path / "real" / "origin.git")


def test_the_projects_own_stages_do_not_run_again_at_a_colleagues(real, ssh, tmp_path):
    ann = clone(real, tmp_path / "real" / "ann")
    assert stages_run(ann.must("repro crop")) == ["download", "convert", "crop"]
    store = ssh_store(ssh, ssh.key)
    with ssh.running():
        share(ann, store)
        ben = clone(real, tmp_path / "real" / "ben")
        told = ben.must(*store.signing_in(), "pull --with-deps crop", "repro crop")
    assert not stages_run(told)
    assert ben.results() == ann.results()
    assert hashes({k: v for k, v in ann.results().items() if k.startswith("data/")}) <= set(
        store.files()
    )
    assert ben.run("git", "status", "--porcelain") == ""
