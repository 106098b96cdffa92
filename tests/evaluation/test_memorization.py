import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.memorization import authenticity, nearest_train, pixel_features

CYCLES = np.random.default_rng(0).integers(60, 160, (12, 64, 64, 4), dtype=np.uint8)


def test_pixel_distance_is_that_of_the_correlation():
    features = pixel_features(CYCLES)
    coarse = CYCLES.reshape(12, 32, 2, 32, 2, 4).mean(axis=(2, 4)).reshape(12, -1)
    correlation = np.corrcoef(coarse)
    distance = np.linalg.norm(features[0] - features[1])
    assert distance == pytest.approx(np.sqrt(2 - 2 * correlation[0, 1]))


@pytest.mark.parametrize("size", [16, 33, 64, 100, 256])
def test_sides_are_brought_to_about_32(size):
    features = pixel_features(np.zeros((1, size, size, 2), np.uint8))
    assert features.shape[0] == 1
    assert min(size, 32) ** 2 * 2 <= features.shape[1] < 64**2 * 2


def test_brightness_and_contrast_do_not_matter_and_a_constant_is_harmless():
    changed = (CYCLES * 0.5 + 40).astype(np.uint8)
    assert nearest_train(pixel_features(changed), pixel_features(CYCLES)).tolist() == [*range(12)]
    np.testing.assert_array_equal(pixel_features(np.full_like(CYCLES[:1], 9)), 0)


def test_hand_computed_authenticity():
    train = np.array([[0.0], [1.0], [5.0]])  # apart from the nearest: 1, 1, 4
    samples = np.array([[0.2], [-3.0], [8.0], [9.5]])
    # 0.2 from 0 is nearer than 1: a copy. 3 from 0: new. 3 from 5: nearer than 4. 4.5: new.
    assert authenticity(samples, train) == 0.5


def test_copies_are_found_and_other_patients_are_new():
    generator = np.random.default_rng(1)

    def slices_of(patient, noise):
        cycles = patient + generator.normal(0, noise, (6, *patient.shape))
        return pixel_features(cycles.clip(0, 255).astype(np.uint8))

    train = slices_of(CYCLES[0].astype(float), 12)
    assert authenticity(train + generator.normal(0, 1e-4, train.shape), train) == 0
    assert authenticity(slices_of(CYCLES[1].astype(float), 12), train) == 1


def test_one_train_cycle_has_no_neighbour():
    with pytest.raises(CineganError, match="at least 2 samples, not 1"):
        authenticity(np.ones((3, 2)), np.ones((1, 2)))
