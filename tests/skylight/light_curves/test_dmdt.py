"""dmdt images against a literal version of the published algorithm, and their symmetries."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylight import params
from skylight.light_curves.curve import light_curve
from skylight.light_curves.dmdt import DmDt

GRID = params.load().periodic.dmdt
DMDT = DmDt(GRID.dm_edges, GRID.dt_edges)


def random_curve(seed, points=40):
    rng = np.random.default_rng(seed)
    time = rng.uniform(0, rng.choice([0.1, 10, 3000]), points)
    return light_curve(time, rng.normal(15, rng.choice([0.1, 1, 4]), points), np.full(points, 0.1))


def pair_loop(curve):
    """All pairs one by one, each put into its cell by comparing with every edge."""
    counts = np.zeros(DMDT.shape)
    for i, j in combinations(range(len(curve)), 2):
        dm, dt = curve.mag[j] - curve.mag[i], curve.time[j] - curve.time[i]
        for row in range(DMDT.shape[0]):
            for column in range(DMDT.shape[1]):
                in_row = GRID.dm_edges[row] <= dm < GRID.dm_edges[row + 1]
                if in_row and GRID.dt_edges[column] <= dt < GRID.dt_edges[column + 1]:
                    counts[row, column] += 1
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_the_pair_loop(seed):
    curve = random_curve(seed, points=25)
    assert np.array_equal(DMDT.counts([curve])[0], pair_loop(curve))


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_histogram2d(seed):
    curve = random_curve(seed, points=200)
    first, second = np.triu_indices(len(curve), 1)
    dm, dt = curve.mag[second] - curve.mag[first], curve.time[second] - curve.time[first]
    expected, _, _ = np.histogram2d(dm, dt, bins=[GRID.dm_edges, GRID.dt_edges])
    assert np.array_equal(DMDT.counts([curve])[0], expected)


def test_a_difference_at_the_last_edge_is_not_counted_where_histogram2d_counts_it():
    at_last_dm = light_curve([0, 1], [8, 16], [0.1, 0.1])
    at_last_dt = light_curve([0, 4000], [15, 15], [0.1, 0.1])
    assert DMDT.counts([at_last_dm, at_last_dt]).sum() == 0
    assert np.histogram2d([8], [1], bins=[GRID.dm_edges, GRID.dt_edges])[0].sum() == 1
    assert np.histogram2d([0], [4000], bins=[GRID.dm_edges, GRID.dt_edges])[0].sum() == 1


def test_a_difference_at_an_inner_edge_belongs_to_the_cell_above():
    counts = DMDT.counts([light_curve([0, 1.5], [15, 15.5], [0.1, 0.1])])[0]
    row, column = GRID.dm_edges.index(0.5), GRID.dt_edges.index(1.5)
    assert counts[row, column] == 1


def test_image_is_the_share_of_pairs_times_255():
    curve = random_curve(1)
    image = DMDT.images([curve])
    assert image.shape == (1, 22, 24, 1) and image.dtype == np.float32
    assert np.allclose(image[0, ..., 0], 255 * pair_loop(curve) / (40 * 39 / 2), rtol=1e-6)
    assert DMDT.images([]).shape == (0, 22, 24, 1)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.integers(-60_000, 60_000))
def test_time_shift_and_row_order_change_nothing(seed, shift):
    curve = random_curve(seed)
    # Times on a grid of 1/1024 day, so that adding whole days rounds nothing away.
    time = np.round(curve.time * 1024) / 1024
    order = np.random.default_rng(seed).permutation(len(curve))
    same = light_curve(time[order] + shift, curve.mag[order], curve.magerr[order])
    assert np.array_equal(DMDT.images([light_curve(time, curve.mag, curve.magerr)]), DMDT.images([same]))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_reversed_light_curve_gives_the_mirrored_image(seed):
    """Backwards in time every dm changes sign; the grid of dm is symmetric about 0."""
    curve = random_curve(seed)
    reverse = light_curve(-curve.time, curve.mag, curve.magerr)
    assert np.array_equal(DMDT.counts([reverse])[0], DMDT.counts([curve])[0][::-1])
