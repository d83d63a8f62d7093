"""Each measure against its definition, and on perfect, opposite and constant maps."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc


@pytest.fixture
def masks():
    masks = np.zeros((3, 6, 7), dtype=bool)
    masks[0, 2:4, 1:5] = True
    masks[1, 0, 0] = True
    return masks  # the third is empty


def test_a_perfect_map_and_its_opposite(masks):
    for measure in (pointing_game, relevance_mass, rank_accuracy, roc_auc):
        assert np.array_equal(measure(masks.astype(float), masks), [1, 1, np.nan], equal_nan=True)
        assert np.array_equal(measure(1.0 - masks, masks), [0, 0, np.nan], equal_nan=True)


def test_a_constant_map_is_as_good_as_chance(masks):
    flat = np.ones(masks.shape)
    share = masks[:2].mean(axis=(1, 2))
    assert np.allclose(relevance_mass(flat, masks)[:2], share)
    assert np.allclose(rank_accuracy(flat, masks)[:2], share)
    assert np.allclose(roc_auc(flat, masks)[:2], 0.5)


def test_against_the_definitions_on_random_maps_with_ties():
    rng = np.random.default_rng(0)
    maps, masks = rng.integers(0, 9, (20, 5, 8)).astype(float), rng.random((20, 5, 8)) < 0.3
    for i, (m, mask) in enumerate(zip(maps, masks, strict=True)):
        assert roc_auc(m, mask)[0] == pytest.approx(roc_auc_score(mask.ravel(), m.ravel()))
        assert relevance_mass(m, mask)[0] == pytest.approx(m[mask].sum() / m.sum())
        distinct = m + 1e-3 * rng.random(m.shape)
        top = np.argsort(distinct.ravel())[-mask.sum() :]
        assert rank_accuracy(distinct, mask)[0] == pytest.approx(mask.ravel()[top].mean())
        assert pointing_game(distinct, mask)[0] == mask.ravel()[top[-1]]
        assert roc_auc(maps, masks)[i] == roc_auc(m, mask)[0]
