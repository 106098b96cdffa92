"""A small team, and servers that it shares artifacts through."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from clones import Clone, clone, make_origin
from servers import S3Server, SshServer, make_ssh_server, s3_server
from stores import folder_store, s3_store, ssh_store


@pytest.fixture
def ssh(tmp_path) -> SshServer:
    """An OpenSSH server that is laid out; `with ssh.running():` starts it."""
    return make_ssh_server(tmp_path / "ssh")


@pytest.fixture(scope="session")
def buckets(tmp_path_factory):
    """An S3-compatible server that runs, and numbers for its buckets."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server, count()


@pytest.fixture
def s3(buckets) -> S3Server:
    """A running S3-compatible server with an empty bucket."""
    server, numbers = buckets
    mine = replace(server, bucket=f"artifacts-{next(numbers)}")
    mine.client().create_bucket(Bucket=mine.bucket)
    return mine


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
