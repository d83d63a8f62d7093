"""Sparseness against the definition of the Gini index: the mean absolute difference of all pairs."""

import numpy as np
import pytest

from skylight.evaluation.complexity import sparseness


def test_against_the_mean_difference_of_all_pairs():
    maps = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32)
    before = maps.copy()
    found = sparseness(maps)
    for one, gini in zip(np.abs(maps.astype(float)), found, strict=True):
        differences = np.abs(one.reshape(-1, 1) - one.reshape(1, -1))
        assert gini == pytest.approx(differences.mean() / (2 * one.mean()))
    assert np.array_equal(maps, before)
    assert np.allclose(sparseness(1e-9 * maps), found)  # the scale of a map does not matter
    assert np.allclose(sparseness(-maps), found)


def test_maps_with_a_known_index():
    maps = np.zeros((4, 200, 200))
    maps[0, 3, 5] = -2e-3
    maps[1] = 7
    maps[2] = np.random.default_rng(0).random((200, 200))
    found = sparseness(maps)
    assert found[0] == pytest.approx(1 - 1 / 40000, abs=1e-8)
    assert found[1] == pytest.approx(0, abs=1e-8)
    assert found[2] == pytest.approx(1 / 3, abs=0.01)
    assert np.isnan(found[3])
