"""Servers that a team shares artifacts through, each a real one on loopback for one test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import requests
from loopback import HOST, absent, free_port, serving

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True)
class SshServer:
    """OpenSSH with a folder to keep things in: `key` opens it, `other_key` does not."""

    port: int
    folder: Path
    key: Path
    other_key: Path
    command: list[str]
    log: Path

    @property
    def url(self) -> str:
        """Where DVC finds the folder."""
        return f"ssh://{HOST}:{self.port}{self.folder}"

    def running(self) -> Any:
        """Run the server for a block; by itself it is not."""
        return serving(self.command, self.port, self.log)


def make_ssh_server(root: Path) -> SshServer:
    """Lay out an OpenSSH server with keys and a configuration of its own in an empty folder."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        absent("openssh-server")
    root.mkdir(parents=True)
    for name in ("host", "key", "other_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(root / name)],
            check=True,
        )
    shutil.copy(root / "key.pub", root / "authorized_keys")
    (root / "store").mkdir()
    port = free_port()
    settings = {
        "ListenAddress": f"{HOST}:{port}",
        "HostKey": root / "host",
        "AuthorizedKeysFile": root / "authorized_keys",
        "AuthenticationMethods": "publickey",
        "PermitRootLogin": "prohibit-password",
        "StrictModes": "no",  # a test's folder lies below one that anybody may write to
        "UsePAM": "no",
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    (root / "sshd_config").write_text("".join(lines))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # what root's sshd asks for, and its service makes
    command = [str(SSHD), "-D", "-e", "-f", str(root / "sshd_config")]
    return SshServer(
        port, root / "store", root / "key", root / "other_key", command, root / "sshd.log"
    )


@dataclass(frozen=True)
class S3Server:
    """An S3-compatible server that lets in the owner of one key alone."""

    endpoint: str
    bucket: str
    key_id: str
    secret: str

    def client(self, service: str = "s3") -> Any:
        """A client with the key that is let in."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
        )


@contextmanager
def s3_server(root: Path) -> Iterator[S3Server]:
    """Run moto's server, with one user, in a process of its own; buckets are the user's to make."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", HOST, "--port", str(port)]
    environment = {**os.environ, "MOTO_PORT": str(port)}
    with serving(command, port, root / "s3.log", environment):
        server = S3Server(f"http://{HOST}:{port}", "", "anybody", "anything")
        users = server.client("iam")
        users.create_user(UserName="team")
        whole = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [whole]})
        users.put_user_policy(UserName="team", PolicyName="store", PolicyDocument=policy)
        made = users.create_access_key(UserName="team")["AccessKey"]
        # From here on every request is checked: who it is from, its signature, what it may do.
        requests.post(f"{server.endpoint}/moto-api/reset-auth", data=b"0", timeout=60)
        yield replace(server, key_id=made["AccessKeyId"], secret=made["SecretAccessKey"])
