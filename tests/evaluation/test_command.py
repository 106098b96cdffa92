import json
import subprocess
import sys

import numpy as np
import pytest
from beating import PHASES, SIZE, cohort, patient_cycles

from cinegan.data.resizing import resize_frames
from cinegan.errors import CineganError
from cinegan.evaluation.__main__ import main
from cinegan.evaluation.reading import read_cycles

SMALL = ["--extractors", "motion"]  # 23 features: 24 cycles suffice


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of cycles, one file a patient."""
    root = tmp_path_factory.mktemp("cycles")
    sets = {"real": range(8), "other": range(20, 24), "third": range(30, 34), "fake": range(40, 44)}
    for name, patients in sets.items():
        (root / name).mkdir()
        for patient in patients:
            np.save(root / name / f"P{patient:02}.npy", patient_cycles(patient))
    return root


def told(capsys, *arguments):
    main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)


def test_two_folders_are_judged_with_a_floor_from_halves_of_the_real_one(folders, capsys):
    report = told(capsys, folders / "real", folders / "fake", *SMALL)
    assert report["n_train_patients"] == 4
    for end in ("train", "floor"):
        assert report[f"kid_motion_{end}"] is not None
    # The generator may have learnt from either half: neither is a test, and copies may be of both.
    assert not any("_test" in key or "_ratio" in key for key in report)
    assert not any(key.startswith(("copied", "authentic", "likeness", "nearer")) for key in report)
    both = told(capsys, folders / "real", folders / "fake", *SMALL, "--val", folders / "third")
    assert both == report


def test_a_patient_of_val_is_no_other(folders):
    others = ["--held-out", folders / "other", "--val", folders / "other"]
    with pytest.raises(CineganError, match="test cycle 0 is val cycle 0: the same patient in both"):
        main([*map(str, (folders / "real", folders / "fake", *others)), *SMALL])


@pytest.mark.parametrize("options", [["--size", "-5"], ["--size", "0"], ["--seed", "-1"]])
def test_options_out_of_range_are_refused(folders, capsys, options):
    with pytest.raises(SystemExit) as ended:
        main([str(folders / "real"), str(folders / "fake"), *options])
    assert ended.value.code == 2
    assert f"argument {options[0]}" in capsys.readouterr().err


def test_held_out_and_val_patients_give_floors_and_copies(folders, capsys):
    others = ["--held-out", folders / "other", "--val", folders / "third"]
    report = told(capsys, folders / "real", folders / "fake", *others, *SMALL, "--partial")
    assert report["n_train_patients"] == 8
    # The message is the user's to read.
    assert "too small to tell copies" in report["copied_reason"]


def test_two_arrays_are_judged_without_a_floor(folders, tmp_path, capsys):
    for name, patients in (("real", range(4)), ("fake", range(40, 44))):
        np.save(tmp_path / f"{name}.npy", cohort(patients)[0])
    main([str(tmp_path / "real.npy"), str(tmp_path / "fake.npy"), *SMALL])
    printed = capsys.readouterr()
    assert "kid_motion_train" in printed.out
    assert "_test" not in printed.out
    assert "_floor" not in printed.out
    assert "no floor: give --held-out" in printed.err


def test_other_values_and_sizes_are_brought_to_one_path(folders, tmp_path, capsys):
    fake = cohort(range(40, 44))[0]
    np.save(tmp_path / "fake.npy", fake.astype(np.float32) / 127.5 - 1)
    plain = told(capsys, folders / "real", folders / "fake", *SMALL)
    ranged = told(capsys, folders / "real", tmp_path / "fake.npy", *SMALL, "--range", -1, 1)
    assert ranged.pop("range") == [-1, 1]
    assert ranged == {key: value for key, value in plain.items() if key != "range"}
    larger = told(capsys, folders / "real", folders / "fake", *SMALL, "--size", 32)
    assert larger["kid_motion_train"] == pytest.approx(plain["kid_motion_train"], rel=0.5)


def test_everything_is_written_where_asked(folders, tmp_path, capsys):
    out = tmp_path / "out"
    report = told(capsys, folders / "real", folders / "fake", "--out", out, "--partial")
    assert json.loads((out / "metrics.json").read_text()) == report
    assert {"report.html", "heartbeats.gif", "spectrum.csv"} <= {p.name for p in out.iterdir()}


BAD = {
    "nan": np.where(np.arange(SIZE)[:, None, None] == 3, np.nan, np.ones((2, SIZE, SIZE, PHASES))),
    "float": np.linspace(0, 1, SIZE * SIZE * PHASES).reshape(SIZE, SIZE, PHASES),
    "undershot": np.where(
        np.arange(SIZE * SIZE).reshape(SIZE, SIZE, 1) == 5, -0.02, patient_cycles(1)[0] / 255
    ),
    "constant": np.full((2, SIZE, SIZE, PHASES), 7, np.uint8),
    "flat": np.zeros((SIZE, SIZE), np.uint8),
    "none": np.zeros((0, SIZE, SIZE, PHASES), np.uint8),
    "small": np.zeros((3, 8, 8, PHASES), np.uint8),
    "words": np.array([[[["a"]]]]),
    "flickering": np.zeros((2, SIZE, SIZE, PHASES), np.uint8) + np.arange(PHASES, dtype=np.uint8),
    "bits": (patient_cycles(1) > 90).astype(np.uint8),
    "quarter": patient_cycles(1) // 4,
    "phases": patient_cycles(1)[..., :7],
    "large": np.repeat(np.repeat(patient_cycles(1), 2, axis=1), 2, axis=2),
    "few": patient_cycles(1)[:3],
    "phases first": np.moveaxis(patient_cycles(1), -1, 1),
    "oblong": patient_cycles(1)[:, :, 4:20],
    "dark phase": np.where(
        (np.arange(8)[:, None] == 5) & (np.arange(PHASES) == 3),
        0,
        patient_cycles(1).transpose(1, 2, 0, 3),
    ).transpose(2, 0, 1, 3),
}


@pytest.mark.parametrize(
    ("name", "message", "options"),
    [
        ("nan", "values that are not finite", ["--range", "0", "1"]),
        ("float", "float64 from 0 to 1; say what is black and what is white: --range", []),
        ("float", "do not lie in --range 0 0.5", ["--range", "0", "0.5"]),
        ("float", "--range 1 0: two numbers are needed, black the lower", ["--range", "1", "0"]),
        ("float", "--range 0 nan: two numbers", ["--range", "0", "nan"]),
        ("float", "between 0 and 1 of 0 to 255; is --range what", ["--range", "0", "255"]),
        (
            "float",
            "between 0.01.* and 0.9.* of -1 to 1; is --range what is",
            ["--range", "-1", "1"],
        ),
        ("undershot", "of -1 to 1; is --range what is", ["--range", "-1", "1"]),
        ("quarter", r"between \d+ and [56]\d of 0 to 255; stretch them first", []),
        ("constant", r"2 of 2 cycles have constant frames .*, the first being 0", []),
        ("flickering", r"2 of 2 cycles have constant frames .*, the first being 0", []),
        ("dark phase", r"1 of 8 cycles have constant frames .*, the first being 5", []),
        ("phases first", r"its phases before its pixels; cycles are \(n, H, W, T\)", []),
        ("oblong", "frames of 24x16 pixels, which --size would stretch", ["--size", "24"]),
        ("bits", "between 0 and 1 of 0 to 255; stretch them first", []),
        ("flat", r"shape \(24, 24\); cycles are \(n, H, W, T\)", []),
        ("none", r"shape \(0, 24, 24, 12\)", []),
        ("small", "at least 16x16 pixels", []),
        ("words", "at least 16x16 pixels|values of type", []),
        ("phases", "cycles are of 24x24x7, real ones of 24x24x12", []),
        ("large", "cycles are of 48x48x12, real ones of 24x24x12", []),
        ("few", "figures cannot be told: too few synthetic cycles: 3", []),
        ("missing", "not a .npy file|No such file", []),
    ],
)
def test_what_cannot_be_judged_is_refused(folders, tmp_path, capsys, name, message, options):
    path = tmp_path / f"{name}.npy"
    if name in BAD:
        np.save(path, BAD[name])
    with pytest.raises(CineganError, match=message):
        main([str(folders / "real"), str(path), *SMALL, *options, "--out", str(tmp_path / "out")])
    assert not capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mistaken", [(-1, 1), (0, 4)], ids=["of its upper half", "of a quarter"])
def test_a_range_mistaken_for_both_sides_is_refused(folders, tmp_path, mistaken):
    for side in ("real", "fake"):
        (tmp_path / side).mkdir()
        for file in (folders / side).glob("*.npy"):
            np.save(tmp_path / side / file.name, np.load(file) / 255)
    options = [*SMALL, "--range", *map(str, mistaken)]
    with pytest.raises(CineganError, match="is --range what is black and white"):
        main([str(tmp_path / "real"), str(tmp_path / "fake"), *options])


def test_files_of_one_name_in_two_places_are_two_patients(folders, tmp_path, capsys):
    for side in ("real", "other"):
        (tmp_path / side).mkdir()
        files = sorted((folders / side).glob("*.npy"))
        np.save(tmp_path / side / "cycles.npy", np.concatenate([np.load(file) for file in files]))
    real, other = (tmp_path / side / "cycles.npy" for side in ("real", "other"))
    report = told(capsys, real, folders / "fake", "--held-out", other, *SMALL, "--partial")
    assert report["kid_motion_floor"] is not None
    with pytest.raises(CineganError, match="the same patient in both"):
        main([str(real), str(folders / "fake"), "--held-out", str(real), *SMALL, "--partial"])


def test_files_that_are_no_arrays_are_refused(tmp_path):
    (tmp_path / "empty.npy").touch()
    with pytest.raises(CineganError, match=r"not a \.npy file that can be read"):
        read_cycles(tmp_path / "empty.npy")
    np.savez(tmp_path / "archive.npz", cycles=patient_cycles(1))
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    with pytest.raises(CineganError, match="an archive of arrays"):
        read_cycles(tmp_path / "archive.npy")


def test_fewer_cycles_than_features_are_refused_or_told_in_part(folders, capsys):
    texture = ["--extractors", "texture"]
    with pytest.raises(CineganError, match=r"at least 31 are needed.*--partial"):
        main([str(folders / "other"), str(folders / "fake"), *texture])
    report = told(capsys, folders / "other", folders / "fake", *texture, "--partial")
    assert report["frechet_texture_train"] is None
    assert report["kid_texture_train"] is not None


def test_files_of_a_folder_must_be_of_one_size(tmp_path):
    np.save(tmp_path / "a.npy", patient_cycles(1))
    np.save(tmp_path / "b.npy", patient_cycles(1)[..., :7])
    with pytest.raises(CineganError, match=r"a.npy 24x24x12, b.npy 24x24x7"):
        read_cycles(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CineganError, match=r"no \.npy files in this folder"):
        read_cycles(tmp_path / "empty")


def test_patients_are_the_files_and_one_cycle_may_stand_alone(tmp_path):
    np.save(tmp_path / "b.npy", patient_cycles(1)[0])
    np.save(tmp_path / "a.npy", patient_cycles(2)[:2])
    cycles, patients = read_cycles(tmp_path)
    assert patients.tolist() == ["a", "a", "b"]
    np.testing.assert_array_equal(cycles[2], patient_cycles(1)[0])
    assert read_cycles(tmp_path, size=48)[0].shape == (3, 48, 48, PHASES)
    np.testing.assert_array_equal(read_cycles(tmp_path, size=SIZE)[0], cycles)


def test_other_sizes_and_values_are_rounded_once(tmp_path):
    cycles = patient_cycles(1)[:2]
    np.save(tmp_path / "a.npy", cycles / 255)
    half = np.random.default_rng(0).uniform(0, 1, cycles.shape)
    np.save(tmp_path / "b.npy", half)
    found, _ = read_cycles(tmp_path, (0, 1), 48)
    exact = np.clip(np.rint(resize_frames(half * 255, 48, 48)), 0, 255)
    np.testing.assert_array_equal(found[2:], exact)


def test_the_order_of_cycles_does_not_matter_and_how_pixels_came_is_told(folders, tmp_path, capsys):
    fake = np.concatenate([np.load(file) for file in sorted((folders / "fake").glob("*.npy"))])
    np.save(tmp_path / "one.npy", fake)
    np.save(tmp_path / "other.npy", np.random.default_rng(0).permutation(fake))
    options = ["--held-out", folders / "other", *SMALL, "--partial"]
    one = told(capsys, folders / "real", tmp_path / "one.npy", *options)
    assert told(capsys, folders / "real", tmp_path / "other.npy", *options) == one
    assert one["pixels"] == "24x24, by one antialiased filter, rounded to 8 bits"
    assert (one["range"], one["whole_frames"], one["seed"]) == ("8 bits", False, 0)


@pytest.mark.parametrize("copies", [1, 3])
def test_the_same_cycles_under_two_names_are_one_patient(folders, tmp_path, copies):
    for number in range(copies):
        np.save(tmp_path / f"Q{number}.npy", np.load(folders / "real" / f"P0{number}.npy"))
    for held_out in (tmp_path, folders / "other" / ".." / "real"):
        with pytest.raises(CineganError, match=r"test cycle 0 is train cycle 0: the same patient"):
            given = [folders / "real" / "P00.npy", folders / "fake", "--held-out", held_out]
            main([*map(str, given), *SMALL, "--partial"])


def test_one_cycle_of_each_is_refused_or_told_in_part(tmp_path, folders, capsys):
    for side in ("real", "fake"):
        file = sorted((folders / side).glob("*.npy"))[0]
        np.save(tmp_path / f"{side}.npy", np.load(file)[:1])
    with pytest.raises(CineganError, match="too few synthetic cycles: 1"):
        main([str(tmp_path / "real.npy"), str(tmp_path / "fake.npy"), *SMALL])
    report = told(capsys, tmp_path / "real.npy", tmp_path / "fake.npy", *SMALL, "--partial")
    assert report["kid_motion_train"] is None


def test_on_the_command_line_a_fault_is_one_line_and_a_non_zero_exit(folders, tmp_path):
    command = [sys.executable, "-m", "cinegan.evaluation", folders / "real", tmp_path / "none.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
