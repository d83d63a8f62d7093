"""The controls: an edge detector against its two kernels, and noise that is independent at every call."""

import numpy as np
import pytest

from skylight.evaluation.controls import edges, random_maps


def test_edges_equal_the_sobel_kernels():
    inputs = np.random.default_rng(0).normal(size=(2, 6, 7, 3)).astype(np.float32)
    kernel = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    maps = edges(None, inputs)
    assert maps.shape == inputs.shape
    assert maps.dtype == np.float32
    for image, row, column, channel in [(0, 1, 1, 0), (1, 3, 4, 2), (0, 4, 5, 1)]:
        around = inputs[image, row - 1 : row + 2, column - 1 : column + 2, channel]
        expected = np.hypot((kernel * around).sum(), (kernel.T * around).sum())
        assert maps[image, row, column, channel] == pytest.approx(expected, rel=1e-5)
    assert not edges(None, np.full((1, 6, 7, 1), 3.0)).any()


def test_random_maps_differ_between_calls_and_are_set_by_the_seed():
    inputs = np.zeros((5, 30, 40, 3))
    first, again = random_maps(1), random_maps(1)
    one, two = first(None, inputs), first(None, inputs)
    assert one.shape == (5, 30, 40, 1)
    assert np.array_equal(one, again(None, inputs))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.05
    assert one.mean() == pytest.approx(0.5, abs=0.02)
