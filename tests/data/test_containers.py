"""Zip archives and folders of loose files are read in place, behind one interface."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from dicom_factory import write_zip

from cinegan.data import containers
from cinegan.data.containers import files_below, open_containers
from cinegan.errors import CineganError


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.lower().endswith(".zip"):
            write_zip(path, {"m/2": b"two", "m/1": b"one"})
        else:
            path.write_bytes(name.encode())


def test_archives_and_loose_files_are_listed_in_byte_order(tmp_path):
    fill(tmp_path, "b/x.dcm", "a.ZIP", "b.zip", "b/c.zip", "B.dcm", "é.dcm", "b-/y")
    with open_containers(tmp_path) as found:
        assert list(found) == ["a.ZIP", "b.zip", "b/c.zip", ""]
        assert found[""].files() == ["B.dcm", "b-/y", "b/x.dcm", "é.dcm"]
        assert found["b/c.zip"].files() == ["m/1", "m/2"]
        assert [found["b.zip"].read("m/1"), found["b.zip"].read("m/2", 2)] == [b"one", b"tw"]
        assert [found[""].read("b-/y"), found[""].read("b/x.dcm", 1)] == [b"b-/y", b"b"]


def test_hidden_files_and_what_systems_add_are_left_out(tmp_path):
    fill(tmp_path, ".hidden/x", ".DS_Store", "a/.x", "a/x")
    members = dict.fromkeys(["__MACOSX/x", "a/.x", "a/", "a/x"], b"")
    write_zip(tmp_path / "z.zip", members)
    with open_containers(tmp_path) as found:
        assert {name: c.files() for name, c in found.items()} == {"z.zip": ["a/x"], "": ["a/x"]}


def test_the_order_is_that_of_the_documented_commands(tmp_path):
    fill(tmp_path, "b/x", "b-/x", "b.zip", "B", "é/ü", "z/ŷ/a", "a b/c", ".h/x", "q/.y", "￿", "𝄞")
    (tmp_path / "link").symlink_to(tmp_path / "B")
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    find = "find . -xtype f -not -path '*/.*' | LC_ALL=C sort"
    listed = subprocess.run(find, shell=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert [f"./{name}" for name in files_below(tmp_path)] == listed.splitlines()
    assert "./link" in listed


def test_a_folder_that_is_none_or_empty_is_said_so(tmp_path):
    for folder, why in ((tmp_path / "none", "not a folder or file"), (tmp_path, "no studies here")):
        with pytest.raises(CineganError, match=why), open_containers(folder):
            pass


def test_a_damaged_archive_is_an_error_or_left_out(tmp_path):
    fill(tmp_path, "good.zip")
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    with pytest.raises(CineganError, match="not a whole zip archive"), open_containers(tmp_path):
        pass
    damaged = []
    with open_containers(tmp_path, lambda name, error: damaged.append(name)) as found:
        assert list(found) == ["good.zip"]
    assert damaged == ["bad.zip"]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_more_archives_are_read_than_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MOST_OPEN", 3)
    fill(tmp_path, *(f"{i}.zip" for i in range(20)))
    before = open_files()
    with open_containers(tmp_path) as found:
        for _ in range(2):
            assert {c.read("m/1") for c in found.values()} == {b"one"}
            assert open_files() <= before + 3
    assert open_files() == before


def test_a_loose_file_of_absurd_size_is_not_read(tmp_path):
    fill(tmp_path, "x")
    os.truncate(tmp_path / "x", containers.LARGEST_MEMBER + 1)
    with open_containers(tmp_path) as found:
        with pytest.raises(ValueError, match="larger than 512 MiB"):
            found[""].read("x")
        assert found[""].read("x", 1) == b"x"


def test_an_archive_within_an_archive_stays_closed(tmp_path):
    fill(tmp_path, "inner.zip")
    write_zip(tmp_path / "outer.zip", {"inner.zip": (tmp_path / "inner.zip").read_bytes()})
    with open_containers(tmp_path) as found:
        assert found["outer.zip"].files() == ["inner.zip"]
    with zipfile.ZipFile(tmp_path / "outer.zip") as archive:
        assert archive.namelist() == ["inner.zip"]


def test_a_single_archive_or_file_is_opened_alone(tmp_path):
    fill(tmp_path, "a.zip", "b.zip", "x.nii.gz", "y.dcm")
    with open_containers(tmp_path / "a.zip") as found:
        assert {name: c.files() for name, c in found.items()} == {"a.zip": ["m/1", "m/2"]}
        assert found["a.zip"].read("m/1") == b"one"
    with open_containers(tmp_path / "x.nii.gz") as found:
        assert {name: c.files() for name, c in found.items()} == {"": ["x.nii.gz"]}
        assert found[""].read("x.nii.gz") == b"x.nii.gz"
