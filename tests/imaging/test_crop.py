"""Boxes and what is cut out of them, contours included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from digests import sha256_of_folder
from skimage.draw import polygon2mask
from test_heart import chest

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.contours import mask
from cinegan.data.orientation import Turn
from cinegan.errors import CineganError
from cinegan.imaging.crop import (
    Box,
    box_around,
    crop_cohort,
    cut,
    original_box,
    original_box_in,
)
from cinegan.imaging.heart import SURE
from cinegan.params import Crop

BOX = Box(top=10, left=20, height=5, width=8)


@pytest.mark.parametrize(
    ("points", "inside"),
    [
        ([[20, 10], [27, 14]], True),
        ([[19.9, 10], [27, 14]], False),
        ([[20, 9.9], [27, 14]], False),
        ([[20, 10], [27.1, 14]], False),
        ([[20, 10], [27, 14.1]], False),
        ([[10, 20], [14, 27]], False),  # rows and columns the wrong way round
    ],
)
def test_a_box_contains_what_lies_on_its_pixels(points, inside):
    assert BOX.contains(np.array(points, float)) is inside


def test_the_middle_is_that_of_the_pixels():
    assert BOX.middle.tolist() == [12.0, 23.5]


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.5, 1.25), (1.367188, 1.367188), (2.5, 0.7)])
@pytest.mark.parametrize("centre", [(100.0, 80.0), (3.2, 250.7)])
def test_a_box_around_a_place_is_a_square_in_millimetres_on_whole_pixels(spacing, centre):
    box = box_around(np.array(centre), 150.0, spacing)
    assert abs(box.height * spacing[0] - 150) <= spacing[0] / 2
    assert abs(box.width * spacing[1] - 150) <= spacing[1] / 2
    assert np.abs(box.middle - centre).max() <= 0.5
    assert all(isinstance(v, int) for v in (box.top, box.left, box.height, box.width))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((256, 256), (60, 55, 128, 128)),
        ((512, 512), (120, 110, 256, 256)),
        ((128, 256), (30, 55, 64, 128)),
    ],
)
def test_the_original_box_keeps_its_proportions(shape, expected):
    box = original_box(shape)
    assert (box.top, box.left, box.height, box.width) == expected


STACK = np.arange(2 * 6 * 7 * 3, dtype=np.int16).reshape(2, 6, 7, 3) + 100


@pytest.mark.parametrize(
    ("box", "inside", "place"),
    [
        (Box(1, 2, 3, 4), np.s_[:, 1:4, 2:6], np.s_[:, :, :]),
        (Box(-2, 0, 4, 2), np.s_[:, :2, :2], np.s_[:, 2:, :]),
        (Box(4, 5, 4, 4), np.s_[:, 4:, 5:], np.s_[:, :2, :2]),
        (Box(-1, -2, 8, 10), np.s_[:], np.s_[:, 1:7, 2:9]),
        (Box(20, -30, 3, 3), np.s_[:, :0, :0], np.s_[:, :0, :0]),
    ],
    ids=["inside", "above", "below right", "around", "beyond"],
)
def test_what_lies_outside_the_frame_is_background_of_the_scanners_type(box, inside, place):
    made = cut(STACK, box)
    assert (made.shape, made.dtype) == ((2, box.height, box.width, 3), np.int16)
    background = np.full_like(made, 103)  # first percentile of 100, 103, 106, ...
    background[place] = STACK[inside]
    np.testing.assert_array_equal(made, background)


def test_a_bright_border_is_not_drawn_out_of_the_frame():
    stack = np.full((1, 40, 40, 2), 5, np.int16)
    stack[:, :, 38:] = 900  # chest wall at the field's border
    made = cut(stack, Box(0, 30, 40, 40))
    assert set(np.unique(made[:, :, 10:])) == {5}
    assert set(np.unique(made[:, :, 8:10])) == {900}


def ellipse(centre, radii):
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    # x, y
    return np.stack([centre[1] + radii[1] * np.cos(angle), centre[0] + radii[0] * np.sin(angle)], 1)


CENTRES = {"P1": (60.0, 70.0), "P2": (75.0, 52.0), "P3": (22.0, 64.0)}
SPACING = (2.0, 2.0)


def patient(name: str) -> PatientCycles:
    stack = chest(CENTRES[name])
    contours = [
        PlacedContour(0, 0, "endo", ellipse(CENTRES[name], (12, 12))),
        PlacedContour(0, 0, "epi", ellipse(CENTRES[name], (17, 17))),
        PlacedContour(1, 5, "papillary1", ellipse(CENTRES[name], (3, 3))),
    ]
    rows = [
        {
            "patient": name,
            "split": "train",
            "slice": i,
            "row": i,
            "spacing_row_mm": SPACING[0],
            "spacing_column_mm": SPACING[1],
            "rows_scanned": stack.shape[1],
            "columns_scanned": stack.shape[2],
            "mirrored": 0,
            "quarter_turns": 0,
        }
        for i in range(len(stack))
    ]
    return PatientCycles(name, stack, rows, contours)


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("scale", [1, 2])
def test_the_original_box_lies_where_the_scanner_laid_the_pictures(mirrored, quarters, scale):
    scanned = original_box((256, 200))
    marked = np.zeros((1, 256, 200, 1), bool)
    marked[:, scanned.top : scanned.top + scanned.height, scanned.left :][:, :, : scanned.width] = (
        True
    )
    turned = Turn(bool(mirrored), quarters).pictures(marked)[0, :, :, 0]
    turned = turned.repeat(scale, axis=0).repeat(scale, axis=1)
    row = {"rows_scanned": 256, "columns_scanned": 200}
    turn = {"mirrored": mirrored, "quarter_turns": quarters}
    box = original_box_in(pd.Series(row | turn), turned.shape)
    rows, columns = np.flatnonzero(turned.any(1)), np.flatnonzero(turned.any(0))
    assert abs(box.top - rows[0]) < scale
    assert abs(box.left - columns[0]) < scale
    assert abs(box.height - len(rows)) < scale
    assert abs(box.width - len(columns)) < scale


@pytest.fixture(scope="module")
def cycles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crop") / "cycles"
    write_cohort(folder, map(patient, CENTRES))
    return folder


def options(**changes):
    return Crop(**{"box_mm": 120.0, "size": 48, "override": {}, **changes})


def boxes(folder):
    """Each patient's box as the index records it."""
    first = Cohort(folder).index.drop_duplicates("patient").set_index("patient")
    sides = [f"box_{side}" for side in ("top", "left", "height", "width")]
    return {name: Box(*map(int, row)) for name, row in first[sides].iterrows()}


