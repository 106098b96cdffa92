"""Expert contours: names, spellings, masks, and what is no contour."""

import numpy as np
import pytest

from cinegan.data import contours
from cinegan.data.containers import open_containers

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


class Files(dict):
    """Something that holds files: {name: content}."""

    def read(self, file, most=None):
        return self[file][:most]


def read(content, name="IM-0001-0001-icontour-manual.txt"):
    file = f"{FOLDER}/{name}"
    return contours.read_contour(Files({file: content}), file)


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("IM-0001-0048-icontour-manual.txt", "endo", 48),
        ("IM-0001-0048-ocontour-manual.txt", "epi", 48),
        ("IM-0001-0012-rcontour-manual.txt", "rv", 12),
        ("IM-0001-0160-p1contour-manual.txt", "papillary1", 160),
        ("IM-0007-0059-p2contour-manual.txt", "papillary2", 59),
    ],
)
def test_a_contour_is_known_by_its_name(name, kind, number):
    assert contours.is_contour(f"{FOLDER}/{name}")
    found = read(SQUARE, name)
    assert (found.original_id, found.kind, found.instance_number) == ("SC-HF-I-1", kind, number)
    assert found.points_px.tolist() == [[2, 1], [5, 1], [5, 3], [2, 3]]
    assert found.source == "expert"


def test_what_a_phantom_draws_at_every_phase_is_the_truth_and_no_experts():
    file = "PH-N-03/contours-truth/IM-0001-0007-ocontour-truth.txt"
    assert contours.is_contour(file)
    found = contours.read_contour(Files({file: SQUARE}), file)
    assert (found.source, found.original_id, found.kind) == ("truth", "PH-N-3", "epi")


@pytest.mark.parametrize(
    ("file", "beside"),
    [
        ("SC-HF-I-01/contours-auto/FLK/IM-0001-0048-icontour-auto.txt", True),
        ("SC-HF-I-01/contours-manual/IRCCI-expert/list.txt", True),
        ("SCD_ManualContours/readme", True),
        ("readme.txt", False),
        ("SCD0000101/CINESAX_300/IM-0001-0048.dcm", False),
        ("IM-0001-0048-icontour-manual.txt", False),
    ],
)
def test_other_files_are_no_contours(file, beside):
    assert not contours.is_contour(file)
    assert contours.is_beside_contours(file) == beside
    with pytest.raises(ValueError, match="not named as contours are"):
        contours.read_contour(Files({file: SQUARE}), file)


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
def test_a_file_that_holds_no_contour_says_why(content, why):
    with pytest.raises(ValueError, match=why):
        read(content)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b" \n"])
def test_any_line_ending_will_do(end):
    assert read(SQUARE.replace(b"\n", end)).points_px.shape == (4, 2)


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
    with open_containers(sunnybrook) as containers:
        archive = containers["SCD_ManualContours.zip"]
        files = [file for file in archive.files() if contours.is_contour(file)]
        found = [contours.read_contour(archive, file) for file in files]
    assert len(found) == 84
    assert {c.original_id for c in found} == {"SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4"}
    assert {"endo", "epi"} == {c.kind for c in found}
    assert all(1 <= c.instance_number <= 260 for c in found)
