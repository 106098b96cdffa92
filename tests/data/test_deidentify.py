"""Your own DICOM in a team's archives: nothing that identifies, everything that matters."""

from __future__ import annotations

import io
import re
import stat
import zipfile

import numpy as np
import pydicom
import pytest
from dicom_factory import beating, encode, image, series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from cinegan.data import deidentify
from cinegan.data.cohort import Cohort
from cinegan.data.conversion import convert
from cinegan.errors import CineganError

# pydicom warns of what it meets in files damaged on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
SECRET = "Mustermann"


def stuffed(**elements: object) -> Dataset:
    """An image with whatever may identify its patient, each with SECRET or a mark of its own."""
    marks = {
        "PatientName": f"{SECRET}^Erika",
        "PatientID": "MRN-4711-SECRET",
        "PatientBirthDate": "19640812",
        "PatientBirthTime": "031415",
        "PatientSex": "F",
        "PatientAge": "059Y",
        "PatientSize": "1.73421",
        "PatientWeight": "71.2345",
        "OtherPatientIDs": ["OTHER-4712", "OTHER-4713"],
        "PatientAddress": f"{SECRET}strasse 5",
        "PatientTelephoneNumbers": "+49-30-123456",
        "PatientMotherBirthName": f"{SECRET}mother",
        "PatientComments": f"{SECRET} is known to the clinic",
        "AdditionalPatientHistory": f"{SECRET} history",
        "EthnicGroup": f"{SECRET}group",
        "MilitaryRank": f"{SECRET}rank",
        "Occupation": f"{SECRET}work",
        "AccessionNumber": "ACC-998877",
        "InstitutionName": f"{SECRET} hospital",
        "InstitutionAddress": f"{SECRET} city",
        "InstitutionalDepartmentName": f"{SECRET} ward",
        "StationName": "STATION-55",
        "DeviceSerialNumber": "SERIAL-66",
        "ManufacturerModelName": f"{SECRET} model",
        "ReferringPhysicianName": f"{SECRET}^Doctor",
        "PerformingPhysicianName": f"{SECRET}^Other",
        "OperatorsName": f"{SECRET}^Operator",
        "PhysiciansOfRecord": f"{SECRET}^Record",
        "RequestingPhysician": f"{SECRET}^Asker",
        "StudyDate": "20231117",
        "SeriesDate": "20231118",
        "AcquisitionDate": "20231119",
        "ContentDate": "20231120",
        "AcquisitionDateTime": "20231121111213.141516",
        "InstanceCreationDate": "20231122",
        "StudyTime": "101112.131415",
        "ContentTime": "111213.141516",
        "StudyID": "STUDY-77",
        "StudyDescription": f"{SECRET} study",
        "SeriesDescription": f"{SECRET} series",
        "ProtocolName": f"{SECRET} protocol",
        "ImageComments": f"{SECRET} image",
        "DerivationDescription": f"{SECRET} derived",
        "RequestedProcedureDescription": f"{SECRET} procedure",
        "PerformedProcedureStepStartDate": "20231123",
        "PositionReferenceIndicator": f"{SECRET}ref",
        "ReceiveCoilName": f"{SECRET}coil",
        "SoftwareVersions": "SOFT-88",
        "StudyInstanceUID": "1.2.840.99999.4711.1",
        "SeriesInstanceUID": "1.2.840.99999.4711.2",
        "SOPInstanceUID": "1.2.840.99999.4711.3",
        "FrameOfReferenceUID": "1.2.840.99999.4711.4",
        "InstanceCreatorUID": "1.2.840.99999.4711.5",
        "IrradiationEventUID": "1.2.840.99999.4711.6",
        "BurnedInAnnotation": "NO",
        "PatientIdentityRemoved": "NO",
    }
    ds = image(**{**marks, **elements})
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    reference.ReferencedSOPInstanceUID = "1.2.840.99999.4711.7"
    nested = Dataset()
    nested.PatientName = f"{SECRET}^Nested"
    nested.ReferencedImageSequence = Sequence([reference])
    ds.ReferencedPatientSequence = Sequence([nested])
    ds.RequestAttributesSequence = Sequence([nested])
    block = ds.private_block(0x0009, "GEMS_IDEN_01", create=True)
    block.add_new(0x01, "LO", f"{SECRET} private")
    block.add_new(0x27, "SL", 1700222333)
    ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(
        0x10, "OB", f"{SECRET} in a private blob".encode()
    )
    ds.add_new(0x60000010, "US", 16)  # an overlay, where annotations are drawn
    ds.add_new(0x60000011, "US", 16)
    ds.add_new(0x60000022, "LO", f"{SECRET} overlay")
    ds.add_new(0x60003000, "OW", SECRET.encode() * 4)
    ds.add_new(0x40080114, "PN", f"{SECRET}^Interpreter")
    ds.preamble = SECRET.encode().ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = "AE-SECRET"
    ds.file_meta.ImplementationVersionName = "MAKER-99"
    ds.file_meta.PrivateInformationCreatorUID = "1.2.840.99999.4711.8"
    ds.file_meta.PrivateInformation = f"{SECRET} meta!".encode()
    return ds


