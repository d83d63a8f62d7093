"""Quarter turns of maps, and how far maps agree."""

import numpy as np
import pytest

from skylight.evaluation.rotation_equivariance import copies_turned_back, maps_of_turns, rotation_agreement, turned

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(5, 6, 6, 2))


def test_an_explanation_that_follows_the_image_agrees_and_one_that_does_not_does_not():
    following = maps_of_turns(lambda images: images**2, IMAGES)
    assert np.allclose(following, IMAGES**2) and np.allclose(rotation_agreement(following), 1)
    fixed = maps_of_turns(lambda images: np.broadcast_to(IMAGES[0], images.shape), IMAGES)
    assert np.abs(rotation_agreement(fixed)).max() < 0.6
    assert np.array_equal(fixed[1], turned(np.repeat(IMAGES[:1], 5, axis=0), -1))


def test_agreement_is_the_mean_correlation_of_all_pairs():
    maps = RNG.normal(size=(4, 3, 6, 6, 2))
    for i in range(3):
        matrix = np.corrcoef(maps[:, i].reshape(4, -1))
        assert rotation_agreement(maps)[i] == pytest.approx(matrix[np.triu_indices(4, 1)].mean())
    noisy = IMAGES[None] + RNG.normal(size=(4, *IMAGES.shape))
    assert rotation_agreement(3 * noisy + 1) == pytest.approx(rotation_agreement(noisy))
    assert 0.3 < rotation_agreement(noisy).mean() < 0.7
    assert np.isnan(rotation_agreement(np.zeros((4, 3, 6, 6)))).all()


def test_copies_inside_a_network_are_turned_back():
    copies = np.stack([turned(IMAGES, turn) for turn in range(4)], axis=1).reshape(20, 6, 6, 2)
    assert np.array_equal(copies_turned_back(copies), IMAGES)
