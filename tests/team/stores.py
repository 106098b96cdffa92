"""Where a team keeps artifacts, and what is asked of it."""

from __future__ import annotations

import getpass
import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clones import Clone
from pages import DVC, Block, commands

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
        add, *settings = of_dvc(*commands("docs/team.md", "Once: choose a remote"))
        return [add.replace("URL", self.url), *filled(settings, self.shared), *self.signing_in()]

    def signing_in(self) -> list[str]:
        """The commands of docs/team.md, for everybody."""
        return filled(of_dvc(*commands("docs/team.md", "Once each: sign in")), self.own)


def of_dvc(*blocks: Block) -> list[str]:
    """What blocks of a page tell DVC."""
    lines = [words for block in blocks for words in block.lines]
    return [shlex.join(words[1:]) for words in lines if words[0] == DVC]


def filled(settings: list[str], values: dict[str, Any]) -> list[str]:
    """Settings of a page with a store's own values; a key that it lacks is of other stores."""
    keyed = {words[-2]: words[:-1] for words in map(shlex.split, settings)}
    assert values.keys() <= keyed.keys(), "the page lacks a setting"
    return [shlex.join([*keyed[key], str(values[key])]) for key in keyed if key in values]


def folder_store(folder: Path) -> Store:
    return Store(str(folder), {"verify": "true"}, {}, lambda: named(folder))


def named(folder: Path) -> dict[str, int]:
    """Files of a remote by the hash that their path spells."""
    return {f"{p.parent.name}{p.name}": p.stat().st_size for p in folder.rglob("*") if p.is_file()}


def ssh_store(server, key: Path) -> Store:
    return Store(
        server.url,
        {"verify": "true"},
        {"user": getpass.getuser(), "keyfile": key},
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
    for block in commands("docs/team.md", "Once: choose a remote"):
        for words in block.lines:
            if words[0] != DVC:
                person.run(*words)
    person.run("git", "push", "--quiet", "origin", "HEAD")


def pull(person: Clone, store: Store, *further: str) -> str:
    """Get what the team has; what DVC told."""
    return person.must(*store.signing_in(), "pull", *further)
