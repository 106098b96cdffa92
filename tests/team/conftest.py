"""Servers for the tests of a team, as fixtures."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from servers import S3Server, SshServer, make_ssh_server, s3_server


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
