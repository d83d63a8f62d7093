"""Split a survey into parts for training, validation and test, and balance the classes of the training part."""

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from skylight.errors import InputError

NEIGHBOURS = 5
"""Between an object and one of so many nearest of its class SMOTE makes new ones, as in the paper on it."""


def split(ids: np.ndarray, test_fraction: float, shuffle_seed: int, split_seed: int) -> np.ndarray:
    """Choose the rows of the test part by a shuffle and then a split, as published.

    The objects are split, not the rows: all augmented copies of an object are in the same part. Without augmentation
    this is the published split, row by row.

    Parameters
    ----------
    ids : (N,) array
        Identifier of the object of each row.
    test_fraction : float
        Share of the objects in the test part.
    shuffle_seed, split_seed : int
        0 and 0 as published.

    Returns
    -------
    (N,) bool array
        Whether each row is in the test part.

    Raises
    ------
    InputError
        There are fewer than two objects.
    """
    objects = ids[np.sort(np.unique(ids, return_index=True)[1])]
    if len(objects) < 2:
        raise InputError(f"{len(objects)} object cannot be split into a training and a test part")
    shuffled = shuffle(objects, random_state=shuffle_seed)
    _, test = train_test_split(shuffled, test_size=test_fraction, random_state=split_seed)
    return np.isin(ids, test)


def parts(ids: np.ndarray, test_fraction: float, validation_fraction: float, seed: int) -> np.ndarray:
    """Assign each row to the ``train``, ``validation`` or ``test`` part, as braai splits its alerts.

    All alerts of an object are in the same part. With one alert per object this is the published split, row by row:
    `sklearn.model_selection.train_test_split` chooses the test part, and the last of the other objects are for
    validation.

    Parameters
    ----------
    ids : (N,) array
        Identifier of the object of each row.
    test_fraction : float
        Share of the objects in the test part.
    validation_fraction : float
        Share of the other objects in the validation part.
    seed : int
        42 as published.

    Returns
    -------
    (N,) array of str

    Raises
    ------
    InputError
        There are fewer than three objects.
    """
    objects = ids[np.sort(np.unique(ids, return_index=True)[1])]
    if len(objects) < 3:
        raise InputError(f"{len(objects)} objects cannot be split into three parts")
    rest, test = train_test_split(objects, test_size=test_fraction, random_state=seed)
    validation = rest[len(rest) - max(1, int(len(rest) * validation_fraction)) :]
    return np.where(np.isin(ids, test), "test", np.where(np.isin(ids, validation), "validation", "train"))


def inverse_frequencies(labels: np.ndarray) -> np.ndarray:
    """Return the class weights of braai, (K,) float32: 1 / n, divided by their L2 norm, then by the largest."""
    weights = 1 / np.bincount(labels)
    weights /= np.linalg.norm(weights)
    return (weights / weights.max()).astype(np.float32)


def balance(
    inputs: np.ndarray, labels: np.ndarray, kind: str, seed: int, parameter: str = "kind"
) -> tuple[np.ndarray, np.ndarray]:
    """Over- or under-sample a training part.

    Parameters
    ----------
    inputs : (N, ...) float32
    labels : (N,) int
    kind : str
        ``none``; ``smote`` (new points between neighbours are added to the smaller classes, Chawla et al. 2002);
        ``under`` (points of the larger classes are removed at random, to the size of the smallest class);
        ``smote_under`` (both, to the median size).
    seed : int
    parameter : str
        Name of the parameter that sets ``kind``, for the error (``periodic.train.sampling``).

    Returns
    -------
    tuple of arrays
        Balanced inputs and labels, with the same shapes and types as before.

    Raises
    ------
    InputError
        SMOTE has to make more objects of a class that has no more than `NEIGHBOURS`.
    """
    if kind == "none":
        return inputs, labels
    classes, sizes = np.unique(labels, return_counts=True)
    flat = inputs.reshape(len(inputs), -1)
    level = {"smote": sizes.max(), "under": sizes.min(), "smote_under": int(np.median(sizes))}[kind]
    larger = {c: level for c, size in zip(classes, sizes, strict=True) if size > level}
    smaller = {c: level for c, size in zip(classes, sizes, strict=True) if size < level}
    if larger:
        flat, labels = RandomUnderSampler(sampling_strategy=larger, random_state=seed).fit_resample(flat, labels)
    if smaller:
        if sizes.min() <= NEIGHBOURS:
            wanted = f"at least {NEIGHBOURS + 1} training objects of each class"
            raise InputError(f"{parameter}: {kind} needs {wanted}, one has {sizes.min()}")
        sampler = SMOTE(sampling_strategy=smaller, random_state=seed, k_neighbors=NEIGHBOURS)
        flat, labels = sampler.fit_resample(flat, labels)
    return flat.reshape(-1, *inputs.shape[1:]).astype(inputs.dtype), labels
