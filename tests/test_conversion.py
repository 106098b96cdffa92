"""Archives to cycles, end to end: what is kept, in which order, and what is left out and why."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import warnings
import zipfile
from itertools import product

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_factory import (
    AXIAL,
    FOUR_CHAMBER,
    NORMAL,
    SHORT_AXIS,
    beating,
    encode,
    enhanced,
    image,
    series,
    write_zip,
)
from digests import sha256_of_folder

from cinegan.conversion import convert
from cinegan.data.cohort import Cohort
from cinegan.data.orientation import Plane, Turn
from cinegan.data.resizing import resize_frames
from cinegan.data.splits import split_patients
from cinegan.errors import CineganError

PLANE = Plane(
    np.array([5.0, -20.0, 30.0]), *np.array(SHORT_AXIS).reshape(2, 3), (1.5, 1.25), (16, 12)
)
PATIENTS = ["SCD0000101", "SCD0000201", "SCD0000301", "SCD0000401"]
SQUARE = b"4.0 4.0\n11.0 4.0\n11.0 11.0\n4.0 11.0\n"
TABLE = (
    "\ufeffPatientID,OriginalID,Gender,Age,Pathology\n"
    "SCD0000101,SC-HF-I-1,Male,53,Heart failure with infarct\n"
    "SCD0000201,SC-N-2,Female,48,Normal\n"
    "SCD0000401,SC-HYP-3,Male,61,Hypertrophy\n"
)


def contour(original_id, instance, kind):
    folder = f"SCD_ManualContours/{original_id}/contours-manual/IRCCI-expert"
    return f"{folder}/IM-0001-{instance:04d}-{kind}-manual.txt"


def scanned() -> dict[str, dict[str, bytes]]:
    """Archives of four patients; the first has a localizer, a long-axis cine and a readme too."""
    first, second = {}, {}
    for patient in PATIENTS[:3]:
        first |= series(patient)
    first |= series(PATIENTS[0], 1, "Localizers_1", 2, 1, AXIAL, TriggerTime=None)
    first |= series(PATIENTS[0], 200, "CINELAX_200", 1, 20, FOUR_CHAMBER)
    first["SCD0000101/.DS_Store"] = b"left by a file browser"
    second |= series(PATIENTS[3], phases=16)
    traced = {
        contour("SC-HF-I-01", 1, "icontour"): SQUARE,
        contour("SC-HF-I-01", 1, "ocontour"): SQUARE,
        contour("SC-HF-I-01", 48, "icontour"): SQUARE,
        contour("SC-N-2", 20, "icontour"): SQUARE,
        contour("SC-N-2", 999, "icontour"): SQUARE,
        contour("SC-N-99", 1, "icontour"): SQUARE,
        contour("SC-HYP-3", 5, "icontour"): SQUARE,
        contour("SC-HYP-3", 6, "icontour"): SQUARE,
    }
    return {"SCD_IMAGES_01.zip": first, "SCD_IMAGES_02.zip": second, "contours.zip": traced}


SCANNED = scanned()


def write_raw(folder, archives):
    for name, members in archives.items():
        write_zip(folder / name, members)
    (folder / "scd_patientdata.csv").write_text(TABLE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_raw(tmp_path_factory.mktemp("raw"), SCANNED)


@pytest.fixture(scope="module")
def report(raw, data_options, tmp_path_factory):
    return convert(raw, tmp_path_factory.mktemp("whole") / "cycles", data_options(), seed=1)


@pytest.fixture(scope="module")
def converted(raw, data_options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "cycles"
    convert(raw, folder, data_options(), seed=1)
    return Cohort(folder)


def changed(folder, changes):
    """The raw folder with members of the first archive changed, or removed where None."""
    members = {**SCANNED["SCD_IMAGES_01.zip"], **changes}
    members = {name: content for name, content in members.items() if content is not None}
    return write_raw(folder, {**SCANNED, "SCD_IMAGES_01.zip": members})


def test_every_patient_has_a_stack_of_cycles_as_scanned(converted):
    assert converted.patients == PATIENTS
    for patient in PATIENTS[:3]:
        stack = converted.stack(patient)
        assert (stack.shape, stack.dtype) == ((3, 16, 16, 20), np.int16)
        for i in range(3):
            for phase in (0, 7, 19):
                np.testing.assert_array_equal(stack[i, :, :, phase], beating(phase, 20, i))


def test_another_number_of_phases_is_resampled_and_said_so(converted, report):
    stack = converted.stack(PATIENTS[3])
    assert (stack.shape, stack.dtype) == ((3, 16, 16, 20), np.float32)
    np.testing.assert_allclose(stack[0, :, :, 0], beating(0, 16, 0), atol=1e-3)
    assert report["slices_resampled_in_time"] == 3
    assert report["resampled_in_time"] == [f"{PATIENTS[3]}:{i}" for i in range(3)]
    assert set(converted.rows(PATIENTS[3])["phases_scanned"]) == {16}


def test_the_index_says_where_every_slice_lies_and_comes_from(converted):
    assert len(converted.index) == 12
    row = converted.rows("SCD0000101").iloc[1]
    assert row["original_id"] == "SC-HF-I-1"
    assert row["pathology"] == "Heart failure with infarct"
    assert (row["slice"], row["row"], row["position_mm"]) == (1, 1, 10.0)
    assert (row["spacing_row_mm"], row["spacing_column_mm"]) == (1.5, 1.25)
    assert (row["thickness_mm"], row["phases_scanned"]) == (8.0, 20)
    assert row["trigger_times_ms"].split() == [str(40 * i) for i in range(20)]
    assert row["series"] == "SCD_IMAGES_01.zip/SCD0000101/CINESAX_300"
    assert row["instance_numbers"].split() == [str(i) for i in range(21, 41)]
    assert len(row["orientation"].split()) == 6
    np.testing.assert_allclose(
        [float(x) for x in row["origin_mm"].split()], 10 * np.array([1, -1, -1]) / 3**0.5, atol=1e-3
    )
    assert converted.rows("SCD0000301")["pathology"].isna().all()  # not in the table


def test_the_splits_are_those_of_the_patients_names(converted):
    expected = split_patients(PATIENTS, 1, 0.2, 0.2)
    found = dict(zip(converted.index["patient"], converted.index["split"], strict=True))
    assert found == expected


def test_contours_are_placed_by_instance_number(converted, report):
    placed = [(c.row, c.phase, c.kind) for c in converted.contours("SCD0000101")]
    assert sorted(placed) == [(0, 0, "endo"), (0, 0, "epi"), (2, 7, "endo")]
    assert [(c.row, c.phase) for c in converted.contours("SCD0000201")] == [(0, 19)]
    assert converted.contours("SCD0000101")[0].points_px.tolist() == [
        [4, 4], [11, 4], [11, 11], [4, 11]
    ]  # fmt: skip
    # Of 16 phases the fifth comes with the sixth of 20, the sixth between two of them.
    assert [(c.row, c.phase) for c in converted.contours(PATIENTS[3])] == [(0, 5)]
    assert report["contours"] == 5
    # One has no such image, one no such patient, one an image between two phases.
    assert report["contours_unplaced"] == 3


def test_the_report_says_what_was_kept_and_what_was_left_out_and_why(report):
    assert (report["patients"], report["slices"], report["frames"]) == (4, 12, 240)
    assert sum(report[f"patients_{split}"] for split in ("train", "val", "test")) == 4
    assert report["images_left_out"] == 22
    left_out = {item["what"].rpartition("/")[2]: item for item in report["left_out"]}
    assert set(left_out) == {"Localizers_1", "CINELAX_200"}
    assert left_out["Localizers_1"]["images"] == 2
    assert "localizer" in left_out["Localizers_1"]["why"]
    assert "long-axis" in left_out["CINELAX_200"]["why"]
    assert report["unreadable"] == {}
    assert report["patients_left_out"] == {}


def test_the_same_studies_give_the_same_bytes(raw, data_options, converted, tmp_path):
    # Files in another order, at another place, over an older output.
    for name, members in SCANNED.items():
        write_zip(tmp_path / "raw" / name, dict(reversed(members.items())))
    shutil.copy(raw / "scd_patientdata.csv", tmp_path / "raw")
    (tmp_path / "cycles").mkdir()
    (tmp_path / "cycles" / "stale.npy").write_text("old")
    convert(tmp_path / "raw", tmp_path / "cycles", data_options(), seed=1)
    assert sha256_of_folder(tmp_path / "cycles") == sha256_of_folder(converted.folder)
    text = (tmp_path / "cycles" / "index.csv").read_text()
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("exclude", "slices", "images"),
    [
        (["SCD0000301"], {"SCD0000101": [0, 1, 2], "SCD0000201": [0, 1, 2]}, 60),
        (
            ["SCD0000101:0", "SCD0000201:1"],
            {"SCD0000101": [1, 2], "SCD0000201": [0, 2], "SCD0000301": [0, 1, 2]},
            40,
        ),
    ],
)
def test_patients_and_slices_are_left_out_by_hand(
    raw, data_options, tmp_path, exclude, slices, images
):
    report = convert(raw, tmp_path / "cycles", data_options(exclude=exclude), seed=1)
    cohort = Cohort(tmp_path / "cycles")
    kept = {p: cohort.rows(p)["slice"].tolist() for p in cohort.patients}
    assert kept == {**slices, PATIENTS[3]: [0, 1, 2]}
    for patient, numbers in slices.items():
        assert cohort.rows(patient)["row"].tolist() == list(range(len(numbers)))
        for row, number in enumerate(numbers):
            np.testing.assert_array_equal(
                cohort.stack(patient)[row, :, :, 3], beating(3, 20, number)
            )
    by_hand = [i for i in report["left_out"] if i["why"] == "excluded by data.exclude"]
    assert [i["what"] for i in by_hand] == exclude
    assert sum(i["images"] for i in by_hand) == images


def test_a_contour_follows_its_slice_when_others_are_left_out(raw, data_options, tmp_path):
    convert(raw, tmp_path / "cycles", data_options(exclude=["SCD0000101:1"]), seed=1)
    placed = [(c.row, c.phase) for c in Cohort(tmp_path / "cycles").contours("SCD0000101")]
    assert sorted(placed) == [(0, 0), (0, 0), (1, 7)]


@pytest.mark.parametrize("item", ["SCD0009901", "SCD0009901:2", "SCD0000101:3"])
def test_an_exclusion_of_what_is_not_there_is_refused(raw, data_options, tmp_path, item):
    with pytest.raises(CineganError, match=r"data.exclude: no .*; there are"):
        convert(raw, tmp_path / "cycles", data_options(exclude=[item]), seed=1)
    assert list(tmp_path.iterdir()) == []


def without(content, keyword):
    """A file that lacks an element."""
    ds = pydicom.dcmread(io.BytesIO(content))
    delattr(ds, keyword)
    return encode(ds)


BAD = "SCD0000101/CINESAX_300/IM-0001-0025.dcm"
GOOD_BYTES = SCANNED["SCD_IMAGES_01.zip"][BAD]
DAMAGES = {
    "no DICOM": (b"<html>", "not a DICOM file"),
    "empty": (b"", "not a DICOM file"),
    "half": (GOOD_BYTES[: len(GOOD_BYTES) - 200], "pixel data"),
    "no pixels": (without(GOOD_BYTES, "PixelData"), "no pixel data"),
    "no place": (without(GOOD_BYTES, "ImagePositionPatient"), "ImagePositionPatient"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_bad_file_among_good_ones_is_skipped_and_reported(
    data_options, tmp_path, converted, damage
):
    content, why = DAMAGES[damage]
    raw = changed(tmp_path / "raw", {BAD: content})
    report = convert(raw, tmp_path / "cycles", data_options(), seed=1)
    assert list(report["unreadable"]) == [f"SCD_IMAGES_01.zip/{BAD}"]
    assert why in report["unreadable"][f"SCD_IMAGES_01.zip/{BAD}"]
    assert (report["patients"], report["slices"], report["frames"]) == (4, 12, 240)
    assert "SCD0000101:1" in report["resampled_in_time"]
    cohort = Cohort(tmp_path / "cycles")
    # The missing phase is filled in from its neighbours; the scanned ones stay where they were.
    whole = converted.stack("SCD0000101").astype(float)
    filled = cohort.stack("SCD0000101")
    kept = [t for t in range(20) if t != 4]
    np.testing.assert_allclose(filled[1][..., kept], whole[1][..., kept], atol=0.01)
    np.testing.assert_array_equal(filled[[0, 2]], whole[[0, 2]])


@pytest.mark.parametrize("lost", [0, 19])
def test_a_lost_first_or_last_phase_does_not_shift_the_others(
    data_options, tmp_path, converted, lost
):
    name = f"SCD0000101/CINESAX_300/IM-0001-{21 + lost:04d}.dcm"
    cut = SCANNED["SCD_IMAGES_01.zip"][name][:-200]
    raw = changed(tmp_path / "raw", {name: cut})
    convert(raw, tmp_path / "cycles", data_options(), seed=1)
    kept = [t for t in range(20) if t != lost]
    filled = Cohort(tmp_path / "cycles").stack("SCD0000101")[1][..., kept]
    np.testing.assert_allclose(filled, converted.stack("SCD0000101")[1][..., kept], atol=0.01)


@pytest.mark.parametrize("damage", DAMAGES)
def test_in_strict_mode_one_bad_file_ends_the_conversion_and_leaves_nothing(
    data_options, tmp_path, damage
):
    content, why = DAMAGES[damage]
    raw = changed(tmp_path / "raw", {BAD: content})
    with pytest.raises(CineganError) as refused:
        convert(raw, tmp_path / "cycles", data_options(strict=True), seed=1)
    message = str(refused.value)
    assert message.startswith(f"SCD_IMAGES_01.zip/{BAD}: ")
    assert why in message
    assert "remove or mend it, or set data.strict: false" in message
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]


def test_a_slice_with_hardly_a_readable_phase_is_left_out(data_options, tmp_path):
    cut = {
        name: content[:-200]
        for name, content in series("SCD0000101").items()
        if 21 <= int(name[-8:-4]) <= 31
    }
    raw = changed(tmp_path / "raw", cut)
    report = convert(raw, tmp_path / "cycles", data_options(), seed=1)
    assert Cohort(tmp_path / "cycles").rows("SCD0000101")["slice"].tolist() == [0, 2]
    few = {"what": "SCD0000101:1", "why": "too few readable phases", "images": 20}
    assert {"patient": "SCD0000101", **few} in report["left_out"]


def only(name, **kinds):
    """One archive with these series of one patient."""
    return {"a.zip": series(name, **kinds)}


def test_a_patient_without_short_axis_cine_is_reported_and_skipped(data_options, tmp_path):
    extra = series("SCD0000501", 1, "Localizers_1", 3, 1, AXIAL)
    raw = write_raw(tmp_path / "raw", {**SCANNED, "extra.zip": extra})
    report = convert(raw, tmp_path / "cycles", data_options(), seed=1)
    assert report["patients_left_out"] == {"SCD0000501": "no short-axis cine"}
    assert Cohort(tmp_path / "cycles").patients == PATIENTS
    with pytest.raises(CineganError, match=r"patient SCD0000501: no short-axis cine; mend the"):
        convert(raw, tmp_path / "strict", data_options(strict=True), seed=1)
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(
    ("archives", "message"),
    [
        ({}, "no studies here"),
        ({"a.zip": {}}, "no short-axis cine in any study; there are no images in it"),
        (
            {"a.zip": {"x/readme.txt": b"no DICOM at all"}},
            "no short-axis cine in any study; there are no images in it",
        ),
        (
            {"a.zip": {"x/1.dcm": b"no DICOM at all"}},
            r"no short-axis cine in any study; 1 image\(s\): not a DICOM file",
        ),
        (
            {"a.zip": series("P1", 1, "Localizers_1", 3, 1, AXIAL)},
            r"no short-axis cine in any study; 3 image\(s\): no cine: fewer than 8 phases",
        ),
        (
            {"a.zip": series("P1") | series("P2")},
            r"2 patient\(s\) with short-axis cine: train, val and test need one each",
        ),
        (
            {"a.zip": {k: v[:-200] for k, v in series("P1").items()} | series("P2") | series("P3")},
            r"2 patient\(s\) with short-axis cine",
        ),
    ],
    ids=[
        "no archives",
        "empty archive",
        "text",
        "no DICOM",
        "localizers only",
        "two patients",
        "no pixels",
    ],
)
def test_studies_that_make_no_cohort_end_in_one_line_and_leave_nothing(
    data_options, tmp_path, archives, message
):
    (tmp_path / "raw").mkdir()
    for name, members in archives.items():
        write_zip(tmp_path / "raw" / name, members)
    with pytest.raises(CineganError, match=message) as refused:
        convert(tmp_path / "raw", tmp_path / "cycles", data_options(), seed=1)
    assert len(str(refused.value).splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]


def test_a_truncated_archive_ends_in_one_line_and_keeps_the_older_cycles(data_options, tmp_path):
    raw = write_raw(tmp_path / "raw", SCANNED)
    convert(raw, tmp_path / "cycles", data_options(), seed=1)
    before = sha256_of_folder(tmp_path / "cycles")
    path = raw / "SCD_IMAGES_02.zip"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CineganError, match=r"SCD_IMAGES_02.zip: not a whole zip archive"):
        convert(raw, tmp_path / "cycles", data_options(), seed=1)
    assert sha256_of_folder(tmp_path / "cycles") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cycles", "raw"]


def test_a_bad_contour_is_skipped_and_reported(data_options, tmp_path):
    name = contour("SC-HF-I-01", 1, "icontour")
    traced = {**SCANNED["contours.zip"], name: b"no contour"}
    raw = write_raw(tmp_path / "raw", {**SCANNED, "contours.zip": traced})
    report = convert(raw, tmp_path / "cycles", data_options(), seed=1)
    assert report["unreadable"] == {f"contours.zip/{name}": "not a list of x y pairs"}
    assert report["contours"] == 4


@pytest.mark.parametrize(("first_mm", "row"), [(-10.0, 1), (30.0, 0)])
def test_a_contour_belongs_to_the_larger_series_where_numbers_repeat(
    data_options, tmp_path, first_mm, row
):
    # A second series, with instance numbers of its own from 1, fills a position.
    extra = series("SCD0000101", 303, "CINESAX_303", slices=1, first_mm=first_mm)
    raw = write_raw(tmp_path / "raw", {**SCANNED, "extra.zip": extra})
    convert(raw, tmp_path / "cycles", data_options(), seed=1)
    cohort = Cohort(tmp_path / "cycles")
    assert cohort.rows("SCD0000101")["position_mm"].tolist() == sorted([first_mm, 0, 10, 20])
    placed = [(c.row, c.phase) for c in cohort.contours("SCD0000101")]
    assert sorted(placed) == [(row, 0), (row, 0), (row + 2, 7)]


def test_the_real_studies_give_46_slices_920_frames_and_84_contours(real_cycles):
    report = real_cycles.report
    assert (report["patients"], report["slices"], report["frames"]) == (4, 46, 920)
    assert (report["contours"], report["contours_unplaced"]) == (84, 0)
    assert report["unreadable"] == {}
    assert (report["slices_resampled_in_time"], report["resampled_in_time"]) == (0, [])
    assert report["clocks"] == {"TriggerTime": 46}
    assert report["turned"] == {"SCD0000101": "turned 90 degrees to the right"}
    assert report["patients_left_out"] == {}
    assert all("Localizers" in item["what"] for item in report["left_out"])
    assert all("localizer" in item["why"] for item in report["left_out"])
    assert report["images_left_out"] == 66


def test_the_real_patients_have_the_tables_pathology_and_the_known_stacks(real_cycles):
    cohort = Cohort(real_cycles.folder)
    slices = {p: cohort.stack(p).shape for p in cohort.patients}
    assert slices == {
        "SCD0000101": (12, 256, 256, 20),
        "SCD0000201": (13, 256, 256, 20),
        "SCD0000301": (10, 256, 256, 20),
        "SCD0002001": (11, 256, 256, 20),
    }
    first = cohort.index.drop_duplicates("patient").set_index("patient")
    assert first["original_id"].tolist()[:3] == ["SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4"]
    assert first["pathology"].tolist() == [
        *["Heart failure with infarct"] * 3,
        "Heart failure without infarct",
    ]
    assert set(cohort.index["split"]) == {"train", "val", "test"}


def test_the_real_pixels_are_those_that_pydicom_reads(real_cycles, sunnybrook):
    cohort = Cohort(real_cycles.folder)
    for number, row in cohort.index.iloc[::9].iterrows():
        archive, _, folder = row["series"].partition("/")
        stack = cohort.stack(row["patient"])
        assert stack.dtype.kind in "iu"
        with zipfile.ZipFile(sunnybrook / archive) as zipped:
            for phase, instance in list(enumerate(row["instance_numbers"].split()))[::6]:
                members = [m for m in zipped.namelist() if m.startswith(f"{folder}/")]
                (member,) = (m for m in members if m.endswith(f"-{int(instance):04d}.dcm"))
                ds = pydicom.dcmread(io.BytesIO(zipped.read(member)))
                expected = np.rot90(ds.pixel_array, 3 if row["patient"] == "SCD0000101" else 0)
                np.testing.assert_array_equal(stack[row["row"], :, :, phase], expected)
                assert ds.PatientID == row["patient"], number
                times = row["trigger_times_ms"].split()
                assert float(times[phase]) == pytest.approx(float(ds.TriggerTime), abs=1e-3)


def test_the_real_contours_lie_on_bright_blood(real_cycles):
    from cinegan.data.contours import mask

    cohort = Cohort(real_cycles.folder)
    for patient in cohort.patients[:3]:
        stack = cohort.stack(patient)
        pools = [c for c in cohort.contours(patient) if c.kind == "endo"]
        inside = [
            stack[c.row, :, :, c.phase][mask(c.points_px, (256, 256))].mean()
            / stack[c.row, :, :, c.phase].mean()
            for c in pools
        ]
        assert np.median(inside) > 2


def test_a_patient_without_readable_pixels_is_reported_and_skipped(data_options, tmp_path):
    torn = {
        name: content[:-200]
        for name, content in series("SCD0000501", 1, "CINESAX_1", 3, 20).items()
    }
    raw = write_raw(tmp_path / "raw", {**SCANNED, "extra.zip": torn})
    report = convert(raw, tmp_path / "cycles", data_options(), seed=1)
    assert report["patients_left_out"] == {"SCD0000501": "not one slice with readable pixels"}
    assert len(report["unreadable"]) == 60
    assert Cohort(tmp_path / "cycles").patients == PATIENTS


def test_a_patient_may_be_called_anything(data_options, tmp_path):
    odd = series("../A/B", 1, "CINESAX_1", 3, 20)
    raw = write_raw(tmp_path / "raw", {**SCANNED, "extra.zip": odd})
    convert(raw, tmp_path / "cycles", data_options(), seed=1)
    (name,) = set(Cohort(tmp_path / "cycles").patients) - set(PATIENTS)
    assert name.startswith("_A_B-")
    assert (tmp_path / "cycles" / f"{name}.npy").exists()


# One patient beside three plain ones: splits need three.


def beside(data_options, tmp_path, members, name="cycles", archive="own.zip", **options):
    """Convert these files with three other patients: the cohort, and the report."""
    raw = write_raw(tmp_path / f"{name}-raw", OTHERS | ({archive: members} if archive else {}))
    for file, content in {} if archive else members.items():
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        (raw / file).write_bytes(content)
    report = convert(raw, tmp_path / name, data_options(**options), seed=1)
    return Cohort(tmp_path / name), report


OTHERS = {"others.zip": series("Q1", phases=8) | series("Q2", phases=8) | series("Q3", phases=8)}


def scan(cycles, plane=PLANE, gap_mm=10.0, patient="P1", number=300, name="SAX", **elements):
    """A series of a stack (slices, H, W, phases) whose first slice has this plane."""
    files = {}
    slices, _, _, phases = cycles.shape
    for i, t in product(range(slices), range(phases)):
        values = {
            "PatientID": patient,
            "PatientName": patient,
            "SeriesNumber": number,
            "InstanceNumber": i * phases + t + 1,
            "TriggerTime": str(round(800 * t / phases, 3)),
            "ImagePositionPatient": (plane.origin_mm + i * gap_mm * NORMAL).round(6).tolist(),
            "ImageOrientationPatient": [*plane.row.round(8), *plane.column.round(8)],
            "PixelSpacing": [*plane.spacing_mm],
        }
        ds = image(np.ascontiguousarray(cycles[i, :, :, t]), **{**values, **elements})
        files[f"{patient}/{name}/{values['InstanceNumber']:04d}.dcm"] = encode(ds)
    return files


def numbers(text):
    return np.array([float(x) for x in text.split()])


def place_mm(row, x, y):
    """Where a point of a converted frame lies in the patient, by the index alone."""
    directions = numbers(row["orientation"])
    return (
        numbers(row["origin_mm"])
        + x * row["spacing_column_mm"] * directions[:3]
        + y * row["spacing_row_mm"] * directions[3:]
    )


TURNS = [Turn(mirrored, quarters) for mirrored, quarters in product((False, True), range(4))]
SCENE = np.stack([[beating(t, 20, i)[:, :12] for t in range(20)] for i in range(3)])
SCENE = np.ascontiguousarray(SCENE.transpose(0, 2, 3, 1))  # (3, 16, 12, 20), no symmetry


@pytest.fixture(scope="module")
def as_scanned(data_options, tmp_path_factory):
    """The scene, and contours on it, scanned as the convention wants it."""
    return laid(data_options, tmp_path_factory.mktemp("laid"), Turn())


def laid(data_options, tmp_path, layout, **options):
    """The scene as a scanner with another layout would have stored it."""
    plane = layout.plane(PLANE)
    corners = layout.points(np.array([[2.0, 3.0], [9.0, 3.5], [8.0, 12.0]]), PLANE.shape)
    drawn = "".join(f"{x} {y}\n" for x, y in corners).encode()
    members = scan(layout.pictures(SCENE), plane, patient="SCD0000101")
    members |= {contour("SC-HF-I-01", 25, "icontour"): drawn}
    return beside(data_options, tmp_path, members, **options)


@pytest.mark.parametrize(
    ("layout", "spacing_mm"), [*((turn, None) for turn in TURNS[1:]), (TURNS[3], 1.0)]
)
def test_all_layouts_of_one_stack_give_the_same_cycles(
    data_options, tmp_path, as_scanned, layout, spacing_mm
):
    cohort, report = laid(data_options, tmp_path, layout, spacing_mm=spacing_mm)
    usual, _ = (
        as_scanned
        if spacing_mm is None
        else laid(data_options, tmp_path, Turn(), name="usual", spacing_mm=spacing_mm)
    )
    for file in ("SCD0000101.npy", "contours.json", "intensity.json", "truth.json"):
        assert (cohort.folder / file).read_bytes() == (usual.folder / file).read_bytes()
    same = ["position_mm", "spacing_row_mm", "spacing_column_mm"]
    found, wanted = cohort.rows("SCD0000101"), usual.rows("SCD0000101")
    np.testing.assert_allclose(found[same], wanted[same], atol=1e-6)
    for (_, a), (_, b) in zip(found.iterrows(), wanted.iterrows(), strict=True):
        np.testing.assert_allclose(numbers(a["origin_mm"]), numbers(b["origin_mm"]), atol=1e-4)
        np.testing.assert_allclose(numbers(a["orientation"]), numbers(b["orientation"]), atol=1e-6)
    # What was done is said, and can be undone.
    first = found.iloc[0]
    turn = Turn(bool(first["mirrored"]), int(first["quarter_turns"]))
    assert report["turned"]["SCD0000101"] == first["turn"] == str(turn)
    scanned = layout.pictures(SCENE)
    assert (first["rows_scanned"], first["columns_scanned"]) == scanned.shape[1:3]
    if spacing_mm is None:
        np.testing.assert_array_equal(turn.undo(cohort.stack("SCD0000101")), scanned)


def test_a_stack_in_the_convention_is_stored_as_scanned(as_scanned):
    cohort, report = as_scanned
    stack = cohort.stack("SCD0000101")
    assert stack.dtype == np.int16
    np.testing.assert_array_equal(stack, SCENE)
    assert cohort.rows("SCD0000101")["turn"].tolist() == ["as scanned"] * 3
    assert (report["turned"], report["patients_turned"]) == ({}, 0)
    ((x, y), *_) = cohort.contours("SCD0000101")[0].points_px
    assert (x, y) == (2.0, 3.0)


@pytest.mark.parametrize("layout", [TURNS[0], TURNS[3], TURNS[5]], ids=str)
@pytest.mark.parametrize("spacing_mm", [0.9, 2.0])
def test_another_spacing_leaves_everything_where_it_is_in_the_patient(
    data_options, tmp_path, layout, spacing_mm
):
    plane = Plane(PLANE.origin_mm, PLANE.row, PLANE.column, (1.5, 1.2), (40, 56))
    rows, columns = np.indices(plane.shape)
    dot = 100 + 2000 * np.exp(-((rows - 13) ** 2 + (columns - 37) ** 2) / (2 * 2.5**2))
    cycles = np.repeat(np.stack([dot] * 3)[..., None], 20, axis=-1).astype(np.int16)
    true_mm = plane.origin_mm + 37 * 1.2 * plane.row + 13 * 1.5 * plane.column
    as_stored = layout.plane(plane)
    ((x, y),) = layout.points(np.array([[37.0, 13.0]]), plane.shape)
    square = "".join(f"{x + a} {y + b}\n" for a, b in ((-2, -2), (2, -2), (2, 2), (-2, 2)))
    members = scan(layout.pictures(cycles), as_stored, patient="SCD0000101")
    members |= {contour("SC-HF-I-01", 1, "icontour"): square.encode()}
    cohort, report = beside(data_options, tmp_path, members, spacing_mm=spacing_mm)
    assert report["patients_resampled_in_plane"] == 4
    stack, row = cohort.stack("SCD0000101"), cohort.rows("SCD0000101").iloc[0]
    assert stack.dtype == np.float32
    height, width = stack.shape[1:3]
    assert (height, width) == (round(40 * 1.5 / spacing_mm), round(56 * 1.2 / spacing_mm))
    assert (row["spacing_row_mm"], row["spacing_column_mm"]) == (spacing_mm, spacing_mm)
    rows, columns = np.indices((height, width))
    bright = np.clip(stack[0, :, :, 0] - 150, 0, None)
    centre = (columns * bright).sum() / bright.sum(), (rows * bright).sum() / bright.sum()
    np.testing.assert_allclose(place_mm(row, *centre), true_mm, atol=0.1)
    (drawn,) = cohort.contours("SCD0000101")
    np.testing.assert_allclose(place_mm(row, *drawn.points_px.mean(axis=0)), true_mm, atol=0.02)
    # The recorded columns lead back to what was stored.
    shape = int(row["rows_scanned"]), int(row["columns_scanned"])
    assert shape == as_stored.shape
    stored_mm = row["spacing_row_scanned_mm"], row["spacing_column_scanned_mm"]
    assert stored_mm == as_stored.spacing_mm
    turn = Turn(bool(row["mirrored"]), int(row["quarter_turns"]))
    turned = turn.plane(Plane(plane.origin_mm, plane.row, plane.column, stored_mm, shape))
    steps = turned.spacing_mm[0] / spacing_mm, turned.spacing_mm[1] / spacing_mm
    back = turn.undo(resize_frames(stack, *turned.shape, steps))
    assert np.abs(back - layout.pictures(cycles)).max() < (150 if spacing_mm > 1.5 else 25)


def test_the_spacing_that_is_there_already_changes_nothing(data_options, tmp_path):
    plane = Plane(PLANE.origin_mm, PLANE.row, PLANE.column, (1.5, 1.5), PLANE.shape)
    cohort, report = beside(data_options, tmp_path, scan(SCENE, plane), spacing_mm=1.5)
    assert cohort.stack("P1").dtype == np.int16
    np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
    assert cohort.rows("P1")["resampled_in_plane"].tolist() == [0, 0, 0]
    assert report["patients_resampled_in_plane"] == 3  # the others


def as_nifti(cycles, plane, gap_mm=10.0):
    """The same stack as a cohort in NIfTI would hold it: RAS, x first."""
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing_mm[1]
    affine[:3, 1] = plane.column * plane.spacing_mm[0]
    affine[:3, 2], affine[:3, 3] = NORMAL * gap_mm, plane.origin_mm
    affine[:2] *= -1
    volume = nibabel.Nifti1Image(cycles.transpose(2, 1, 0, 3), affine)
    volume.header.set_xyzt_units("mm", "msec")
    volume.header["pixdim"][4] = 40.0
    return volume.to_bytes()


@pytest.mark.parametrize("layout", [TURNS[0], TURNS[6]], ids=str)
def test_a_folder_an_archive_and_a_nifti_of_one_study_give_the_same_cycles(
    data_options, tmp_path, as_scanned, layout
):
    plane = layout.plane(PLANE)
    members = scan(layout.pictures(SCENE), plane)
    volume = as_nifti(layout.pictures(SCENE), plane)
    # Without a folder or an ending, as discs hold them; in a folder; zipped in a folder.
    flat = {f"{i:05d}": content for i, content in enumerate(members.values())}
    kinds = {
        "archive": (members, "P1.zip"),
        "nested": (members, "deep/er/P1.ZIP"),
        "folder": (members, None),
        "flat": (flat, None),
        "nifti": ({"site/P1_4d.nii": volume}, None),
        "gzipped": ({"P1/P1_sax.nii.gz": gzip.compress(volume)}, "any.zip"),
    }
    for kind, (files, archive) in kinds.items():
        cohort, report = beside(data_options, tmp_path, files, kind, archive)
        assert sorted(cohort.patients) == ["P1", "Q1", "Q2", "Q3"], kind
        np.testing.assert_array_equal(cohort.stack("P1"), SCENE, err_msg=kind)
        assert cohort.stack("P1").dtype == np.int16
        row = cohort.rows("P1").iloc[0]
        np.testing.assert_allclose(numbers(row["origin_mm"]), PLANE.origin_mm, atol=1e-3)
        np.testing.assert_allclose([row["spacing_row_mm"], row["spacing_column_mm"]], [1.5, 1.25])
        assert report["files_unreadable"] == 0


def test_a_nifti_without_orientation_is_kept_as_it_is_and_said_so(data_options, tmp_path):
    plane = Plane(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (1.5, 1.25), (16, 12))
    volume = nibabel.Nifti1Image(SCENE.transpose(2, 1, 0, 3), np.diag([1.25, 1.5, 10.0, 1.0]))
    cohort, report = beside(data_options, tmp_path, {"P1/P1_4d.nii": volume.to_bytes()})
    np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
    assert plane.shape == cohort.stack("P1").shape[1:3]
    assert set(cohort.rows("P1")["turn"]) == {"unknown orientation"}
    assert report["turned"] == {"P1": "unknown orientation"}


@pytest.mark.parametrize("one_file", [True, False])
def test_enhanced_images_give_the_cycles_of_classic_ones(data_options, tmp_path, one_file):
    if one_file:
        files = {"P1/enhanced.dcm": encode(enhanced(3, 20, PatientID="P1", PatientName="P1"))}
    else:  # a file for each slice
        files = {}
        for i in range(3):
            ds = enhanced(3, 20, PatientID="P1", PatientName="P1", SOPInstanceUID=f"1.2.{i + 7}")
            ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[
                20 * i : 20 * i + 20
            ]
            ds.PixelData = ds.PixelData[512 * 20 * i : 512 * 20 * (i + 1)]
            ds.NumberOfFrames = 20
            files[f"P1/{i}.dcm"] = encode(ds)
    cohort, report = beside(data_options, tmp_path, files)
    expected = np.stack([[beating(t, 20, i) for t in range(20)] for i in (2, 1, 0)])
    np.testing.assert_array_equal(cohort.stack("P1"), expected.transpose(0, 2, 3, 1))
    assert report["left_out"] == []
    assert set(cohort.rows("P1")["clock"]) == {"TriggerTime"}


@pytest.mark.parametrize(
    ("clock", "elements"),
    [
        ("TriggerTime", lambda t, n: {"TriggerTime": str(40 * t)}),
        ("AcquisitionTime", lambda t, n: {"AcquisitionTime": f"1011{12 + 0.04 * t:09.6f}"}),
        (
            "AcquisitionTime",  # over midnight, and a trigger time that never changes
            lambda t, n: {
                "AcquisitionTime": f"2359{59.6 + 0.04 * t:09.6f}"
                if t < 10
                else f"0000{0.04 * (t - 10):09.6f}",
                "TriggerTime": "0",
            },
        ),
        ("InstanceNumber", lambda t, n: {"InstanceNumber": 7 + 3 * t + n}),
        ("InstanceNumber", lambda t, n: {"AcquisitionTime": "101112"}),
        (
            "TemporalPositionIdentifier",
            lambda t, n: {"TemporalPositionIdentifier": t + 1, "InstanceNumber": None},
        ),
    ],
)
def test_phases_find_their_order_by_the_clock_that_is_left(data_options, tmp_path, clock, elements):
    files = {}
    for i, t in product(range(3), range(20)):
        own = {"TriggerTime": None, "InstanceNumber": i * 20 + t + 1}
        own |= elements(t, 100 * i)
        one = scan(SCENE[i : i + 1, :, :, t : t + 1], Plane(
            PLANE.origin_mm + 10 * i * NORMAL, PLANE.row, PLANE.column, PLANE.spacing_mm, (16, 12)
        ), SOPInstanceUID=f"1.2.{i}.{t}", **own)  # fmt: skip
        files[f"P1/{(7 * (20 * i + t)) % 60:02d}"] = next(iter(one.values()))
    cohort, report = beside(data_options, tmp_path, files)
    np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
    assert set(cohort.rows("P1")["clock"]) == {clock}
    assert report["clocks"][clock] >= 3
    assert report["images_left_out"] == 0


@pytest.mark.parametrize("lost", [(0,), (7,), (19,), (0, 19), (5, 6)])
@pytest.mark.parametrize("interval", ["800", None])
def test_lost_files_of_a_slice_shift_nothing(data_options, tmp_path, lost, interval):
    members = scan(SCENE, patient="SCD0000101", NominalInterval=interval)
    for t in lost:
        del members[f"SCD0000101/SAX/{21 + t:04d}.dcm"]
    members |= {
        contour("SC-HF-I-01", number, "icontour"): SQUARE
        for number in (*(21 + t for t in lost), 32, 35)
    }
    cohort, report = beside(data_options, tmp_path, members)
    kept = [t for t in range(20) if t not in lost]
    stack = cohort.stack("SCD0000101")
    np.testing.assert_allclose(stack[1][..., kept], SCENE[1][..., kept], atol=1e-3)
    np.testing.assert_array_equal(stack[[0, 2]], SCENE[[0, 2]])
    own = [name for name in report["resampled_in_time"] if not name.startswith("Q")]
    assert own == ["SCD0000101:1"]
    # What an expert drew on images that are there stays on them.
    placed = [(c.row, c.phase) for c in cohort.contours("SCD0000101")]
    assert placed == [(1, 11), (1, 14)]


@pytest.mark.parametrize(
    ("scanned", "phases"), [(8, 8), (8, 20), (12, 50), (31, 20), (50, 20), (25, 25)]
)
def test_any_number_of_phases_becomes_any_other(data_options, tmp_path, scanned, phases):
    members = series("P1", phases=scanned)
    cohort, report = beside(data_options, tmp_path, members, phases=phases)
    stack = cohort.stack("P1")
    assert stack.shape == (3, 16, 16, phases)
    assert (stack.dtype == np.int16) == (scanned == phases)
    np.testing.assert_allclose(stack[1, :, :, 0], beating(0, scanned, 1), atol=1e-3)
    assert ("P1:0" in report["resampled_in_time"]) == (scanned != phases)
    assert report["left_out"] == []


def test_files_may_lie_anywhere(data_options, tmp_path, as_scanned):
    scattered = {f"{i % 7}/{i}/x": c for i, c in enumerate(scan(SCENE).values())}
    cohort, report = beside(data_options, tmp_path, scattered)
    np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
    assert report["images_left_out"] == 0


# Several short-axis-like series.


def discs(kind, slices, phases=20, side=48):
    """A stack of a contracting ventricle, or of vessels that swing to and fro; 4 mm pixels."""
    rows, columns = 2.0 * np.indices((side, side)) * 2
    middle = 2.0 * side
    stack = np.empty((slices, side, side, phases), np.int16)
    for i, t in product(range(slices), range(phases)):
        noise = np.random.default_rng([i, t]).normal(0, 5, (side, side))
        picture = 150 + 40 * np.sin(rows / 18) + 30 * np.cos(columns / 14)
        if kind == "heart":
            radius = 26 * (1 - 0.3 * np.sin(np.pi * t / phases) ** 2)
            distance = np.hypot(rows - middle, columns - middle)
            picture = np.where(distance < 40, 60, picture)
            picture = np.where(distance < radius, 600, picture)
        else:
            swing = 6 * np.sin(2 * np.pi * t / phases)
            for y, x, radius, way in ((80, 80, 14, 1), (104, 116, 11, -1), (120, 80, 9, 1)):
                distance = np.hypot(rows - y - way * swing, columns - x + swing)
                picture = np.where(distance < radius, 500, picture)
        stack[i, :, :, t] = np.clip(picture + noise, 0, 4000)
    return stack


COARSE = Plane(np.zeros(3), PLANE.row, PLANE.column, (4.0, 4.0), (48, 48))
HEART, VESSELS = discs("heart", 6), discs("vessels", 8)


def shifted(plane, along_mm, across_mm=0.0):
    origin = plane.origin_mm + along_mm * NORMAL + across_mm * plane.row
    return Plane(origin, plane.row, plane.column, plane.spacing_mm, plane.shape)


@pytest.mark.parametrize(
    ("first_mm", "crop"), [(0.0, False), (-40.0, True), (4.0, False)]
)  # with another matrix, or the very same
def test_a_larger_stack_over_the_great_vessels_is_not_taken(data_options, tmp_path, first_mm, crop):
    vessels = VESSELS[:, 4:] if crop else VESSELS
    plane = Plane(COARSE.origin_mm, COARSE.row, COARSE.column, (4.0, 4.0), vessels.shape[1:3])
    members = scan(HEART, COARSE, number=300, name="A")
    members |= scan(vessels, shifted(plane, first_mm), number=607, name="B")
    cohort, report = beside(data_options, tmp_path, members)
    stack = cohort.stack("P1")
    np.testing.assert_array_equal(stack, HEART)
    assert set(cohort.rows("P1")["series"]) == {"own.zip/P1/A"}
    (left,) = report["left_out"]
    assert left["what"] == "own.zip/P1/B"
    assert left["images"] == 8 * 20
    assert left["why"] == (
        "short-axis stack whose heart stands out less clearly than in own.zip/P1/A"
    )


def test_an_unreadable_image_does_not_give_the_stacks_place_away(data_options, tmp_path):
    members = scan(HEART, COARSE, number=300, name="A")
    members["P1/A/0021.dcm"] = members["P1/A/0021.dcm"][:-200]
    members |= scan(VESSELS[:, 4:], COARSE, number=607, name="B")
    cohort, report = beside(data_options, tmp_path, members)
    assert set(cohort.rows("P1")["series"]) == {"own.zip/P1/A"}
    assert report["unreadable"] == {"own.zip/P1/A/0021.dcm": "pixel data cut short"}


def test_a_perfusion_series_is_not_taken(data_options, tmp_path):
    # Three positions, forty heartbeats each, all at one delay from the R wave.
    members = scan(HEART, COARSE, number=300, name="A")
    uptake = np.repeat(np.repeat(HEART[:3, ::2, ::2], 2, axis=-1)[..., :40], 1, axis=0)
    uptake = (uptake[..., :1] * np.linspace(0.3, 2, 40)).astype(np.int16)
    plane = Plane(COARSE.origin_mm, COARSE.row, COARSE.column, (8.0, 8.0), (24, 24))
    for i, t in product(range(3), range(40)):
        one = scan(
            uptake[i : i + 1, :, :, t : t + 1], shifted(plane, 20 * i), number=900,
            name=f"B{i}-{t}", TriggerTime="400", AcquisitionTime=f"10{t // 60:02d}{t % 60:02d}.5",
            InstanceNumber=40 * i + t + 1,
        )  # fmt: skip
        members |= {f"P1/PERF/{40 * i + t}": content for content in one.values()}
    cohort, report = beside(data_options, tmp_path, members)
    np.testing.assert_array_equal(cohort.stack("P1"), HEART)
    assert {(item["what"], item["images"]) for item in report["left_out"]} == {
        ("own.zip/P1/PERF", 120)
    }


def test_a_stack_that_was_acquired_again_is_taken_from_the_second_time(data_options, tmp_path):
    dimmed = (HEART // 2).astype(np.int16)
    members = scan(HEART, COARSE, number=300, name="A", AcquisitionTime="101112")
    members |= scan(dimmed, COARSE, number=301, name="B", AcquisitionTime="102112")
    cohort, report = beside(data_options, tmp_path, members)
    np.testing.assert_array_equal(cohort.stack("P1"), dimmed)
    assert [(item["what"], item["images"], item["why"]) for item in report["left_out"]] == [
        ("own.zip/P1/A", 120, "short-axis stack that was acquired before own.zip/P1/B")
    ]
    assert report["kept"][0] == {
        "patient": "P1", "what": "own.zip/P1/B", "slices": 6, "images": 120
    }  # fmt: skip


def test_series_that_complete_each_other_become_one_stack(data_options, tmp_path):
    members = {}
    for k, number in enumerate((402, 400, 401)):
        part = HEART[2 * k : 2 * k + 2]
        members |= scan(part, shifted(COARSE, 20 * k), number=number, name=f"SAX_{number}")
    cohort, report = beside(data_options, tmp_path, members)
    np.testing.assert_array_equal(cohort.stack("P1"), HEART)
    assert [item["slices"] for item in report["kept"] if item["patient"] == "P1"] == [2, 2, 2]
    assert report["left_out"] == []


def test_interleaved_series_become_one_stack(data_options, tmp_path):
    members = scan(HEART[::2], COARSE, gap_mm=20, number=5, name="EVEN")
    members |= scan(HEART[1::2], shifted(COARSE, 10), gap_mm=20, number=6, name="ODD")
    cohort, report = beside(data_options, tmp_path, members)
    np.testing.assert_array_equal(cohort.stack("P1"), HEART)
    assert report["left_out"] == []


def test_two_studies_of_one_patient_are_never_merged(data_options, tmp_path):
    members = scan(HEART[:4], COARSE, name="A", StudyInstanceUID="1.2.3", AcquisitionTime="09")
    later = {"StudyInstanceUID": "1.2.4", "AcquisitionTime": "101112"}
    members |= scan(HEART[2:], shifted(COARSE, 40), name="B", **later)
    cohort, report = beside(data_options, tmp_path, members)
    np.testing.assert_array_equal(cohort.stack("P1"), HEART[2:])
    (left,) = report["left_out"]
    assert (left["what"], left["images"]) == ("own.zip/P1/A", 80)
    assert left["why"] == "short-axis stack that was acquired before own.zip/P1/B"


def test_of_a_repeated_slice_the_fullest_then_the_last_repetition_is_taken(data_options, tmp_path):
    members = scan(SCENE)
    for k, i in enumerate((0, 1)):  # slices 0 and 1 again, in the same series
        again = shifted(PLANE, 10 * i)
        for name, content in scan(SCENE[i : i + 1] + 7, again).items():
            ds = pydicom.dcmread(io.BytesIO(content))
            ds.InstanceNumber += 100 * (k + 1)
            ds.SOPInstanceUID += f".{k}"
            members[f"{name}-{k}"] = encode(ds)
    del members["P1/SAX/0005.dcm-1"]
    cohort, report = beside(data_options, tmp_path, members)
    np.testing.assert_array_equal(cohort.stack("P1"), [SCENE[0] + 7, *SCENE[1:]])
    (left,) = report["left_out"]
    assert (left["why"], left["images"]) == ("the same phase again", 39)


def test_copies_of_images_are_counted_once(data_options, tmp_path):
    members = scan(SCENE)
    copies = {f"copy/{name}": content for name, content in members.items()}
    cohort, report = beside(data_options, tmp_path, members | copies)
    np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
    (left,) = report["left_out"]
    assert (left["why"], left["images"]) == ("the same image again", 60)


# Names.

PLANTED = ["GERTRUDE", "KOWALSKI", "MRN774411", "19430217", "Saint Elsewhere", "Dr Quincy"]


def named_study():
    named = {
        "PatientName": "KOWALSKI^GERTRUDE",
        "PatientBirthDate": "19430217",
        "InstitutionName": "Saint Elsewhere",
        "ReferringPhysicianName": "Dr Quincy",
    }
    members = scan(SCENE, patient="MRN774411", **named)
    members = {f"KOWALSKI_GERTRUDE/{name}": content for name, content in members.items()}
    first, second, *_ = members
    members[first] = members[first][:-100]
    members[f"{second}.dcm"] = b"no DICOM of KOWALSKI"
    members["KOWALSKI_GERTRUDE/notes of GERTRUDE.txt"] = b"KOWALSKI"
    return members


def everything(*folders):
    """All names and contents below folders, as bytes; damaged or not."""
    paths = [path for folder in folders for path in folder.rglob("*")]
    return b"\n".join(
        [str(path.relative_to(folders[0].parent)).encode() for path in paths]
        + [path.read_bytes() for path in paths if path.is_file()]
    )


@pytest.mark.parametrize("damaged", [False, True])
def test_a_real_name_is_warned_of_and_reaches_nothing(data_options, tmp_path, capfd, damaged):
    raw = tmp_path / "raw"
    write_raw(raw, OTHERS)
    path = write_zip(raw / "GERTRUDE KOWALSKI.zip", named_study())
    if damaged:  # zipfile's own message names the member
        with zipfile.ZipFile(path) as zipped:
            member = zipped.infolist()[30]
        content = bytearray(path.read_bytes())
        content[member.header_offset + 900] ^= 0xFF
        path.write_bytes(content)
    with pytest.warns(UserWarning, match="seemed to carry a real person's data") as told:
        report = convert(
            raw, tmp_path / "out" / "cycles", data_options(), 1,
            sheets=tmp_path / "out" / "sheets", key=lambda: b"secret",
        )  # fmt: skip
    (message,) = [str(w.message) for w in told if "real person" in str(w.message)]
    for element in ("PatientName", "PatientBirthDate", "InstitutionName", "PatientID"):
        assert element in message
    cohort = Cohort(tmp_path / "out" / "cycles")
    (patient,) = set(cohort.patients) - {"Q1", "Q2", "Q3"}
    assert message.startswith(f"{patient}: ")
    assert re.fullmatch(r"P[0-9A-F]{10}", patient)
    assert cohort.stack(patient).shape == (3, 16, 12, 20)
    assert report["files_unreadable"] == (3 if damaged else 2)
    captured = capfd.readouterr()
    seen = b"\n".join([
        everything(tmp_path / "out"), captured.out.encode(), captured.err.encode(),
        json.dumps(report).encode(), *(str(w.message).encode() for w in told),
    ])  # fmt: skip
    for text in PLANTED:
        assert text.lower().encode() not in seen.lower(), text
    assert patient.encode() in seen


def test_without_a_key_a_real_name_is_an_error_that_does_not_repeat_it(data_options, tmp_path):
    raw = write_raw(tmp_path / "raw", {**OTHERS, "KOWALSKI.zip": named_study()})
    with pytest.raises(CineganError, match=r"a real person's data \(.*PatientName") as refused:
        convert(raw, tmp_path / "cycles", data_options(), seed=1)
    assert len(str(refused.value).splitlines()) == 1
    assert not any(text in str(refused.value) for text in PLANTED)
    with pytest.raises(CineganError) as refused:
        convert(raw, tmp_path / "cycles", data_options(strict=True), 1, key=lambda: b"secret")
    assert not any(text in str(refused.value) for text in PLANTED)
    assert not (tmp_path / "cycles").exists()


def test_the_files_of_a_named_patient_are_not_mistaken_for_each_other(data_options, tmp_path):
    # Several files of many frames, all of which go by the patient's pseudonym.
    named = {"PatientID": "MRN774411", "PatientName": "KOWALSKI^GERTRUDE"}
    files = {}
    for i in range(3):
        ds = enhanced(1, 20, SOPInstanceUID=f"1.2.{i + 7}", **named)
        for frame in ds.PerFrameFunctionalGroupsSequence:
            frame.PlanePositionSequence[0].ImagePositionPatient = [*(10.0 * i * NORMAL).round(4)]
        ds.PixelData = np.stack([beating(t, 20, i) for t in range(20)]).astype("<i2").tobytes()
        files[f"{i}.dcm"] = encode(ds)
    raw = write_raw(tmp_path / "raw", {**OTHERS, "own.zip": files})
    with pytest.warns(UserWarning, match="real person"):
        convert(raw, tmp_path / "cycles", data_options(), 1, key=lambda: b"secret")
    cohort = Cohort(tmp_path / "cycles")
    (patient,) = set(cohort.patients) - {"Q1", "Q2", "Q3"}
    expected = np.stack([[beating(t, 20, i) for t in range(20)] for i in range(3)])
    np.testing.assert_array_equal(cohort.stack(patient), expected.transpose(0, 2, 3, 1))


def seen_of(tmp_path, capfd, report, told):
    captured = capfd.readouterr()
    said = [captured.out, captured.err, json.dumps(report), *(str(w.message) for w in told)]
    return everything(tmp_path / "out") + "\n".join(said).encode()


def nameless(patient="", **elements):
    return scan(SCENE, patient=patient, PatientName=None, **elements)


NAMED_PATHS = {
    "nifti": {"KOWALSKI_GERTRUDE_4d.nii": as_nifti(SCENE, PLANE)},
    "folder without ID": {f"KOWALSKI GERTRUDE/{n}": c for n, c in nameless().items()},
    "folder with ID": {f"KOWALSKI GERTRUDE/{n}": c for n, c in nameless("P77").items()},
    "ID": nameless("Kowalski"),
}


@pytest.mark.parametrize("case", NAMED_PATHS)
def test_a_name_in_a_path_or_an_id_reaches_nothing(data_options, tmp_path, capfd, case):
    raw = write_raw(tmp_path / "raw", OTHERS)
    named = {**NAMED_PATHS[case], "KOWALSKI GERTRUDE/broken.dcm": b"no DICOM"}
    for file, content in named.items():
        (raw / file).parent.mkdir(parents=True, exist_ok=True)
        (raw / file).write_bytes(content)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        report = convert(
            raw, tmp_path / "out" / "cycles", data_options(), 1,
            sheets=tmp_path / "out" / "sheets", key=lambda: b"secret",
        )  # fmt: skip
    (patient,) = set(Cohort(tmp_path / "out" / "cycles").patients) - {"Q1", "Q2", "Q3"}
    assert re.fullmatch(r"P[0-9A-F]{10}|P77", patient)
    assert list(report["unreadable"]) == ["unreadable file 1"]
    seen = seen_of(tmp_path, capfd, report, told).lower()
    assert b"kowalski" not in seen
    assert b"gertrude" not in seen


def test_an_archive_called_after_a_person_is_not_what_the_patient_is_called(
    data_options, tmp_path, capfd
):
    raw = write_raw(tmp_path / "raw", {**OTHERS, "Kowalski.zip": nameless()})
    with pytest.warns(UserWarning, match="the name of its folder or archive") as told:
        report = convert(raw, tmp_path / "out", data_options(), 1, key=lambda: b"secret")
    assert b"kowalski" not in seen_of(tmp_path, capfd, report, told).lower()


def test_a_name_in_one_archive_hides_the_names_of_files_in_all(data_options, tmp_path, capfd):
    raw = write_raw(tmp_path / "raw", {**OTHERS, "own.zip": named_study()})
    (raw / "KOWALSKI_scan1.dcm").write_bytes(b"no DICOM")
    with pytest.warns(UserWarning, match="real person") as told:
        report = convert(raw, tmp_path / "out", data_options(), 1, key=lambda: b"secret")
    assert report["files_unreadable"] == 3
    assert b"kowalski" not in seen_of(tmp_path, capfd, report, told).lower()


@pytest.mark.parametrize("patient", ["ANONYMOUS", ""])
def test_patients_without_an_id_of_their_own_stay_apart(data_options, tmp_path, patient):
    members = {}
    for i in range(3):
        study = nameless(patient, StudyInstanceUID=f"1.9.{i}")
        members |= {f"data/case{i}/cine/{n}": c for n, c in study.items()}
    cohort, _ = beside(data_options, tmp_path, members, "folders", None)
    assert sorted(set(cohort.patients) - {"Q1", "Q2", "Q3"}) == ["case0", "case1", "case2"]
    np.testing.assert_array_equal(cohort.stack("case1"), SCENE)
    flat = {f"{i:04d}.dcm": content for i, content in enumerate(members.values())}
    cohort, _ = beside(data_options, tmp_path, flat, "flat", None)
    names = sorted(set(cohort.patients) - {"Q1", "Q2", "Q3"})
    assert len(names) == 3
    assert all(re.fullmatch(r"(unnamed|ANONYMOUS)-[0-9a-f]{8}", name) for name in names)


def test_without_a_study_the_folder_tells_patients_apart(data_options, tmp_path):
    members = {}
    for i in range(2):
        study = nameless("anon", StudyInstanceUID=None, SOPInstanceUID=None)
        members |= {f"case{i}/{n.rpartition('/')[2]}": c for n, c in study.items()}
    cohort, _ = beside(data_options, tmp_path, members, archive=None)
    assert set(cohort.patients) == {"Q1", "Q2", "Q3", "case0", "case1"}


# What lies beside studies.


def test_phase_images_never_take_the_place_of_magnitude(data_options, tmp_path):
    black = {"PixelData": bytes(2 * 16 * 12), "StudyInstanceUID": "1.2.7"}
    phase = scan(SCENE, ImageType=["ORIGINAL", "PRIMARY", "P", "ND"], **black)
    members = scan(SCENE, StudyInstanceUID="1.2.7") | {f"z/{n}": c for n, c in phase.items()}
    cohort, report = beside(data_options, tmp_path, members, strict=True)
    np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
    why = "a phase, real or imaginary image, not a magnitude"
    left = {"patient": "", "what": "other files", "why": why, "images": 60}
    assert report["left_out"] == [left]


def test_other_kinds_of_files_are_no_fault_in_strict_mode_but_counted(data_options, tmp_path):
    flat = nibabel.Nifti1Image(np.zeros((16, 16, 9), np.int16), np.eye(4)).to_bytes()
    others = {
        "P1/ct.dcm": encode(image(Modality="CT")),
        "P1/report.dcm": encode(image(Modality="SR", PixelData=None, PixelSpacing=None)),
        "P1/screen.dcm": encode(image(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")),
        "P1/P1_frame01.nii": flat,
        "P1/P1_frame01_gt.nii": flat,
    }
    _, report = beside(data_options, tmp_path, scan(SCENE) | others, strict=True)
    assert report["unreadable"] == {}
    assert {item["why"]: item["images"] for item in report["left_out"]} == {
        "of another modality than MR": 2,
        "not of a class of MR images, one grey value a pixel": 1,
        "a volume of axes (16, 16, 9), not x, y, slice and phase": 1,
        "a label map, not an image": 1,
    }


def test_a_single_archive_or_volume_is_converted(data_options, tmp_path):
    sources = {
        "P1": write_zip(tmp_path / "P1.zip", nameless()),
        "P2": tmp_path / "P2_4d.nii.gz",
    }
    sources["P2"].write_bytes(gzip.compress(as_nifti(SCENE, PLANE)))
    for patient, source in sources.items():
        convert(source, tmp_path / patient, data_options(), seed=None)
        np.testing.assert_array_equal(Cohort(tmp_path / patient).stack(patient), SCENE)


def test_texts_beside_studies_are_no_fault_even_in_strict_mode(data_options, tmp_path):
    names = """README LICENSE readme.TXT P1/Info.cfg notes.md P1/SAX/list.csv SHA256SUMS
        P1/report.PDF P1/SAX/.DS_Store Thumbs.db preview.png DICOMDIR viewer/autorun.inf
        __MACOSX/P1/SAX/._0001.dcm"""
    texts = dict.fromkeys(names.split(), b"no image")
    for archive in ("own.zip", None):
        name = str(archive)
        cohort, report = beside(
            data_options, tmp_path, scan(SCENE) | texts, name, archive, strict=True
        )
        np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
        assert (report["unreadable"], report["files_unreadable"]) == ({}, 0)


def test_a_study_without_a_patients_name_is_called_after_its_archive(data_options, tmp_path):
    members = {
        name.rpartition("/")[2]: content
        for name, content in scan(SCENE, PatientID=None, PatientName=None).items()
    }
    cohort, _ = beside(data_options, tmp_path, members, "zipped", "case7.zip")
    assert "case7" in cohort.patients
    cohort, report = beside(data_options, tmp_path, members, "loose", None)
    assert "unnamed" in cohort.patients
    assert {"patient": "unnamed", "what": ".", "slices": 3, "images": 60} in report["kept"]


def test_the_quality_page_has_a_sheet_for_every_patient(data_options, tmp_path):
    raw = write_raw(tmp_path / "raw", SCANNED)
    report = convert(raw, tmp_path / "cycles", data_options(), 1, sheets=tmp_path / "sheets")
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == [*(f"{patient}.png" for patient in PATIENTS), "index.html"]
    page = (tmp_path / "sheets" / "index.html").read_text()
    assert "left out: 2 image(s) of SCD_IMAGES_01.zip/SCD0000101/Localizers_1: no cine" in page
    assert "slice 2: interpolated from 16 phases" in page
    json.dumps(report, allow_nan=False)


def test_without_a_seed_one_patient_is_enough_and_is_not_split(data_options, tmp_path):
    write_zip(tmp_path / "raw" / "one.zip", series("SCD0000101"))
    cycles, sheets = tmp_path / "cycles", tmp_path / "sheets"
    report = convert(tmp_path / "raw", cycles, data_options(), seed=None, sheets=sheets)
    assert (report["patients"], report["patients_train"]) == (1, 0)
    assert Cohort(cycles).index["split"].isna().all()
    assert "nan" not in (sheets / "index.html").read_text()


# What was acquired again, or is no cine.


def test_a_stack_repeated_at_another_heart_rate_is_not_mixed(data_options, tmp_path):
    later = SCENE + np.int16(1000)
    faster = scan(later, name="AGAIN")
    for i, (name, content) in enumerate(faster.items()):
        ds = pydicom.dcmread(io.BytesIO(content))
        ds.InstanceNumber, ds.TriggerTime = 61 + i, str(7 + 38 * (i % 20))
        faster[name] = encode(ds)
    cohort, report = beside(data_options, tmp_path, scan(SCENE) | faster)
    np.testing.assert_array_equal(cohort.stack("P1"), later)
    (item,) = report["left_out"]
    assert (item["why"], item["images"]) == ("the same phase again", 60)


def test_perfusion_beyond_the_apex_is_left_out_with_the_reason(data_options, tmp_path):
    perfusion = scan(SCENE, number=400, name="PERF", gap_mm=40.0)
    for i, (name, content) in enumerate(perfusion.items()):
        ds = pydicom.dcmread(io.BytesIO(content))
        ds.TriggerTime = str(800 * (i % 20))
        perfusion[name] = encode(ds)
    cohort, report = beside(data_options, tmp_path, scan(SCENE) | perfusion)
    np.testing.assert_array_equal(cohort.stack("P1"), SCENE)
    (item,) = report["left_out"]
    assert item["why"] == "spans 15 s: not one heartbeat (perfusion?)"
    assert item["images"] == 60
