"""4D NIfTI: frames with their place in space and time, as from DICOM; all else is refused."""

import gzip
import struct
import tracemalloc

import nibabel
import numpy as np
import pytest
from dicom_factory import SHORT_AXIS, beating, nifti

from cinegan.data import nifti as reader
from cinegan.data.refusal import OtherFileError


class Peak:
    def bytes(self):
        return tracemalloc.get_traced_memory()[1]


@pytest.fixture
def peak():
    """The most memory that was in use since the test began."""
    tracemalloc.start()
    yield Peak()
    tracemalloc.stop()


def headers(content, file="patient001_4d.nii"):
    asked = []

    def read(most):
        asked.append(most)
        return content[:most]

    found = reader.read_headers(read, file)
    assert asked == [reader.HEAD]
    return found


def volume(data, affine=None, **fields):
    built = nibabel.Nifti1Image(data, np.diag([1.25, 1.5, 10, 1]) if affine is None else affine)
    for field, value in fields.items():
        built.header[field] = value
    return built.to_bytes()


def patched(offset, form, *values):
    """A volume with values of its header changed that nibabel would not write."""
    content = bytearray(nifti())
    struct.pack_into(form, content, offset, *values)
    return bytes(content)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_frames_come_slice_by_slice_and_phase_by_phase(pack):
    content = pack(nifti(slices=3, phases=4))
    found = headers(content)
    assert [h.index for h in found] == list(range(12))
    assert [h.temporal_position for h in found] == [1, 2, 3, 4] * 3
    assert [h.trigger_ms for h in found] == [0.0, 40.0, 80.0, 120.0] * 3
    assert {(h.interval_ms, h.patient_id, h.oriented) for h in found} == {
        (160.0, "patient001", True)
    }
    pixels = reader.read_pixels(content, found[0])
    assert (pixels.shape, pixels.dtype) == ((12, 16, 12), np.int16)
    for h in found:
        picture = beating(h.temporal_position - 1, 4, h.index // 4)[:, :12]
        np.testing.assert_array_equal(pixels[h.index], picture)


def test_the_affine_is_read_in_the_coordinates_of_dicom():
    found = headers(nifti())
    np.testing.assert_allclose(found[0].row_direction, SHORT_AXIS[:3], atol=1e-6)
    np.testing.assert_allclose(found[0].column_direction, SHORT_AXIS[3:], atol=1e-6)
    assert found[0].spacing_mm == pytest.approx((1.5, 1.25))  # between rows, between columns
    assert (found[0].thickness_mm, found[0].shape) == (pytest.approx(10.0), (16, 12))
    np.testing.assert_allclose(found[0].position_mm, [-5.0, 6.0, 7.0], atol=1e-5)
    step = found[4].position_mm - found[0].position_mm
    np.testing.assert_allclose(step, 10 * found[0].normal, atol=1e-4)


@pytest.mark.parametrize(
    ("codes", "oriented"), [((1, 0), True), ((0, 1), True), ((2, 2), True), ((0, 0), False)]
)
def test_the_affine_stands_in_any_of_three_places(codes, oriented):
    built = nibabel.Nifti1Image.from_bytes(nifti())
    affine = built.affine
    built.header.set_sform(affine if codes[0] else None, codes[0])
    built.header.set_qform(affine if codes[1] else None, codes[1])
    found = headers(built.header.binaryblock + bytes(4))
    assert {h.oriented for h in found} == {oriented}
    assert found[0].spacing_mm == pytest.approx((1.5, 1.25))


def test_an_affine_along_the_scanners_axes_holds_distances_only():
    found = headers(volume(np.zeros((12, 16, 3, 4), np.int16)))
    assert not any(h.oriented for h in found)
    assert found[0].spacing_mm == pytest.approx((1.5, 1.25))


@pytest.mark.parametrize(
    ("unit", "step", "trigger_ms"),
    [("msec", 40.0, 40.0), ("sec", 0.04, 40.0), ("usec", 40_000.0, 40.0), ("sec", 1.0, None),
     ("msec", 0.0, None), ("unknown", 40.0, None), ("hz", 40.0, None), ("msec", np.nan, None)],
)  # fmt: skip
def test_a_time_that_can_be_that_of_a_phase_is_read_in_its_unit(unit, step, trigger_ms):
    built = nibabel.Nifti1Image.from_bytes(nifti())
    built.header.set_xyzt_units("mm", unit)
    built.header["pixdim"][4] = step
    second = headers(built.header.binaryblock + bytes(4))[1]
    assert second.trigger_ms == (None if trigger_ms is None else pytest.approx(trigger_ms))
    assert second.interval_ms == (None if trigger_ms is None else pytest.approx(4 * trigger_ms))


@pytest.mark.parametrize(("unit", "scale"), [("meter", 1e-3), ("micron", 1e3), ("unknown", 1.0)])
def test_distances_are_read_in_their_unit(unit, scale):
    built = nibabel.Nifti1Image.from_bytes(nifti())
    affine = np.diag([scale, scale, scale, 1]) @ built.affine
    built.header.set_xyzt_units(unit, "msec")
    built.header.set_sform(affine, 1)
    assert headers(built.header.binaryblock + bytes(4))[0].spacing_mm == pytest.approx((1.5, 1.25))


@pytest.mark.parametrize(
    ("file", "patient"),
    [
        ("patient001_4d.nii.gz", "patient001"),  # ACDC
        ("training/patient001/patient001_4d.nii", "patient001"),
        ("A0S9V9_sa.nii.gz", "A0S9V9"),  # M&Ms
        ("001/001_SA_CINE.NII.GZ", "001"),  # M&Ms-2
        ("sub-01_cine.nii", "sub-01"),
        ("lisa.nii", "lisa"),
        ("cohort/p7/cine.nii.gz", "p7"),
        ("p8.zip/4d.nii.gz", "p8"),
        ("4d.nii", ""),
        ("p9/anonymous_4d.nii", "p9"),
        ("anonymous_4d.nii", "anonymous"),
    ],
)
def test_the_patient_is_what_the_name_tells_beside_the_kind_of_image(file, patient):
    assert {h.patient_id for h in headers(nifti(), file)} == {patient}


@pytest.mark.parametrize("end", ["_gt", "_seg", "_label", "_mask", "_sa_gt"])
def test_a_label_map_is_no_image(end):
    with pytest.raises(ValueError, match="a label map, not an image"):
        reader.read_headers(lambda most: nifti()[:most], f"patient001{end}.nii")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a NIfTI-1 file"),
        (b"no volume" * 99, "not a NIfTI-1 file"),
        (nifti()[:300], "not a NIfTI-1 file"),
        (b"\x1f\x8b no gzip", "not a whole gzip file"),
        (gzip.compress(nifti(), mtime=0)[:60], "not a"),
        (volume(np.zeros((16, 16, 10), np.int16)), r"a volume of axes \(16, 16, 10\), not x, y"),
        (volume(np.zeros((16, 16, 10, 1), np.int16)), "not x, y, slice and phase"),
        (patched(40, "<8h", 4, 16, 16, -3, 4, 1, 1, 1), "-3 slices of 4 phases"),
        (patched(40, "<8h", 4, 16, 16, 32000, 32000, 1, 1, 1), "no cine study"),
        (
            patched(40, "<8h", 4, 32000, 16, 3, 4, 1, 1, 1),
            "16 x 32000 pixels is no plausible frame",
        ),
        (patched(280, "<4f", *[np.nan] * 4), "its affine gives no place"),
        (patched(280, "<4f", *[0.0] * 4), "its affine gives no place"),
        (patched(280, "<4f", 1.0, 1.0, 0.0, 0.0), "not two perpendicular"),
        (patched(123, "<B", 255), "its affine cannot be read"),
    ],
)
def test_what_is_no_cine_study_is_refused_with_the_reason(content, why):
    with pytest.raises(ValueError, match=why) as refused:
        headers(content)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_values_come_as_stored_and_floats_in_32_bits(dtype):
    pixels = reader.read_pixels(nifti(dtype=dtype))
    assert pixels.dtype == (np.float32 if dtype.startswith("float") else dtype)
    np.testing.assert_array_equal(pixels[1], beating(1, 4)[:, :12].astype(dtype))


