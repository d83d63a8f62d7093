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


@pytest.mark.parametrize("level", [0, 1])
def test_a_map_without_contrast_has_no_number(masks, level):
    flat = np.full(masks.shape, level, float)
    for measure in (pointing_game, relevance_mass, rank_accuracy, roc_auc):
        assert np.isnan(measure(flat, masks)).all()


def test_several_highest_pixels_hit_in_part():
    maps = np.array([[[5.0, 1, 5, 5], [0, 0, 0, 0]]])
    mask = np.array([[[True, True, False, False], [False, False, False, False]]])
    assert pointing_game(maps, mask) == pytest.approx(1 / 3)  # the first pixel, which argmax takes, is in the mask


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
