"""Frames of patients and of samples: what is known, and at which phase."""

import numpy as np
import pytest

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.labels import EXPERT, channels
from cinegan.errors import CineganError
from cinegan.sampling import write_samples
from cinegan.segmentation.frames import of_patients, of_samples, placed

SIDE, PHASES = 24, 8


def beating(seed):
    """A bright disc that is smallest at phase 3, in a dark ring, and its maps (H, W, T, 2)."""
    row, column = np.random.default_rng(seed).uniform(10, 13, 2)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    radius = 5 - 2 * np.exp(-((np.arange(PHASES) - 3.0) ** 2))
    away = np.hypot(rows - row, columns - column)[..., None]
    endo, epi = (np.clip(r - away + 0.5, 0, 1) for r in (radius, radius + 3))
    cycle = 120 - 80 * epi + 180 * endo
    return np.rint(cycle).astype(np.uint8), np.rint(255 * np.stack([endo, epi], -1)).astype(
        np.uint8
    )


def circle(radius):
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return np.stack([12 + radius * np.cos(angle), 12 + radius * np.sin(angle)], axis=1)


def test_frames_of_patients_are_those_that_somebody_drew(tmp_path):
    stack = np.random.default_rng(0).integers(0, 900, (2, SIDE, SIDE, PHASES)).astype(np.int16)
    rows = [{"patient": "A", "split": "train", "spacing_row_mm": 2.0, "spacing_column_mm": 2.0}] * 2
    drawn = [PlacedContour(1, 0, "endo", circle(6)), PlacedContour(1, 0, "epi", circle(8))]
    drawn.append(PlacedContour(1, 3, "endo", circle(4)))
    made = [
        PatientCycles("A", stack, rows, drawn),
        PatientCycles("B", stack, [{**r, "patient": "B"} for r in rows]),
    ]
    write_cohort(tmp_path / "cycles", made)
    frames = of_patients(Cohort(tmp_path / "cycles"), ["A", "B"], 12, "expert")
    assert frames.places.tolist() == [[1, 0], [1, 3]]
    assert frames.spacing_mm.tolist() == [4.0] * 4  # half as many pixels
    assert frames.cycles.shape == (4, 12, 12, PHASES)
    with pytest.raises(CineganError, match="not one frame of these patients has a contour"):
        of_patients(Cohort(tmp_path / "cycles"), ["B"], 12, "expert")


def test_maps_of_all_phases_belong_to_their_phases(tmp_path):
    cycles, maps = zip(*(beating(k) for k in range(3)), strict=True)
    drawn = [
        np.concatenate([c, m[..., 0], m[..., 1]], -1) for c, m in zip(cycles, maps, strict=True)
    ]
    write_samples(tmp_path / "samples", np.array(drawn), channels("truth", PHASES), 2)
    frames = of_samples(tmp_path / "samples", 2.5)
    np.testing.assert_array_equal(frames.maps, np.array(maps))
    assert frames.known.all()
    assert frames.spacing_mm.tolist() == [2.5] * 3


def test_maps_of_moments_find_the_phase_that_they_fit(tmp_path):
    drawn = []
    for cycle, maps in (beating(k) for k in range(3)):
        at = {"ED": 7, "ES": 3}
        moments = [maps[:, :, at[moment], int(kind == "epi")] for kind, moment in EXPERT]
        drawn.append(np.concatenate([cycle, np.stack(moments, -1)], -1))
    write_samples(tmp_path / "samples", np.array(drawn), channels("expert", PHASES), 2)
    frames = of_samples(tmp_path / "samples", 2.5)
    for known in frames.known:
        diastole, systole = (set(np.flatnonzero(known[:, k])) for k in (1, 0))
        assert 3 in systole
        assert len(diastole) == 1
        assert diastole < {6, 7, 0}


def test_a_moment_without_a_phase_of_its_own_is_left_out():
    cycles, maps = (np.array(each) for each in zip(*(beating(k) for k in range(2)), strict=True))
    drawn = np.stack([maps[..., 7, 0], maps[..., 3, 0], maps[..., 7, 1]], -1)
    drawn[0, ..., 1] = 0  # no cavity at end-systole
    drawn[1, ..., 1] = drawn[1, ..., 0]  # end-systole is end-diastole
    at, known = placed(drawn, channels("expert", PHASES), cycles)
    assert known.sum(axis=1).tolist() == [[1, 1], [1, 1]]
    for row in range(2):
        (phase,) = known[row, :, 0].nonzero()[0]
        np.testing.assert_array_equal(at[row, :, :, phase], drawn[row][..., [0, 2]])


def test_samples_without_labels_are_refused(tmp_path):
    write_samples(tmp_path / "samples", np.zeros((2, SIDE, SIDE, PHASES), np.uint8), [], 2)
    with pytest.raises(CineganError, match="samples without labels, which cannot teach"):
        of_samples(tmp_path / "samples", 2.5)
