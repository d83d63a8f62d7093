"""Maps of the quarter turns of an image, and how far they agree."""

import numpy as np
import pytest

from skylight.attribution.orientation import turned
from skylight.evaluation.rotation_equivariance import (
    agreement_summary,
    copies_turned_back,
    largest_relative_change,
    maps_of_turns,
    nearest_to_median,
    relevance_per_input,
    rotation_agreement,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(5, 6, 6, 2))


def test_agreement_is_1_if_the_maps_turn_with_the_image_and_low_if_they_are_fixed():
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


def test_the_largest_change_is_relative_to_the_upright_map():
    maps = np.repeat(IMAGES[None], 4, axis=0)
    assert largest_relative_change(maps) == 0
    maps[2, 3, 1, 4, 0] += 7
    maps[1, 0] *= -1  # changes each pixel by twice its value
    assert largest_relative_change(maps) == pytest.approx(max(2, 7 / np.abs(IMAGES[3]).max()))
    maps[0, 4] = 0
    assert largest_relative_change(maps) == np.inf


def test_the_summary_has_means_and_paired_differences_with_their_errors():
    reference, other = np.array([0.5, 0.7, 0.9, np.nan]), np.array([0.9, 0.8, 1.0, 1.0])
    summary = agreement_summary({"reference": reference, "other": other}, "reference")
    assert summary["other"]["mean"] == pytest.approx(0.925)
    assert summary["other"]["error"] == pytest.approx(np.std([0.9, 0.8, 1, 1], ddof=1) / 2)
    assert summary["reference"]["mean"] == pytest.approx(0.7)
    assert summary["other"]["gain_over_reference"] == pytest.approx((0.4 + 0.1 + 0.1) / 3)
    assert summary["other"]["gain_error"] == pytest.approx(np.std([0.4, 0.1, 0.1], ddof=1) / np.sqrt(3))
    assert summary["reference"]["gain_over_reference"] == 0
    alone = agreement_summary({"reference": np.array([0.5])}, "reference")["reference"]
    assert np.isnan([alone["mean"], alone["error"]]).all()


def test_the_value_nearest_to_the_median_is_found_among_nan():
    assert nearest_to_median(np.array([np.nan, 0.9, 0.1, 0.52, 0.2, 0.6])) == 3


def test_copies_inside_a_network_are_turned_back():
    copies = np.stack([turned(IMAGES, turn) for turn in range(4)], axis=1).reshape(20, 6, 6, 2)
    assert np.array_equal(copies_turned_back(copies), IMAGES)


def test_relevance_per_input_adds_up_the_copies_of_each_input():
    copies = RNG.normal(size=(20, 6, 6, 2))
    found = relevance_per_input(copies, 5)
    for i in range(5):
        expected = sum(np.rot90(copies[4 * i + turn], -turn) for turn in range(4))
        assert np.allclose(found[i], expected)
    assert np.array_equal(relevance_per_input(IMAGES, 5), IMAGES)
    features = RNG.normal(size=(20, 3))
    assert np.allclose(relevance_per_input(features, 5)[1], features[4:8].sum(axis=0))
    assert np.array_equal(relevance_per_input(features, 20), features)
