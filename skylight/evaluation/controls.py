"""Control maps that do not explain the network: a method must score better than these. Called like the methods."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d

WIDTH = 0.25
"""Standard deviation of `centred_gaussian`, as a share of the height and of the width of the image."""


def edges(model: Any, inputs: np.ndarray, targets: Any = None) -> np.ndarray:
    """Compute the magnitude of the Sobel gradient of each channel; model and targets are ignored.

    A map that resembles this edge detector may show the image, not the network (Adebayo et al. 2018).

    Parameters
    ----------
    model, targets
        Not used.
    inputs : array
        (N, H, W, C) images, or sequences (N, L, C), whose gradient is the difference of a step's two neighbours.

    Returns
    -------
    array
        Of the shape of the inputs, float32, at least 0.
    """
    # scipy.ndimage.sobel would also smooth along images and channels
    inputs = np.asarray(inputs, dtype=np.float32)
    slopes = []
    for along in range(1, inputs.ndim - 1):
        slope = correlate1d(inputs, [-1, 0, 1], axis=along)
        for across in range(1, inputs.ndim - 1):
            if across != along:
                slope = correlate1d(slope, [1, 2, 1], axis=across)
        slopes.append(slope)
    return reduce(np.hypot, slopes, np.float32(0))


def random_maps(seed: int) -> Callable[..., np.ndarray]:
    """Return a function that draws (N, H, W, 1) or (N, L, 1) uniform noise, independent at every call."""
    random = np.random.default_rng(seed)
    return lambda model, inputs, targets=None: random.random((*inputs.shape[:-1], 1), dtype=np.float32)


def centred_gaussian(model: Any, inputs: np.ndarray, targets: Any = None) -> np.ndarray:
    """Return the same Gaussian in the middle of every image; model and targets are ignored.

    Where the objects are centred, a blob in the middle lies on most of them, whatever the network uses. The baseline
    "center" of Judd et al. 2012 (MIT-CSAIL-TR-2012-001) is also a Gaussian, stretched to the shape of the image. Its
    width does not matter for the order of the pixels: of all metrics only relevance mass, correlation, infidelity
    and sparseness depend on it.

    Parameters
    ----------
    model, targets
        Not used.
    inputs : array
        (N, H, W, C) images, or sequences (N, L, C).

    Returns
    -------
    array
        (N, H, W, 1) or (N, L, 1) float32, at most 1. The standard deviation is `WIDTH` times the height along the rows
        and `WIDTH` times the width along the columns.
    """
    shape = inputs.shape[1:-1]
    places = [(np.arange(length) - (length - 1) / 2) / (WIDTH * length) for length in shape]
    radius = sum(place**2 for place in np.meshgrid(*places, indexing="ij"))
    blob = np.exp(-radius / 2).astype(np.float32)
    return np.broadcast_to(blob[..., None], (len(inputs), *shape, 1))