def test_crops_are_square_resized_and_reversible_from_the_index(cycles, tmp_path):
    report, _ = crop_cohort(cycles, tmp_path / "out", options())
    cohort = Cohort(tmp_path / "out")
    assert (report["patients"], cohort.patients) == (3, list(CENTRES))
    for name, box in boxes(tmp_path / "out").items():
        stack = cohort.stack(name)
        assert (stack.shape, stack.dtype) == ((4, 48, 48, 12), np.float32)
        assert set(cohort.rows(name)["size"]) == {48}
        assert (box.height, box.width) == (60, 60)
        # The same picture: as bright on the whole.
        original = cut(Cohort(cycles).stack(name), box).astype(float)
        assert stack.mean() == pytest.approx(original.mean(), rel=0.01)


def test_the_report_holds_the_boxes_against_the_contours(cycles, tmp_path):
    report, _ = crop_cohort(cycles, tmp_path / "out", options())
    assert report["patients_with_contours"] == 3
    assert (report["by_hand"], report["contours_inside"]) == (0, 1.0)
    fixed = original_box((128, 128)).middle
    misses = [np.hypot(*((fixed - centre) * SPACING)) for centre in CENTRES.values()]
    assert report["left_ventricle_miss_mm_original_box"] == pytest.approx(np.mean(misses), abs=1)
    assert report["left_ventricle_miss_mm_original_box_worst"] == pytest.approx(max(misses), abs=1)
    assert report["left_ventricle_miss_mm_worst"] < 6
    assert report["left_ventricle_miss_mm"] <= report["left_ventricle_miss_mm_worst"]


@pytest.mark.parametrize("size", [32, 48, 60, 90])
def test_contours_move_with_their_picture(tmp_path, size):
    # The contour's own mask as the picture: cropped and resized, it must be the moved contour's.
    points = ellipse((58.3, 71.8), (14.2, 19.7))
    picture = polygon2mask((128, 128), points[:, ::-1]).astype(np.float32)
    stack = np.broadcast_to(picture[None, :, :, None], (1, 128, 128, 4))
    rows = patient("P1").rows[:1]
    contour = PlacedContour(0, 2, "endo", points)
    write_cohort(tmp_path / "in", [PatientCycles("P1", np.array(stack), rows, [contour])])
    crop_cohort(
        tmp_path / "in", tmp_path / "out", options(size=size, override={"P1": [60.0, 70.0]})
    )
    cohort = Cohort(tmp_path / "out")
    (moved,) = cohort.contours("P1")
    assert (moved.row, moved.phase, moved.kind) == (0, 2, "endo")
    drawn = mask(moved.points_px, (size, size))
    resized = cohort.stack("P1")[0, :, :, 2] > 0.5
    dice = 2 * (drawn & resized).sum() / (drawn.sum() + resized.sum())
    assert dice > 0.97
    np.testing.assert_allclose(
        np.argwhere(drawn).mean(axis=0), np.argwhere(resized).mean(axis=0), atol=0.15
    )


