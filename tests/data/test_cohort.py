"""Cycles on disk: what is written comes back; what a network sees is 8-bit and antialiased."""

import json

import numpy as np
import pytest

from cinegan.data import intensity
from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.errors import CineganError

SIDE, PHASES = 16, 4
SPACING = {"spacing_row_mm": 1.5, "spacing_column_mm": 1.5}
POINTS = np.array([[1.25, 2.0], [9.1234, 3.0], [4.0, 12.5]])


def patient(name, split, slices=2, dtype=np.int16, contours=()):
    draws = np.random.default_rng(sum(name.encode()))
    stack = draws.integers(-50, 900, (slices, SIDE, SIDE, PHASES)).astype(dtype)
    rows = [
        {"patient": name, "pathology": "", "split": split, "slice": i, "row": i, **SPACING}
        for i in range(slices)
    ]
    return PatientCycles(name, stack, rows, list(contours))


PATIENTS = [
    patient("B", "train", 3),
    patient(
        "A",
        "test",
        2,
        np.float32,
        [PlacedContour(1, 3, "endo", POINTS), PlacedContour(0, 2, "rv", POINTS + 1, "truth")],
    ),
    patient("007", "train", 1),
    patient("C", "val"),
]


@pytest.fixture
def cohort(tmp_path):
    write_cohort(tmp_path / "cycles", iter(PATIENTS))
    return Cohort(tmp_path / "cycles")


def test_stacks_come_back_as_they_were_in_their_own_type_from_disk(cohort):
    assert cohort.patients == ["B", "A", "007", "C"]
    for written in PATIENTS:
        stack = cohort.stack(written.patient)
        assert isinstance(stack, np.memmap)
        assert stack.dtype == written.stack.dtype
        np.testing.assert_array_equal(stack, written.stack)
        assert cohort.rows(written.patient)["slice"].tolist() == list(range(len(stack)))


def test_contours_come_back_with_their_places(cohort):
    (contour,) = cohort.contours("A")
    assert (contour.row, contour.phase, contour.kind) == (1, 3, "endo")
    np.testing.assert_allclose(contour.points_px, POINTS, atol=5.1e-3)
    assert cohort.contours("B") == []


def test_what_an_expert_drew_and_what_a_phantom_knows_are_kept_apart(cohort):
    assert [c.source for c in cohort.contours("A")] == ["expert"]
    (truth,) = cohort.contours("A", "truth")
    assert (truth.row, truth.phase, truth.kind, truth.source) == (0, 2, "rv", "truth")
    np.testing.assert_allclose(truth.points_px, POINTS + 1, atol=5.1e-3)
    assert cohort.contours("B", "truth") == []
    assert json.loads((cohort.folder / "contours.json").read_text())["B"] == []
    assert json.loads((cohort.folder / "truth.json").read_text())["C"] == []


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((48, 64), (2.0, 2.0)),
        ((64, 48), (2.0, 2.0)),
        ((64, 64), (1.5, 2.0)),
        ((60, 90), (2.0, 1.0)),
    ],
)
@pytest.mark.parametrize("size", [64, 32])
def test_a_disc_stays_a_disc_whatever_the_matrix_and_its_pixels(tmp_path, shape, spacing_mm, size):
    height_mm, width_mm = (n * s for n, s in zip(shape, spacing_mm, strict=True))
    y, x = (
        (np.arange(n) + 0.5) * s - side / 2
        for n, s, side in zip(shape, spacing_mm, (height_mm, width_mm), strict=True)
    )
    disc = np.where(np.hypot(y[:, None], x) < 25, 900, 100).astype(np.int16)
    stack = np.repeat(disc[None, ..., None], 2, axis=-1)
    row = {"patient": "P", "spacing_row_mm": spacing_mm[0], "spacing_column_mm": spacing_mm[1]}
    write_cohort(tmp_path / "c", [PatientCycles("P", stack, [{**row, "split": "val"}])])
    grey = Cohort(tmp_path / "c").grey("P", size)
    assert grey.shape == (1, size, size, 2)
    inside = grey[0, :, :, 0] > 127
    side_mm = max(height_mm, width_mm) / size  # of a pixel
    rows, columns = np.nonzero(inside)
    assert inside.sum() * side_mm**2 == pytest.approx(np.pi * 25**2, rel=0.1)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
    np.testing.assert_allclose([rows.mean(), columns.mean()], (size - 1) / 2, atol=0.6)
    # Around the field is black, as its darkest pixels are.
    band = (size - round(min(height_mm, width_mm) / side_mm)) // 2 - 2
    around = grey[:, :band] if height_mm < width_mm else grey[:, :, :band]
    assert around.max(initial=0) <= 8


def test_the_split_is_known_once_all_patients_are_read(tmp_path):
    write_cohort(
        tmp_path / "c", iter(PATIENTS), split=lambda names: {name: f"of {name}" for name in names}
    )
    cohort = Cohort(tmp_path / "c")
    assert {p: set(cohort.rows(p)["split"]) for p in cohort.patients} == {
        p: {f"of {p}"} for p in ("B", "A", "007", "C")
    }


