"""What goes wrong in sharing ends so, loses nothing, and is completed by the same command."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from clones import Clone, stages_run
from loopback import HOST, free_port
from pages import commands
from stores import folder_store, hashes, pull, s3_store, share, ssh_store


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

    (search,) = commands("docs/team.md", "When something is amiss")
    found = subprocess.run(
        search.text, shell=True, cwd=folder / "files/md5", capture_output=True, text=True
    )
    assert found.stdout.split() == [f"{name[:2]}/{name[2:]}"]

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
