"""The length of a bar, measured on a heatmap (Bhambra, Joachimi & Lahav 2022, section 3.3).

A threshold rises from 0.5 to 1 in steps of 1e-4 until the pixels above it form a line, or few are left. The published
scan needs thousands of masks and correlations per map and setting. Here the pixels are sorted once: those above any
threshold are the first n of them, so running sums give the correlation at every threshold, for all settings together.
The lengths are exactly those of the scan.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from skylight.errors import InputError
from skylight.galaxies.arrays import Pictures, grey
from skylight.galaxies.catalogue import PIXEL_SCALE
from skylight.galaxies.heatmaps import read_heatmaps

THRESHOLDS = np.arange(0.5, 1.0, 1e-4)


def bar_lengths(heatmap: np.ndarray, corr_thresholds: Sequence[float], len_thresholds: Sequence[int]) -> np.ndarray:
    """Measure the bar on one heatmap, for every pair of settings.

    Parameters
    ----------
    heatmap : np.ndarray, shape (H, W)
        Map in [0, 1]; pixels that are NaN are never part of the bar.
    corr_thresholds : sequence of float
        The scan stops where the absolute Pearson correlation of the pixels' coordinates exceeds this.
    len_thresholds : sequence of int
        It also stops where fewer pixels than this are left.

    Returns
    -------
    np.ndarray, shape (C, L)
        Largest distance between two of the pixels that are left, in pixels of the map, at least 1.
    """
    rows, columns, counts = _scan(heatmap, corr_thresholds, len_thresholds)
    lengths = {n: _diameter(rows[:n], columns[:n]) for n in np.unique(counts)}
    return np.vectorize(lengths.__getitem__, otypes=[float])(counts)


def bar_pixels(heatmap: np.ndarray, corr_threshold: float, len_threshold: int) -> np.ndarray:
    """Return the pixels that `bar_lengths` measures at one setting: a boolean mask of the heatmap's shape."""
    rows, columns, counts = _scan(heatmap, [corr_threshold], [len_threshold])
    mask = np.zeros(heatmap.shape, dtype=bool)
    mask[rows[: counts[0, 0]], columns[: counts[0, 0]]] = True
    return mask


def bar_ends(mask: np.ndarray) -> np.ndarray:
    """Return the two most distant pixels of a mask: ``[[row, column], [row, column]]``, (2, 2); NaN if it is empty."""
    points = _extremes(*mask.nonzero())
    if not len(points):
        return np.full((2, 2), np.nan)
    first, second = np.unravel_index(_squared_distances(points).argmax(), (len(points),) * 2)
    return points[[first, second]]


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle between two bars, 0 to 90 degrees; each is given by its ends, (2, 2), and has no direction."""
    (rise, run), (other_rise, other_run) = first[1] - first[0], second[1] - second[0]
    angle = np.degrees(np.arctan2(rise, run) - np.arctan2(other_rise, other_run)) % 180
    return float(min(angle, 180 - angle))


def measured_bar(heatmap: np.ndarray, image: np.ndarray, setting: Mapping, crop: int) -> tuple[float, np.ndarray]:
    """Measure the bar of one galaxy at one setting.

    Parameters
    ----------
    heatmap : np.ndarray, shape (H, H)
    image : np.ndarray, shape (H, H, 3), uint8
    setting : mapping
        ``corr_threshold``, ``len_threshold``, ``xinput``, and the factor ``scale`` on the length.
    crop : int
        Pixels of the survey's pictures that the image shows.

    Returns
    -------
    float
        Length in PETROR90_R.
    np.ndarray, shape (2, 2)
        The ends of the bar, ``[[row, column], [row, column]]``, in pixels of the map.
    """
    scanned = heatmap * grey(image) if setting["xinput"] else heatmap
    thresholds = float(setting["corr_threshold"]), int(setting["len_threshold"])
    length = setting["scale"] * bar_lengths(scanned, *([value] for value in thresholds))[0, 0]
    ends = bar_ends(bar_pixels(scanned, *thresholds))
    middle = ends.mean(axis=0)
    return float(length * crop / len(image) * PIXEL_SCALE), middle + setting["scale"] * (ends - middle)


def _scan(
    heatmap: np.ndarray, corr_thresholds: Sequence[float], len_thresholds: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows and columns of the pixels above 0.5, brightest first, and the number that the scan leaves, (C, L)."""
    heatmap = np.asarray(heatmap, dtype=np.float64)
    rows, columns = (heatmap > THRESHOLDS[0]).nonzero()
    order = np.argsort(-heatmap[rows, columns])
    rows, columns = rows[order], columns[order]
    above = np.searchsorted(-heatmap[rows, columns], -THRESHOLDS)  # pixels above each threshold

    correlation = _running_correlation(rows, columns)[above]
    last = len(THRESHOLDS) - 1
    stops = np.full((len(corr_thresholds), len(len_thresholds)), last)
    for i, limit in enumerate(corr_thresholds):
        doubtful = np.abs(correlation - limit) < 1e-9
        exact = correlation.copy()
        for n in np.unique(above[doubtful]):  # rounding decides: compute it as the published scan does
            exact[above == n] = _literal_correlation(heatmap, THRESHOLDS[above == n][0])
        stops[i] = np.minimum(stops[i], _first(exact > limit, last))
    for j, limit in enumerate(len_thresholds):
        stops[:, j] = np.minimum(stops[:, j], _first(above < limit, last))
    return rows, columns, above[stops]


