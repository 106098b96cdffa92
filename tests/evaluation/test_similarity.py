import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from cinegan.errors import CineganError
from cinegan.evaluation.similarity import WEIGHTS, fitting_scales, similarity_table


def pictures(n, size, phases=4, seed=0):
    smooth = gaussian_filter(
        np.random.default_rng(seed).normal(size=(n, size, size, phases)), (0, 2, 2, 0)
    )
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "scales"), [(11, 1), (21, 1), (22, 2), (64, 3), (128, 4), (256, 5)]
)
def test_as_many_scales_as_fit(size, scales):
    assert fitting_scales(size) == scales


def test_one_scale_equals_scikit_image():
    cycles = pictures(4, 16)
    table = similarity_table(cycles)
    for i in range(4):
        for j in range(i):
            expected = [
                structural_similarity(
                    cycles[i, :, :, t],
                    cycles[j, :, :, t],
                    gaussian_weights=True,
                    sigma=1.5,
                    use_sample_covariance=False,
                    data_range=255,
                )
                for t in range(4)
            ]
            assert table[i, j] == pytest.approx(np.maximum(expected, 0).mean(), abs=1e-4)


def contrast_and_structure(a, b, whole):
    """As published, with SciPy's filter; of luminance too if `whole`."""

    def blurred(x):
        return gaussian_filter(x, 1.5, radius=5)[5:-5, 5:-5]

    ma, mb = blurred(a), blurred(b)
    va, vb, vab = blurred(a * a) - ma**2, blurred(b * b) - mb**2, blurred(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = (2 * vab + c2) / (va + vb + c2)
    return (found * ((2 * ma * mb + c1) / (ma**2 + mb**2 + c1) if whole else 1)).mean()


def test_several_scales_equal_the_definition():
    cycles = pictures(2, 64, phases=1) // 2 + pictures(1, 64, phases=1, seed=3) // 2
    a, b = cycles[..., 0].astype(float)
    weights = np.array(WEIGHTS[:3]) / sum(WEIGHTS[:3])
    expected = 1.0
    for k, weight in enumerate(weights):
        expected *= max(contrast_and_structure(a, b, k == 2), 0) ** weight
        a, b = (x.reshape(len(x) // 2, 2, -1, 2).mean(axis=(1, 3)) for x in (a, b))
    assert 0.05 < expected < 0.95
    assert similarity_table(cycles)[0, 1] == pytest.approx(expected, abs=1e-4)


def test_a_table_is_symmetric_and_its_order_does_not_matter():
    cycles = pictures(5, 32)
    table = similarity_table(cycles)
    np.testing.assert_array_equal(table, table.T)
    np.testing.assert_array_equal(np.diagonal(table), 1)
    order = [3, 0, 4, 2, 1]
    np.testing.assert_allclose(
        similarity_table(cycles[order]), table[np.ix_(order, order)], atol=1e-6
    )


def test_the_same_cycle_again_is_alike_and_opposite_structure_is_not():
    cycle = pictures(1, 32)
    table = similarity_table(np.concatenate([cycle, cycle, 255 - cycle]))
    assert table[0, 1] == pytest.approx(1, abs=1e-5)
    assert table[0, 2] == 0


def test_frames_smaller_than_the_window_are_refused():
    with pytest.raises(CineganError, match="smaller than the window"):
        similarity_table(np.zeros((2, 8, 8, 3), np.uint8))
