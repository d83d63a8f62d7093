"""The controls: an edge detector against its two kernels, independent noise, and a Gaussian in the middle."""

import numpy as np
import pytest

from skylight.evaluation.controls import WIDTH, centred_gaussian, edges, random_maps


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


def test_edges_of_a_sequence_are_differences_of_neighbours():
    sequences = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    maps = edges(None, sequences)
    assert maps.shape == sequences.shape
    assert np.allclose(maps[:, 1:-1], np.abs(sequences[:, 2:] - sequences[:, :-2]))
    assert random_maps(0)(None, sequences).shape == (2, 7, 1)


def test_the_gaussian_is_in_the_middle_and_has_the_shape_of_the_image():
    maps = centred_gaussian(None, np.zeros((3, 41, 21, 2)))
    assert maps.shape == (3, 41, 21, 1)
    assert maps.dtype == np.float32
    for image, row, column in [(0, 20, 10), (1, 20, 5), (2, 9, 17)]:
        distance = ((row - 20) / (WIDTH * 41)) ** 2 + ((column - 10) / (WIDTH * 21)) ** 2
        assert maps[image, row, column, 0] == pytest.approx(np.exp(-distance / 2), rel=1e-5)
    even = centred_gaussian(None, np.zeros((1, 6, 8, 1)))[0, ..., 0]
    assert np.array_equal(even, even[::-1, ::-1])
    assert centred_gaussian(None, np.zeros((2, 9, 4))).shape == (2, 9, 1)
