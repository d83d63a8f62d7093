"""Choose objects from the table of predictions, and summarise images or maps by class."""

from collections.abc import Callable

import numpy as np
import pandas as pd


def select(predictions: pd.DataFrame, min_probability: float, most: int) -> pd.DataFrame:
    """Choose the objects to explain: those classified right with a high probability, as published.

    Parameters
    ----------
    predictions : DataFrame
        ``lcid``, ``class``, ``predicted`` and ``p_<class>`` (`skylight.evaluation.classification.prediction_table`).
    min_probability : float
        Of the predicted class.
    most : int
        Number of objects per class; the first ones of the table are taken.

    Returns
    -------
    DataFrame
        ``lcid``, ``class`` and ``probability``, in the order of the table.
    """
    probability = predictions.filter(regex="^p_").max(axis=1)
    right = predictions["class"] == predictions["predicted"]
    chosen = predictions[right & (probability >= min_probability)]
    return chosen.assign(probability=probability)[["lcid", "class", "probability"]].groupby("class").head(most)


def clearest(predictions: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Choose one object per class: the one whose true class gets the highest probability.

    Returns
    -------
    DataFrame
        ``lcid``, ``class`` and ``probability`` (of the true class), in the order of ``classes``; a class without
        objects is left out.
    """
    best = [
        members.loc[members[f"p_{name}"].idxmax()].rename({f"p_{name}": "probability"})
        for name in classes
        if len(members := predictions[predictions["class"] == name])
    ]
    return pd.DataFrame([row[["lcid", "class", "probability"]] for row in best]).reset_index(drop=True)


def misclassified(predictions: pd.DataFrame, most: int) -> pd.DataFrame:
    """Choose the misclassified objects with the highest probability of the predicted class.

    Returns
    -------
    DataFrame
        ``lcid``, ``class``, ``predicted`` and ``probability``: at most ``most`` rows, the highest probability first.
    """
    wrong = predictions[predictions["class"] != predictions["predicted"]]
    wrong = wrong.assign(probability=wrong.filter(regex="^p_").max(axis=1)).nlargest(most, "probability")
    return wrong[["lcid", "class", "predicted", "probability"]].reset_index(drop=True)


def summarise(
    values: np.ndarray, labels: np.ndarray, classes: int, summary: Callable[..., np.ndarray] = np.mean
) -> np.ndarray:
    """Compute the mean (or median) image of each class.

    Parameters
    ----------
    values : (N, ...) array
        Images or maps of N objects.
    labels : (N,) int
        Class index of each.
    classes : int
        Number of classes.
    summary : callable
        `numpy.mean` or `numpy.median`.

    Returns
    -------
    (classes, ...) array
        NaN for a class without objects.
    """
    empty = np.full(values.shape[1:], np.nan, values.dtype)
    members = (values[labels == index] for index in range(classes))
    return np.stack([summary(of_class, axis=0) if len(of_class) else empty for of_class in members])
