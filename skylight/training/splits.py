"""Splitting a survey into training and test part, and balancing the classes of the training part."""

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle

from skylight.errors import InputError


def split(ids: np.ndarray, test_fraction: float, shuffle_seed: int, split_seed: int) -> np.ndarray:
    """Tell which rows belong to the test part: a shuffle, then a split, as published.

    It is the objects that are split: all copies of an object made by an augmentation fall on one side. Without
    augmentation this is the published split, row by row.

    Parameters
    ----------
    ids : (N,) array
        The object each row belongs to.
    test_fraction : float
        Share of the objects in the test part.
    shuffle_seed, split_seed : int
        0 and 0 as published.

    Returns
    -------
    (N,) bool array
    """
    objects = ids[np.sort(np.unique(ids, return_index=True)[1])]
    if len(objects) < 2:
        raise InputError(f"{len(objects)} object cannot be split into a training and a test part")
    shuffled = shuffle(objects, random_state=shuffle_seed)
    _, test = train_test_split(shuffled, test_size=test_fraction, random_state=split_seed)
    return np.isin(ids, test)


def parts(ids: np.ndarray, test_fraction: float, validation_fraction: float, seed: int) -> np.ndarray:
    """Tell which rows belong to the ``train``, ``validation`` and ``test`` part, as braai splits its alerts.

    All alerts of an object fall into one part. With one alert an object it is the published split, row by row: the
    test part by `sklearn.model_selection.train_test_split`, then the last of what it leaves for validation.

    Parameters
    ----------
    ids : (N,) array
        The object each row belongs to.
    test_fraction : float
        Share of the objects in the test part.
    validation_fraction : float
        Share of the others in the validation part.
    seed : int
        42 as published.

    Returns
    -------
    (N,) text array

    Raises
    ------
    InputError
        There are too few objects for three parts.
    """
    objects = ids[np.sort(np.unique(ids, return_index=True)[1])]
    if len(objects) < 3:
        raise InputError(f"{len(objects)} objects cannot be split into three parts")
    rest, test = train_test_split(objects, test_size=test_fraction, random_state=seed)
    validation = rest[len(rest) - max(1, int(len(rest) * validation_fraction)) :]
    return np.where(np.isin(ids, test), "test", np.where(np.isin(ids, validation), "validation", "train"))


def inverse_frequencies(labels: np.ndarray) -> np.ndarray:
    """Weights of the classes as braai sets them: 1 / n, divided by their L2 norm, then by the largest; (K,) float32."""
    weights = 1 / np.bincount(labels)
    weights /= np.linalg.norm(weights)
    return (weights / weights.max()).astype(np.float32)


def first_copies(ids: np.ndarray) -> np.ndarray:
    """Tell which rows are the first of their object: (N,) bool."""
    first = np.zeros(len(ids), dtype=bool)
    first[np.unique(ids, return_index=True)[1]] = True
    return first


def balance(inputs: np.ndarray, labels: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Over- or under-sample a training part.

    Parameters
    ----------
    inputs : (N, ...) float32
    labels : (N,) int
    kind : str
        ``none``; ``smote`` (Chawla et al. 2002: smaller classes are filled up with points between neighbours);
        ``under`` (larger classes are cut down at random to the smallest); ``smote_under`` (both, to the median size).
    seed : int

    Returns
    -------
    tuple of arrays
        Inputs and labels, in the shape and type they came in.
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
        neighbours = min(5, sizes.min() - 1)
        if neighbours < 1:
            raise InputError("SMOTE needs at least two training objects in each class")
        sampler = SMOTE(sampling_strategy=smaller, random_state=seed, k_neighbors=neighbours)
        flat, labels = sampler.fit_resample(flat, labels)
    return flat.reshape(-1, *inputs.shape[1:]).astype(inputs.dtype), labels
