"""Archives are read in place; what is wrong with one is said in a line."""

import struct
import tracemalloc
import zipfile

import pytest
from dicom_factory import write_zip
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegan.data import archives
from cinegan.errors import CineganError

CONTENT = b"cine" * 100


def make(path, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/x.dcm", CONTENT)
        archive.writestr("a/y.dcm", CONTENT[::-1])
    return path


def read_first(path):
    with archives.open_archive(path) as archive:
        return archives.read_member(archive, "a/x.dcm")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: b"",
        lambda whole: b"<html>404</html>",
        lambda whole: whole[100:],
        lambda whole: whole[:-22] + b"PK\x05\x06" + b"\xff" * 18,
    ],
    ids=["half", "last byte", "empty", "no zip", "head lost", "directory lost"],
)
def test_a_file_that_is_no_whole_zip_is_refused_in_one_line(tmp_path, spoil):
    path = make(tmp_path / "a.zip")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises((CineganError, ValueError)) as refused:
        read_first(path)
    if isinstance(refused.value, CineganError):
        assert str(refused.value).startswith(f"{path}: not a whole zip archive (")
        assert "delete it and run" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_what_systems_add_on_their_own_is_no_file_of_the_archive(tmp_path):
    members = ["b/2.dcm", "__MACOSX/b/._1.dcm", "b/.DS_Store", "b/", "b/1.dcm"]
    path = write_zip(tmp_path / "a.zip", dict.fromkeys(members, b""))
    with archives.open_archive(path) as archive:
        assert list(archives.files_of(archive)) == ["b/1.dcm", "b/2.dcm"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read_whole_or_its_beginning_however_it_was_packed(tmp_path, compression):
    path = make(tmp_path / "a.zip", compression)
    assert read_first(path) == CONTENT
    with archives.open_archive(path) as archive:
        assert archives.read_member(archive, "a/x.dcm", 7) == CONTENT[:7]
        assert archives.read_member(archive, "a/x.dcm", 10**9) == CONTENT


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_unpacked_without_a_limit_is_not_unpacked(tmp_path, compression):
    with pytest.raises(ValueError, match="neither stored nor deflated in the archive; zip it anew"):
        read_first(make(tmp_path / "a.zip", compression))


def with_directory_field(path, offset, form, value):
    """Change a field of the first member's entry in the archive's directory."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, content.index(b"PK\x01\x02") + offset, value)
    path.write_bytes(content)


def test_a_directory_with_unreadable_names_is_refused(tmp_path):
    path = make(tmp_path / "a.zip")
    with_directory_field(path, 8, "<H", 0x800)  # its names are said to be UTF-8
    with_directory_field(path, 46, "<B", 0xFF)
    with pytest.raises(CineganError, match="not a whole zip archive"):
        read_first(path)


def test_an_archive_that_is_not_there_or_is_a_folder_stays_an_error_of_the_system(tmp_path):
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(OSError) as refused, archives.open_archive(path):
            pass
        assert str(refused.value.filename) == str(path)


def test_an_encrypted_member_is_refused(tmp_path):
    path = make(tmp_path / "a.zip")
    with_directory_field(path, 8, "<H", 1)
    with pytest.raises(ValueError, match="encrypted in the archive"):
        read_first(path)


def test_an_absurdly_large_member_is_refused_before_it_is_read(tmp_path):
    path = make(tmp_path / "a.zip")
    with_directory_field(path, 24, "<I", archives.LARGEST_MEMBER + 1)
    with pytest.raises(ValueError, match="larger than 512 MiB"):
        read_first(path)


def test_a_bomb_is_known_by_its_ratio(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.dcm", bytes(archives.LARGE + 1))
    with pytest.raises(ValueError, match="deflated more than 100 times, as zip bombs are"):
        read_first(path)


def test_a_bomb_that_announces_little_is_not_inflated_beyond_that(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.dcm", bytes(200 * 2**20))
    with_directory_field(path, 24, "<I", 1000)
    tracemalloc.start()
    with pytest.raises(ValueError, match="damaged in the archive"):
        read_first(path)
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(("second", "ambiguous"), [(CONTENT, False), (CONTENT[::-1], True)])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_different_members_of_one_name_are_refused(tmp_path, second, ambiguous):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/x.dcm", CONTENT)
        archive.writestr("a/x.dcm", second)
    if not ambiguous:
        assert read_first(path) == CONTENT
        return
    with pytest.raises(ValueError, match="one of several different members of the same name"):
        read_first(path)


def test_an_unknown_way_of_packing_is_refused(tmp_path):
    path = make(tmp_path / "a.zip")
    with_directory_field(path, 10, "<H", 99)
    with pytest.raises(ValueError, match="neither stored nor deflated"):
        read_first(path)


def test_one_damaged_member_leaves_the_others_readable(tmp_path):
    path = make(tmp_path / "a.zip")
    content = bytearray(path.read_bytes())
    content[content.index(CONTENT) + 50] ^= 1
    path.write_bytes(content)
    with archives.open_archive(path) as archive:
        with pytest.raises(ValueError, match="damaged in the archive"):
            archives.read_member(archive, "a/x.dcm")
        assert archives.read_member(archive, "a/y.dcm") == CONTENT[::-1]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_damage_at_all_makes_another_error(tmp_path_factory, compression):
    folder = tmp_path_factory.mktemp("fuzz")
    whole = make(folder / "whole.zip", compression).read_bytes()
    path = folder / "a.zip"

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)), max_size=6))
    def check(damage):
        content = bytearray(whole)
        for place, flip in damage:
            content[place] ^= flip
        path.write_bytes(content)
        try:
            with archives.open_archive(path) as archive:
                for member in archives.files_of(archive):
                    archives.read_member(archive, member)
        except (CineganError, ValueError):
            pass

    check()
