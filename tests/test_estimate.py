"""What a run will take: disk against hand-computed bytes, operations against hand-computed sums."""

import shutil
from types import SimpleNamespace

import keras
import pytest

from cinegan import estimate
from cinegan.errors import CineganError
from cinegan.params import Phantom


def test_a_phantom_takes_its_raw_frames_and_as_many_cycles_twice_over(data_options):
    phantom = Phantom(patients_per_group=2, slices=3, size=64)
    frames = 4 * 2 * 3 * 20
    expected = 2 * (frames * 64 * 64 * 2 + frames * 64 * 64 * 2)
    assert estimate.disk_bytes(data_options(phantom=phantom)) == expected


@pytest.mark.parametrize("mirror", [None, "https://example.org/scd"])
def test_the_whole_published_cohort_takes_its_archives_and_530_slices_twice_over(
    data_options, mirror
):
    options = data_options(source="sunnybrook", mirror=mirror)
    assert estimate.disk_bytes(options) == 2 * (2.2e9 + 530 * 20 * 256 * 256 * 2)


@pytest.mark.parametrize("source", ["sunnybrook", "folder"])
def test_what_lies_on_disk_counts_as_it_lies_there(data_options, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "deep").mkdir(parents=True)
    (tmp_path / "here" / "a.zip").write_bytes(bytes(1000))
    (tmp_path / "here" / "deep" / "b.dcm").write_bytes(bytes(500))
    options = data_options(source=source, mirror="here", folder="here")
    assert estimate.disk_bytes(options) == 2 * (1500 + 3 * 1500)


def test_a_run_that_fits_is_announced_and_may_start(tmp_path, capsys):
    estimate.check_disk(2.5e6, tmp_path / "not" / "yet" / "there")
    said = capsys.readouterr().out
    assert said.startswith("data will take about 0.0025 GB of disk; ")
    assert said.endswith("GB are free\n")


def test_a_run_that_cannot_fit_is_refused_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    with pytest.raises(CineganError, match=r"raw: about 3 GB are needed and 1 GB are free; free"):
        estimate.check_disk(3e9, tmp_path / "raw")


LAYERS = {
    "convolution": ([keras.layers.Conv2D(8, 3, padding="same")], 2 * 6 * 6 * 3 * 3 * 4 * 8),
    "strided": ([keras.layers.Conv2D(8, 5, 2, padding="same")], 2 * 3 * 3 * 5 * 5 * 4 * 8),
    # Its kernel is applied at each of the 6 x 6 input pixels.
    "transposed": (
        [keras.layers.Conv2DTranspose(8, 5, 2, padding="same")],
        2 * 6 * 6 * 5 * 5 * 4 * 8,
    ),
    "dense": ([keras.layers.Flatten(), keras.layers.Dense(7)], 2 * 6 * 6 * 4 * 7),
    "the rest": ([keras.layers.ReLU(), keras.layers.BatchNormalization()], 0),
    "a sum": (
        [keras.layers.Conv2D(2, 1), keras.layers.Flatten(), keras.layers.Dense(1)],
        2 * 6 * 6 * 4 * 2 + 2 * 6 * 6 * 2,
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_operations_are_two_per_multiply_add(kind):
    layers, expected = LAYERS[kind]
    network = keras.Sequential([keras.Input((6, 6, 4)), *layers])
    assert estimate.flops_per_image(network) == expected
