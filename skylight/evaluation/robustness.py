"""Robustness: how much does a map change if the input changes very little?"""

from collections.abc import Callable

import numpy as np

from skylight.errors import InputError


def average_sensitivity(
    explain: Callable[[np.ndarray], np.ndarray],
    inputs: np.ndarray,
    maps: np.ndarray,
    *,
    noise: float = 0.05,
    samples: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """Compute the relative change of a map under small noise (Yeh et al. 2019, arXiv:1901.09392; Bhatt et al. 2020).

    It is the mean over samples of ||map(x + d) - map(x)|| / ||map(x)||, where d is uniform noise. The tests compare it
    with ``AvgSensitivity`` of Quantus, which scales maps by the highest value in the batch, draws noise from NumPy's
    global generator in units of the input, and rejects maps that are 0 everywhere.

    Parameters
    ----------
    explain : callable
        Function from images (N, H, W, C) to maps (N, H, W). It should explain the same classes at every call.
    inputs : array
        (N, H, W, C) images.
    maps : array
        (N, H, W), the result of ``explain(inputs)``.
    noise : float
        Half-width of the noise, in units of the range (maximum minus minimum) of the image.
    samples : int
        Number of noisy copies per image. Each is one call of ``explain`` with all N images.
    seed : int
        Seed of the noise. Methods with the same seed see the same noise.

    Returns
    -------
    array
        (N,): 0 for a map that does not change; lower is more robust. NaN if the map is 0 everywhere.

    Raises
    ------
    InputError
        If noise is not above 0 or samples is below 1.
    """
    if not noise > 0:
        raise InputError(f"noise: must be above 0, got {noise}")
    if samples < 1:
        raise InputError(f"samples: must be at least 1, got {samples}")
    random = np.random.default_rng(seed)
    width = np.float32(noise) * np.ptp(inputs, axis=(1, 2, 3), keepdims=True)
    size = np.linalg.norm(maps, axis=(1, 2))
    change = np.zeros(len(inputs))
    for _ in range(samples):
        moved = inputs + width * random.uniform(-1, 1, inputs.shape).astype(np.float32)
        change += np.linalg.norm(explain(moved) - maps, axis=(1, 2)) / samples
    return np.where(size > 0, change / np.where(size > 0, size, 1), np.nan)
