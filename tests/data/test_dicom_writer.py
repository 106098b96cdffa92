"""DICOM writing: what pydicom reads back is what was given, and nothing else."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from cinegan.data.dicom_writer import (
    IMPLEMENTATION_UID,
    CineHeader,
    encode,
    encode_cine_image,
    file_meta,
    uid_from,
)
from cinegan.errors import CineganError

HEADER = CineHeader(
    patient_id="PHA0000101",
    study_uid=uid_from("study"),
    series_uid=uid_from("series"),
    frame_of_reference_uid=uid_from("frame"),
    series_number=300,
    series_description="SAX cine",
    instance_number=48,
    position_mm=(-101.25, 35.123456789, 0.0),
    orientation=(0.6, 0.8, 0.0, 0.0, 0.0, -1.0),
    spacing_mm=1.3671875,
    thickness_mm=8,
    slice_spacing_mm=10.5,
    slice_location_mm=-0.0,
    heart_rate_bpm=75,
    trigger_time_ms=18.75,
    phases=20,
    manufacturer="cinegan digital phantom",
)
PIXELS = np.arange(-40, 80, dtype=np.int16).reshape(10, 12)


def read(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(content))


pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def strict_reading(monkeypatch):
    """Let pydicom refuse any value that breaks the standard."""
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)


def test_pixels_come_back_signed_and_unchanged():
    dataset = read(encode_cine_image(PIXELS, HEADER))
    assert dataset.pixel_array.dtype == np.int16
    np.testing.assert_array_equal(dataset.pixel_array, PIXELS)
    assert (dataset.SmallestImagePixelValue, dataset.LargestImagePixelValue) == (-40, 79)


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("Modality", "MR"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]),
        ("PatientName", "PHA0000101"),
        ("PatientID", "PHA0000101"),
        ("SeriesNumber", 300),
        ("InstanceNumber", 48),
        ("TriggerTime", 18.75),
        ("NominalInterval", 800),
        ("HeartRate", 75),
        ("CardiacNumberOfImages", 20),
        ("PixelSpacing", [1.367188, 1.367188]),
        ("ImagePositionPatient", [-101.25, 35.123457, 0]),
        ("ImageOrientationPatient", [0.6, 0.8, 0, 0, 0, -1]),
        ("SliceThickness", 8),
        ("SpacingBetweenSlices", 10.5),
        ("SliceLocation", 0),
        ("MagneticFieldStrength", 1.5),
        ("ScanningSequence", "GR"),
        ("SequenceVariant", "SS"),
        ("MRAcquisitionType", "2D"),
        ("Rows", 10),
        ("Columns", 12),
        ("Manufacturer", "cinegan digital phantom"),
    ],
)
def test_elements(keyword, expected):
    assert read(encode_cine_image(PIXELS, HEADER))[keyword].value == expected


def test_the_same_image_gives_the_same_bytes_whatever_was_written_before():
    content = encode_cine_image(PIXELS, HEADER)
    scout = replace(HEADER, trigger_time_ms=None, instance_number=3, position_mm=(1, 2, 3))
    assert "TriggerTime" not in read(encode_cine_image(PIXELS[:4], scout))
    assert encode_cine_image(PIXELS, HEADER) == content
    assert encode(read(content)) == content


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "pixel_data"),
    [
        (pydicom.uid.JPEG2000Lossless, pydicom.encaps.encapsulate([b"compressed!!"])),
        (pydicom.uid.RLELossless, pydicom.encaps.encapsulate([b"one", b"two."])),
        (pydicom.uid.ImplicitVRLittleEndian, b"\1\0\2\0"),
        (pydicom.uid.DeflatedExplicitVRLittleEndian, b"\1\0\2\0"),
    ],
)
def test_pixel_data_pass_through_in_any_transfer_syntax(transfer_syntax_uid, pixel_data):
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.MRImageStorage, uid_from("image")
    dataset.BitsAllocated, dataset.PixelRepresentation = 16, 1
    dataset.PixelData = pixel_data
    dataset["PixelData"].VR = "OB" if transfer_syntax_uid.is_compressed else "OW"
    dataset.file_meta = file_meta(
        dataset.SOPClassUID, dataset.SOPInstanceUID, str(transfer_syntax_uid)
    )
    again = read(encode(dataset))
    assert again.PixelData == pixel_data
    assert again.file_meta.TransferSyntaxUID == transfer_syntax_uid
    assert again.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    copy = pydicom.Dataset()
    copy.file_meta = again.file_meta
    for element in again:
        copy.add(element)
    assert encode(copy) == encode(dataset)


def test_a_data_set_without_file_meta_is_refused():
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.MRImageStorage, uid_from("image")
    with pytest.raises((ValueError, AttributeError)):
        encode(dataset)


def test_file_meta():
    dataset = read(encode_cine_image(PIXELS, HEADER))
    meta = dataset.file_meta
    assert meta.MediaStorageSOPClassUID == dataset.SOPClassUID == pydicom.uid.MRImageStorage
    assert meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert meta.ImplementationClassUID == IMPLEMENTATION_UID
    assert meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert meta.ImplementationVersionName == "CINEGAN"
    assert "SourceApplicationEntityTitle" not in meta


def test_nothing_identifies_and_nothing_tells_the_time():
    dataset = read(encode_cine_image(PIXELS, HEADER))
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"):
        assert dataset[keyword].is_empty
    for keyword in ("InstitutionName", "ContentDate", "AcquisitionTime", "DeviceSerialNumber"):
        assert keyword not in dataset


def test_an_image_that_is_not_gated_has_no_trigger_time():
    scout = replace(HEADER, trigger_time_ms=None, heart_rate_bpm=0, phases=0)
    dataset = read(encode_cine_image(PIXELS, scout))
    assert "TriggerTime" not in dataset
    assert "HeartRate" not in dataset


def test_sop_instances_differ_within_a_shared_series_uid():
    headers = [
        replace(HEADER, series_number=s, instance_number=n) for s in (300, 301) for n in (1, 2)
    ]
    uids = {read(encode_cine_image(PIXELS, header)).SOPInstanceUID for header in headers}
    assert len(uids) == 4


def test_uids_are_valid_and_depend_on_every_part():
    uids = {uid_from(*parts) for parts in (["a", "b"], ["ab"], ["b", "a"], [1, 2])}
    assert len(uids) == 4
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)
    assert uid_from("a", 1) == uid_from("a", 1)


@pytest.mark.parametrize("pixels", [PIXELS.astype(np.uint16), PIXELS[None], PIXELS.astype(float)])
def test_refuses_what_is_not_one_signed_image(pixels):
    with pytest.raises(CineganError, match="two axes of int16"):
        encode_cine_image(pixels, HEADER)
