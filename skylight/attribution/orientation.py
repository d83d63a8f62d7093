"""Quarter turns and reflections of square images, and of their maps."""

import numpy as np


def turned(images: np.ndarray, turns: int, reflected: bool = False) -> np.ndarray:
    """Reflect the columns of images where ``reflected``, then turn them.

    Parameters
    ----------
    images : array
        (N, S, S, ...).
    turns : int
        Number of quarter turns, counter-clockwise where the first row is at the top (as `numpy.rot90`).
    reflected : bool

    Returns
    -------
    array
        (N, S, S, ...), a copy.
    """
    return np.ascontiguousarray(np.rot90(images[:, :, ::-1] if reflected else images, turns, axes=(1, 2)))


def turned_back(images: np.ndarray, turns: int, reflected: bool = False) -> np.ndarray:
    """Undo `turned`: turn images (N, S, S, ...) the other way, then reflect their columns where ``reflected``."""
    images = np.rot90(images, -turns, axes=(1, 2))
    return np.ascontiguousarray(images[:, :, ::-1] if reflected else images)
