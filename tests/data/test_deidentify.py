"""One image made safe: numbers, defined terms and pseudonyms pass, everything else stays behind."""

from __future__ import annotations

import io
import stat

import numpy as np
import pydicom
import pytest
from dicom_factory import COMPRESSED, beating, compressed, encode, enhanced
from named import SECRET, stuffed
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cinegan.data import deidentify, dicom_writer
from cinegan.data.deidentify import FRAMES, SAFE, SAFE_GROUPS, SHARED, UIDS, deidentified
from cinegan.errors import CineganError

# pydicom warns of what it meets in files damaged on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

KEY = bytes(range(32))


def clean(ds, **options):
    """A data set as it comes back from the bytes of its safe copy."""
    content = encode(ds) if isinstance(ds, Dataset) else ds
    return pydicom.dcmread(io.BytesIO(dicom_writer.encode(deidentified(content, KEY, **options))))


def keywords(ds):
    return {element.keyword for element in ds}


ADDED = {
    "SOPClassUID", "PatientID", "PatientName", "PatientIdentityRemoved", "DeidentificationMethod",
    "AcquisitionTime", "PixelData",
}  # fmt: skip


def test_only_listed_elements_and_pseudonyms_are_written():
    ds = clean(stuffed(AcquisitionTime="101112"))
    assert keywords(ds) <= {*SAFE, *UIDS, *ADDED}
    assert not any(element.VR == "SQ" or element.tag.is_private for element in ds)
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.preamble == bytes(128)
    assert ds.PatientID == ds.PatientName == deidentify.pseudonym("MRN-4711-SECRET", KEY)
    assert ds.file_meta.ImplementationVersionName == "CINEGAN"
    assert keywords(ds.file_meta) == {
        "FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID", "TransferSyntaxUID", "ImplementationClassUID",
        "ImplementationVersionName",
    }  # fmt: skip


def test_geometry_timing_and_pixels_survive():
    original = stuffed(
        TriggerTime="26.3157902",
        NominalCardiacTriggerDelayTime=12.25,
        ImagePositionPatient=[-92.0409, -253.992, -15.8779],
        RescaleSlope="2",
        RescaleIntercept="-5",
        ScanningSequence="GR",
        ScanOptions=["FAST_GEMS", "CG"],
        AcquisitionMatrix=[0, 192, 160, 0],
    )
    ds = clean(original)
    for keyword in (
        "Modality", "SOPClassUID", "SeriesNumber", "InstanceNumber", "TriggerTime", "ImageType",
        "NominalInterval", "HeartRate", "CardiacNumberOfImages", "ImagePositionPatient",
        "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns",
        "BitsStored", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "PixelData",
        "NominalCardiacTriggerDelayTime", "ScanningSequence", "ScanOptions", "AcquisitionMatrix",
    ):  # fmt: skip
        assert ds[keyword].value == original[keyword].value, keyword
    np.testing.assert_array_equal(ds.pixel_array, beating(0, 20))


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_compressed_pixels_are_written_uncompressed(syntax):
    ds = clean(compressed(encode(stuffed()), syntax))
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    np.testing.assert_array_equal(ds.pixel_array, beating(0, 20))


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, ImplicitVRLittleEndian])
def test_other_ways_of_writing_come_out_the_same(syntax):
    original = stuffed()
    expected = clean(original)
    original.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        original.PixelData = beating(0, 20).astype(">i2").tobytes()
    for group in (0x0009, 0x0029, 0x6000):
        for element in original.group_dataset(group):
            del original[element.tag]
    assert clean(original) == expected


def test_an_enhanced_image_keeps_of_each_frame_what_is_safe():
    original = enhanced(PatientName=f"{SECRET}^Erika", PatientID="MRN-4711")
    for frame in original[FRAMES].value:
        frame.FrameContentSequence[0].FrameComments = SECRET
        frame.FrameContentSequence[0].FrameLabel = SECRET
        frame.PatientPhysiologicalStateSequence = [Dataset()]
        nested = Dataset()
        nested.PatientName = SECRET
        frame.PlanePositionSequence[0].ReferencedPatientSequence = [nested]
        block = frame.private_block(0x2005, SECRET, create=True)
        block.add_new(1, "LO", SECRET)
    ds = clean(original)
    groups = [*ds[SHARED].value, *ds[FRAMES].value]
    assert {name for group in groups for name in keywords(group)} <= set(SAFE_GROUPS)
    for group in groups:
        for sequence in group:
            allowed = {*SAFE_GROUPS[sequence.keyword].split(), "FrameAcquisitionDateTime"}
            assert keywords(sequence.value[0]) <= allowed
    times = [f.FrameContentSequence[0].FrameAcquisitionDateTime for f in ds[FRAMES].value]
    assert times[:3] == [f"19000101000000.{i:06}" for i in range(3)]
    assert SECRET.encode() not in dicom_writer.encode(deidentified(encode(original), KEY))
    np.testing.assert_array_equal(ds.pixel_array, original.pixel_array)


