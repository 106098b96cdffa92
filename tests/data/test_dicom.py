"""Reading DICOM: what a scanner wrote comes out; all else is a ValueError that says why."""

import io
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from dicom_factory import (
    COMPRESSED,
    SHORT_AXIS,
    beating,
    compressed,
    encode,
    enhanced,
    image,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from cinegan.data import dicom
from cinegan.data.refusal import OtherFileError, RefusedError

# pydicom warns of what it meets in files damaged on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

WHOLE = encode(image(PatientSex="F", PatientAge="050Y"))


def headers(content):
    """The headers of a file's frames, and how many bytes were asked for at each look."""
    asked = []

    def read(most):
        asked.append(most)
        return content[:most]

    return dicom.read_headers(read), asked


def read_header(content):
    (header,), _ = headers(content)
    return header


def read_pixels(content):
    """The one frame of a file, the same with and without its header."""
    (pixels,) = dicom.read_pixels(content)
    (again,) = dicom.read_pixels(content, read_header(content))
    np.testing.assert_array_equal(pixels, again)
    assert pixels.dtype == again.dtype
    return pixels


def test_a_header_holds_what_the_scanner_wrote():
    header = read_header(
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
    np.testing.assert_allclose(header.normal, np.cross(SHORT_AXIS[:3], SHORT_AXIS[3:]), atol=1e-5)


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
    assert getattr(read_header(encode(ds)), attribute) == value


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"PixelSpacing": None}, "no place in space: PixelSpacing"),
        ({"ImageOrientationPatient": None}, "no place in space"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient is not three"),
        ({"ImagePositionPatient": [1.0, 2.0]}, "ImagePositionPatient is not three numbers"),
        ({"ImageOrientationPatient": [1.0, 0, 0]}, "not two perpendicular"),
        ({"ImageOrientationPatient": [1.0, 0, 0, 1, 0, 0]}, "not two perpendicular unit vectors"),
        ({"ImageOrientationPatient": [2.0, 0, 0, 0, 2, 0]}, "not two perpendicular unit vectors"),
        ({"ImageOrientationPatient": [0.0] * 6}, "not two perpendicular unit vectors"),
        ({"PixelSpacing": [0.0, 1.0]}, "not two plausible lengths"),
        ({"PixelSpacing": [-1.0, 1.0]}, "not two plausible lengths"),
        ({"PixelSpacing": [1.0, 1.0, 1.0]}, "not two plausible lengths"),
        ({"PixelSpacing": 1.0}, "not two plausible lengths"),
        ({"NumberOfFrames": "20"}, "not a single frame"),
        ({"SamplesPerPixel": 3}, "not of a class of MR images, one grey value a pixel"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "not grey images"),
        ({"Rows": 4}, "4 x 16 pixels is no plausible frame"),
        ({"Columns": 6000}, "no plausible frame"),
        ({"Rows": None}, "1 x 0 x 16 pixels announced"),
        ({"BitsStored": 17}, "17 of 16 bits a pixel"),
        ({"TriggerTime": ["1", "2"]}, "TriggerTime is not a number"),
        (
            {"FlipAngle": "1", "TriggerTime": "", "NominalInterval": ["1", "2"]},
            "NominalInterval is not",
        ),
    ],
)
def test_an_image_without_a_place_in_space_is_refused_with_the_reason(elements, why):
    with pytest.raises(ValueError, match=why):
        read_header(encode(image(**elements)))


@pytest.mark.parametrize("text", [b"nan ", b"inf ", b"abc ", b"1\\2 "])
@pytest.mark.parametrize("element", ["TriggerTime", "ImagePositionPatient", "PixelSpacing"])
def test_values_that_are_no_numbers_are_refused(element, text):
    ds = image(**{element: ["1111", "2222", "3333"][: 1 if element == "TriggerTime" else 3]})
    content = encode(ds)
    place = content.rindex(b"1111")
    with pytest.raises(ValueError, match=r"is not|not a whole DICOM file"):
        read_header(content[:place] + text + content[place + 4 :])


