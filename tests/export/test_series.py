"""DICOM that others read: pixels, geometry, labels, and nobody in it."""

import io
import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from loopback import absent

from cinegan.data import dicom
from cinegan.export.classes import CAVITY
from cinegan.export.series import header_of, patient_of, write_series

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def strict_reading(monkeypatch):
    """Let pydicom refuse any value that breaks the standard."""
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)


@pytest.fixture
def written(source, tmp_path, strict_reading):
    """The folder of the second cycle."""
    assert write_series(tmp_path / "dicom", source, 1) == 21
    return tmp_path / "dicom" / patient_of(source, 1)


def images(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.glob("cine/*.dcm"))]


def complaints(path):
    """What dciodvfy has to say, line by line."""
    if not shutil.which("dciodvfy"):
        absent("dciodvfy (Debian's dicom3tools)")
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    told = (done.stdout + done.stderr).splitlines()
    return [line for line in told if "Error" in line or "Warning" in line]


def test_pixels_and_geometry_come_back(written, source):
    read = images(written)
    for phase, image in enumerate(read):
        np.testing.assert_array_equal(image.pixel_array, source.cycles[1, ..., phase])
        assert image.InstanceNumber == phase + 1
        assert image.TriggerTime == pytest.approx(45 * phase)
    assert read[0].PixelSpacing == [2.5, 2.5]
    assert read[0].SliceThickness == 8
    assert (read[0].HeartRate, read[0].NominalInterval) == (67, 900)
    assert {image.SeriesInstanceUID for image in read} == {read[0].SeriesInstanceUID}
    assert len({image.SOPInstanceUID for image in read}) == 20


def test_images_say_what_they_are(written):
    image = images(written)[0]
    assert image.ImageType == ["DERIVED", "SECONDARY", "OTHER"]
    assert image.Manufacturer == "cinegan"
    assert image.PatientID.startswith("SYNTHETIC-")
    assert image.PatientIdentityRemoved == "YES"
    for words in (image.SeriesDescription, image.DerivationDescription, image.ImageComments):
        assert "synthetic" in words.lower()


def test_nothing_was_scanned_nobody_was_there_and_no_clock_ran(written):
    for path in written.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        found = [e for e in ds.iterall() if e.VR in ("DA", "TM", "DT") and not e.is_empty]
        nobodys = {"ContentDate": "19700101", "ContentTime": "000000"}
        assert {e.keyword: e.value for e in found} == (nobodys if ds.Modality == "SEG" else {})
        assert not [e for e in ds.iterall() if e.tag.is_private]
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyDate"):
            assert ds[keyword].is_empty
        for keyword in (
            *("MagneticFieldStrength", "FlipAngle", "InstitutionName", "StationName"),
            *("OperatorsName", "InstanceCreationDate", "AcquisitionDate"),
        ):
            assert keyword not in ds
        assert not ds.get("RepetitionTime")
        assert not ds.get("EchoTime")


def test_cinegan_itself_reads_them_as_a_cine_of_nobody(written):
    content = (written / "cine" / "IM-0003.dcm").read_bytes()
    (header,) = dicom.read_headers(lambda n: content[:n])
    assert header.trigger_ms == pytest.approx(90)
    assert not header.identifying


def test_a_segmentation_refers_to_the_images_that_it_outlines(written, source):
    ds = pydicom.dcmread(written / "labels.dcm")
    uids = [image.SOPInstanceUID for image in images(written)]
    known, classes = source.labels.known[1], source.labels.classes[1]
    seen = []
    for groups, mask in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True):
        segment, phase = groups.FrameContentSequence[0].DimensionIndexValues
        origin = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert origin.ReferencedSOPInstanceUID == uids[phase - 1]
        np.testing.assert_array_equal(mask, classes[..., phase - 1] == CAVITY + segment - 1)
        seen.append((segment - 1, phase - 1))
    assert set(seen) == {(kind, phase) for phase, kind in np.argwhere(known)}
    assert ds.FrameOfReferenceUID == images(written)[0].FrameOfReferenceUID


def test_a_segmentation_lies_where_the_images_do(written):
    ds, read = pydicom.dcmread(written / "labels.dcm"), images(written)
    (shared,) = ds.SharedFunctionalGroupsSequence
    for frame in ds.PerFrameFunctionalGroupsSequence:
        image = read[frame.FrameContentSequence[0].TemporalPositionIndex - 1]
        measures = shared.PixelMeasuresSequence[0]
        assert measures.PixelSpacing == image.PixelSpacing
        assert measures.SliceThickness == image.SliceThickness
        orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
        assert orientation == image.ImageOrientationPatient
        assert frame.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient


def test_a_cycle_without_labels_has_images_only(plain, tmp_path):
    assert write_series(tmp_path / "dicom", plain, 0) == 20
    assert not list((tmp_path / "dicom").rglob("labels.dcm"))


def test_patients_of_two_cycles_and_of_two_models_differ(source, plain):
    headers = [header_of(source, 0), header_of(source, 1), header_of(plain, 0)]
    assert len({header.patient_id for header in headers}) == 3
    assert len({header.study_uid for header in headers}) == 3


def test_dciodvfy_finds_no_error_and_misses_nothing_but_dates(written):
    told = {line for path in written.rglob("*.dcm") for line in complaints(path)}
    beginning = "Warning - Missing attribute or value that would be needed to build DICOMDIR - "
    assert told == {beginning + "Study Date", beginning + "Study Time"}


def test_the_standards_newest_mark_is_all_that_an_older_dciodvfy_does_not_know(source, tmp_path):
    write_series(tmp_path / "dicom", source, 0, synthetic_data=True)
    errors = set()
    for path in sorted((tmp_path / "dicom").rglob("*.dcm")):
        assert pydicom.dcmread(path).SyntheticData == "YES"
        errors |= {line for line in complaints(path) if "Error" in line}
    assert all("(0x0008,0x001c)" in line for line in errors)


def test_bytes_do_not_depend_on_when_or_what_was_written_before(source, written, tmp_path):
    write_series(tmp_path / "others", source, 0)
    write_series(tmp_path / "again", source, 1)
    for path in written.rglob("*.dcm"):
        again = tmp_path / "again" / written.name / path.relative_to(written)
        assert again.read_bytes() == path.read_bytes()
        assert io.BytesIO(path.read_bytes()).read(132)[128:] == b"DICM"
