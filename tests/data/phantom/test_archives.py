"""The archives are laid out as Sunnybrook's and hold what was drawn."""

import csv
import hashlib
import io
import re
import zipfile

import numpy as np
import pydicom
import pytest

from cinegan.data.phantom.archives import write_cohort
from cinegan.data.phantom.cohort import cohort
from cinegan.data.phantom.study import draw_study

from .helpers import area


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_cohort(folder, seed=7, patients_per_group=1, slices=2, phases=4, size=48)
    return folder


def read_all(path) -> dict[str, pydicom.Dataset]:
    with zipfile.ZipFile(path) as archive:
        return {n: pydicom.dcmread(io.BytesIO(archive.read(n))) for n in archive.namelist()}


def test_the_layout_is_sunnybrooks(archives):
    assert sorted(p.name for p in archives.iterdir()) == [
        *(f"SCD_IMAGES_0{n}.zip" for n in (1, 2, 3, 4)),
        "SCD_ManualContours.zip",
        "phantom_truth.zip",
        "scd_patientdata.csv",
    ]
    with zipfile.ZipFile(archives / "SCD_IMAGES_01.zip") as archive:
        names = archive.namelist()
    stem = "SCD_IMAGES_01/PHA0000101"
    assert names == [
        *(f"{stem}/CINESAX_300/IM-0003-{n:04d}.dcm" for n in range(1, 9)),
        *(f"{stem}/CINELAX_301/IM-0004-{n:04d}.dcm" for n in range(1, 5)),
        *(f"{stem}/Localizers_1/IM-0001-{n:04d}.dcm" for n in range(1, 4)),
    ]


def test_the_patient_table(archives):
    content = (archives / "scd_patientdata.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfPatientID,OriginalID,Gender,Age,Pathology\n")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["PatientID"] for row in rows] == [f"PHA{n:05d}01" for n in (1, 2, 3, 4)]
    assert rows[0]["Pathology"] == "Heart failure with infarct"


def test_files_hold_the_drawn_images_in_order(archives):
    study = draw_study(7, cohort(7, 1)[0], size=48, slices=2, phases=4)
    files = read_all(archives / "SCD_IMAGES_01.zip")
    for number in range(1, 9):
        dataset = files[f"SCD_IMAGES_01/PHA0000101/CINESAX_300/IM-0003-{number:04d}.dcm"]
        index, phase = divmod(number - 1, 4)
        np.testing.assert_array_equal(dataset.pixel_array, study.images[index, phase])
        np.testing.assert_allclose(
            dataset.ImagePositionPatient, study.positions_mm[index], atol=1e-5
        )
        assert dataset.InstanceNumber == number
        assert dataset.TriggerTime == pytest.approx(study.trigger_times_ms[index, phase], abs=1e-5)
        assert dataset.HeartRate == study.heart_rates_bpm[index]


def test_long_axis_shares_the_series_uid_but_not_the_plane(archives):
    by_folder: dict[str, list[pydicom.Dataset]] = {}
    for name, dataset in read_all(archives / "SCD_IMAGES_02.zip").items():
        by_folder.setdefault(name.split("/")[2], []).append(dataset)
    short, long, scouts = (by_folder[f] for f in ("CINESAX_300", "CINELAX_301", "Localizers_1"))
    assert {d.SeriesInstanceUID for d in short} == {d.SeriesInstanceUID for d in long}
    assert {d.SeriesInstanceUID for d in scouts}.isdisjoint(d.SeriesInstanceUID for d in short)
    assert len({d.StudyInstanceUID for d in short + long + scouts}) == 1
    assert len({d.SOPInstanceUID for d in short + long + scouts}) == len(short + long + scouts)

    def normal(dataset: pydicom.Dataset) -> np.ndarray:
        cosines = np.array(dataset.ImageOrientationPatient, dtype=float)
        return np.cross(cosines[:3], cosines[3:])

    assert normal(short[0]) @ normal(long[0]) == pytest.approx(0, abs=1e-5)
    planes = np.abs([normal(d) for d in scouts])
    assert sorted(planes.argmax(1)) == [0, 1, 2]
    assert all("TriggerTime" not in d for d in scouts)


def test_nothing_identifies(archives):
    for path in archives.glob("SCD_IMAGES_*.zip"):
        for dataset in read_all(path).values():
            assert dataset.PatientName == dataset.PatientID
            assert str(dataset.PatientID).startswith("PHA")
            assert not dataset.PatientBirthDate and not dataset.StudyDate
            assert "phantom" in dataset.Manufacturer


def test_contour_files(archives):
    study = draw_study(7, cohort(7, 1)[0], size=48, slices=2, phases=4)
    folder = "SCD_ManualContours/PH-HF-I-01/contours-manual/IRCCI-expert"
    with zipfile.ZipFile(archives / "SCD_ManualContours.zip") as archive:
        names = [n for n in archive.namelist() if n.startswith(folder)]
        texts = {n.removeprefix(folder + "/"): archive.read(n).decode() for n in names}
    phases = {"icontour": {0, study.es_phase}, "ocontour": {0}}
    expected = {
        f"IM-0001-{index * 4 + phase + 1:04d}-{kind}-manual.txt": by_phase[phase]
        for kind, contours in (("icontour", study.endocardium), ("ocontour", study.epicardium))
        for index, by_phase in enumerate(contours)
        for phase in phases[kind]
        if by_phase[phase] is not None
    }
    assert texts.keys() == expected.keys()
    for name, text in texts.items():
        assert re.fullmatch(r"(-?\d+\.\d\d -?\d+\.\d\d\n)+", text)
        np.testing.assert_allclose(np.loadtxt(io.StringIO(text)), expected[name], atol=0.0051)


def test_the_truth_has_every_contour_of_every_phase(archives):
    study = draw_study(7, cohort(7, 1)[0], size=48, slices=2, phases=4)
    expected = {
        f"PH-HF-I-01/contours-truth/IM-0001-{index * 4 + phase + 1:04d}-{kind}-truth.txt": polygon
        for kind, contours in (
            ("icontour", study.endocardium),
            ("ocontour", study.epicardium),
            ("rcontour", study.right_ventricle),
        )
        for index, by_phase in enumerate(contours)
        for phase, polygon in enumerate(by_phase)
        if polygon is not None
    }
    assert {name[-18:-10] for name in expected} == {"icontour", "ocontour", "rcontour"}
    with zipfile.ZipFile(archives / "phantom_truth.zip") as archive:
        names = {name for name in archive.namelist() if name.startswith("PH-HF-I-01/")}
        assert names == expected.keys()
        for name in names:
            polygon = np.loadtxt(io.BytesIO(archive.read(name)))
            assert area(polygon) == pytest.approx(area(expected[name]), rel=0.02, abs=0.3)


def test_the_same_seed_gives_the_same_bytes(archives, tmp_path):
    def digests(folder) -> dict[str, str]:
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}

    write_cohort(tmp_path / "again", 7, 1, 2, 4, 48)
    write_cohort(tmp_path / "other", 8, 1, 2, 4, 48)
    assert digests(tmp_path / "again") == digests(archives)
    assert digests(tmp_path / "other") != digests(archives)


def test_progress_sees_every_patient(tmp_path):
    seen = []

    def watch(patients):
        for patient in patients:
            seen.append(patient)
            yield patient

    write_cohort(tmp_path, 1, 1, slices=1, phases=2, size=16, progress=watch)
    assert seen == cohort(1, 1)
