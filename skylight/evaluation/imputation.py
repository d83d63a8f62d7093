"""Fill removed pixels from their neighbours, so that an image does not show where they were (ROAD)."""

from functools import lru_cache
from itertools import product

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import correlate1d


def linear_imputation(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Make every removed pixel the weighted mean of its neighbours, removed or not (Rong et al. 2022, equation 2).

    In an image the four pixels at its sides have twice the weight of the four at its corners; at the edge there are
    fewer. In a sequence the two neighbours have the same weight. These linear equations are solved exactly. Their
    matrix is symmetric, positive definite and banded (the next pixels along the last axis and the next row), so one
    Cholesky factorisation solves them for all channels.

    Parameters
    ----------
    image : array
        (H, W, C) or (L, C).
    removed : array
        (H, W) or (L,) bool, not true everywhere.

    Returns
    -------
    array
        The image with other values of the removed pixels, float64.
    """
    first, second, weights = _neighbours(removed.shape)
    gone = removed.ravel()
    both = gone[first] & gone[second]
    number = np.cumsum(gone) - 1  # of the equation of each removed pixel
    row, column = number[first[both]], number[second[both]]
    bands = np.zeros(((column - row).max(initial=0) + 1, number[-1] + 1))
    bands[0] = _weighted_sum(np.ones(removed.shape))[removed]
    bands[column - row, row] = -weights[both]
    filled = np.where(removed[..., None], 0, image).astype(float)
    filled[removed] = solveh_banded(
        bands, _weighted_sum(filled, removed.ndim)[removed], lower=True, overwrite_ab=True, overwrite_b=True
    )
    return filled


def _weighted_sum(values: np.ndarray, axes: int | None = None) -> np.ndarray:
    """Add up the weighted neighbours of each pixel along the first ``axes``: those under [1, 2, 1] x [1, 2, 1]."""
    axes = axes or values.ndim
    result = values
    for axis in range(axes):
        result = correlate1d(result, [1, 2, 1], axis=axis, mode="constant")
    return (result - 2**axes * values) / (4**axes - 2**axes)


@lru_cache(maxsize=8)
def _neighbours(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the flat indices of all pairs of neighbours, the lower one first, and their weights."""
    pixel = np.arange(np.prod(shape)).reshape(shape)
    axes = len(shape)
    pairs = []
    for step in product((-1, 0, 1), repeat=axes):
        if step > (0,) * axes:
            lower = tuple(slice(max(0, -by), length - max(0, by)) for by, length in zip(step, shape, strict=True))
            upper = tuple(slice(max(0, by), length + min(0, by)) for by, length in zip(step, shape, strict=True))
            weight = 2 ** (axes - np.abs(step).sum()) / (4**axes - 2**axes)
            pairs.append((pixel[lower].ravel(), pixel[upper].ravel(), np.full(pixel[lower].size, weight)))
    return tuple(np.concatenate(some) for some in zip(*pairs, strict=True))
