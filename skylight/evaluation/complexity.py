"""How many pixels of an image hold the relevance of a map."""

import numpy as np


def sparseness(maps: np.ndarray) -> np.ndarray:
    """Compute the Gini index of the absolute relevance (Hurley & Rickard 2009; Chalasani et al. 2020).

    Parameters
    ----------
    maps : array
        (N, H, W) relevance, of any sign.

    Returns
    -------
    array
        (N,): 0 where all pixels are equal, 1 - 1 / (H W) where one pixel has all the relevance, 1/3 for uniform
        noise. NaN where the map is 0 everywhere. The index describes how a map looks. It does not say whether the map
        is true.
    """
    values = np.sort(np.abs(np.asarray(maps, dtype=float)).reshape(len(maps), -1), axis=1)
    count = values.shape[1]
    peak = values[:, -1:]
    values = values / np.where(peak > 0, peak, 1)
    rank = np.arange(1, count + 1)
    total = values.sum(axis=1)
    gini = ((2 * rank - count - 1) * values).sum(axis=1) / (count * np.where(total > 0, total, 1))
    return np.where(total > 0, gini, np.nan)
