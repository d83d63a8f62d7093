"""How far two implementations of a method agree."""

import numpy as np

from skylight.evaluation.faithfulness import pearson


def agreement(maps: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """Compare the maps of the same images by two implementations.

    Parameters
    ----------
    maps, others : array
        (N, ...) maps of one shape; the first are the reference.

    Returns
    -------
    dict
        ``objects``: N. ``constant``: number of images for which one of the two maps is constant, so that they have no
        correlation. ``correlation``: mean Pearson correlation of the two maps of an image, over all other images; NaN
        if there is none. ``largest_difference``: of two values, over all images, in units of the largest absolute value
        of ``maps``; 0 if all values of both are 0.
    """
    correlations = pearson(*(some.reshape(len(some), -1).astype(np.float64) for some in (maps, others)))
    alive = correlations[np.isfinite(correlations)]
    difference, largest = np.abs(others - maps).max(initial=0), np.abs(maps).max(initial=0)
    return {
        "objects": len(maps),
        "constant": len(maps) - len(alive),
        "correlation": float(alive.mean()) if len(alive) else np.nan,
        "largest_difference": float(difference / largest) if difference else 0.0,
    }
