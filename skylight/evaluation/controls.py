"""Control maps that do not explain the network: a method must score better than these. Called like the methods."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d


def edges(model: Any, inputs: np.ndarray, targets: Any = None) -> np.ndarray:
    """Compute the magnitude of the Sobel gradient of each channel; model and targets are ignored.

    A map that resembles this edge detector may show the image, not the network (Adebayo et al. 2018).

    Parameters
    ----------
    model, targets
        Not used.
    inputs : array
        (N, H, W, C) images.

    Returns
    -------
    array
        (N, H, W, C) float32, at least 0.
    """
    # scipy.ndimage.sobel would also smooth along images and channels
    inputs = np.asarray(inputs, dtype=np.float32)
    rise, slope = (
        correlate1d(correlate1d(inputs, [-1, 0, 1], axis=along), [1, 2, 1], axis=across)
        for along, across in ((1, 2), (2, 1))
    )
    return np.hypot(rise, slope)


def random_maps(seed: int) -> Callable[..., np.ndarray]:
    """Return a function that draws (N, H, W, 1) uniform noise, independent at every call."""
    random = np.random.default_rng(seed)
    return lambda model, inputs, targets=None: random.random((*inputs.shape[:3], 1), dtype=np.float32)