def test_a_slope_is_applied_in_float32():
    pixels = reader.read_pixels(patched(112, "<2f", 2.5, -10.0))
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[1], beating(1, 4)[:, :12] * 2.5 - 10)


def test_big_endian_files_are_read_as_others():
    swapped = nibabel.Nifti1Image.from_bytes(nifti())
    swapped = nibabel.Nifti1Image(swapped.dataobj, None, swapped.header.as_byteswapped(">"))
    pixels = reader.read_pixels(swapped.to_bytes())
    np.testing.assert_array_equal(pixels, reader.read_pixels(nifti()))
    assert pixels.dtype.isnative


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (nifti()[:-1], "volume cut short"),
        (gzip.compress(nifti(), mtime=0)[:-20], "not a whole gzip file"),
        (patched(108, "<f", np.nan), "volume cut short"),
        (patched(108, "<f", 0.0), "volume cut short"),
        (patched(40, "<8h", 4, 4000, 4000, 30000, 3, 1, 1, 1), "volume cut short"),
        (patched(70, "<2h", 128, 24), "not of one grey value|another kind"),
        (patched(70, "<2h", 32, 64), "another kind than one grey value"),
        (patched(112, "<2f", 1.0, np.inf), "scaling cannot be read|not finite"),
        (patched(112, "<2f", 1e38, 0.0), "not finite"),
    ],
)
def test_a_volume_that_is_not_whole_is_refused_without_filling_the_memory(content, why, peak):
    with pytest.raises(ValueError, match=why):
        reader.read_pixels(content)
    assert peak.bytes() < 4 * 2**20


