"""Handwritten digits: those that come with scikit-learn, or MNIST where the user has it."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skylight.arrays import read_npz
from skylight.errors import InputError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Digits:
    """Images (N, H, W, 1) float32 in [0, 1] and labels (N,) 0 to 9, of both parts."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def read_digits(mnist: str | None, test_fraction: float, seed: int) -> Digits:
    """Read the digits.

    Parameters
    ----------
    mnist : str or None
        ``mnist.npz`` as Keras has it (LeCun et al. 1998): 28 x 28 pixels, 0 to 255. None is the set of scikit-learn:
        1,797 digits of 43 people, 8 x 8 pixels, 0 to 16 (Alpaydin & Kaynak 1998, UCI).
    test_fraction, seed : float, int
        How scikit-learn's are split; each digit keeps its share.

    Raises
    ------
    InputError
        The file is missing, truncated, or does not hold these four arrays.
    """
    if mnist is None:
        images, labels = load_digits(return_X_y=True)
        images = (images / 16).reshape(-1, 8, 8, 1).astype(np.float32)
        parts = train_test_split(images, labels, test_size=test_fraction, random_state=seed, stratify=labels)
        return Digits(parts[0], parts[2], parts[1], parts[3])
    arrays = read_npz(mnist, ARRAYS)
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise InputError(
                f"{mnist}: x_{part} must be (N, H, W) and y_{part} (N,), got {images.shape}, {labels.shape}"
            )
        if labels.dtype.kind not in "iu" or not np.isin(labels, range(10)).all():
            raise InputError(f"{mnist}: y_{part} must be digits, 0 to 9")
        arrays[f"x_{part}"] = (images[..., None] / 255).astype(np.float32)
    return Digits(**{name: arrays[name] for name in ARRAYS})