def test_a_cohort_of_nobody_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(CineganError, match="not one patient has cycles"):
        write_cohort(tmp_path / "c", iter([]))
    assert list(tmp_path.iterdir()) == []


def test_a_split_is_all_its_cycles_and_the_patient_of_each(cohort):
    cycles, patients = cohort.split("train", SIDE)
    assert (cycles.shape, cycles.dtype) == ((4, SIDE, SIDE, PHASES), np.uint8)
    assert patients.tolist() == ["B", "B", "B", "007"]
    np.testing.assert_array_equal(cycles[3:], cohort.grey("007", SIDE))


def test_grey_levels_are_the_recorded_window_of_the_patient_alone(cohort):
    for written in PATIENTS:
        low, high = np.percentile(written.stack, (0.5, 99.5))
        expected = np.clip(np.rint((written.stack - low) * 255 / (high - low)), 0, 255)
        grey = cohort.grey(written.patient, SIDE)
        assert grey.dtype == np.uint8
        assert np.abs(grey - expected).max() <= 1
    assert set(cohort._windows) == {p.patient for p in PATIENTS}
    assert (cohort.folder / intensity.FILE_NAME).is_file()


@pytest.mark.parametrize("size", [8, 32])
def test_other_sizes_are_resized_in_the_plane_only(cohort, size):
    cycles, _ = cohort.split("val", size)
    assert cycles.shape == (2, size, size, PHASES)


def test_shrinking_is_antialiased_and_leaves_slices_and_phases_apart(tmp_path):
    fine = np.indices((64, 64)).sum(axis=0) % 2 * 100  # a checkerboard of single pixels
    stack = np.stack([fine, 100 - fine, fine * 0], axis=0)[..., None].repeat(3, -1)
    stack[..., 1] = 0
    stack[0, :, :, 2] = 255
    written = PatientCycles(
        "P", stack.astype(np.int16), [{"patient": "P", "split": "val", **SPACING}] * 3
    )
    write_cohort(tmp_path / "c", [written])
    cohort = Cohort(tmp_path / "c")
    window = cohort._windows["P"]
    grey = cohort.grey("P", 16)
    middle = grey[:, 2:-2, 2:-2]
    half = intensity.to_grey(np.array([50.0]), window["low"], window["high"])[0]
    assert np.abs(middle[:2, ..., 0].astype(int) - half).max() <= 3  # without a filter: 0 and 255
    assert middle[2].max() == 0
    assert middle[..., 1].max() == 0
    assert middle[0, ..., 2].min() == 255


def test_fine_noise_fades_when_it_shrinks(tmp_path):
    noise = np.random.default_rng(1).normal(500, 100, (1, 64, 64, 2)).astype(np.int16)
    write_cohort(
        tmp_path / "c", [PatientCycles("P", noise, [{"patient": "P", "split": "val", **SPACING}])]
    )
    cohort = Cohort(tmp_path / "c")
    # Reading single pixels would keep all of it, interpolation without a filter half.
    assert cohort.grey("P", 16).std() < 0.3 * cohort.grey("P", 64).std()


def test_the_same_cycles_give_the_same_bytes(tmp_path):
    for name in "ab":
        write_cohort(tmp_path / name, iter(PATIENTS))
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == sorted(
        [
            *("007.npy", "A.npy", "B.npy", "C.npy"),
            *("contours.json", "index.csv", "intensity.json", "truth.json"),
        ]
    )
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_fault_half_way_leaves_the_older_cohort(cohort, tmp_path):
    def failing():
        yield PATIENTS[0]
        raise CineganError("the second patient is broken")

    with pytest.raises(CineganError, match="broken"):
        write_cohort(tmp_path / "cycles", failing())
    assert [p.name for p in tmp_path.iterdir()] == ["cycles"]
    assert Cohort(tmp_path / "cycles").patients == cohort.patients


@pytest.mark.parametrize("content", [None, ""])
def test_a_folder_without_cycles_says_what_makes_them(tmp_path, content):
    if content is not None:
        (tmp_path / "index.csv").write_text(content)
    with pytest.raises(CineganError, match=r"no index.csv here; `dvc repro` makes the cycles"):
        Cohort(tmp_path)


def test_a_split_without_patients_is_said_so(tmp_path):
    write_cohort(tmp_path / "c", PATIENTS[:1])
    with pytest.raises(CineganError, match=r"no patients in split 'test'"):
        Cohort(tmp_path / "c").split("test", SIDE)


@pytest.mark.parametrize("name", ["NA", "nan", "1e5", "0012", "None"])
def test_a_patients_name_comes_back_as_it_is_whatever_it_looks_like(tmp_path, name):
    write_cohort(tmp_path / "c", [patient(name, "train")])
    cohort = Cohort(tmp_path / "c")
    assert cohort.patients == [name]
    assert len(cohort.rows(name)) == 2
