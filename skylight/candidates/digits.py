"""Handwritten digits: those that come with scikit-learn, or MNIST from a file of the user."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skylight.arrays import read_npz
from skylight.errors import InputError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True, eq=False)
class Digits:
    """Images (N, H, W, 1) float32 in [0, 1] and labels (N,), 0 to 9, of the training and the test part."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def read_digits(mnist: str | None, test_fraction: float, seed: int) -> Digits:
    """Read the digits.

    Parameters
    ----------
    mnist : str or None
        Path of ``mnist.npz``, the file that Keras uses (LeCun et al. 1998): 28 x 28 pixels, 0 to 255. None stands for
        the digits of scikit-learn: 1,797 digits by 43 people, 8 x 8 pixels, 0 to 16 (Alpaydin & Kaynak 1998, UCI).
    test_fraction, seed : float, int
        For the split of scikit-learn's digits, which is stratified by digit.

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


def first_correct(labels: np.ndarray, predicted: np.ndarray) -> list[int]:
    """Return one row per digit: the first that is predicted correctly, or the first one if none is.

    Parameters
    ----------
    labels, predicted : array
        (N,), the true and the predicted digits.
    """
    rows = []
    for digit in np.unique(labels):
        members = np.flatnonzero(labels == digit)
        correct = members[predicted[members] == digit]
        rows.append(int((correct if len(correct) else members)[0]))
    return rows
