"""Archives to cycles, end to end: what is kept, in which order, and what is left out and why."""

from __future__ import annotations

import io
import shutil
import zipfile

import numpy as np
import pydicom
import pytest
from dicom_factory import AXIAL, FOUR_CHAMBER, beating, encode, image, series, write_zip
from digests import sha256_of_folder

from cinegan.data.cohort import Cohort
from cinegan.data.conversion import convert
from cinegan.data.splits import split_patients
from cinegan.errors import CineganError

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
    assert report["slices_resampled_in_time"] == [f"{PATIENTS[3]}:{i}" for i in range(3)]
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
    assert report["contours"] == 4
    # One has no such image, one no such patient, one an image that was resampled in time.
    assert report["contours_unplaced"] == 3
    assert converted.contours(PATIENTS[3]) == []


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


BAD = "SCD0000101/CINESAX_300/IM-0001-0025.dcm"
GOOD_BYTES = SCANNED["SCD_IMAGES_01.zip"][BAD]
DAMAGES = {
    "no DICOM": (b"<html>", "not a DICOM file"),
    "empty": (b"", "not a DICOM file"),
    "half": (GOOD_BYTES[: len(GOOD_BYTES) - 200], "pixel data"),
    "no pixels": (
        encode(image(PixelData=None, InstanceNumber="25", TriggerTime="160",
                     ImagePositionPatient=[5.7735, -5.7735, -5.7735])),
        "no pixel data",
    ),
    "no place": (encode(image(ImagePositionPatient=None)), "ImagePositionPatient"),
}  # fmt: skip


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
    assert "SCD0000101:1" in report["slices_resampled_in_time"]
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
    assert {"what": "SCD0000101:1", "why": "too few readable phases", "images": 20} in (
        report["left_out"]
    )


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
        ({}, "no zip archives here"),
        ({"a.zip": {}}, "no short-axis cine in any study; there are no DICOM files"),
        (
            {"a.zip": {"x/readme.txt": b"no DICOM at all"}},
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
    assert report["contours"] == 3


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
    assert report["slices_resampled_in_time"] == []
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
                np.testing.assert_array_equal(stack[row["row"], :, :, phase], ds.pixel_array)
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
