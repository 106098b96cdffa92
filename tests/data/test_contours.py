"""Expert contours: names, spellings, masks, and what is no contour."""

import numpy as np
import pytest
from dicom_factory import write_zip

from cinegan.data import contours

FOLDER = "SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert"
SQUARE = b"2.0 1.0\n5.0 1.0\n5.0 3.0\n2.0 3.0\n"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("SC-HF-I-01", "SC-HF-I-1"),
        ("SC-HF-I-1", "SC-HF-I-1"),
        ("SC-HF-NI-11", "SC-HF-NI-11"),
        (" SC-N-40 ", "SC-N-40"),
        ("SC-HYP-010", "SC-HYP-10"),
        ("SC-N-00", "SC-N-0"),
        ("PH-N-10", "PH-N-10"),
    ],
)
def test_a_patient_has_one_spelling(written, canonical):
    assert contours.canonical_id(written) == canonical


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("IM-0001-0048-icontour-manual.txt", "endo", 48),
        ("IM-0001-0048-ocontour-manual.txt", "epi", 48),
        ("IM-0001-0160-p1contour-manual.txt", "papillary1", 160),
        ("IM-0007-0059-p2contour-manual.txt", "papillary2", 59),
    ],
)
def test_a_contour_is_known_by_its_name(tmp_path, name, kind, number):
    path = write_zip(tmp_path / "c.zip", {f"{FOLDER}/{name}": SQUARE})
    (found,), left_out = contours.read_contours(path)
    assert (found.original_id, found.kind, found.instance_number) == ("SC-HF-I-1", kind, number)
    assert found.points_px.tolist() == [[2, 1], [5, 1], [5, 3], [2, 3]]
    assert left_out == {}


@pytest.mark.parametrize(
    "name",
    [
        "SC-HF-I-01/contours-auto/FLK/IM-0001-0048-icontour-auto.txt",
        "SC-HF-I-01/contours-manual/IRCCI-expert/list.txt",
        "readme.txt",
        "__MACOSX/SC-HF-I-01/contours-manual/IRCCI-expert/._IM-0001-0048-icontour-manual.txt",
    ],
)
def test_other_files_are_no_contours(tmp_path, name):
    assert contours.read_contours(write_zip(tmp_path / "c.zip", {name: SQUARE})) == ([], {})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "three or more"),
        (b"1 2\n3 4\n", "three or more"),
        (b"1 2 3\n4 5 6\n7 8 9\n", "three or more"),
        (b"1 2\n3 4\n5\n", "not a list of x y pairs"),
        (b"1 2\n3 x\n5 6\n", "not a list of x y pairs"),
        (b"\xff\xfe\x00", "not a list of x y pairs"),
        (b"1 2\n3 nan\n5 6\n", "x y pairs"),
        (b"1 2\n3 inf\n5 6\n", "x y pairs"),
    ],
)
def test_a_file_that_holds_no_contour_is_left_out_with_the_reason(tmp_path, content, why):
    good, bad = (f"{FOLDER}/IM-0001-000{i}-icontour-manual.txt" for i in (1, 2))
    path = write_zip(tmp_path / "c.zip", {good: SQUARE, bad: content})
    found, left_out = contours.read_contours(path)
    assert [c.instance_number for c in found] == [1]
    assert list(left_out) == [f"c.zip/{bad}"]
    assert why in left_out[f"c.zip/{bad}"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b" \n"])
def test_any_line_ending_will_do(tmp_path, end):
    content = SQUARE.replace(b"\n", end)
    name = f"{FOLDER}/IM-0001-0001-icontour-manual.txt"
    (found,), _ = contours.read_contours(write_zip(tmp_path / "c.zip", {name: content}))
    assert found.points_px.shape == (4, 2)


def test_a_mask_has_x_along_columns_and_y_along_rows():
    inside = contours.mask(np.array([[1.5, 0.5], [5.5, 0.5], [5.5, 2.5], [1.5, 2.5]]), (5, 8))
    expected = np.zeros((5, 8), bool)
    expected[1:3, 2:6] = True
    np.testing.assert_array_equal(inside, expected)


def test_the_centre_is_a_row_and_a_column_of_the_area_not_of_the_points():
    around = np.linspace(0, np.pi, 200)  # many points on one half, two corners on the other
    points = np.concatenate([
        np.stack([20 + 8 * np.cos(around), 30 + 8 * np.sin(around)], axis=1),
        [[12, 22], [28, 22]],
    ])  # fmt: skip
    row, column = contours.centre(points, (64, 64))
    inside = np.argwhere(contours.mask(points, (64, 64)))
    np.testing.assert_allclose([row, column], inside.mean(axis=0))
    assert abs(row - points[:, 1].mean()) > 3


def test_the_real_contours_are_all_read(sunnybrook):
    found, left_out = contours.read_contours(sunnybrook / "SCD_ManualContours.zip")
    assert len(found) == 84
    assert left_out == {}
    assert {c.original_id for c in found} == {"SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4"}
    assert {"endo", "epi"} == {c.kind for c in found}
    assert all(1 <= c.instance_number <= 260 for c in found)
