"""The commands that README.md and the pages of docs/ show, as a reader would paste them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from imports import ROOT

MARK = re.compile(r"(#!\S+\n)?# (long|GPU|cluster): \S")  # begins a block that no test runs
DVC = ".venv/bin/dvc"
UNTIL = "# until Ctrl-C"  # at the end of a command that serves
FENCED = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: the language that is named, the heading above, the text."""

    page: str
    line: int
    language: str
    heading: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def lines(self) -> list[list[str]]:
        """Its commands one by one, each as a list of words; what `&&` joins is taken apart."""
        found: list[list[str]] = []
        for line in self.text.splitlines():
            words = shlex.split(line, comments=True)
            for joined, part in itertools.groupby(words, lambda word: word == "&&"):
                if not joined:
                    found.append(list(part))
        return found

    @property
    def marked(self) -> bool:
        """Whether the page says that it takes long, a GPU or a cluster."""
        return MARK.match(self.text) is not None

    @property
    def serves(self) -> bool:
        """Whether its commands, each by itself, serve until they are stopped."""
        return UNTIL in self.text


def fenced(page: str) -> Iterator[Block]:
    """All fenced blocks of a page, from top to bottom."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        before = text[: found.start()]
        headings = re.findall(r"^#+ (.+)$", FENCED.sub("", before), re.MULTILINE)
        yield Block(page, before.count("\n") + 2, found[1], headings[-1], found[2])


def commands(page: str, heading: str | None = None) -> list[Block]:
    """Blocks of commands of a page, or of what stands under one of its headings."""
    found = [block for block in fenced(page) if block.language == "sh"]
    found = [block for block in found if heading in (None, block.heading)]
    assert found, f"{page} shows no commands under {heading!r}"
    return found
