"""The measured lengths are exactly those of the published threshold scan, written literally."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skylight.galaxies.bar_length import bar_ends, bar_lengths, bar_pixels

CORRELATIONS = [0.0, 0.5, 0.85, 0.95, 1.0]
COUNTS = [1, 2, 5, 20]


def literal_scan(heatmap: np.ndarray, corr_threshold: float, len_threshold: int) -> tuple[float, np.ndarray]:
    """The scan as published: a mask and a correlation a threshold, then the distance of every pair of pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for threshold in np.arange(0.5, 1.0, 0.0001):
            x, y = np.asarray(heatmap > threshold).nonzero()
            correlation = abs(np.corrcoef(x, y)[1, 0])
            if correlation > corr_threshold or len(x) < len_threshold:
                break
    length = 1.0
    for i in range(len(x)):
        for j in range(len(x)):
            length = max(length, np.sqrt((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2))
    return length, heatmap > threshold


def assert_as_scanned(heatmap, correlations=CORRELATIONS, counts=COUNTS):
    measured = bar_lengths(heatmap, correlations, counts)
    for i, corr_threshold in enumerate(correlations):
        for j, len_threshold in enumerate(counts):
            length, mask = literal_scan(heatmap, corr_threshold, len_threshold)
            assert measured[i, j] == length, (corr_threshold, len_threshold)
            assert np.array_equal(bar_pixels(heatmap, corr_threshold, len_threshold), mask)


# Values on a coarse grid make ties, and sets of pixels whose correlation equals a threshold but for rounding.
VALUES = st.sampled_from([0.0, 0.3, 0.5, 0.5001, 0.6, 0.75, 0.9, 0.9999, 1.0, float("nan")])


@settings(max_examples=15, deadline=None)
@given(heatmap=arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=VALUES))
def test_small_maps_with_ties_and_nans(heatmap):
    assert_as_scanned(heatmap, [0.5, 1.0], [1, 4])


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(4, 14), dtype=st.sampled_from([np.float32, np.float64]))
def test_random_maps(seed, size, dtype):
    rng = np.random.default_rng(seed)
    assert_as_scanned(rng.random((size, size + 2)).astype(dtype), [0.3, 0.85], [1, 8])


@settings(max_examples=4, deadline=None)
@given(angle=st.floats(0, np.pi), seed=st.integers(0, 99))
def test_maps_with_a_bar(angle, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :24] - 11.5
    along, across = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
    heatmap = np.exp(-((along / 7) ** 2) - (across / 2) ** 2) + 0.05 * rng.random((24, 24))
    heatmap = (heatmap - heatmap.min()) / np.ptp(heatmap)
    assert_as_scanned(heatmap, [0.8, 0.9], [10, 30])


SPECIAL = {
    "zeros": np.zeros((5, 5)),
    "ones": np.ones((4, 6)),
    "flat": np.full((4, 4), 0.7),
    "nan": np.full((4, 4), np.nan),
    "single": np.eye(1, 25, 7).reshape(5, 5),
    "row": np.outer([0, 1, 0], np.linspace(0.4, 1, 8)),
    "diagonal": np.eye(6),
    "one_pixel": np.ones((1, 1)),
    "infinite": np.where(np.eye(5) > 0, np.inf, 0.2),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_maps(name):
    assert_as_scanned(SPECIAL[name], [0.85, 1.0], [1, 3])


def test_a_correlation_equal_to_the_threshold_is_decided_as_numpy_rounds_it():
    """Three pixels whose correlation is exactly 0.5 but for rounding, at every place of the map."""
    for row in range(6):
        heatmap = np.zeros((9, 9))
        heatmap[row, 0] = heatmap[row + 1, 2] = heatmap[row + 2, 1] = 1.0
        assert_as_scanned(heatmap, [0.5], [1])


def test_ends_are_the_farthest_pixels():
    mask = np.zeros((20, 30), dtype=bool)
    mask[4, 5] = mask[15, 25] = mask[10, 14] = True
    assert np.array_equal(bar_ends(mask), [[4, 5], [15, 25]])
    assert np.isnan(bar_ends(np.zeros((3, 3), dtype=bool))).all()
