"""The format of a file is told by its name; what is packed otherwise is not opened."""

import numpy as np
import pytest
from dicom_factory import beating, encode, image, nifti, write_zip

from cinegan.data import images
from cinegan.data.containers import open_containers


def test_formats_are_read_through_one_interface(tmp_path):
    (tmp_path / "IM1").write_bytes(encode(image()))
    write_zip(tmp_path / "p1.zip", {"a/p7_4d.nii": nifti(), "b/cine.nii": nifti()})
    with open_containers(tmp_path) as found:
        for container, file, frames, patient in (
            ("", "IM1", 1, "SCD0000101"), ("p1.zip", "a/p7_4d.nii", 12, "p7"),
            ("p1.zip", "b/cine.nii", 12, "b"),
        ):  # fmt: skip
            headers = images.read_headers(found[container], file)
            assert (len(headers), headers[0].patient_id) == (frames, patient)
            pixels = images.read_pixels(found[container], file, headers[-1])
            columns = headers[0].shape[1]
            np.testing.assert_array_equal(pixels[0], beating(0, 20)[:, :columns])
        first, second = (
            images.read_headers(found["p1.zip"], f)[0] for f in ("a/p7_4d.nii", "b/cine.nii")
        )
        assert first.uid != second.uid


@pytest.mark.parametrize("name", ["x.zip", "x.ZIP", "x.tar.gz", "x.tgz", "x.7z", "x.dcm.gz"])
def test_an_archive_within_an_archive_has_its_own_reason(tmp_path, name):
    write_zip(tmp_path / "outer.zip", {name: b"PK"})
    with open_containers(tmp_path) as found:
        for read in (images.read_headers, lambda c, f: images.read_pixels(c, f, None)):
            with pytest.raises(ValueError, match="an archive within an archive"):
                read(found["outer.zip"], name)
