"""PostgreSQL in a folder of its own, reached by a Unix socket in it and by nothing else."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import encrypt_password
from psycopg2.sql import SQL, Identifier, Literal

from cinegan.background import Server, beside
from cinegan.errors import CineganError
from cinegan.files import atomic_folder

DEBIAN = Path("/usr/lib/postgresql")  # its package keeps the binaries off PATH
ACCOUNTS = ("postgres", "nobody")  # that it runs as where root starts it; it refuses to be root
SUPERUSER, OWNER = "postgres", "mlflow"  # roles
SOCKET = ".s.PGSQL.5432"
LONGEST_SOCKET = 107  # bytes of a Unix socket's path


@dataclass(frozen=True)
class Cluster:
    """Databases that are served: where they lie, the file with their passwords, the server."""

    folder: Path
    passwords: Path
    server: Server

    def uri(self, database: str) -> str:
        """How SQLAlchemy reaches a database of `OWNER`; the password stays in its file."""
        where = "&".join(
            f"{key}={quote(str(path), safe='/')}"
            for key, path in (("host", self.folder), ("passfile", self.passwords))
        )
        return f"postgresql+psycopg2://{OWNER}@/{database}?{where}"


@contextmanager
def cluster(
    folder: Path, passwords: Path, log: Path, databases: Sequence[str], account: str | None = None
) -> Iterator[Cluster]:
    """Serve the databases in a folder while the block lasts; make what is missing.

    Parameters
    ----------
    folder : Path
        Absolute; below it nothing but PostgreSQL's own.
    passwords : Path
        A password file in PostgreSQL's form, with lines for `SUPERUSER` and `OWNER`.
    databases : sequence of str
        Of `OWNER`.
    account : str, optional
        The user that the server runs as, for root alone; by default the first of `ACCOUNTS`.

    Raises
    ------
    CineganError
        If PostgreSQL is not installed, or ends, or its user cannot reach the folder.
    """
    if len(os.fsencode(folder / SOCKET)) > LONGEST_SOCKET:
        raise CineganError(f"{folder}: too long a path for a Unix socket; name a shorter one")
    user = _user(account)
    made_by = folder / "PG_VERSION"
    programs = _programs(made_by.read_text().strip() if made_by.exists() else None)
    if user is not None:
        _check_reach(folder.parent, user)
    if not folder.exists():
        _initialise(folder, passwords, programs, user)
    command = [str(programs / "postgres"), "-D", str(folder), "-c", "listen_addresses="]
    command += ["-c", f'unix_socket_directories="{folder}"']
    # SIGINT: end at once and in order, without waiting for who is connected.
    with beside("PostgreSQL", command, log, signal.SIGINT, **_as(user)) as server:
        served = Cluster(folder, passwords, server)
        while not _accepts(programs, folder):
            server.check()
            time.sleep(0.1)
        _complete(served, databases)
        yield served


def _user(account: str | None) -> pwd.struct_passwd | None:
    """Whom the server runs as, if not as ourselves."""
    if os.geteuid() != 0:
        if account is not None:
            raise CineganError(f"user {account}: only root can run PostgreSQL as somebody else")
        return None
    for name in ACCOUNTS if account is None else (account,):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return found
    raise CineganError(
        f"PostgreSQL needs a user other than root, and {account or ' or '.join(ACCOUNTS)} is none; "
        "name one with --user, or start as somebody other than root"
    )


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Options of a process that runs as this user, at a place that it may be at."""
    if user is None:
        return {"cwd": "/"}
    return {"cwd": "/", "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _check_reach(folder: Path, user: pwd.struct_passwd) -> None:
    if subprocess.run(["test", "-x", folder], check=False, **_as(user)).returncode != 0:
        raise CineganError(
            f"{folder}: PostgreSQL's user {user.pw_name} cannot reach it; name a folder that it "
            "can (such as below /srv), or start as somebody other than root"
        )


def _programs(version: str | None) -> Path:
    """The folder of PostgreSQL's programs: of the version that made the data, else the newest."""
    found = {path.parent for path in DEBIAN.glob("*/bin/postgres")}
    if on_path := shutil.which("postgres"):
        found.add(Path(on_path).resolve().parent)
    versions = {_version(each): each for each in found if (each / "initdb").exists()}
    if not versions:
        raise CineganError(
            "PostgreSQL is not installed: neither below /usr/lib/postgresql nor on PATH; on Debian "
            "and Ubuntu: apt install postgresql"
        )
    if version is None:
        return versions[max(versions, key=int)]
    if version not in versions:
        raise CineganError(
            f"the databases are of PostgreSQL {version}, installed is {', '.join(versions)}; "
            f"install {version}, or let pg_upgrade bring them over"
        )
    return versions[version]


def _version(programs: Path) -> str:
    """The major version, such as 15."""
    said = subprocess.run([programs / "postgres", "-V"], capture_output=True, text=True, check=True)
    return re.findall(r"\d+", said.stdout)[0]


def _initialise(
    folder: Path, passwords: Path, programs: Path, user: pwd.struct_passwd | None
) -> None:
    password = folder.with_name(".superuser.partial")  # initdb reads it, as its own user
    try:
        with atomic_folder(folder) as partial:
            password.touch(0o600)
            password.write_text(_password(passwords, SUPERUSER))
            if user is not None:
                for each in (partial, password):
                    os.chown(each, user.pw_uid, user.pw_gid)
            command = [str(programs / "initdb"), "--pgdata", str(partial), "--username", SUPERUSER]
            command += ["--auth", "scram-sha-256", "--pwfile", str(password)]
            command += ["--encoding", "UTF8", "--locale", "C"]
            made = subprocess.run(command, capture_output=True, text=True, check=False, **_as(user))
            if made.returncode != 0:
                reason = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise CineganError(f"{folder}: PostgreSQL's initdb failed: {reason}")
    finally:
        password.unlink(missing_ok=True)


def _password(passwords: Path, role: str) -> str:
    for line in passwords.read_text().splitlines():
        *_, whose, password = line.split(":")
        if whose == role:
            return password
    raise CineganError(f"{passwords}: no password of {role}; bring the file back from a backup")


def _accepts(programs: Path, folder: Path) -> bool:
    asked = subprocess.run([programs / "pg_isready", "-h", folder, "-q"], check=False)
    return asked.returncode == 0


def _complete(served: Cluster, databases: Sequence[str]) -> None:
    """Make the role and the databases that are not there yet."""
    try:
        connection = psycopg2.connect(
            host=served.folder, passfile=served.passwords, user=SUPERUSER, dbname="postgres"
        )
    except psycopg2.OperationalError as error:
        raise CineganError(f"PostgreSQL: {str(error).strip().splitlines()[-1]}") from None
    connection.autocommit = True  # a database is not made within a transaction
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER])
        if cursor.fetchone() is None:
            password = encrypt_password(
                _password(served.passwords, OWNER), OWNER, connection, "scram-sha-256"
            )
            command = SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            cursor.execute(command.format(Identifier(OWNER), Literal(password)))
        cursor.execute("SELECT datname FROM pg_database")
        there = {name for (name,) in cursor.fetchall()}
        for name in databases:
            if name not in there:
                command = SQL("CREATE DATABASE {} OWNER {}")
                cursor.execute(command.format(Identifier(name), Identifier(OWNER)))
    connection.close()
