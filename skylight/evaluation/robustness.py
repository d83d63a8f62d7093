"""Robustness: how much does a map change if the input changes very little?"""

from collections.abc import Callable

import numpy as np

from skylight.errors import InputError


def relative_changes(
    explain: Callable[[np.ndarray], np.ndarray],
    inputs: np.ndarray,
    maps: np.ndarray,
    *,
    noise: float = 0.05,
    samples: int = 10,
    seed: int = 0,
) -> np.ndarray:
    """Compute the relative changes of maps under small noise: ||map(x + d) - map(x)|| / ||map(x)||, d uniform noise.

    Their mean over the copies is the average sensitivity (Bhatt et al. 2020, arXiv:2005.00631). Their maximum is the
    estimate of max-sensitivity by sampling (Yeh et al. 2019, arXiv:1901.09392, section 4), which grows with the number
    of copies. The tests compare both with ``AvgSensitivity`` and ``MaxSensitivity`` of Quantus, which draw noise
    from NumPy's global generator in units of the input, and reject maps that are 0 everywhere.

    Parameters
    ----------
    explain : callable
        Function from images (N, H, W, C) to maps (N, H, W), or from sequences (N, L, C) to maps (N, L). It should
        explain the same classes at every call.
    inputs : array
        (N, H, W, C) images, or sequences (N, L, C).
    maps : array
        The result of ``explain(inputs)``.
    noise : float
        Half-width of the noise, in units of the range (maximum minus minimum) of the image.
    samples : int
        Number of noisy copies per image. Each is one call of ``explain`` with all N images.
    seed : int
        Seed of the noise. Methods with the same seed see the same noise.

    Returns
    -------
    array
        (N, samples). NaN if the map is 0 everywhere.

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
    width = np.float32(noise) * np.ptp(inputs, axis=tuple(range(1, inputs.ndim)), keepdims=True)
    size = _norms(maps)
    changes = np.empty((len(inputs), samples))
    for sample in range(samples):
        moved = inputs + width * random.uniform(-1, 1, inputs.shape).astype(np.float32)
        changes[:, sample] = _norms(explain(moved) - maps)
    return np.where(size > 0, changes.T / np.where(size > 0, size, 1), np.nan).T


def _norms(maps: np.ndarray) -> np.ndarray:
    return np.linalg.norm(maps.reshape(len(maps), -1), axis=1)
