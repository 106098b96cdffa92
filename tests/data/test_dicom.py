"""Reading DICOM: what a scanner wrote comes out; all else is a ValueError that says why."""

import subprocess
import sys

import numpy as np
import pytest
from dicom_factory import SHORT_AXIS, beating, encode, image
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from cinegan.data import dicom

# pydicom warns of what it meets in files damaged on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

WHOLE = encode(image(PatientSex="F", PatientAge="050Y"))


def test_a_header_holds_what_the_scanner_wrote():
    header = dicom.read_header(
        encode(
            image(
                PatientID=" SCD0000101 ",
                SeriesNumber="301",
                InstanceNumber="48",
                TriggerTime="26.3157902",
                ImagePositionPatient=[-92.0409, -253.992, -15.8779],
            )
        )
    )
    assert header.patient_id == "SCD0000101"
    assert (header.series_number, header.instance_number) == (301, 48)
    assert header.trigger_ms == 26.3157902
    assert header.position_mm.tolist() == [-92.0409, -253.992, -15.8779]
    assert header.spacing_mm == (1.5, 1.25)  # between rows, between columns
    assert (header.thickness_mm, header.shape) == (8.0, (16, 16))
    np.testing.assert_allclose(header.row_direction, SHORT_AXIS[:3], atol=1e-6)
    np.testing.assert_allclose(header.column_direction, SHORT_AXIS[3:], atol=1e-6)
    np.testing.assert_allclose(header.normal, np.array([1, -1, -1]) / np.sqrt(3), atol=1e-5)


@pytest.mark.parametrize(
    ("element", "attribute", "value"),
    [
        ("TriggerTime", "trigger_ms", None),
        ("SliceThickness", "thickness_mm", 0.0),
        ("SeriesNumber", "series_number", 0),
        ("InstanceNumber", "instance_number", 0),
        ("PatientID", "patient_id", ""),
    ],
)
@pytest.mark.parametrize("absence", ["missing", "empty"])
def test_what_may_be_absent_is_read_as_absent(element, attribute, value, absence):
    ds = image()
    if absence == "missing":
        del ds[element]
    else:
        setattr(ds, element, "" if element == "PatientID" else None)
    assert getattr(dicom.read_header(encode(ds)), attribute) == value


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"PixelSpacing": None}, "no place in space: PixelSpacing"),
        ({"ImageOrientationPatient": None}, "no place in space"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"ImagePositionPatient": [1.0, 2.0]}, "ImagePositionPatient is not three numbers"),
        ({"ImageOrientationPatient": [1.0, 0, 0]}, "unusable header"),
        ({"ImageOrientationPatient": [1.0, 0, 0, 1, 0, 0]}, "not two perpendicular unit vectors"),
        ({"ImageOrientationPatient": [2.0, 0, 0, 0, 2, 0]}, "not two perpendicular unit vectors"),
        ({"ImageOrientationPatient": [0.0] * 6}, "not two perpendicular unit vectors"),
        ({"PixelSpacing": [0.0, 1.0]}, "not two lengths in mm"),
        ({"PixelSpacing": [-1.0, 1.0]}, "not two lengths in mm"),
        ({"PixelSpacing": [1.0, 1.0, 1.0]}, "not two lengths in mm"),
        ({"PixelSpacing": 1.0}, "unusable header"),
        ({"NumberOfFrames": "20"}, "not a single grey frame"),
        ({"SamplesPerPixel": 3}, "not a single grey frame"),
        ({"Rows": 4}, "4 x 16 pixels is no plausible frame"),
        ({"Columns": 60000}, "no plausible frame"),
        ({"Rows": None}, "Rows"),
    ],
)
def test_an_image_without_a_place_in_space_is_refused_with_the_reason(elements, why):
    with pytest.raises(ValueError, match=why):
        dicom.read_header(encode(image(**elements)))


@pytest.mark.parametrize("text", [b"nan ", b"inf ", b"abc ", b"1\\2 "])
@pytest.mark.parametrize("element", ["TriggerTime", "ImagePositionPatient", "PixelSpacing"])
def test_values_that_are_no_numbers_are_refused(element, text):
    ds = image(**{element: ["1111", "2222", "3333"][: 1 if element == "TriggerTime" else 3]})
    content = encode(ds)
    place = content.rindex(b"1111")
    with pytest.raises(ValueError, match=r"unusable header|not a whole DICOM file"):
        dicom.read_header(content[:place] + text + content[place + 4 :])


@pytest.mark.parametrize(
    "content", [b"", b"x" * 50, b"<html>not found</html>" * 20, bytes(2000), b"PK\x03\x04" * 99]
)
def test_what_is_no_dicom_file_is_refused_as_such(content):
    assert not dicom.is_dicom(content)
    for read in (dicom.read_header, dicom.read_pixels):
        with pytest.raises(ValueError, match="not a DICOM file"):
            read(content)


def test_a_dicom_file_is_known_by_its_beginning():
    assert dicom.is_dicom(WHOLE)


@pytest.mark.parametrize("kept", [200, 500, 800, len(WHOLE) - 300, len(WHOLE) - 1])
def test_a_truncated_file_gives_no_pixels(kept):
    with pytest.raises(ValueError, match=r"pixel data|not a whole DICOM file"):
        dicom.read_pixels(WHOLE[:kept])


@pytest.mark.parametrize("kept", range(132, 700, 7))
def test_a_header_cut_anywhere_is_refused_or_whole(kept):
    try:
        header = dicom.read_header(WHOLE[:kept])
    except ValueError:
        return
    assert header.shape == (16, 16)


