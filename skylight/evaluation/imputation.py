"""Fill removed pixels from their neighbours, so that an image does not show where they were (ROAD)."""

from functools import lru_cache
from itertools import product

import numpy as np
from scipy.linalg.lapack import dpbsv
from scipy.ndimage import correlate1d

from skylight.errors import InputError


def linear_imputation(images: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Make every removed pixel the weighted mean of its neighbours, removed or not (Rong et al. 2022, equation 2).

    In an image the four pixels at its sides have twice the weight of the four at its corners; at the edge there are
    fewer. In a sequence the two neighbours have the same weight. These linear equations are solved exactly. Their
    matrix is symmetric, positive definite and banded (the next pixels along the last axis and the next row), so one
    Cholesky factorisation solves them for all channels and images. It takes time in proportion to the square of the
    widest band, so it is fastest for images with similar numbers of removed pixels.

    Parameters
    ----------
    images : array
        (N, H, W, C) or (N, L, C).
    removed : array
        (N, H, W) or (N, L) bool, not true everywhere in an image.

    Returns
    -------
    array
        The images with other values of the removed pixels, float64.

    Raises
    ------
    InputError
        If an image has no pixel left.
    """
    axes = tuple(range(1, removed.ndim))
    if removed.all(axis=axes).any():
        raise InputError("removed: must leave at least one pixel of each image")
    filled = np.where(removed[..., None], 0, images).astype(float)
    gone = np.pad(removed, [(0, 0)] + [(0, 1)] * len(axes)).ravel()  # a margin, so that no neighbour is of another row
    pixels = np.flatnonzero(gone)
    if not len(pixels):
        return filled
    equation = np.cumsum(gone) - 1
    steps, total = _neighbours(removed.shape[1:])
    pairs = []
    for step, weight in steps:
        row = np.flatnonzero(gone[pixels + step])
        pairs.append((row, equation[pixels[row] + step] - row, weight))
    bands = np.zeros((len(pixels), 1 + max(distance.max(initial=0) for _, distance, _ in pairs)))
    bands[:, 0] = np.broadcast_to(total, removed.shape)[removed]
    for row, distance, weight in pairs:
        bands[row, distance] = -weight
    _, filled[removed], _ = dpbsv(bands.T, _weighted_sum(filled, axes)[removed], lower=1, overwrite_ab=1)
    return filled


def _weighted_sum(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Add up the weighted neighbours of each pixel along some axes: those under [1, 2, 1] x [1, 2, 1]."""
    result = values
    for axis in axes:
        result = correlate1d(result, [1, 2, 1], axis=axis, mode="constant")
    count = len(axes)
    return (result - 2**count * values) / (4**count - 2**count)


@lru_cache(maxsize=8)
def _neighbours(shape: tuple[int, ...]) -> tuple[list[tuple[int, float]], np.ndarray]:
    """Return how far a pixel's later neighbours are in a flat image with a margin, with their weights, and all weights.

    The margin is one pixel at the end of each axis. All weights is an array of the shape of the image: the sum of those
    of the neighbours that exist.
    """
    axes = len(shape)
    strides = np.cumprod([1, *(length + 1 for length in shape[:0:-1])])[::-1]
    steps = [
        (int(np.dot(step, strides)), 2 ** (axes - np.abs(step).sum()) / (4**axes - 2**axes))
        for step in product((-1, 0, 1), repeat=axes)
        if step > (0,) * axes
    ]
    return steps, _weighted_sum(np.ones(shape), tuple(range(axes)))
