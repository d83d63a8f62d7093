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


def test_other_files_in_the_place_of_a_heatmap_are_refused(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    path = folder / "5.jpg.npy"

    def save(values):
        np.save(path, values, allow_pickle=True)

    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    header += b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 441000000, 1000), }".ljust(117) + b"\n"
    faults = {
        "claims": (lambda: path.write_bytes(header + bytes(64)), "not a heatmap"),
        "empty": (lambda: path.write_bytes(b""), "not a heatmap"),
        "zip": (lambda: np.savez(path.open("wb"), a=np.ones(3)), "not a heatmap"),
        "objects": (lambda: save(np.array([[[{}]]])), "not a heatmap"),
        "flat": (lambda: save(np.ones((4, 5))), r"heatmap must be floats of shape \(1, H, W\), got float64 \(4, 5\)"),
        "text": (lambda: save(np.array([[["1"]]])), "heatmap must be floats"),
    }
    for make, words in faults.values():
        make()
        with pytest.raises(InputError, match=rf"a/5\.jpg\.npy: {words}"):
            read_heatmaps([folder], 5)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"a/5\.jpg\.npy: is a folder"):
        read_heatmaps([folder], 5)


def test_the_heatmaps_of_a_galaxy_have_one_shape(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, size in zip(folders, (4, 5), strict=True):
        folder.mkdir()
        write_heatmap(folder, 5, np.ones((size, size)))
    with pytest.raises(InputError, match=r"b/5\.jpg\.npy: heatmap of shape \(5, 5\), but .*a/5.jpg.npy has \(4, 4\)"):
        read_heatmaps(folders, 5)


def test_no_heatmap_is_written_outside_its_folder(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(ValueError, match="evil"):
        write_heatmap(tmp_path / "a/b", "../../evil", np.ones((4, 5)))
    assert not list(tmp_path.rglob("*.npy"))
