"""The measured lengths are exactly those of the published threshold scan, written literally."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skylight.errors import InputError
from skylight.galaxies.arrays import Pictures, grey
from skylight.galaxies.bar_length import (
    angle_between,
    bar_ends,
    bar_lengths,
    bar_pixels,
    estimator_names,
    measure,
    measured_bar,
)
from skylight.galaxies.heatmaps import write_heatmap

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
@pytest.mark.slow
def test_small_maps_with_ties_and_nans(heatmap):
    assert_as_scanned(heatmap, [0.5, 1.0], [1, 4])


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(4, 14), dtype=st.sampled_from([np.float32, np.float64]))
@pytest.mark.slow
def test_random_maps(seed, size, dtype):
    rng = np.random.default_rng(seed)
    assert_as_scanned(rng.random((size, size + 2)).astype(dtype), [0.3, 0.85], [1, 8])


def test_a_correlation_that_equals_the_threshold_does_not_stop_the_scan():
    """Only a larger correlation stops it, to the last digit."""
    heatmap = np.random.default_rng(0).random((9, 9))
    scanned = [abs(np.corrcoef(*(heatmap > t).nonzero())[1, 0]) for t in np.arange(0.5, 0.6233, 0.0001)]
    reached = scanned[-1]
    assert reached > max(scanned[:-5])  # the scan has come to a larger correlation than before
    limits = [np.nextafter(reached, 0), reached]
    assert_as_scanned(heatmap, limits, [1])
    stopped, passed = bar_lengths(heatmap, limits, [1])[:, 0]
    assert stopped > passed


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


def test_the_angle_between_bars_has_no_direction():
    right, diagonal = np.array([[0, 0], [0, 5]]), np.array([[2, 3], [5, 6]])
    assert angle_between(right, right[::-1]) == pytest.approx(0)
    assert angle_between(right, diagonal) == angle_between(diagonal[::-1], right) == pytest.approx(45)
    assert angle_between(right, np.array([[0, 0], [5, 0]])) == pytest.approx(90)
    assert angle_between(diagonal, np.array([[0, 5], [5, 0]])) == pytest.approx(90)


@pytest.fixture
def survey(tmp_path):
    """Five galaxies, of which the fourth has no picture and no heatmaps: catalogue, pictures and folders."""
    rng = np.random.default_rng(3)
    catalogue = pd.DataFrame({"asset_id": [50, 10, 40, 20, 30], "PETROR90_R": [5.0, 6.0, 7.0, 8.0, 9.0]})
    pictures = Pictures(rng.integers(0, 256, (4, 12, 12, 3)).astype(np.uint8), np.array([10, 30, 40, 50]))
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        for asset in pictures.ids:
            write_heatmap(folder, asset, rng.random((12, 12), dtype=np.float32))
    return catalogue, pictures, folders


@pytest.mark.slow
def test_every_galaxy_with_heatmaps_is_measured_at_every_setting(survey):
    catalogue, pictures, folders = survey
    grid = {"corr_threshold": [0.6, 0.9], "len_threshold": [3, 8, 20], "xinput": [False, True]}
    found, lengths = measure(catalogue, pictures, folders, 106, grid)
    assert found["asset_id"].tolist() == [50, 10, 40, 30]
    names = estimator_names(["a", "b"])
    assert names == ["a", "b", "averageheatmaps", "averagemeasurements"]
    assert lengths.shape == (4, 4, 2, 3, 2)
    for i, galaxy in enumerate(found.itertuples()):
        maps = [np.load(folder / f"{galaxy.asset_id}.jpg.npy")[0].astype(float) for folder in folders]
        maps.append((maps[0] + maps[1]) / 2)
        image = pictures.images[list(pictures.ids).index(galaxy.asset_id)]
        arcsec = 106 / 12 * 0.02 * galaxy.PETROR90_R  # per pixel of a map of 12 pixels for 106 of the picture
        for c, n, x in np.ndindex(2, 3, 2):
            setting = grid["corr_threshold"][c], grid["len_threshold"][n]
            scanned = [m * grey(image) if grid["xinput"][x] else m for m in maps]
            expected = [literal_scan(m, *setting)[0] for m in scanned]
            expected.append(np.mean(expected[:2]))
            assert np.allclose(lengths[i, :, c, n, x], np.array(expected) * arcsec)


def test_a_heatmap_that_only_some_networks_have_is_an_error(survey):
    catalogue, pictures, folders = survey
    grid = {"corr_threshold": [0.9], "len_threshold": [3], "xinput": [False]}
    (folders[1] / "40.jpg.npy").unlink()
    with pytest.raises(InputError, match=r"b/40\.jpg\.npy: no such heatmap, although .*a/40\.jpg\.npy exists"):
        measure(catalogue, pictures, folders, 106, grid)
    with pytest.raises(InputError, match="no heatmap of any galaxy"):
        measure(catalogue[3:4], pictures, folders, 106, grid)


@pytest.mark.parametrize("xinput", [False, True])
def test_the_bar_of_one_galaxy_has_its_length_and_ends(xinput):
    """A diagonal bar of 21 pixels; only the upper part of the image is bright."""
    heatmap, image = np.zeros((40, 40)), np.zeros((40, 40, 3), np.uint8)
    heatmap[range(10, 31), range(10, 31)], image[:21] = 0.9, 255
    setting = {"corr_threshold": 0.9, "len_threshold": 5, "xinput": xinput, "scale": 1.5}
    length, ends = measured_bar(heatmap, image, setting, crop=120)
    last = 20 if xinput else 30
    # A pixel of the map is three pixels of the survey's pictures, 0.02 PETROR90_R each.
    assert length == pytest.approx(1.5 * np.sqrt(2) * (last - 10) * 3 * 0.02)
    middle, half = (10 + last) / 2, 1.5 * (last - 10) / 2
    assert np.allclose(sorted(ends.tolist()), [[middle - half] * 2, [middle + half] * 2])