@pytest.mark.parametrize(
    ("elements", "keyword", "kept"),
    [
        ({"ScanOptions": "DOE JOHN"}, "ScanOptions", None),
        ({"ScanOptions": ["CG", "DOE"]}, "ScanOptions", "CG"),
        (
            {"ImageType": ["ORIGINAL", "PRIMARY", "Mustermann"]},
            "ImageType",
            ["ORIGINAL", "PRIMARY"],
        ),
        ({"RescaleType": "Mustermann"}, "RescaleType", None),
        ({"RescaleType": "US"}, "RescaleType", "US"),
        ({"PatientPosition": "MUSTERMANN"}, "PatientPosition", None),
        ({"TriggerTime": "12.5 "}, "TriggerTime", 12.5),
        ({"SliceLocation": "-1.2345678901234"}, "SliceLocation", -1.2345678901234),
    ],
)
def test_a_value_is_a_number_or_a_defined_term(elements, keyword, kept):
    assert clean(stuffed(**elements)).get(keyword) == kept


@pytest.mark.parametrize("text", ["Muster", "Must^E", "19\\Mus", "nan   ", "inf   ", "1_0_0 "])
def test_no_text_passes_as_a_number(text):
    content = encode(stuffed(WindowWidth="135791")).replace(b"135791", text.encode())
    assert text.encode() in content
    ds = deidentified(content, KEY)
    assert ds.get("WindowWidth") in (None, 100)
    assert text.strip().encode() not in dicom_writer.encode(ds)


def test_a_lying_type_lets_no_text_pass():
    content = encode(stuffed(SliceLocation="135791"))
    start = content.index(b"\x20\x00\x41\x10DS")
    lying = content[: start + 4] + b"LO\x06\0Muster" + content[start + 14 :]
    assert "SliceLocation" not in deidentified(lying, KEY)


def test_nothing_behind_the_pixels_passes():
    content = encode(stuffed())
    late = Dataset()
    late.DataSetTrailingPadding = SECRET.encode()
    for behind in (SECRET.encode(), b"\xfc\xff\xfc\xffOB\0\0\x0a\0\0\0Mustermann"):
        try:
            ds = deidentified(content + behind, KEY)
        except ValueError:
            continue
        assert SECRET.encode() not in dicom_writer.encode(ds)


@pytest.mark.parametrize(
    ("data", "why"),
    [(bytes(510), "pixel data cut short"), (bytes(514), "more pixel data than announced"),
     (bytes(4096), "pixel data of another size than announced"), (b"", "no pixel data")],
)  # fmt: skip
def test_pixel_data_are_exactly_as_long_as_announced(data, why):
    with pytest.raises(ValueError, match=why):
        deidentified(encode(stuffed(PixelData=data)), KEY)


def test_what_is_drawn_into_unused_bits_is_erased():
    drawn = (beating(0, 20) & 0x0FFF) | (np.eye(16, dtype=np.int16) << 13)
    bits = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}
    ds = clean(stuffed(PixelData=drawn.astype("<i2").tobytes(), **bits))
    stored = np.frombuffer(ds.PixelData, "<u2").reshape(16, 16)
    np.testing.assert_array_equal(stored, drawn & 0x0FFF)


def test_an_odd_number_of_bytes_is_padded():
    pixels = np.arange(15 * 15, dtype=np.uint8)
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
    original = stuffed(Rows=15, Columns=15, PixelData=pixels.tobytes() + b"M", **bits)
    original["PixelData"].VR = "OB"
    ds = clean(original)
    assert ds.PixelData == pixels.tobytes() + b"\0"


@pytest.mark.parametrize("burned", ["YES", "yes", "MAYBE"])
def test_words_burned_into_the_pixels_are_refused(burned):
    with pytest.raises(ValueError, match="words may be burned into its pixels"):
        deidentified(encode(stuffed(BurnedInAnnotation=burned)), KEY)


def test_a_time_is_that_since_the_study_began():
    ds = clean(stuffed(AcquisitionTime="083920.638055"), start_s=8 * 3600.0)
    assert ds.AcquisitionTime == "003920.638055"


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
