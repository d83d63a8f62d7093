"""Maps that explain nothing, of the same shape as the methods of `skylight.attribution`: what a method must beat."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import correlate1d


def edges(model: Any, inputs: np.ndarray, targets: Any = None) -> np.ndarray:
    """Edge detector: magnitude of the Sobel gradient of each channel; neither model nor targets matter.

    A map that resembles it may have shown the picture, not the network (Adebayo et al. 2018).

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
    # scipy.ndimage.sobel would smooth over images and channels, too
    inputs = np.asarray(inputs, dtype=np.float32)
    rise, slope = (
        correlate1d(correlate1d(inputs, [-1, 0, 1], axis=along), [1, 2, 1], axis=across)
        for along, across in ((1, 2), (2, 1))
    )
    return np.hypot(rise, slope)


def random_maps(seed: int) -> Callable[..., np.ndarray]:
    """Give a function that draws (N, H, W, 1) uniform noise, new at every call: maps that share nothing."""
    random = np.random.default_rng(seed)
    return lambda model, inputs, targets=None: random.random((*inputs.shape[:3], 1), dtype=np.float32)
