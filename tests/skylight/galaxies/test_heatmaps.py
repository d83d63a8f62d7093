"""Heatmaps are scaled to [0, 1], and read from the files as they were written."""

import numpy as np
import pytest

from skylight.errors import InputError
from skylight.galaxies.heatmaps import min_max, read_heatmaps, write_heatmap


def test_every_map_is_scaled_to_0_and_1_by_itself():
    maps = np.array([[[1.0, 3.0], [2.0, 5.0]], [[-4.0, 0.0], [4.0, 0.0]], [[7.0, 7.0], [7.0, 7.0]]])
    expected = [[[0, 0.5], [0.25, 1]], [[0, 0.5], [1, 0.5]], [[0, 0], [0, 0]]]
    assert np.array_equal(min_max(maps), expected)


def test_the_maps_of_a_galaxy_are_read_from_all_folders(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    maps = np.random.default_rng(0).random((2, 4, 5)).astype(np.float32)
    for folder, heatmap in zip(folders, maps, strict=True):
        folder.mkdir()
        write_heatmap(folder, 12, heatmap)
    assert np.load(folders[0] / "12.jpg.npy").shape == (1, 4, 5)
    assert np.array_equal(read_heatmaps(folders, 12), maps) and read_heatmaps(folders, 12).dtype == np.float64
    assert read_heatmaps(folders, 13) is None
    write_heatmap(folders[1], 12, np.full((4, 5), np.nan))
    with pytest.raises(InputError, match=r"b/12\.jpg\.npy: heatmap is not finite"):
        read_heatmaps(folders, 12)
    write_heatmap(folders[0], 13, maps[0])
    with pytest.raises(InputError, match=r"b/13\.jpg\.npy: no such heatmap, although"):
        read_heatmaps(folders, 13)