MARKS = [
    SECRET, "MRN-4711", "19640812", "031415", "059Y", "1.73421", "71.2345", "OTHER-471", "+49-30",
    "ACC-998877", "STATION-55", "SERIAL-66", "2023", "101112", "111213", "STUDY-77", "SOFT-88",
    "1.2.840.99999", "AE-SECRET", "MAKER-99", "1700222333", "GEMS_IDEN", "CSA HEADER", "incoming",
]  # fmt: skip


def pack(source, folder, files, key=KEY, strict=False):
    """Write files below `source`, pack them, and give what was left out and what was packed."""
    for name, content in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(content) if isinstance(content, Dataset) else content)
    left_out = deidentify.pack_folder(source, folder, key, strict)
    packed = {}
    for path in sorted(folder.iterdir()):
        with zipfile.ZipFile(path) as archive:
            packed |= {f"{path.stem}.zip/{n}": archive.read(n) for n in archive.namelist()}
    return left_out, packed


@pytest.fixture
def incoming(tmp_path):
    return tmp_path / "incoming"


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def read(content):
    return pydicom.dcmread(io.BytesIO(content))


@pytest.mark.parametrize("packed_as", ["plain", "compressed"])
def test_nothing_that_identifies_is_anywhere_in_the_archives_bytes(incoming, raw, packed_as):
    ds = stuffed()
    if packed_as == "compressed":
        ds.compress(RLELossless, generate_instance_uid=False)
    original = encode(ds)
    names = {f"{SECRET}/2023-11-17/MRN-4711.dcm": original}
    assert all(
        mark.encode() in original for mark in MARKS if mark != "incoming" and mark != "1700222333"
    )
    left_out, packed = pack(incoming, raw, names)
    assert left_out == {}
    assert len(packed) == 1
    for path in raw.iterdir():
        everything = path.name.encode() + path.read_bytes()
        for text in MARKS:
            for coded in (text.encode(), text.lower().encode(), text.upper().encode()):
                assert coded not in everything, text
        assert (1700222333).to_bytes(4, "little") not in everything


def test_only_listed_elements_and_pseudonyms_are_written(incoming, raw):
    _, packed = pack(incoming, raw, {"x": stuffed()})
    ds = read(*packed.values())
    written = {element.keyword for element in ds}
    added = {"PatientID", "PatientName", "PatientIdentityRemoved", "DeidentificationMethod"}
    assert written <= {*deidentify.SAFE, *deidentify.UIDS, *added}
    assert not any(element.VR == "SQ" or element.tag.is_private for element in ds)
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.preamble == bytes(128)


def test_geometry_timing_and_pixels_survive(incoming, raw):
    original = stuffed(
        TriggerTime="26.3157902",
        ImagePositionPatient=[-92.0409, -253.992, -15.8779],
        RescaleSlope="2",
        RescaleIntercept="-5",
    )
    _, packed = pack(incoming, raw, {"x": original})
    ds = read(*packed.values())
    for keyword in (
        "Modality", "SOPClassUID", "SeriesNumber", "InstanceNumber", "TriggerTime",
        "NominalInterval", "HeartRate", "CardiacNumberOfImages", "ImagePositionPatient",
        "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns",
        "BitsStored", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "PixelData",
    ):  # fmt: skip
        assert ds[keyword].value == original[keyword].value, keyword
    np.testing.assert_array_equal(ds.pixel_array, beating(0, 20))


