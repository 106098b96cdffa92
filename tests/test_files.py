"""Outputs are whole or absent, also on a full disk; same content, same bytes."""

import math
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from loopback import absent

from cinegan import files
from cinegan.errors import CineganError


class HalfwayError(Exception):
    """Something that goes wrong half-way."""


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_atomic_file_appears_whole_in_a_folder_made_for_it(tmp_path):
    with files.atomic_file(tmp_path / "a" / "b.json") as partial:
        partial.write_text("whole")
        assert names(tmp_path / "a") == [partial.name]
        assert partial.suffix == ".json"
    assert names(tmp_path) == ["a", "a/b.json"]
    assert (tmp_path / "a" / "b.json").read_text() == "whole"


@pytest.mark.parametrize("fault", [HalfwayError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, "old"])
def test_atomic_file_keeps_the_old_content_and_leaves_nothing_on_failure(tmp_path, fault, before):
    path = tmp_path / "out.txt"
    if before:
        path.write_text(before)
    with pytest.raises(fault), files.atomic_file(path) as partial:
        partial.write_text("half")
        raise fault
    assert names(tmp_path) == (["out.txt"] if before else [])
    assert not before or path.read_text() == before


def test_atomic_folder_replaces_the_old_one_with_all_it_held(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").write_text("old")
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "left by a killed run").write_text("half")
    with files.atomic_folder(tmp_path / "out") as partial:
        assert names(partial) == []
        (partial / "new").write_text("new")
    assert names(tmp_path) == ["out", "out/new"]


@pytest.mark.parametrize("fault", [HalfwayError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [False, True])
def test_atomic_folder_keeps_the_old_one_and_leaves_nothing_on_failure(tmp_path, fault, before):
    if before:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "old").write_text("old")
    with pytest.raises(fault), files.atomic_folder(tmp_path / "out") as partial:
        (partial / "half").write_text("half")
        raise fault
    assert names(tmp_path) == (["out", "out/old"] if before else [])


@pytest.mark.parametrize("make", [files.atomic_file, files.atomic_folder])
def test_an_output_below_a_plain_file_is_an_os_error_and_changes_nothing(tmp_path, make):
    (tmp_path / "metrics").write_text("a file where a folder should be")
    with pytest.raises(OSError), make(tmp_path / "metrics" / "out"):
        pytest.fail("there is nowhere to write")
    assert names(tmp_path) == ["metrics"]


FULL_DISK = """
import sys
import zipfile
from pathlib import Path
from pathlib import Path
import numpy as np
from cinegan import files
from cinegan.errors import run_command

def text(out):
    with files.atomic_file(out) as partial:
        partial.write_text("x" * 200_000)

def json(out):
    files.write_json(out, list(range(100_000)))

def array(out):
    with files.atomic_folder(out) as partial:
        np.save(partial / "a.npy", np.zeros(200_000))

def archive(out):
    with files.atomic_file(out) as partial, zipfile.ZipFile(partial, "w") as z:
        for i in range(9):
            files.add_to_zip(z, f"{i}", bytes(30_000))

disk, writer = Path(sys.argv[1]), globals()[sys.argv[2]]
try:
    run_command(lambda _: writer(disk / "out"))
finally:
    print(sorted(p.name for p in disk.rglob("*")))
"""


@pytest.mark.parametrize("writer", ["text", "json", "array", "archive"])
def test_a_full_disk_ends_in_one_line_that_says_so_and_leaves_nothing(tmp_path, writer):
    disk = tmp_path / "disk"
    disk.mkdir()
    # A small disk of its own, seen by this process alone.
    mount = f'mount -t tmpfs -o size=64k tmpfs "{disk}" || exit 77; exec "$@"'
    command = [sys.executable, "-c", FULL_DISK, str(disk), writer]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        absent("a kernel that lets a test mount a small disk")
    assert (done.returncode, done.stdout.strip()) == (1, "[]"), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"error: {disk}/" in done.stderr
    assert "the disk is full; free some space" in done.stderr


def test_json_is_diffable_and_comes_back(tmp_path):
    value = {"b": [1, 2.5, None], "a": "Herzkammer: ♥"}
    files.write_json(tmp_path / "m.json", value)
    assert files.read_json(tmp_path / "m.json") == value
    text = (tmp_path / "m.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "♥" in text
    assert text.index('"b"') < text.index('"a"')


@pytest.mark.parametrize("content", [b"", b'{"phases": 20', b"\xff\xfe"])
def test_damaged_json_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(CineganError, match=r"m\.json: not whole JSON; `dvc repro` makes it anew"):
        files.read_json(tmp_path / "m.json")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_numbers_that_are_none_and_keeps_the_old_file(tmp_path, value):
    files.write_json(tmp_path / "m.json", {"fid": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "m.json", {"fid": value})
    assert files.read_json(tmp_path / "m.json") == {"fid": 1.0}
    assert names(tmp_path) == ["m.json"]


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (1234.56789, 6, 1234.57),
        (0.000123456789, 3, 0.000123),
        (-2.0, 6, -2.0),
        (np.float32(0.1), 6, 0.1),
        (math.nan, 6, None),
        (math.inf, 6, None),
    ],
)
def test_rounded_keeps_significant_digits_and_turns_no_number_to_null(value, digits, expected):
    assert files.rounded(value, digits) == expected


def test_zips_of_the_same_content_are_the_same_bytes_and_stored(tmp_path):
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            files.add_to_zip(archive, "x/y.dcm", b"1234" * 50)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        member = archive.getinfo("x/y.dcm")
        assert member.compress_type == zipfile.ZIP_STORED
        assert member.date_time == (1980, 1, 1, 0, 0, 0)
        assert archive.read(member) == b"1234" * 50


def test_a_folder_is_there_whole_also_where_its_replacement_is_interrupted(tmp_path, monkeypatch):
    target = tmp_path / "kept"
    with files.atomic_folder(target) as partial:
        (partial / "run.json").write_text("first")
    replace = Path.replace

    def interrupted(path, to):
        if path.name.endswith(".partial"):
            raise KeyboardInterrupt
        return replace(path, to)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", interrupted)
        with files.atomic_folder(target) as partial:
            (partial / "run.json").write_text("second")
    assert (target / "run.json").read_text() == "first"
    with files.atomic_folder(target) as partial:
        (partial / "run.json").write_text("third")
    assert (target / "run.json").read_text() == "third"
    assert list(tmp_path.iterdir()) == [target]