def test_a_bomb_is_unpacked_to_a_limit_only(monkeypatch, peak):
    monkeypatch.setattr(reader, "LARGE", 2**20)
    bomb = gzip.compress(nifti() + bytes(300 * 2**20))
    tracemalloc.reset_peak()
    assert headers(bomb)[0].shape == (16, 12)
    with pytest.raises(ValueError, match=r"larger than \d+ MiB when unpacked, as bombs are"):
        reader.read_pixels(bomb)
    assert peak.bytes() < 200 * 2**20


def test_a_cleaned_file_is_the_same_volume_without_any_text():
    texts = {"descrip": b"Mustermann", "aux_file": b"Erika", "db_name": b"4711", "cal_max": 19.64}
    built = nibabel.Nifti1Image.from_bytes(nifti(**texts, scl_slope=2, scl_inter=1, toffset=5))
    built.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"Mustermann in a comment"))
    named = built.to_bytes()
    assert headers(named)[0].identifying == ("descrip", "aux_file", "extensions")
    clean = reader.cleaned(gzip.compress(named))
    assert reader.cleaned(named + b"Mustermann") == clean == reader.cleaned(clean)
    for mark in (b"Mustermann", b"Erika", b"4711"):
        assert mark in named
        assert mark not in clean
    np.testing.assert_array_equal(reader.read_pixels(clean), reader.read_pixels(named))
    for ours, theirs in zip(headers(clean), headers(named), strict=True):
        assert ours.identifying == ()
        assert (ours.trigger_ms, ours.spacing_mm) == (theirs.trigger_ms, theirs.spacing_mm)
        np.testing.assert_array_equal(ours.position_mm, theirs.position_mm)
    read = nibabel.Nifti1Image.from_bytes(clean)  # others read it too
    np.testing.assert_array_equal(read.affine, built.affine)


@pytest.mark.parametrize("text", [
    b"TE=1.2;Time=101112.000", b"TE=1.2;Time=101112.000;phase=1;mb=2", b"5.0.10", b"FSL5.0",
    b"spm - 3D normalized", b"MRtrix version: 3.0.2", b"ITK 5.3", b"4D image", b"none",
])  # fmt: skip
def test_what_programs_write_is_no_persons_data(text):
    assert headers(nifti(descrip=text))[0].identifying == ()


@pytest.mark.parametrize("text", [
    b"Mustermann", b"Doe^John", b"name=Doe John", b"TE=1.2;Doe John", b"born 1964-08-12",
    b"19640812", b"12.8.1964", b"FSL5.0 Mustermann Erika",
])  # fmt: skip
def test_a_name_or_a_date_in_a_text_is_a_persons_data(text):
    assert headers(nifti(aux_file=text))[0].identifying == ("aux_file",)


def test_a_file_called_after_a_person_says_so():
    for file in ("Mustermann_Erika_4d.nii.gz", "Mustermann_Erika/cine.nii", "lisa.nii"):
        assert headers(nifti(), file)[0].identifying == ("the file's name",)


def test_a_volume_of_other_axes_is_another_file():
    content = volume(np.zeros((16, 16, 10), np.int16))
    with pytest.raises(OtherFileError, match="not x, y, slice and phase"):
        headers(content, "patient001_frame01.nii")
