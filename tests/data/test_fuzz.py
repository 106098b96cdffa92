"""Damaged files by the thousand: each ends in a value or in one line that says why.

2,000 mutated DICOM files, compressed and Enhanced ones among them, and 200 mutated archives. A
crash of a decoder, a hang, another kind of error, memory beyond a limit, or a name let out fails.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
import tempfile
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from dicom_factory import compressed, encode, enhanced, image, nifti, series, write_zip
from hypothesis import given, settings
from hypothesis import strategies as st
from named import SECRET, stuffed
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from cinegan.conversion import convert
from cinegan.data import archives, dicom, dicom_writer
from cinegan.data import nifti as reader
from cinegan.data.deidentify import deidentified
from cinegan.data.packing import pack_folder
from cinegan.errors import CineganError
from cinegan.params import Data

# pydicom warns of what it meets in files damaged on purpose.
pytestmark = pytest.mark.filterwarnings("ignore")

KEY = bytes(32)
SECONDS = 5.0  # most for one file; decoding runs under a limit of its own
MEMORY = 64 * 2**20  # most bytes for one file of a few kilobytes


def _native(syntax: str) -> bytes:
    ds = stuffed()
    for group in (0x0009, 0x0029, 0x6000):
        for element in ds.group_dataset(group):
            del ds[element.tag]
    ds.file_meta.TransferSyntaxUID = syntax
    return encode(ds)


WHOLE = encode(stuffed())
NAMED = {"PatientName": f"{SECRET}^Erika", "PatientID": "MRN-4711"}
FILES = {
    "plain": WHOLE,
    "implicit": _native(ImplicitVRLittleEndian),
    "big endian": _native(ExplicitVRBigEndian),
    "Enhanced": encode(enhanced(slices=2, phases=2, **NAMED)),
    **{kind: compressed(encode(image(**NAMED)), kind) for kind in ("JPEG lossless", "JPEG 2000")},
    **{kind: compressed(encode(image(**NAMED)), kind) for kind in ("JPEG-LS", "RLE")},
    "Enhanced JPEG": compressed(encode(enhanced(slices=2, phases=2, **NAMED)), "JPEG lossless"),
}
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")  # whose length has four bytes


def elements(content: bytes) -> list[tuple[int, int, int]]:
    """Start, start of the value and end of each element at the top of an explicit file."""
    found, place = [], 132
    while place + 8 <= len(content):
        wide = content[place + 4 : place + 6] in LONG
        form, value = ("<I", place + 12) if wide else ("<H", place + 8)
        (length,) = struct.unpack_from(form, content, value - struct.calcsize(form))
        if length == 0xFFFFFFFF or value + length > len(content):
            break
        found.append((place, value, value + length))
        place = value + length
    return found


def truncated(content: bytes, draw: random.Random) -> bytes:
    """Cut anywhere."""
    return content[: draw.randrange(len(content))]


def flipped(content: bytes, draw: random.Random) -> bytes:
    """A few bits of the header or the pixels changed."""
    damaged = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        damaged[draw.randrange(128, len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def overwritten(content: bytes, draw: random.Random) -> bytes:
    """A few bytes behind the header replaced: the compressed stream, or the pixels."""
    damaged = bytearray(content)
    for _ in range(draw.choice([1, 2, 4])):
        start = max(132, len(damaged) - draw.choice([600, 300]))
        damaged[draw.randrange(start, len(damaged))] = draw.choice([0, 255, draw.randrange(256)])
    return bytes(damaged)


def without_tags(content: bytes, draw: random.Random) -> bytes:
    """One to three elements removed."""
    for _ in range(draw.randint(1, 3)):
        found = elements(content)
        if found:
            start, _, end = draw.choice(found)
            content = content[:start] + content[end:]
    return content


def of_wrong_types(content: bytes, draw: random.Random) -> bytes:
    """One to three elements that say they were of another type."""
    damaged = bytearray(content)
    for start, _, _ in draw.choices(elements(content), k=draw.randint(1, 3)):
        kinds = [b"LO", b"DS", b"IS", b"US", b"FD", b"PN", b"SQ", b"UN", b"AT", b"OB", b"ZZ"]
        damaged[start + 4 : start + 6] = draw.choice(kinds)
    return bytes(damaged)


def of_absurd_sizes(content: bytes, draw: random.Random) -> bytes:
    """Lengths, rows, columns, bits and frames beyond all reason."""
    damaged = bytearray(content)
    for start, value, end in draw.choices(elements(content), k=draw.randint(1, 3)):
        if damaged[start] == 0x28 and end - value == 2:
            struct.pack_into("<H", damaged, value, draw.choice([0, 1, 255, 32767, 65535]))
        elif value - start == 12:
            struct.pack_into("<I", damaged, value - 4, draw.choice([0, 2**31, 2**32 - 1, 999]))
        else:
            struct.pack_into("<H", damaged, value - 2, draw.choice([0, 1, 65535, 65534, 4096]))
    return bytes(damaged)


MUTATIONS = [truncated, flipped, overwritten, without_tags, of_wrong_types, of_absurd_sizes]


def outcome(work: Callable[[], object]) -> str:
    """What came of it: a value, or the reason; anything but a ValueError passes through."""
    begun = time.monotonic()
    try:
        work()
        said = "a value"
    except ValueError as error:
        said = str(error)
        assert said
        assert len(said.splitlines()) == 1
        assert SECRET.lower() not in said.lower()
    assert time.monotonic() - begun < SECONDS
    return said


def read_all(content: bytes) -> None:
    header = dicom.read_headers(lambda most: content[:most])[0]
    pixels = dicom.read_pixels(content, header)
    assert pixels.nbytes <= dicom.LARGEST_IMAGE


def deidentify(content: bytes) -> None:
    clean = dicom_writer.encode(deidentified(content, KEY))
    assert SECRET.encode() not in clean


def test_two_thousand_damaged_dicom_files_end_in_a_value_or_a_reason(monkeypatch):
    monkeypatch.setattr(dicom._decode, "seconds", SECONDS)
    assert len(dicom.read_pixels(FILES["Enhanced JPEG"])) == 4  # starts the decoder
    reasons: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    @settings(max_examples=2000, deadline=None, derandomize=True, database=None)
    @given(
        kind=st.sampled_from(sorted(FILES)),
        mutate=st.sampled_from(MUTATIONS),
        draw=st.randoms(use_true_random=True),
    )
    def check(kind, mutate, draw):
        seen[mutate.__name__] += 1
        content = mutate(FILES[kind], draw)
        if mutate is of_absurd_sizes:  # tracing takes three times as long
            tracemalloc.start()
        for work in (read_all, deidentify):
            reasons[outcome(partial(work, content))] += 1
        if mutate is of_absurd_sizes:
            assert tracemalloc.get_traced_memory()[1] < MEMORY
            tracemalloc.stop()

    check()
    print(*(f"{n:5} {why}" for why, n in reasons.most_common()), sep="\n")
    assert sum(seen.values()) >= 2000
    assert min(seen.values()) > 100
    assert len(reasons) > 20


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    kind=st.sampled_from(["plain", "implicit", "RLE"]),
    start=st.sampled_from([132, 132 + 12 + int.from_bytes(WHOLE[140:144], "little")]),
    mutate=st.sampled_from([truncated, flipped, overwritten]),
    draw=st.randoms(use_true_random=True),
)
def test_damaged_files_without_preamble_end_in_a_value_or_a_reason(kind, start, mutate, draw):
    content = mutate(FILES[kind][start:], draw)
    for work in (read_all, deidentify):
        outcome(partial(work, content))


GOOD = encode(image(PatientID="good", SOPInstanceUID="1.2.9"))
MEMBERS = series("MRN-4711", slices=1, phases=3, PatientName=f"{SECRET}^Erika")


def zipped(members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


PLAIN = list(MEMBERS.items())
LARGE = 2**20  # in place of the limits below which no ratio counts
BOMB = zipped([("bomb.dcm", bytes(64 * LARGE)), *PLAIN])
GZIP_BOMB = gzip.compress(nifti() + bytes(64 * LARGE))


def bomb(draw: random.Random) -> bytes:
    """A member that deflates to nearly nothing, honest about its size or not."""
    damaged = bytearray(BOMB)
    entry = damaged.index(b"PK\x01\x02")
    sizes = [64 * LARGE, 1000, 2**32 - 2, archives.LARGEST_MEMBER + 1, 0]
    struct.pack_into("<I", damaged, entry + 24, draw.choice(sizes))
    return bytes(damaged)


def gzip_bomb(draw: random.Random) -> bytes:
    """A volume that unpacks to far more than it announces."""
    return zipped([(f"{SECRET}_{draw.randrange(9)}_4d.nii.gz", GZIP_BOMB), *PLAIN])


def traversing(draw: random.Random) -> bytes:
    """Members named as places outside the folder."""
    up = "../" * draw.randint(1, 9)
    names = [f"{up}evil", f"a/{up}evil", "/tmp/evil", "..\\evil", "C:\\evil"]
    return zipped([(draw.choice(names), content) for _, content in PLAIN])


def nested(draw: random.Random) -> bytes:
    """Archives within archives, some deep."""
    inner = zipped(PLAIN)
    for _ in range(draw.randint(1, 4)):
        inner = zipped([(f"{SECRET}.zip", inner)])
    return inner


def duplicated(draw: random.Random) -> bytes:
    """Members of the same name, alike or not."""
    (name, first), (_, second), third = PLAIN
    return zipped([(name, first), (name, draw.choice([first, second, b"x"])), third])


def cut(draw: random.Random) -> bytes:
    """Cut anywhere, or the beginning lost."""
    whole, place = zipped(PLAIN), draw.randrange(1, 1000)
    return whole[:-place] if draw.random() < 0.5 else whole[place:]


def damaged(draw: random.Random) -> bytes:
    """Bits changed in the members or in the directory."""
    whole = bytearray(zipped(PLAIN))
    directory = whole.index(b"PK\x01\x02")
    for _ in range(draw.choice([1, 2, 8])):
        start = draw.choice([0, directory])
        whole[draw.randrange(start, len(whole))] ^= 1 << draw.randrange(8)
    return bytes(whole)


def strange(draw: random.Random) -> bytes:
    """Packed by other means, encrypted, or with names that are none."""
    whole = bytearray(zipped(PLAIN))
    entry = whole.index(b"PK\x01\x02")
    match draw.randrange(4):
        case 0:
            return zipped(PLAIN, draw.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
        case 1:
            struct.pack_into("<H", whole, entry + 8, 1)
        case 2:
            struct.pack_into("<H", whole, entry + 10, draw.randrange(100))
        case 3:
            names = [b"\0\0\0", b"\xff\xfe/", b"\n\n\n", b"../"]
            whole[entry + 46 : entry + 49] = draw.choice(names)
    return bytes(whole)


def converted(archive: bytes, folder: Path, options: Data) -> bytes:
    """What conversion makes of a whole study beside a damaged archive."""
    raw, cycles = folder / "raw", folder / "cycles"
    write_zip(raw / "good.zip", STUDY)
    (raw / "odd.zip").write_bytes(archive)
    try:
        convert(raw, cycles, options, seed=1)
    except CineganError as refusal:
        assert len(str(refusal).splitlines()) == 1
        assert {path.name for path in folder.iterdir()} == {"raw"}
        return b""
    assert {path.name for path in folder.iterdir()} == {"raw", "cycles"}
    return (cycles / "GOOD01.npy").read_bytes()


# Three patients: each split needs one.
STUDY = {k: v for n in (1, 2, 3) for k, v in series(f"GOOD0{n}", slices=3, phases=8).items()}
SPOILT = [bomb, gzip_bomb, traversing, nested, duplicated, cut, damaged, strange]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_damaged_archives_leave_a_study_beside_them_whole_or_end_in_one_line(
    tmp_path, data_options, monkeypatch
):
    monkeypatch.setattr(archives, "LARGE", LARGE)
    monkeypatch.setattr(reader, "LARGE", LARGE)
    whole = converted(zipped([("notes.txt", b"none")]), tmp_path / "whole", data_options())
    assert whole
    outcomes: Counter[bool] = Counter()

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(spoil=st.sampled_from(SPOILT), draw=st.randoms(use_true_random=True))
    def check(spoil, draw):
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            made = converted(spoil(draw), Path(folder), data_options())
        assert made in (whole, b"")
        assert time.monotonic() - begun < SECONDS
        assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"]
        assert not Path("/tmp/evil").exists()
        outcomes[bool(made)] += 1

    check()
    assert min(outcomes.values()) > 5


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_hundred_damaged_archives_are_packed_or_left_out_with_a_reason(
    tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(archives, "LARGE", LARGE)
    monkeypatch.setattr(reader, "LARGE", LARGE)
    reasons: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "good.dcm").write_bytes(GOOD)
    archive = tmp_path / "incoming" / f"{SECRET}.zip"

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(spoil=st.sampled_from(SPOILT), draw=st.randoms(use_true_random=True))
    def check(spoil, draw):
        seen[spoil.__name__] += 1
        archive.write_bytes(spoil(draw))
        if spoil in (bomb, gzip_bomb):  # tracing takes three times as long
            tracemalloc.start()
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            raw = Path(folder, "raw")
            raw.mkdir()
            report = pack_folder(tmp_path / "incoming", raw, KEY, strict=False)
            assert {path.name for path in Path(folder).iterdir()} == {"raw"}
            written = b"".join(path.read_bytes() for path in raw.iterdir())
            packed = sum(len(zipfile.ZipFile(path).namelist()) for path in raw.iterdir())
        assert time.monotonic() - begun < SECONDS
        if spoil in (bomb, gzip_bomb):
            assert tracemalloc.get_traced_memory()[1] < MEMORY
            tracemalloc.stop()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["incoming"]
        assert not Path("/tmp/evil").exists()
        assert SECRET.encode() not in written
        assert SECRET not in report.told()
        assert all(len(why.splitlines()) == 1 for why in report.left_out.values())
        reasons["a value"] += packed - 1  # beside the good one
        reasons.update(report.left_out.values())

    check()
    assert SECRET not in "".join(capfd.readouterr())
    print(*(f"{n:5} {why}" for why, n in reasons.most_common()), sep="\n")
    assert sum(seen.values()) >= 200
    assert min(seen.values()) > 5
    assert len(reasons) > 8


def test_damaged_volumes_end_in_a_value_or_a_reason():
    whole = nifti()
    tracemalloc.start()

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)
    @given(packed=st.booleans(), draw=st.randoms(use_true_random=True))
    def check(packed, draw):
        content = bytearray(gzip.compress(whole) if packed else whole)
        for _ in range(draw.choice([1, 2, 8])):
            content[draw.randrange(len(content) if packed else 348)] = draw.randrange(256)
        kept = bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
        tracemalloc.reset_peak()
        for work in (
            lambda: reader.read_headers(lambda most: kept[:most], "p1_4d.nii"),
            lambda: reader.read_pixels(kept),
            lambda: reader.cleaned(kept),
        ):
            outcome(work)
        assert tracemalloc.get_traced_memory()[1] < MEMORY

    check()
    tracemalloc.stop()