def test_a_compressed_image_keeps_its_pixels(incoming, raw):
    ds = stuffed()
    pixels = ds.pixel_array
    ds.compress(RLELossless, generate_instance_uid=False)
    _, packed = pack(incoming, raw, {"x": ds})
    np.testing.assert_array_equal(read(*packed.values()).pixel_array, pixels)


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
    "CT": (stuffed(Modality="CT"), "modality CT, not MR"),
    "no modality": (stuffed(Modality=None), "Modality is missing"),
    "no pixels": (stuffed(PixelData=None), "no pixel data"),
    "nobody's": (stuffed(PatientID=None, StudyInstanceUID=None), "no PatientID and no Study"),
    "no class": (stuffed(SOPClassUID=None), "SOPClassUID is missing"),
    "screen": (
        stuffed(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
        "not of the class MR Image Storage",
    ),
    "colour": (stuffed(SamplesPerPixel=3), "not of the class MR Image Storage"),
    "text": (b"a letter about the patient", "not a DICOM file"),
    "cut": (encode(stuffed())[:400], "is missing"),
    "no syntax": (without_transfer_syntax(), ""),
    "again": (stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3"), "the same image again"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_shared_is_left_out_with_the_reason(incoming, raw, case):
    content, why = REFUSED[case]
    good = stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3")
    left_out, packed = pack(incoming, raw, {"a/good.dcm": good, "b/bad.dcm": content})
    assert list(left_out) == ["b/bad.dcm"]
    assert why in left_out["b/bad.dcm"]
    assert len(left_out["b/bad.dcm"].splitlines()) == 1
    assert len(packed) == 1


OTHER_KINDS = {"CT", "screen", "colour", "text"}  # lie beside MR images in any export


@pytest.mark.parametrize("case", sorted(set(REFUSED) - OTHER_KINDS))
def test_in_strict_mode_the_first_such_file_ends_the_packing(incoming, raw, case):
    content, why = REFUSED[case]
    good = stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3")
    message = rf"b/bad.dcm: .*{re.escape(why)}.*; remove it, or set data.strict: false"
    with pytest.raises(CineganError, match=message):
        pack(incoming, raw, {"a/good.dcm": good, "b/bad.dcm": content}, strict=True)
    assert list(raw.iterdir()) == []


@pytest.mark.parametrize("case", sorted(OTHER_KINDS))
def test_what_is_no_mr_image_is_left_out_in_strict_mode_too(incoming, raw, case):
    content, why = REFUSED[case]
    good = stuffed(InstanceNumber="2", SOPInstanceUID="1.2.3")
    files = {"a/good.dcm": good, "b/other": content}
    left_out, packed = pack(incoming, raw, files, strict=True)
    assert why in left_out["b/other"]
    assert len(packed) == 1


def test_what_was_left_out_is_told_by_reason_and_the_first_by_name():
    left_out = {f"x/{k}": "modality CT, not MR" for k in range(12)} | {"y": "no pixel data"}
    told = deidentify.told(left_out).splitlines()
    assert told[:2] == [
        "left out 12 file(s): modality CT, not MR",
        "left out 1 file(s): no pixel data",
    ]
    assert told[2].startswith("x/0, x/1")
    assert told[2].endswith("x/9 and 3 more")
    assert deidentify.told({}) == ""


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no MR images; put your DICOM"),
        ({".hidden": b"x"}, "holds no MR images; put your DICOM"),
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
    with pytest.raises(CineganError, match=r"data.folder: .*incoming is not a folder; name the"):
        deidentify.pack_folder(incoming, raw, KEY, strict=False)


def test_the_archives_go_through_conversion(incoming, raw, data_options, tmp_path):
    identities = {"one": "MRN-1", "two": "MRN-2", "three": "MRN-3"}
    files = {}
    for folder, identity in identities.items():
        for name, content in series(identity).items():
            files[f"{folder}/{name.rpartition('/')[2]}"] = content
    left_out, packed = pack(incoming, raw, files)
    assert (left_out, len(packed)) == ({}, 180)
    report = convert(raw, tmp_path / "cycles", data_options(source="folder"), seed=1)
    assert (report["patients"], report["slices"], report["frames"]) == (3, 9, 180)
    assert report["unreadable"] == {}
    cohort = Cohort(tmp_path / "cycles")
    pseudonyms = {deidentify.pseudonym(identity, KEY) for identity in identities.values()}
    assert set(cohort.patients) == pseudonyms
    for patient in cohort.patients:
        for i in range(3):
            np.testing.assert_array_equal(cohort.stack(patient)[i, :, :, 7], beating(7, 20, i))
    assert "MRN" not in (tmp_path / "cycles" / "index.csv").read_text()


def test_the_key_is_made_once_kept_and_for_its_owner_alone(tmp_path):
    key = deidentify.pseudonym_key(tmp_path)
    assert len(key) == 32
    assert deidentify.pseudonym_key(tmp_path) == key
    file = tmp_path / deidentify.KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    assert deidentify.pseudonym_key(tmp_path / "other") != key


def test_a_key_that_is_none_is_refused_in_one_line(tmp_path):
    (tmp_path / deidentify.KEY_FILE).write_text("not hexadecimal")
    with pytest.raises(CineganError, match=r"\.pseudonym-key: .*"):
        deidentify.pseudonym_key(tmp_path)


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
        deidentify.pack_folder(folder, tmp_path / "raw", KEY, strict=False)
        for path in (tmp_path / "raw").iterdir():
            assert SECRET.encode() not in path.read_bytes()

    check()
