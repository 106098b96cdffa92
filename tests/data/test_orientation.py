"""Turns that bring a short axis to the convention, and where pixels lie in the patient."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from dicom_factory import NORMAL, ROW, SHORT_AXIS
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegan.data.orientation import (
    BASE_TO_APEX,
    DOWNWARDS,
    RIGHTWARDS,
    Plane,
    Turn,
    edge_letters,
    turn_to_convention,
)

TURNS = [Turn(mirrored, quarters) for mirrored, quarters in product((False, True), range(4))]
PROPERTY = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@st.composite
def planes(draw):
    """Any plane: directions from a random rotation, sides and spacings that differ."""
    numbers = st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3)
    matrix = np.array([[draw(numbers) for _ in range(3)] for _ in range(3)])
    rotation, _ = np.linalg.qr(matrix + 2 * np.eye(3))
    return Plane(
        origin_mm=np.array([draw(st.floats(-300, 300)) for _ in range(3)]),
        row=rotation[0],
        column=rotation[1],
        spacing_mm=(draw(st.floats(0.5, 3)), draw(st.floats(0.5, 3))),
        shape=(draw(st.integers(8, 20)), draw(st.integers(8, 20))),
    )


def place_mm(plane, x, y):
    """Where a pixel's centre lies in the patient (PS3.3 C.7.6.2.1.1)."""
    return (
        plane.origin_mm
        + x * plane.spacing_mm[1] * plane.row
        + y * plane.spacing_mm[0] * plane.column
    )


@PROPERTY
@given(plane=planes(), turn=st.sampled_from(TURNS), data=st.data())
def test_a_pixel_stays_where_it_is_in_the_patient(plane, turn, data):
    x = data.draw(st.integers(0, plane.shape[1] - 1))
    y = data.draw(st.integers(0, plane.shape[0] - 1))
    picture = np.zeros((1, *plane.shape, 1))
    picture[0, y, x, 0] = 1
    turned, where = turn.pictures(picture), turn.plane(plane)
    assert turned.shape[1:3] == where.shape
    ((new_x, new_y),) = turn.points(np.array([[x, y]], dtype=float), plane.shape)
    assert turned[0, int(new_y), int(new_x), 0] == 1
    np.testing.assert_allclose(place_mm(where, new_x, new_y), place_mm(plane, x, y), atol=1e-9)


@PROPERTY
@given(plane=planes(), turn=st.sampled_from(TURNS))
def test_points_between_pixels_move_with_them(plane, turn):
    points = np.random.default_rng(1).uniform(-0.5, 7.5, (20, 2))
    moved, where = turn.points(points, plane.shape), turn.plane(plane)
    for before, after in zip(points, moved, strict=True):
        np.testing.assert_allclose(place_mm(where, *after), place_mm(plane, *before), atol=1e-9)


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_a_turn_can_be_undone(turn):
    stack = np.random.default_rng(2).integers(0, 99, (2, 5, 7, 3))
    np.testing.assert_array_equal(turn.undo(turn.pictures(stack)), stack)
    for other in TURNS:
        assert np.array_equal(other.undo(turn.pictures(stack)), stack) == (other == turn)


def test_turns_are_named_as_a_person_sees_them():
    arrow = np.array([[0, 1, 0], [0, 1, 0], [0, 0, 0]])[None, ..., None]  # points up
    left = Turn(quarters=1).pictures(arrow)[0, ..., 0]
    assert left.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert [str(turn) for turn in TURNS] == [
        "as scanned",
        "turned 90 degrees to the left",
        "turned upside down",
        "turned 90 degrees to the right",
        "mirrored",
        "mirrored, turned 90 degrees to the left",
        "mirrored, turned upside down",
        "mirrored, turned 90 degrees to the right",
    ]


def test_the_conventional_short_axis_is_left_as_scanned():
    row, column = np.array(SHORT_AXIS).reshape(2, 3)
    assert turn_to_convention(row, column) == Turn()
    assert edge_letters(row, column)["bottom"] == "F"


@PROPERTY
@given(plane=planes(), scanned=st.sampled_from(TURNS))
def test_all_eight_layouts_of_a_picture_end_alike(plane, scanned):
    chosen = turn_to_convention(plane.row, plane.column).plane(plane)
    layout = scanned.plane(plane)
    other = turn_to_convention(layout.row, layout.column).plane(layout)
    if abs(np.cross(plane.row, plane.column) @ BASE_TO_APEX) < 1e-6:
        return  # a plane along the heart's axis has no side that is the apex's
    agreements = [t.plane(chosen) for t in TURNS[:4]]
    best = sorted(p.row @ RIGHTWARDS + p.column @ DOWNWARDS for p in agreements)
    if best[-1] - best[-2] < 1e-6:
        return  # two turns are equally good
    np.testing.assert_allclose(other.origin_mm, chosen.origin_mm, atol=1e-9)
    np.testing.assert_allclose([other.row, other.column], [chosen.row, chosen.column], atol=1e-12)
    assert (other.shape, other.spacing_mm) == (chosen.shape, chosen.spacing_mm)


@PROPERTY
@given(plane=planes())
def test_the_convention_is_the_view_from_the_apex_with_the_feet_below_and_left_on_the_right(plane):
    chosen = turn_to_convention(plane.row, plane.column).plane(plane)
    assert np.cross(chosen.row, chosen.column) @ BASE_TO_APEX <= 1e-9
    agreement = chosen.row @ RIGHTWARDS + chosen.column @ DOWNWARDS
    for turn in TURNS[:4]:
        other = turn.plane(chosen)
        assert other.row @ RIGHTWARDS + other.column @ DOWNWARDS <= agreement + 1e-6


@pytest.mark.parametrize(
    ("row", "column", "letters"),
    [
        ((1, 0, 0), (0, 1, 0), "LRPA"),  # an axial slice as radiologists see it
        ((0, 1, 0), (0, 0, -1), "PAFH"),  # a sagittal one
        ((1, 0, 0), (0, 0, -1), "LRFH"),  # a coronal one
        ((-1, 0, 0), (0, -1, 0), "RLAP"),
        ((0, 0, 1), (0, 1, 0), "HFPA"),
        ((0.8, 0.6, 0), np.cross(ROW, NORMAL), "LRFH"),
    ],
)
def test_edges_say_which_side_of_the_patient_they_face(row, column, letters):
    found = edge_letters(np.array(row, dtype=float), np.array(column, dtype=float))
    assert "".join(found[side] for side in ("right", "left", "bottom", "top")) == letters
