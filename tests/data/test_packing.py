"""Your own studies in a team's archives: every name stays behind, whatever it was written in."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_factory import COMPRESSED, beating, compressed, encode, enhanced, image, nifti
from hypothesis import given, settings
from hypothesis import strategies as st
from named import MARKS, SECRET, stuffed
from pydicom.dataset import Dataset

from cinegan.data import dicom, images
from cinegan.data import nifti as nifti_reader
from cinegan.data.containers import open_containers
from cinegan.data.deidentify import pseudonym
from cinegan.data.packing import Report, pack_folder
from cinegan.data.refusal import OtherFileError
from cinegan.errors import CineganError

# pydicom warns of what it meets in files damaged on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KEY, OTHER_KEY = bytes(range(32)), bytes(32)


def pack(source, folder, files, key=KEY, strict=False):
    """Write files below `source`, pack them, and give what was left out and what was packed."""
    for name, content in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(content) if isinstance(content, Dataset) else content)
    report = pack_folder(source, folder, key, strict)
    packed = {}
    for path in sorted(folder.iterdir()):
        with zipfile.ZipFile(path) as archive:
            packed |= {f"{path.stem}.zip/{n}": archive.read(n) for n in archive.namelist()}
    return report, packed


@pytest.fixture
def incoming(tmp_path):
    return tmp_path / "incoming"


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def read(content):
    return pydicom.dcmread(io.BytesIO(content))


@pytest.mark.parametrize("packed_as", ["plain", *COMPRESSED])
def test_nothing_that_identifies_is_anywhere_in_the_archives_bytes(incoming, raw, packed_as):
    ds = stuffed()
    original = encode(ds) if packed_as == "plain" else compressed(encode(ds), packed_as)
    names = {f"{SECRET}/2023-11-17/MRN-4711.dcm": original}
    if packed_as == "plain":  # GDCM writes meta information of its own
        assert all(mark.encode() in original for mark in MARKS if mark != "1700222333")
    report, packed = pack(incoming, raw, names)
    assert report.left_out == {}
    assert len(packed) == 1
    for path in raw.iterdir():
        everything = path.name.encode() + path.read_bytes()
        for text in [*MARKS, "incoming"]:
            for coded in (text.encode(), text.lower().encode(), text.upper().encode()):
                assert coded not in everything, text
        assert (1700222333).to_bytes(4, "little") not in everything


def test_pseudonyms_are_the_same_with_a_key_and_others_with_another(tmp_path, incoming):
    files = {
        "1.dcm": stuffed(InstanceNumber="1", SOPInstanceUID="1.2.3.1"),
        "2.dcm": stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3.2"),
        "3.dcm": stuffed(PatientID="MRN-2", SOPInstanceUID="1.2.3.3"),
    }
    runs = [
        pack(incoming, tmp_path / name, files, key)[1]
        for name, key in (("a", KEY), ("b", KEY), ("c", OTHER_KEY))
    ]
    assert runs[0] == runs[1]
    assert (tmp_path / "a").is_dir()
    assert len(runs[0]) == 3
    assert len({name.split("/")[0] for name in runs[0]}) == 2
    assert not set(runs[0]) & set(runs[2])
    read_back = [read(content) for content in runs[0].values()]
    same_study = {ds.StudyInstanceUID for ds in read_back}
    assert len(same_study) == 1  # what belonged together still does
    assert len({ds.SOPInstanceUID for ds in read_back}) == 3
    assert all(ds.SOPInstanceUID.startswith("2.25.") for ds in read_back)
    assert all(ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID for ds in read_back)
    others = [read(content) for content in runs[2].values()]
    assert not {ds.PatientID for ds in read_back} & {ds.PatientID for ds in others}
    assert not {ds.SOPInstanceUID for ds in read_back} & {ds.SOPInstanceUID for ds in others}


def test_archives_are_the_same_bytes_whatever_the_files_are_called(tmp_path):
    files = [stuffed(InstanceNumber=str(i), SOPInstanceUID=f"1.2.3.{i}") for i in range(1, 6)]
    for run, order in (("a", files), ("b", files[::-1])):
        names = {f"{run}{i}.dcm": ds for i, ds in enumerate(order)}
        (tmp_path / run).mkdir()
        pack(tmp_path / f"in_{run}", tmp_path / run, names)
    (a,), (b,) = (list((tmp_path / run).iterdir()) for run in "ab")
    assert a.name == b.name
    assert a.read_bytes() == b.read_bytes()


def without_transfer_syntax() -> bytes:
    content = encode(stuffed())
    start = content.index(b"\x02\x00\x10\x00UI")
    end = start + 8 + int.from_bytes(content[start + 6 : start + 8], "little")
    return content[:start] + content[end:]


REFUSED = {
    "burned in": (stuffed(BurnedInAnnotation="YES"), "words may be burned into its pixels"),
    "CT": (stuffed(Modality="CT"), "of another modality than MR"),
    "no modality": (stuffed(Modality=None), "Modality is missing"),
    "no pixels": (stuffed(PixelData=None), "no pixel data"),
    "nobody's": (stuffed(PatientID=None, StudyInstanceUID=None), "no PatientID and no Study"),
    "no class": (stuffed(SOPClassUID=None), "SOPClassUID is missing"),
    "screen": (
        stuffed(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
        "not of a class of MR images",
    ),
    "colour": (stuffed(SamplesPerPixel=3), "not of a class of MR images"),
    "text": (b"a letter about the patient", "not a DICOM file"),
    "cut": (encode(stuffed())[:400], "is missing"),
    "no syntax": (without_transfer_syntax(), ""),
    "again": (stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3"), "the same image again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_shared_is_left_out_with_the_reason(incoming, raw, case):
    content, why = REFUSED[case]
    good = stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3")
    report, packed = pack(incoming, raw, {"a/good.dcm": good, "b/bad.dcm": content})
    assert list(report.left_out) == ["file 2 of 2"]
    assert why in report.left_out["file 2 of 2"]
    assert len(report.left_out["file 2 of 2"].splitlines()) == 1
    assert len(packed) == 1


OTHER_KINDS = {"CT", "screen", "colour", "text"}  # lie beside MR images in any export


@pytest.mark.parametrize("case", sorted(set(REFUSED) - OTHER_KINDS))
def test_in_strict_mode_the_first_such_file_ends_the_packing(incoming, raw, case):
    content, why = REFUSED[case]
    good = stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3")
    message = (
        rf"data.folder: file 2 of 2 .*: .*{re.escape(why)}.*; remove it, or set data.strict: false"
    )
    with pytest.raises(CineganError, match=message):
        pack(incoming, raw, {"a/good.dcm": good, "b/bad.dcm": content}, strict=True)
    assert list(raw.iterdir()) == []


@pytest.mark.parametrize("case", sorted(OTHER_KINDS))
def test_what_is_no_mr_image_is_left_out_in_strict_mode_too(incoming, raw, case):
    content, why = REFUSED[case]
    good = stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3")
    files = {"a/good.dcm": good, "b/other": content}
    report, packed = pack(incoming, raw, files, strict=True)
    assert why in report.left_out["file 2 of 2"]
    assert len(packed) == 1


def test_what_was_left_out_is_told_by_reason_and_the_first_by_number():
    left_out = {f"file {k} of 13": "of another modality" for k in range(1, 13)}
    told = Report(left_out | {"file 13 of 13": "no pixel data"}).told().splitlines()
    assert told[:2] == [
        "left out 12 file(s): of another modality",
        "left out 1 file(s): no pixel data",
    ]
    assert told[2].startswith("file 1 of 13, file 2 of 13")
    assert "file 10 of 13 and 3 more (in order of path" in told[2]
    assert Report().told() == ""


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no MR images; put your studies"),
        ({".hidden": b"x"}, "holds no MR images; put your studies"),
        ({"a.txt": b"x", "b.txt": b"y"}, r"holds no MR images \(2 file\(s\): not a DICOM file\)"),
        ({"a": stuffed(BurnedInAnnotation="YES")}, r"holds no MR images \(1 file\(s\): words"),
    ],
)
def test_a_folder_without_images_ends_in_one_line_and_leaves_nothing(incoming, raw, files, message):
    incoming.mkdir()
    with pytest.raises(CineganError, match=message):
        pack(incoming, raw, files)
    assert list(raw.iterdir()) == []


def test_a_folder_that_is_none_is_said_so(incoming, raw):
    with pytest.raises(CineganError, match=r"incoming is not a folder; name the one"):
        pack_folder(incoming, raw, KEY, strict=False)


def test_no_damage_at_all_makes_another_error_or_lets_a_name_out(tmp_path):
    whole = encode(stuffed())
    folder = tmp_path / "incoming"
    folder.mkdir()
    (folder / "good.dcm").write_bytes(encode(image(PatientID="X", SOPInstanceUID="1.2.9")))

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.tuples(st.integers(132, len(whole) - 520), st.integers(0, 255)), max_size=6))
    def check(damage):
        content = bytearray(whole)
        for place, value in damage:
            content[place] = value
        (folder / "damaged.dcm").write_bytes(content)
        pack_folder(folder, tmp_path / "raw", KEY, strict=False)
        for path in (tmp_path / "raw").iterdir():
            assert SECRET.encode() not in path.read_bytes()

    check()


def everything(folder):
    """All that was written below a folder, names included."""
    return b"".join(
        bytes(path.relative_to(folder)) + (path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    )


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, encode(content) if isinstance(content, Dataset) else content)
    return stream.getvalue()


def numbered(i, **elements):
    return stuffed(InstanceNumber=str(i), SOPInstanceUID=f"1.2.840.99999.5.{i}", **elements)


NAMED_TREE = {
    f"{SECRET}_Erika/{SECRET}.dcm": numbered(1),
    f"{SECRET}_Erika/enhanced.dcm": enhanced(PatientName=f"{SECRET}^Erika", PatientID="MRN-4711"),
    f"{SECRET}.zip": zipped({f"{SECRET}/a.dcm": numbered(2), f"{SECRET}/b.txt": b"x"}),
    f"{SECRET.lower()}_erika_4d.nii.gz": gzip.compress(nifti(descrip=SECRET.encode())),
    f"{SECRET}_2.zip": zipped({f"{SECRET}_7/cine.nii": nifti(db_name=b"MRN-4711")}),
    f"{SECRET}_gt.nii": nifti(),
    f"{SECRET}_frame01.nii": nibabel.Nifti1Image(np.zeros((16, 16, 9)), np.eye(4)).to_bytes(),
    f"{SECRET}_bad.zip": b"PK no archive",
    f"{SECRET}_bad_sa.nii.gz": b"no volume",
    f"{SECRET}_cut.dcm": encode(numbered(3))[:-9],
    f"{SECRET}_odd.dcm": encode(numbered(4, NominalInterval="1234")).replace(b"1234", b"Must"),
    f"{SECRET}_words.dcm": numbered(5, ScanOptions=SECRET.upper(), ImageType=["M", SECRET.upper()]),
    f"{SECRET}_nested.zip": zipped({f"{SECRET}.zip": zipped({"x": b"y"})}),
}


def test_no_name_leaves_in_archives_logs_warnings_or_errors(tmp_path, incoming, raw, capfd):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        report, packed = pack(incoming, raw, NAMED_TREE)
        with pytest.raises(CineganError) as refused:
            pack(incoming, tmp_path / "strict", NAMED_TREE, strict=True)
    assert report.warnings()
    said = [report.told(), *report.warnings(), str(report), str(refused.value), *capfd.readouterr()]
    said += [str(warning.message) for warning in warned]
    for text in (*MARKS, "Erika"):
        for coded in (text, text.lower(), text.upper()):
            assert coded.encode() not in everything(raw), text
            assert not [line for line in said if coded in line], text
    assert sorted(Path(name).suffix for name in packed) == [".dcm"] * 5 + [".nii"] * 2


def test_the_reasons_for_what_was_left_out_are_told_by_number(incoming, raw):
    report, _ = pack(incoming, raw, NAMED_TREE)
    names = sorted(NAMED_TREE, key=os.fsencode)
    reasons = {
        names[int(number.split()[-3]) - 1].replace(SECRET, ""): why
        for number, why in report.left_out.items()
    }
    assert reasons == {
        ".zip": "not a DICOM file",
        "_gt.nii": "a label map, not an image",
        "_frame01.nii": "a volume of axes (16, 16, 9), not x, y, slice and phase",
        "_bad.zip": "not a whole zip archive",
        "_bad_sa.nii.gz": "not a NIfTI-1 file (WrapStructError)",
        "_cut.dcm": "pixel data cut short",
        "_nested.zip": "an archive within an archive or of another kind than zip; unpack it",
    }
    assert "member 2 of file 1 of 13" in report.left_out


def test_a_line_for_each_patient_says_what_was_removed(incoming, raw):
    files = {
        "1": image(PatientName="Doe^John", PatientBirthDate="19640812", PatientID="1"),
        "2": image(PatientName="ANON", InstitutionName="St. Elsewhere", PatientID="2"),
        "jane_doe_4d.nii": nifti(descrip=b"seen"),
    }
    report, _ = pack(incoming, raw, files)
    one, jane = pseudonym("1", KEY), pseudonym("jane_doe", KEY)
    says = "seemed to carry a real person's data; removed:"
    assert report.warnings() == sorted(
        [f"{one}: {says} PatientName, PatientBirthDate", f"{jane}: {says} the file's name, descrip"]
    )


def test_the_documented_commands_find_what_a_number_means(incoming, raw):
    report, _ = pack(incoming, raw, {**NAMED_TREE, "é/ü.txt": b"x", ".hidden": b"x", "a/.b": b"x"})
    find = "find . -xtype f -not -path '*/.*' | LC_ALL=C sort"
    run = {"shell": True, "cwd": incoming, "capture_output": True, "text": True}
    found = subprocess.run(find, **run).stdout.splitlines()
    number = report.left_out.keys() - {n for n in report.left_out if n.startswith("member")}
    assert {found[int(n.split()[1]) - 1] for n in number} >= {f"./{SECRET}_gt.nii", "./é/ü.txt"}


def test_images_of_all_kinds_come_out_as_they_were(incoming, raw):
    whole = enhanced(slices=3, phases=4)
    files = {
        "enhanced.zip": zipped({"e.dcm": whole}),
        "compressed": compressed(encode(enhanced(SOPInstanceUID="1.2.9")), "JPEG 2000"),
        "p1_4d.nii.gz": gzip.compress(nifti(slices=3, phases=4)),
        "white.dcm": image(PhotometricInterpretation="MONOCHROME1", SOPInstanceUID="1.2.8"),
    }
    report, packed = pack(incoming, raw, files)
    assert (report.left_out, len(packed)) == ({}, 4)
    expected = {12: dicom.read_pixels(encode(whole)), 1: -1 - beating(0, 20)[None]}
    seen = 0
    with open_containers(raw) as found:
        for container in found.values():
            for file in container.files():
                headers = images.read_headers(container, file)
                pixels = images.read_pixels(container, file, headers[0])
                assert headers[0].patient_id == container.name.removesuffix(".zip")
                assert [h.identifying for h in headers] == [()] * len(headers)
                if file.endswith(".nii"):
                    np.testing.assert_array_equal(pixels, nifti_reader.read_pixels(nifti()))
                    assert [h.trigger_ms for h in headers] == [0.0, 40.0, 80.0, 120.0] * 3
                else:
                    np.testing.assert_array_equal(pixels, expected[len(headers)])
                seen += 1
    assert seen == 4


def test_times_count_from_the_first_image_of_the_study(incoming, raw):
    times = ["083920.638055", "083919", "101010.5", None]
    studies = ["1.2.1", "1.2.1", "1.2.2", "1.2.2"]
    files = {
        str(i): numbered(i, AcquisitionTime=time, StudyInstanceUID=study)
        for i, (time, study) in enumerate(zip(times, studies, strict=True))
    }
    _, packed = pack(incoming, raw, files)
    clean = {ds.InstanceNumber: ds.get("AcquisitionTime") for ds in map(read, packed.values())}
    assert clean == {0: "000001.638055", 1: "000000.000000", 2: "000000.000000", 3: None}


def test_a_folder_that_cannot_be_read_is_said_without_its_name(incoming, raw, monkeypatch):
    (incoming / SECRET).mkdir(parents=True)
    real = os.scandir

    def scandir(path):
        if SECRET in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(CineganError, match=r"a folder in .*incoming: Permission denied") as refused:
        pack(incoming, raw, {})
    assert SECRET not in str(refused.value)


def test_a_file_that_cannot_be_read_is_left_out_without_its_name(incoming, raw):
    files = {"good": image(), f"{SECRET}.zip": zipped({"x": image()})}
    incoming.mkdir()
    (incoming / SECRET).symlink_to("/proc/self/mem")  # opens, but cannot be read from the start
    report, packed = pack(incoming, raw, {"good": files["good"]})
    assert report.left_out == {"file 1 of 2": "cannot be read (OSError)"}
    assert len(packed) == 1


def test_the_same_input_gives_the_same_bytes(tmp_path, incoming):
    runs = []
    for run in "ab":
        (tmp_path / run).mkdir()
        pack(incoming, tmp_path / run, NAMED_TREE)
        runs.append(everything(tmp_path / run))
    assert runs[0] == runs[1]


def test_a_run_of_its_own_prints_the_report_and_no_name(incoming, tmp_path, capfd, monkeypatch):
    for name, content in NAMED_TREE.items():
        path = incoming / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(content) if isinstance(content, Dataset) else content)
    script = (
        "import sys; from pathlib import Path\n"
        "from cinegan.data.packing import pack_folder\n"
        "report = pack_folder(Path(sys.argv[1]), Path(sys.argv[2]), bytes(32), False)\n"
        "print(report.told()); print(*report.warnings(), file=sys.stderr)"
    )
    (tmp_path / "out").mkdir()
    arguments = [sys.executable, "-W", "always", "-c", script, str(incoming), str(tmp_path / "out")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0
    for text in (*MARKS, "Erika"):
        assert text.lower() not in (done.stdout + done.stderr).lower()


def test_patients_under_one_placeholder_are_told_apart_by_their_study(incoming, raw):
    files = {
        f"{i}.dcm": image(PatientID=name, StudyInstanceUID=f"1.2.{i}", SOPInstanceUID=f"1.2.9.{i}")
        for i, name in enumerate(["ANONYMOUS", "ANONYMOUS", "anon", "", "0"])
    }
    _, packed = pack(incoming, raw, files)
    archives = {name.split("/")[0].removesuffix(".zip") for name in packed}
    assert archives == {pseudonym(f"1.2.{i}", KEY) for i in range(5)}
    assert {read(content).PatientID for content in packed.values()} == archives


def test_packed_images_still_say_that_they_show_a_phase(incoming, raw):
    mixed = enhanced(slices=1, phases=4, ComplexImageComponent="MIXED")
    for i, frame in enumerate(mixed.PerFrameFunctionalGroupsSequence):
        frame.MRImageFrameTypeSequence = [Dataset()]
        component = "PHASE" if i % 2 else "MAGNITUDE"
        frame.MRImageFrameTypeSequence[0].ComplexImageComponent = component
    files = {
        "a": image(ImageType=["ORIGINAL", "PRIMARY", "PHASE MAP", "P"], SOPInstanceUID="1.2.1"),
        "b": image(ComplexImageComponent="VELOCITY", SOPInstanceUID="1.2.2"),
        "c": mixed,
    }
    found = []
    for content in pack(incoming, raw, files)[1].values():
        try:
            found += [h.index for h in dicom.read_headers(lambda most, c=content: c[:most])]
        except OtherFileError:
            found.append("other")
    assert sorted(map(str, found)) == ["0", "2", "other", "other"]