@pytest.mark.parametrize(
    "content", [b"", b"x" * 50, b"<html>not found</html>" * 20, bytes(2000), b"PK\x03\x04" * 99]
)
def test_what_is_no_dicom_file_is_refused_as_such(content):
    assert not dicom.is_dicom(content)
    for read in (read_header, dicom.read_pixels):
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
        header = read_header(WHOLE[:kept])
    except ValueError:
        return
    assert header.shape == (16, 16)


def test_pixels_come_as_stored():
    pixels = beating(3, 20)
    read = read_pixels(encode(image(pixels)))
    assert read.dtype == np.int16
    assert pixels.min() < 0
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("slope", [(None, None), ("1", "0"), ("1", None), (None, "0")])
def test_a_slope_of_one_leaves_the_scanners_integers(slope):
    ds = image(RescaleSlope=slope[0], RescaleIntercept=slope[1])
    assert read_pixels(encode(ds)).dtype == np.int16


@pytest.mark.parametrize(("slope", "intercept"), [("2.5", "-10"), ("1", "7"), ("0.5", None)])
def test_a_rescale_slope_is_applied_in_float32(slope, intercept):
    pixels = beating(3, 20)
    read = read_pixels(encode(image(pixels, RescaleSlope=slope, RescaleIntercept=intercept)))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, pixels * float(slope) + float(intercept or 0))


@pytest.mark.parametrize("element", ["RescaleSlope", "RescaleIntercept"])
def test_an_empty_rescale_counts_as_none(element):
    ds = image()
    setattr(ds, element, None)
    assert read_pixels(encode(ds)).dtype == np.int16


@pytest.mark.parametrize("text", [b"nan ", b"inf ", b"abc ", b"1\\2 "])
@pytest.mark.parametrize("element", ["RescaleSlope", "RescaleIntercept"])
def test_a_rescale_that_is_no_number_is_refused(element, text):
    content = encode(image(**{element: "1234"}))
    with pytest.raises(ValueError, match=r"[Rr]escale|not a whole DICOM file"):
        dicom.read_pixels(content.replace(b"1234", text))


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
        (lambda: image(PixelData=bytes(100)), "pixel data cut short"),
        (lambda: image(PixelData=b""), "pixel data"),
        (lambda: image(PhotometricInterpretation=None), "not grey images"),
        (lambda: image(Rows=None), "1 x 0 x 16 pixels announced"),
        (lambda: image(Rows=60000, Columns=60000), "1 x 60000 x 60000 pixels announced"),
        (lambda: image(NumberOfFrames="-2"), "-2 x 16 x 16 pixels announced"),
        (lambda: image(RescaleSlope="1e38"), "beyond all greys"),
        (packed_as_jpeg, "pixel data cannot be decoded"),
        (in_colour, "not grey images"),
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
    for read in (read_header, dicom.read_pixels):
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
        for read in (read_header, dicom.read_pixels):
            try:
                read(content)
            except ValueError as error:
                assert len(str(error).splitlines()) == 1

    check()


def test_reading_odd_values_of_others_is_quiet():
    script = (
        "import sys; from cinegan.data import dicom\n"
        "content = sys.stdin.buffer.read()\n"
        "dicom.read_headers(lambda most: content[:most]), dicom.read_pixels(content)"
    )
    content = WHOLE.replace(b"1.2.826.0.1.3680043", b"1.2.826.0.1.0680043")
    done = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_only_the_first_bytes_are_read_for_a_header():
    content = encode(image(np.zeros((256, 256), np.int16)))
    assert len(content) > dicom.HEAD
    assert headers(content)[1] == [dicom.HEAD]


def test_a_long_header_is_read_whole():
    comments = image(np.zeros((256, 256), np.int16))
    comments.private_block(0x0009, "LONG", create=True).add_new(1, "OB", bytes(dicom.HEAD))
    (header,), asked = headers(encode(comments))
    assert asked == [dicom.HEAD, None]
    assert header.instance_number == 1
    assert read_pixels(encode(comments)).shape == (256, 256)


