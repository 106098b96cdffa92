"""NIfTI that others read: the same image as the DICOM, and nnU-Net's layout."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from imports import ROOT
from loopback import absent

from cinegan.data import nifti
from cinegan.export.classes import CAVITY, IGNORE, NAMES
from cinegan.export.nnunet import begin_dataset, write_cases, write_dataset_json, write_volumes
from cinegan.export.series import write_series
from cinegan.export.writing import export

OWN = Path(sys.executable).with_name("dcm2niix")
# Of the lock, and what else the machine has, such as Debian's, which need not be there.
CONVERTERS = [OWN, *filter(None, [shutil.which("dcm2niix")])]


def picture(image):
    """Voxels as pictures, (H, W, ...)."""
    return np.asarray(image.dataobj).swapaxes(0, 1)[::-1, :, 0]


def test_a_cycle_and_its_classes_come_back(source, tmp_path):
    assert write_volumes(tmp_path, source, 1) == 2
    image = nibabel.load(tmp_path / "cinegan64_00001.nii.gz")
    classes = nibabel.load(tmp_path / "cinegan64_00001_seg.nii.gz")
    np.testing.assert_array_equal(picture(image), source.cycles[1])
    np.testing.assert_array_equal(picture(classes), source.labels.classes[1])
    np.testing.assert_array_equal(image.affine, classes.affine)
    assert image.header.get_zooms() == pytest.approx((2.5, 2.5, 8, 0.045))
    assert image.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(image.get_qform(), image.affine, atol=1e-4)


@pytest.mark.parametrize("dcm2niix", CONVERTERS, ids=str)
def test_dcm2niix_makes_the_same_of_the_dicom(source, tmp_path, dcm2niix):
    if not Path(dcm2niix).exists():
        absent("dcm2niix")
    write_series(tmp_path / "dicom", source, 0)
    write_volumes(tmp_path, source, 0)
    (images,) = (tmp_path / "dicom").glob("*/cine")
    out = tmp_path / "converted"
    out.mkdir()
    subprocess.run(
        [dcm2niix, "-z", "n", "-b", "n", "-o", out, images], capture_output=True, check=True
    )
    (made,) = out.glob("*.nii")
    theirs, ours = nibabel.load(made), nibabel.load(tmp_path / "cinegan64_00000.nii.gz")
    np.testing.assert_array_equal(np.asarray(theirs.dataobj), np.asarray(ours.dataobj))
    np.testing.assert_allclose(theirs.affine, ours.affine, atol=1e-4)  # mm; it reckons in float32
    assert theirs.header.get_zooms()[:3] == ours.header.get_zooms()[:3]


def test_cinegan_itself_reads_a_volume(source, tmp_path):
    write_volumes(tmp_path, source, 0)
    content = (tmp_path / "cinegan64_00000.nii.gz").read_bytes()
    headers = nifti.read_headers(lambda n: content[:n], "cinegan64_00000.nii.gz")
    assert len(headers) == 20
    assert headers[1].trigger_ms == pytest.approx(45)
    assert not headers[0].identifying
    with pytest.raises(ValueError, match="a label map"):
        nifti.read_headers(lambda n: content[:n], "cinegan64_00000_seg.nii.gz")


def test_a_dataset_is_as_nnunet_asks(source, tmp_path):
    dataset = begin_dataset(tmp_path, source.name, 900)
    cases = sum(write_cases(dataset, source, number) for number in range(2))
    write_dataset_json(dataset, source, cases, "CC0 1.0")
    assert dataset.name == "Dataset900_cinegan64"
    about = json.loads((dataset / "dataset.json").read_text())
    assert about["labels"] == {"background": 0, "LV cavity": 1, "LV myocardium": 2, "ignore": 3}
    assert about["numTraining"] == cases == 4
    names = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())
    images = sorted(path.name for path in (dataset / "imagesTr").iterdir())
    assert images == [f"{name}_0000.nii.gz" for name in names]
    for name in names:
        number, phase = int(name.split("_")[-2]), int(name[-2:])
        image = nibabel.load(dataset / "imagesTr" / f"{name}_0000.nii.gz")
        classes = nibabel.load(dataset / "labelsTr" / f"{name}.nii.gz")
        assert image.ndim == classes.ndim == 3
        np.testing.assert_array_equal(picture(image), source.cycles[number, ..., phase])
        np.testing.assert_array_equal(image.affine, classes.affine)
        assert set(np.unique(picture(classes))) <= set(about["labels"].values())


def test_ignore_is_declared_only_where_something_is_ignored(source, tmp_path):
    source.labels.classes[source.labels.classes == IGNORE] = CAVITY
    dataset = begin_dataset(tmp_path, source.name, 7)
    write_dataset_json(dataset, source, 4, "CC0 1.0")
    assert dataset.name == "Dataset007_cinegan64"
    assert "ignore" not in json.loads((dataset / "dataset.json").read_text())["labels"]


def test_what_the_docs_leave_out_is_all_that_does_not_tell_where_a_cavity_ends(source, tmp_path):
    export(source, tmp_path / "exported", ["nifti"], progress=False)  # the tests run in tmp_path
    section = (ROOT / "docs/export.md").read_text().partition("**End-systole.**")[2]
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1], {})
    dataset = tmp_path / "exported/nnunet/Dataset900_cinegan64"
    about = json.loads((dataset / "dataset.json").read_text())
    assert about["labels"] == NAMES
    labels = sorted((dataset / "labelsTr").iterdir())
    images = [file.name for file in sorted((dataset / "imagesTr").iterdir())]
    assert images == [file.name.replace(".nii.gz", "_0000.nii.gz") for file in labels]
    assert len(labels) == about["numTraining"] == 2
    for file in labels:
        assert set(np.unique(nibabel.load(file).dataobj)) == set(NAMES.values())


def test_a_frame_that_tells_nothing_is_no_case(source, tmp_path):
    source.labels.classes[0] = IGNORE
    assert write_cases(begin_dataset(tmp_path, source.name, 900), source, 0) == 0