def test_a_box_by_hand_goes_where_it_is_told_and_the_others_stay(cycles, tmp_path):
    crop_cohort(cycles, tmp_path / "auto", options())
    report, _ = crop_cohort(cycles, tmp_path / "out", options(override={"P2": [40, 90.0]}))
    assert report["by_hand"] == 1
    assert boxes(tmp_path / "out") == {**boxes(tmp_path / "auto"), "P2": Box(10, 60, 60, 60)}


def test_a_box_that_leaves_the_frame_is_filled(cycles, tmp_path):
    crop_cohort(cycles, tmp_path / "out", options(override={"P1": [0.0, 0.0]}))
    assert boxes(tmp_path / "out")["P1"] == Box(-30, -30, 60, 60)
    stack = Cohort(tmp_path / "out").stack("P1")
    assert np.isfinite(stack).all()
    assert np.ptp(stack[0, :20, :20, 0]) < np.ptp(stack[0, 24:, 24:, 0])


def test_a_heart_that_is_not_found_is_named_with_the_way_to_set_the_box(tmp_path, capsys):
    one, two = patient("P1"), patient("P2")
    still = replace(two, stack=np.repeat(two.stack[..., :1], 12, axis=-1))
    write_cohort(tmp_path / "in", [one, still])
    report, verdicts = crop_cohort(tmp_path / "in", tmp_path / "out", options())
    assert (report["fallbacks"], report["fallback_patients"]) == (1, ["P2"])
    assert report["confidence_least"] == verdicts.loc["P2", "confidence"] < SURE
    assert verdicts.loc["P1", "fallback"] == ""
    assert boxes(tmp_path / "out")["P2"] == Box(34, 34, 60, 60)
    told = capsys.readouterr()
    assert "crop.override: {P2: [row, column]}" in told.out + told.err
    report, _ = crop_cohort(tmp_path / "in", tmp_path / "o", options(override={"P2": [75, 52.0]}))
    assert report["fallbacks"] == 0


def test_the_right_ventricle_is_judged_where_it_is_known(cycles, tmp_path):
    one = patient("P1")
    near, far = ellipse((60, 50), (10, 10)), ellipse((60, 5), (10, 10))
    right = [PlacedContour(0, phase, "rv", p, "truth") for phase, p in enumerate((near, near, far))]
    write_cohort(tmp_path / "in", [PatientCycles("P1", one.stack, one.rows, one.contours + right)])
    report, _ = crop_cohort(tmp_path / "in", tmp_path / "out", options())
    assert report["right_ventricle_inside"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["contours_inside"] == 1.0
    moved = Cohort(tmp_path / "out").contours("P1", "truth")
    assert [(c.kind, c.phase, c.source) for c in moved] == [("rv", k, "truth") for k in range(3)]
    report, _ = crop_cohort(cycles, tmp_path / "none", options())
    assert report["right_ventricle_inside"] is None


def test_a_box_by_hand_for_nobody_is_refused_and_leaves_nothing(cycles, tmp_path):
    with pytest.raises(CineganError, match=r"crop.override: no patient P9 in .*; there are P1, P2"):
        crop_cohort(cycles, tmp_path / "out", options(override={"P9": [1.0, 2.0]}))
    assert list(tmp_path.iterdir()) == []


def test_without_contours_there_is_nothing_to_judge_by(tmp_path):
    one = patient("P1")
    write_cohort(tmp_path / "in", [PatientCycles("P1", one.stack, one.rows)])
    report, _ = crop_cohort(tmp_path / "in", tmp_path / "out", options())
    assert report["patients_with_contours"] == 0
    assert report["contours_inside"] is None
    assert report["left_ventricle_miss_mm"] is None


def test_a_contour_that_encloses_no_pixel_does_not_end_the_crop(tmp_path):
    one = patient("P1")
    lost = [PlacedContour(0, 0, "endo", ellipse((500.0, 500.0), (5, 5)))]
    write_cohort(tmp_path / "in", [PatientCycles("P1", one.stack, one.rows, one.contours + lost)])
    report, _ = crop_cohort(tmp_path / "in", tmp_path / "out", options())
    assert report["contours_inside"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["left_ventricle_miss_mm"] < 6


def test_the_same_cycles_give_the_same_bytes(cycles, tmp_path):
    for name in "ab":
        crop_cohort(cycles, tmp_path / name, options())
    assert sha256_of_folder(tmp_path / "a") == sha256_of_folder(tmp_path / "b")


def test_the_real_ventricles_are_inside_and_nearer_than_in_the_original_box(real_cycles, tmp_path):
    report, _ = crop_cohort(real_cycles.folder, tmp_path / "out", options(box_mm=150.0, size=64))
    assert report["patients_with_contours"] == 3
    assert report["contours_inside"] == 1.0
    assert report["left_ventricle_miss_mm"] < report["left_ventricle_miss_mm_original_box"]
    assert report["left_ventricle_miss_mm"] < 5
    assert report["left_ventricle_miss_mm_worst"] < 8
    assert report["fallbacks"] == 0
