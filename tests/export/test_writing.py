"""An export is whole or absent, and the same each time."""

import json

import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.export import writing
from cinegan.export.writing import export


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_twice_gives_the_same_bytes_and_all_formats(source, tmp_path):
    files = export(source, tmp_path / "a", progress=False)
    assert files == {"DICOM files": 42, "4D NIfTI files": 4, "nnU-Net cases": 4, "arrays": 3}
    export(source, tmp_path / "b", progress=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        *("dicom", "nifti", "nnunet", "arrays", "CARD.md", "card.json")
    }
    arrays = tmp_path / "a" / "arrays"
    np.testing.assert_array_equal(np.load(arrays / "cycles.npy"), source.cycles)
    np.testing.assert_array_equal(np.load(arrays / "classes.npy"), source.labels.classes)
    np.testing.assert_array_equal(np.load(arrays / "labels.npy"), source.labels.maps)
    assert json.loads((tmp_path / "a" / "card.json").read_text())["files"] == files


def test_only_what_is_asked_for_is_written(plain, tmp_path):
    files = export(plain, tmp_path / "out", ["nifti", "arrays"], progress=False)
    assert files == {"4D NIfTI files": 2, "arrays": 1}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *("nifti", "arrays", "CARD.md", "card.json")
    }


def test_an_existing_folder_is_refused_and_left_alone(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(CineganError, match="exists already; name a folder that does not"):
        export(source, tmp_path / "out", progress=False)
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_nothing_is_left_of_an_export_that_fails(source, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "write_card", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(source, tmp_path / "there" / "out", progress=False)
    assert not list((tmp_path / "there").iterdir())