def test_nothing_deflated_is_inflated():
    ds = image(np.zeros((64, 64), np.int16))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    for read in (read_header, dicom.read_pixels):
        with pytest.raises(ValueError, match="deflated data set, which may be a bomb"):
            read(encode(ds))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("000000", 0.0),
        ("083920.638055", 31160.638055),
        ("235959.5 ", 86399.5),
        ("", None),
        ("0839", None),
        ("08:39:20", None),
        ("250000", None),
        ("noon", None),
    ],
)
def test_times_of_the_day_are_read_in_seconds(written, seconds):
    assert read_header(encode(image(AcquisitionTime=written))).acquired_s == seconds


def test_all_clocks_are_read():
    header = read_header(
        encode(image(TriggerTime=None, NominalCardiacTriggerDelayTime=40.5, NominalInterval="812",
                     TemporalPositionIdentifier="7"))
    )  # fmt: skip
    assert (header.trigger_ms, header.interval_ms, header.temporal_position) == (40.5, 812.0, 7)


KINDS = [(bits, signed) for bits in (8, 12, 16) for signed in (0, 1)]
SYNTAXES = ["native", "implicit", "big endian", *COMPRESSED]


def stored_as(bits, signed, syntax, rows=16, columns=12, **elements):
    """A non-square image of all its values' range, and its file."""
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = np.linspace(lowest, highest, rows * columns).round().reshape(rows, columns)
    allocated = 8 if bits == 8 else 16
    stored = values.astype(
        f"{'>' if syntax == 'big endian' else '<'}{'iu'[not signed]}{allocated // 8}"
    )
    ds = image(
        Rows=rows, Columns=columns, BitsAllocated=allocated, BitsStored=bits, HighBit=bits - 1,
        PixelRepresentation=signed, PixelData=stored.tobytes(), **elements,
    )  # fmt: skip
    ds["PixelData"].VR = "OB" if allocated == 8 else "OW"
    if syntax == "implicit":
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    elif syntax == "big endian":
        ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    content = encode(ds)
    if syntax in COMPRESSED:
        content = compressed(content, syntax)
    return values, content


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_pixels_are_the_same_however_they_are_stored(bits, signed, syntax):
    values, content = stored_as(bits, signed, syntax)
    read = read_pixels(content)
    np.testing.assert_array_equal(read, values)
    assert read.dtype == np.dtype(f"{'iu'[not signed]}{1 if bits == 8 else 2}")
    plain = pydicom.dcmread(io.BytesIO(content)).pixel_array
    np.testing.assert_array_equal(read, plain)


@pytest.mark.parametrize("syntax", ["native", "JPEG lossless"])
@pytest.mark.parametrize(("bits", "signed"), KINDS)
def test_where_the_lowest_value_is_white_greys_are_mirrored(bits, signed, syntax):
    elements = {"PhotometricInterpretation": "MONOCHROME1"}
    values, content = stored_as(bits, signed, syntax, **elements)
    np.testing.assert_array_equal(read_pixels(content), values[::-1, ::-1])


def test_a_mirrored_image_is_rescaled_after_that():
    elements = {"RescaleSlope": "2", "RescaleIntercept": "-10"}
    values, content = stored_as(
        12, 0, "native", PhotometricInterpretation="MONOCHROME1", **elements
    )
    np.testing.assert_allclose(read_pixels(content), 2 * (4095 - values) - 10)


@pytest.mark.parametrize("signed", [0, 1])
def test_what_lies_in_unused_bits_is_no_grey(signed):
    values, content = stored_as(12, signed, "native")
    start = len(content) - values.size * 2
    dirty = np.frombuffer(content[start:], "<u2") ^ 0x3000
    np.testing.assert_array_equal(read_pixels(content[:start] + dirty.tobytes()), values)


