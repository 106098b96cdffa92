"""Frames of samples: maps belong to the phases whose pictures they fit, of those they may."""

import numpy as np
import pytest

from cinegan.data.cohort import Cohort
from cinegan.data.labels import (
    EXPERT,
    KINDS,
    NO_CHANNELS,
    Channels,
    channels,
    channels_of,
    labels_of,
    moments_of,
)
from cinegan.errors import CineganError
from cinegan.imaging.crop import crop_cohort
from cinegan.params import Crop
from cinegan.sampling import write_samples
from cinegan.segmentation.synthetic import of_samples, phase_of, placed

SIDE, PHASES = 24, 8
MOMENTS = Channels(channels("expert", PHASES), {"ED": [0, 6, 7], "ES": [2, 3, 4]})


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


def test_maps_of_all_phases_belong_to_their_phases(tmp_path):
    cycles, maps = zip(*(beating(k) for k in range(3)), strict=True)
    drawn = [
        np.concatenate([c, m[..., 0], m[..., 1]], -1) for c, m in zip(cycles, maps, strict=True)
    ]
    write_samples(tmp_path / "samples", np.array(drawn), Channels(channels("truth", PHASES), {}), 2)
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
    write_samples(tmp_path / "samples", np.array(drawn), MOMENTS, 2)
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
    anywhere = Channels(MOMENTS.names, {moment: list(range(PHASES)) for moment in ("ED", "ES")})
    at, known = placed(drawn, anywhere, cycles, 2.5)
    assert known.sum(axis=1).tolist() == [[1, 1], [1, 1]]
    for row in range(2):
        (phase,) = known[row, :, 0].nonzero()[0]
        np.testing.assert_array_equal(at[row, :, :, phase], drawn[row][..., [0, 2]])


def test_samples_without_labels_are_refused(tmp_path):
    write_samples(tmp_path / "samples", np.zeros((2, SIDE, SIDE, PHASES), np.uint8), NO_CHANNELS, 2)
    with pytest.raises(CineganError, match="samples without labels, which cannot teach"):
        of_samples(tmp_path / "samples", 2.5)


def test_samples_that_are_not_there_or_fit_no_phase_are_refused(tmp_path):
    with pytest.raises(CineganError, match="no samples; `dvc repro study` makes them"):
        of_samples(tmp_path / "samples", 2.5)
    dark = np.zeros((2, SIDE, SIDE, PHASES + len(EXPERT)), np.uint8)
    for labels in (MOMENTS, MOMENTS._replace(phases={"ED": [], "ES": []})):
        write_samples(tmp_path / "samples", dark, labels, 2)
        with pytest.raises(CineganError, match="no outline fits a phase of its own"):
            of_samples(tmp_path / "samples", 2.5)


def test_the_phase_is_chosen_by_the_largest_part_alone():
    cycle, maps = beating(0)
    drawn = maps[..., 3, 0].copy()
    with_island = drawn.copy()
    with_island[0:3, 0:3] = 255
    assert phase_of(with_island, cycle, range(PHASES), 2) == phase_of(
        drawn, cycle, range(PHASES), 2
    )


def test_islands_beside_a_ventricle_do_not_teach(tmp_path):
    cycles, maps = (np.array(each) for each in zip(*(beating(k) for k in range(2)), strict=True))
    truth = Channels(channels("truth", PHASES), {})
    drawn = np.concatenate([cycles, maps[..., 0], maps[..., 1]], -1)
    drawn[0, :2, :2, PHASES] = drawn[1, -2:, :3, -1] = 200
    write_samples(tmp_path / "samples", drawn, truth, 2)
    np.testing.assert_array_equal(of_samples(tmp_path / "samples", 2.5).maps, maps)


def test_a_map_belongs_to_the_phase_that_it_fits_best_of_those_it_may():
    for cycle, maps in (beating(k) for k in range(5)):
        everywhere = range(PHASES)
        assert phase_of(maps[:, :, 3, 0], cycle, everywhere, 3) == 3
        assert phase_of(maps[:, :, 3, 0], cycle, [0, 1, 2], 3) == 2  # the nearest in size
        assert phase_of(maps[:, :, 0, 0], cycle, [2, 4, 6], 3) == 6
        assert phase_of(maps[:, :, 0, 0], cycle, [], 3) is None
    assert phase_of(np.zeros((SIDE, SIDE), np.uint8), cycle, everywhere, 3) is None


def test_a_picture_that_misleads_cannot_put_end_systole_at_end_diastole(tmp_path):
    cycles, maps = (np.array(each) for each in zip(*(beating(k) for k in range(3)), strict=True))
    drawn = np.stack([maps[..., 7, 0], maps[..., 3, 0], maps[..., 7, 1]], -1)
    cycles[..., 0] = np.minimum(cycles[..., 0], 250) + 5  # flow: the blood of phase 0 is brightest
    cycles[..., 3] = cycles[..., 3] // 2  # and that of end-systole dark
    write_samples(tmp_path / "samples", np.concatenate([cycles, drawn], -1), MOMENTS, 2)
    known = of_samples(tmp_path / "samples", 2.5).known
    assert {int(t) for row in known for t in np.flatnonzero(row[:, 0] & ~row[:, 1])} <= {2, 3, 4}


@pytest.fixture(scope="module")
def real(real_cycles, tmp_path_factory):
    """The real patients' ventricles, as the pipeline crops them."""
    folder = tmp_path_factory.mktemp("real") / "ventricles"
    crop_cohort(real_cycles.folder, folder, Crop(box_mm=150.0, size=64, override={}))
    return Cohort(folder)


def phases_off(cohort, phases):
    """By how many phases, around the cycle, each expert's outline is placed off its own."""
    off = {"ED": [], "ES": []}
    for patient in cohort.patients:
        moments, count = moments_of(cohort, patient), cohort.phases
        if not moments:  # nobody's contours of this patient are there
            continue
        labels = labels_of(cohort, patient, 64, "expert")
        drawn = [labels.maps[..., moments[moment], KINDS.index(kind)] for kind, moment in EXPERT]
        names = Channels(channels("expert", count), phases)
        spacing_mm = cohort.spacing_mm(patient)[0]
        at, known = placed(np.stack(drawn, -1), names, cohort.grey(patient, 64), spacing_mm)
        for moment, phase in moments.items():
            for row in np.flatnonzero(labels.known[:, phase, 0]):
                outlined = known[row, :, 0] & (known[row, :, 1] == (moment == "ED"))
                (found,) = np.flatnonzero(outlined)
                np.testing.assert_array_equal(
                    at[row, ..., found, 0], labels.maps[row, ..., phase, 0]
                )
                off[moment].append(abs((found - phase + count // 2) % count - count // 2))
    return off


def test_real_experts_outlines_lie_at_most_one_phase_from_where_they_were_drawn(real):
    drawn = channels_of(real, np.array(real.patients), "expert").phases
    assert drawn == {"ED": [18, 19], "ES": [6, 7]}  # neighbours, which bounds the error
    off = phases_off(real, drawn)
    assert [len(each) for each in off.values()] == [28, 28]
    assert max(off["ED"] + off["ES"]) <= 1


def test_the_picture_alone_does_not_tell_where_a_real_end_systole_was_drawn(real):
    around = {"ED": [16, 17, 18, 19, 0, 1], "ES": [4, 5, 6, 7, 8, 9]}
    off = phases_off(real, around)
    assert np.mean(np.array(off["ED"]) <= 1) > 0.5
    assert np.mean(np.array(off["ES"]) <= 1) < 0.5
