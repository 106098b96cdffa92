"""What a run will take: disk against hand-computed bytes, operations against hand-computed sums."""

import shutil
from types import SimpleNamespace

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
