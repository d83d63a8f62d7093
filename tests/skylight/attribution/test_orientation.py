"""Quarter turns and reflections, pixel by pixel."""

import numpy as np
import pytest

from skylight.attribution.orientation import turned, turned_back

IMAGES = np.random.default_rng(0).random((2, 5, 5, 3))


@pytest.mark.parametrize("reflected", [False, True])
@pytest.mark.parametrize("turns", [-1, 0, 1, 2, 3])
def test_every_pixel_goes_where_it_should(turns, reflected):
    found = turned(IMAGES, turns, reflected)
    for row in range(5):
        for column in range(5):
            down, right = row, 4 - column if reflected else column
            for _ in range(turns % 4):
                down, right = 4 - right, down  # a quarter turn, counter-clockwise
            assert np.array_equal(found[:, down, right], IMAGES[:, row, column])
    assert np.array_equal(turned_back(found, turns, reflected), IMAGES)


def test_maps_without_channels_are_turned_too():
    assert np.array_equal(turned(IMAGES[..., 0], 1), turned(IMAGES, 1)[..., 0])