def test_an_enhanced_image_holds_all_frames_of_a_stack():
    content = encode(enhanced(slices=3, phases=4, PatientID="E1", SeriesNumber="7"))
    found, _ = headers(content)
    assert [h.index for h in found] == list(range(12))
    assert [h.instance_number for h in found] == list(range(1, 13))
    assert [h.trigger_ms for h in found] == [0.0, 200.0, 400.0, 600.0] * 3
    assert [h.temporal_position for h in found] == [1, 2, 3, 4] * 3
    assert found[1].acquired_s - found[0].acquired_s == pytest.approx(1e-6)
    assert {(h.patient_id, h.series_number, h.interval_ms) for h in found} == {("E1", 7, 800.0)}
    assert {(h.spacing_mm, h.thickness_mm, h.shape) for h in found} == {
        ((1.5, 1.25), 8.0, (16, 16))
    }
    heights = [round(float(h.position_mm @ h.normal), 3) for h in found]
    assert heights == [0.0] * 4 + [10.0] * 4 + [20.0] * 4
    pixels = dicom.read_pixels(content, found[5])
    assert pixels.shape == (12, 16, 16)
    np.testing.assert_array_equal(pixels[5], beating(1, 4, 1))


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_a_compressed_enhanced_image_has_the_same_frames(syntax):
    content = encode(enhanced())
    np.testing.assert_array_equal(
        dicom.read_pixels(compressed(content, syntax)), dicom.read_pixels(content)
    )


@pytest.mark.parametrize("alike", [True, False])
def test_frames_are_rescaled_one_by_one(alike):
    ds = enhanced(slices=1, phases=3)
    for i, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        rescale = Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = 2 if alike else i + 1, 5
        frame.PixelValueTransformationSequence = [rescale]
    for i, picture in enumerate(dicom.read_pixels(encode(ds))):
        assert picture.dtype == np.float32
        np.testing.assert_allclose(picture, beating(i, 3) * (2 if alike else i + 1) + 5)


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"NumberOfFrames": 11}, "12 frames described, 11 announced"),
        ({"PerFrameFunctionalGroupsSequence": None}, "0 frames described, 12 announced"),
        ({"SharedFunctionalGroupsSequence": None}, "ImageOrientationPatient is not two"),
        ({"NumberOfFrames": 5000, "PerFrameFunctionalGroupsSequence": [Dataset()] * 5000}, "5000 "),
    ],
)
def test_an_enhanced_image_that_is_not_whole_is_refused(elements, why):
    with pytest.raises(ValueError, match=why):
        headers(encode(enhanced(**elements)))


NAMED = {"PatientName": "Mustermann^Erika", "InstitutionName": "St. Elsewhere"}


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({}, ()),
        ({"PatientName": "ANON^12", "InstitutionName": "St. Elsewhere"}, ()),
        ({"PatientBirthDate": "00000000"}, ()),
        ({"PatientBirthDate": "19000101"}, ()),
        (NAMED, ("PatientName", "InstitutionName")),
        ({"PatientBirthDate": "19640812"}, ("PatientName", "PatientBirthDate")),
        ({"OperatorsName": "Mustermann"}, ("PatientName", "OperatorsName")),
        ({"PatientID": "DOE_JOHN", "PatientName": None}, ("PatientID",)),
        ({"PatientID": "Smith", "PatientName": None}, ("PatientID",)),
        ({"PatientID": "HCMX", "PatientName": None}, ()),
        ({"PatientTelephoneNumbers": "1234"}, ("PatientName", "PatientTelephoneNumbers")),
    ],
)
def test_a_header_says_which_elements_hold_a_real_persons_data(elements, found):
    assert read_header(encode(image(**elements))).identifying == found


def test_damage_to_a_compressed_stream_ends_in_an_error_and_not_in_a_crash():
    """GDCM aborts on these; the decoder's process bears it, and the next image is decoded."""
    whole = compressed(encode(image()), "JPEG lossless")
    start = whole.index(b"\xff\xd8")
    crashed = 0
    for place in range(start + 2, start + 60):
        try:
            dicom.read_pixels(whole[:place] + b"\xbb" + whole[place + 1 :])
        except ValueError as error:
            crashed += "crashes" in str(error)
    assert crashed
    np.testing.assert_array_equal(dicom.read_pixels(whole)[0], beating(0, 20))


