"""How much of a picture a map needs."""

import numpy as np


def sparseness(maps: np.ndarray) -> np.ndarray:
    """Gini index of the absolute relevance (Hurley & Rickard 2009; Chalasani et al. 2020), by Quantus.

    Parameters
    ----------
    maps : array
        (N, H, W) relevance, of any sign.

    Returns
    -------
    array
        (N,): 0 where all pixels are equal, 1 - 1 / (H W) where one pixel has it all, 1/3 for uniform noise. NaN
        where the map is 0 everywhere. Neither low nor high is right: it says how a map will read, not whether it
        is true.
    """
    from quantus import Sparseness  # a second's import, only paid by who asks

    flat = np.abs(np.asarray(maps, dtype=float)).reshape(len(maps), -1)
    peak = flat.max(axis=1, keepdims=True)
    # Its batch function adds 1e-7 to every pixel, which would lower the index of a sparse map of many pixels
    scaled = 1e6 * flat / np.where(peak > 0, peak, 1)
    gini = Sparseness(disable_warnings=True).evaluate_batch(x_batch=None, a_batch=scaled)
    return np.where(peak[:, 0] > 0, gini, np.nan)