def _first(found: np.ndarray, otherwise: int) -> int:
    return int(found.argmax()) if found.any() else otherwise


def _running_correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Absolute Pearson correlation of the first n points, for n = 0 ... N; NaN where it is not defined.

    The sums are of integers, so they are exact; the quotient is rounded once.
    """
    n = np.arange(len(x) + 1)
    sx, sy, sxx, syy, sxy = (np.concatenate([[0], np.cumsum(v)]) for v in (x, y, x * x, y * y, x * y))
    variances = (n * sxx - sx**2).astype(float) * (n * syy - sy**2)
    with np.errstate(invalid="ignore"):
        return np.abs(n * sxy - sx * sy) / np.sqrt(variances)


def _literal_correlation(heatmap: np.ndarray, threshold: float) -> float:
    x, y = (heatmap > threshold).nonzero()
    with np.errstate(invalid="ignore", divide="ignore"):
        return abs(np.corrcoef(x, y)[1, 0])


def _diameter(rows: np.ndarray, columns: np.ndarray) -> float:
    points = _extremes(rows, columns)
    return max(1.0, float(np.sqrt(_squared_distances(points).max(initial=0))))


def _extremes(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """First and last point of each row, (P, 2): the ends of a diameter are vertices of the hull, so among these."""
    if not len(rows):
        return np.empty((0, 2), dtype=int)
    first = np.full(rows.max() + 1, columns.max() + 1)
    last = np.full(rows.max() + 1, -1)
    np.minimum.at(first, rows, columns)
    np.maximum.at(last, rows, columns)
    filled = (last >= 0).nonzero()[0]
    return np.concatenate([np.stack([filled, first[filled]], 1), np.stack([filled, last[filled]], 1)])


def _squared_distances(points: np.ndarray) -> np.ndarray:
    return ((points[:, None] - points[None]) ** 2).sum(axis=-1)


def estimator_names(networks: Sequence[str]) -> list[str]:
    """Return the names of the estimators of `estimates`: each network, and two means, under their published names."""
    return [*networks, "averageheatmaps", "averagemeasurements"]


def estimates(
    heatmaps: np.ndarray,
    grey: np.ndarray,
    corr_thresholds: Sequence[float],
    len_thresholds: Sequence[int],
    xinputs: Sequence[bool],
) -> np.ndarray:
    """Measure one galaxy with every estimator and setting.

    Parameters
    ----------
    heatmaps : np.ndarray, shape (M, H, W)
        Its map by each network.
    grey : np.ndarray, shape (H, W)
        Its grey image in [0, 1].
    corr_thresholds, len_thresholds : sequences
        See `bar_lengths`.
    xinputs : sequence of bool
        Whether to multiply the maps by ``grey`` first.

    Returns
    -------
    np.ndarray, shape (M + 2, C, L, X)
        Lengths in pixels of the map, in the order of `estimator_names`.
    """
    lengths = []
    for xinput in xinputs:
        maps = [*heatmaps, heatmaps.mean(axis=0)]
        measured = [bar_lengths(m * grey if xinput else m, corr_thresholds, len_thresholds) for m in maps]
        lengths.append([*measured, np.mean(measured[:-1], axis=0)])
    return np.moveaxis(np.array(lengths), 0, -1)


def measure(
    catalogue: pd.DataFrame, pictures: Pictures, folders: list[Path], crop: int, grid: dict[str, list]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Measure the bars of all galaxies of a catalogue that have heatmaps.

    Parameters
    ----------
    catalogue : pandas.DataFrame
        Rows of `skylight.galaxies.catalogue.read_catalogue`.
    pictures : Pictures
        Those of the catalogue.
    folders : list of Path
        Folder of the heatmaps of each network.
    crop : int
        Pixels of the survey's pictures that the images show.
    grid : dict
        Values of ``corr_threshold``, ``len_threshold`` and ``xinput`` to measure with (`estimates`).

    Returns
    -------
    pandas.DataFrame
        The N galaxies that have heatmaps.
    np.ndarray, shape (N, M + 2, C, L, X)
        Their lengths in arcsec.

    Raises
    ------
    InputError
        No galaxy has heatmaps, or not from every network.
    """
    found, lengths = [], []
    settings = grid["corr_threshold"], grid["len_threshold"], grid["xinput"]
    for galaxy in tqdm(catalogue.itertuples(), total=len(catalogue), desc="bars", unit="galaxy", disable=None):
        heatmaps = read_heatmaps(folders, galaxy.asset_id)
        if heatmaps is None:
            continue
        (row,) = pictures.rows([galaxy.asset_id])
        pixel = crop / heatmaps.shape[1] * PIXEL_SCALE * galaxy.PETROR90_R
        found.append(galaxy.Index)
        lengths.append(pixel * estimates(heatmaps, grey(pictures.images[row]), *settings))
    if not found:
        raise InputError(f"{folders[0]}: no heatmap of any galaxy of this part of the catalogue")
    return catalogue.loc[found].reset_index(drop=True), np.array(lengths)