def test_pixels_come_as_stored():
    pixels = beating(3, 20)
    read = dicom.read_pixels(encode(image(pixels)))
    assert read.dtype == np.int16
    assert pixels.min() < 0
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("slope", [(None, None), ("1", "0"), ("1", None), (None, "0")])
def test_a_slope_of_one_leaves_the_scanners_integers(slope):
    ds = image(RescaleSlope=slope[0], RescaleIntercept=slope[1])
    assert dicom.read_pixels(encode(ds)).dtype == np.int16


@pytest.mark.parametrize(("slope", "intercept"), [("2.5", "-10"), ("1", "7"), ("0.5", None)])
def test_a_rescale_slope_is_applied_in_float32(slope, intercept):
    pixels = beating(3, 20)
    read = dicom.read_pixels(encode(image(pixels, RescaleSlope=slope, RescaleIntercept=intercept)))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, pixels * float(slope) + float(intercept or 0))


@pytest.mark.parametrize("element", ["RescaleSlope", "RescaleIntercept"])
def test_an_empty_rescale_counts_as_none(element):
    ds = image()
    setattr(ds, element, None)
    assert dicom.read_pixels(encode(ds)).dtype == np.int16


@pytest.mark.parametrize("text", [b"nan ", b"inf ", b"abc ", b"1\\2 "])
@pytest.mark.parametrize("element", ["RescaleSlope", "RescaleIntercept"])
def test_a_rescale_that_is_no_number_is_refused(element, text):
    content = encode(image(**{element: "1234"}))
    with pytest.raises(ValueError, match=r"[Rr]escale|not a whole DICOM file"):
        dicom.read_pixels(content.replace(b"1234", text))


def test_a_packed_image_is_unpacked():
    ds = image()
    pixels = ds.pixel_array
    ds.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(dicom.read_pixels(encode(ds)), pixels)


def packed_as_jpeg() -> Dataset:
    ds = image(BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0)
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.PixelData = encapsulate([b"\xff\xd8 no picture \xff\xd9"])
    ds["PixelData"].VR = "OB"
    return ds


def in_colour() -> Dataset:
    ds = image(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    ds.PixelData = bytes(16 * 16 * 3 * 2)
    return ds


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: image(PixelData=None), "no pixel data"),
        (lambda: image(PixelData=bytes(100)), "pixel data cannot be decoded"),
        (lambda: image(PixelData=b""), "pixel data"),
        (lambda: image(PhotometricInterpretation=None), "pixel data cannot be decoded"),
        (lambda: image(Rows=None), "pixel data cannot be decoded"),
        (packed_as_jpeg, "pixel data cannot be decoded"),
        (in_colour, "not one grey image"),
        (lambda: image(NumberOfFrames="2", PixelData=bytes(1024)), "not one grey image"),
    ],
)
def test_pixels_that_cannot_be_used_are_refused_with_the_reason(make, why):
    with pytest.raises(ValueError, match=why) as refused:
        dicom.read_pixels(encode(make()))
    assert len(str(refused.value).splitlines()) == 1


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    damage=st.lists(st.tuples(st.integers(132, len(WHOLE) - 1), st.integers(0, 255)), max_size=8),
    kept=st.one_of(st.just(len(WHOLE)), st.integers(0, len(WHOLE))),
)
def test_no_damage_at_all_makes_another_error(damage, kept):
    content = bytearray(WHOLE)
    for place, value in damage:
        content[place] = value
    for read in (dicom.read_header, dicom.read_pixels):
        try:
            read(bytes(content[:kept]))
        except ValueError as error:
            assert len(str(error).splitlines()) == 1


TAGS = {
    "ImagePositionPatient": b"\x20\x00\x32\x00DS",
    "ImageOrientationPatient": b"\x20\x00\x37\x00DS",
    "PixelSpacing": b"\x28\x00\x30\x00DS",
    "TriggerTime": b"\x18\x00\x60\x10DS",
    "SliceThickness": b"\x18\x00\x50\x00DS",
    "SeriesNumber": b"\x20\x00\x11\x00IS",
    "Rows": b"\x28\x00\x10\x00US",
    "BitsAllocated": b"\x28\x00\x00\x01US",
    "PatientID": b"\x10\x00\x20\x00LO",
    "SpecificCharacterSet": b"\x08\x00\x05\x00CS",
}


@pytest.mark.parametrize("element", TAGS)
def test_no_value_of_an_element_makes_another_error(element):
    start = WHOLE.index(TAGS[element]) + 8
    end = start + int.from_bytes(WHOLE[start - 2 : start], "little")

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(st.one_of(st.binary(max_size=24), st.from_regex(rb"[-+0-9.e\\]{0,24}", fullmatch=True)))
    def check(value):
        content = WHOLE[: start - 2] + len(value).to_bytes(2, "little") + value + WHOLE[end:]
        for read in (dicom.read_header, dicom.read_pixels):
            try:
                read(content)
            except ValueError as error:
                assert len(str(error).splitlines()) == 1

    check()


def test_reading_odd_values_of_others_is_quiet():
    script = (
        "import sys; from cinegan.data import dicom\n"
        "content = sys.stdin.buffer.read()\n"
        "dicom.read_header(content), dicom.read_pixels(content)"
    )
    content = WHOLE.replace(b"1.2.826.0.1.3680043", b"1.2.826.0.1.0680043")
    done = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