KINDS = ["P", "PHASE", "PHASE MAP", "R", "REAL", "I", "IMAGINARY", "VELOCITY", "MIXED"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_shows_no_magnitude_is_no_image_of_a_cine(kind):
    for elements in (
        {"ImageType": ["DERIVED", "PRIMARY", kind]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "CARDIAC", kind, "ND"]},
        {"ComplexImageComponent": kind},
    ):
        with pytest.raises(OtherFileError, match="a phase, real or imaginary image"):
            read_header(encode(image(**elements)))
        with pytest.raises(OtherFileError, match="a phase, real or imaginary image"):
            headers(encode(enhanced(**elements)))


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]},
        {"ImageType": ["MIXED", "PRIMARY", "CINE"]},
        {"ImageType": "P"},
        {"ImageType": None},
        {"ImageType": ""},
        {"ComplexImageComponent": "MAGNITUDE"},
    ],
)
def test_what_shows_magnitude_or_does_not_say_so_is_read(elements):
    assert read_header(encode(image(**elements))).shape == (16, 16)


@pytest.mark.parametrize("whole", ["MIXED", "MAGNITUDE", None])
def test_of_a_file_that_holds_both_the_frames_of_magnitude_are_taken(whole):
    ds = enhanced(slices=1, phases=6, ComplexImageComponent=whole)
    for i, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.MRImageFrameTypeSequence = [Dataset()]
        told = frame.MRImageFrameTypeSequence[0]
        told.FrameType = ["ORIGINAL", "PRIMARY", "CINE", "NONE"]
        told.ComplexImageComponent = "PHASE" if i % 2 else "MAGNITUDE"
    found, _ = headers(encode(ds))
    assert [h.index for h in found] == [0, 2, 4]
    np.testing.assert_array_equal(dicom.read_pixels(encode(ds), found[1])[2], beating(2, 6))


OTHERS = {
    "CT": ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "of another modality"),
    "SR": (
        {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "PixelSpacing": None},
        "of another modality",
    ),
    "presentation state": ({"Modality": "PR", "Rows": None}, "of another modality"),
    "screen": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "not of a class of MR images"),
    "colour": ({"SamplesPerPixel": 3}, "not of a class of MR images"),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, "not grey images"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_else_lies_in_an_export_is_another_file(kind):
    elements, why = OTHERS[kind]
    with pytest.raises(OtherFileError, match=why):
        read_header(encode(image(**elements)))


def test_a_file_that_does_not_say_what_it_is_passes_for_an_image():
    assert read_header(encode(image(Modality=None))).shape == (16, 16)


def test_what_is_called_dicom_and_is_none_is_damaged():
    for file, kind in (("a/x.DCM", RefusedError), ("x.ima", RefusedError), ("x", OtherFileError)):
        with pytest.raises(ValueError, match="not a DICOM file") as refused:
            dicom.read_headers(lambda most: b"no DICOM"[:most], file)
        assert type(refused.value) is kind


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, "RLE"])
@pytest.mark.parametrize("with_meta", [True, False])
def test_a_file_without_preamble_is_read(syntax, with_meta):
    ds = image(SpecificCharacterSet=None)
    content = encode(ds)
    if syntax == "RLE":
        if not with_meta:
            return  # nothing would say that it is compressed
        content = compressed(content, syntax)
    elif syntax is not None:
        ds.file_meta.TransferSyntaxUID = syntax
        content = encode(ds)
    start = 132
    if not with_meta:
        start += 12 + int.from_bytes(content[140:144], "little")
    assert content[start : start + 2] == (b"\x02\0" if with_meta else b"\x08\0")
    bare = content[start:]
    assert dicom.is_dicom(bare)
    np.testing.assert_array_equal(read_pixels(bare), beating(0, 20))
    assert read_header(bare).uid == ds.SOPInstanceUID


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x00",
        b"\x08\x00\x08\x00CS\xff\xff" + bytes(99),
        b"\x08\x00\x08\x00XX\x08\x00" + bytes(99),
        b"\x08\x00\x07\x7fCS\x08\x00" + bytes(99),
        b"\x09\x00\x08\x00CS\x08\x00" + bytes(99),
        b"\x08\x00\x08\x00CS\x07\x00" + bytes(99),
    ],
)
def test_what_only_begins_like_a_data_set_is_refused(content):
    assert not dicom.is_dicom(content)


def test_rle_needs_no_process_of_its_own(monkeypatch):
    monkeypatch.setattr(dicom, "_decode", None)
    np.testing.assert_array_equal(read_pixels(compressed(WHOLE, "RLE")), beating(0, 20))
