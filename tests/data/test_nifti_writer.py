"""NIfTI written: voxels, affine and bytes."""

import gzip

import nibabel
import numpy as np
import pytest

from cinegan.data.nifti_writer import encode_slice
from cinegan.data.orientation import Plane

ROW, COLUMN = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, -1.0])
PLANE = Plane(np.array([10.0, -20.0, 30.0]), ROW, COLUMN, (2.0, 1.5), (3, 5))
PICTURES = np.arange(60, dtype=np.uint8).reshape(3, 5, 4)


def read(content):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 4), (1, 3)])
def test_each_pixel_lies_where_the_plane_says(row, column):
    image = read(encode_slice(PICTURES, PLANE, 8.0, 40.0))
    place = PLANE.origin_mm + 1.5 * column * ROW + 2.0 * row * COLUMN
    voxel = np.linalg.inv(image.affine) @ [-place[0], -place[1], place[2], 1]
    x, y, z = np.rint(voxel[:3]).astype(int)
    np.testing.assert_allclose(voxel[:3], [x, y, z], atol=1e-5)
    np.testing.assert_array_equal(np.asarray(image.dataobj)[x, y, z], PICTURES[row, column])


def test_header():
    image = read(encode_slice(PICTURES, PLANE, 8.0, 40.0, about="x" * 200))
    assert image.header.get_zooms() == pytest.approx((1.5, 2.0, 8.0, 0.04))
    assert image.header.get_data_dtype() == np.uint8
    assert image.header["descrip"].item() == b"x" * 79
    still = read(encode_slice(PICTURES[..., 0], PLANE, 8.0))
    assert still.shape == (5, 3, 1)


def test_the_same_arguments_give_the_same_bytes_without_time_or_name():
    content = encode_slice(PICTURES, PLANE, 8.0, 40.0)
    assert encode_slice(PICTURES.copy(), PLANE, 8.0, 40.0) == content
    assert content[3:8] == bytes(5)  # no name, no time
