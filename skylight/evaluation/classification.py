"""The test table of a classifier."""

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, matthews_corrcoef


def scores(true: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict:
    """Accuracy, Matthews correlation coefficient (Gorodkin 2004), and F1 by class and weighted by class size.

    Parameters
    ----------
    true, predicted : (N,) int
        Indices into ``classes``.
    classes : list of str

    Returns
    -------
    dict
        ``accuracy``, ``mcc``, ``f1_weighted`` and ``f1`` (by class name; 0 for a class never met nor predicted).
    """
    indices = range(len(classes))
    f1 = f1_score(true, predicted, labels=indices, average=None, zero_division=0)
    return {
        "accuracy": accuracy_score(true, predicted),
        "mcc": matthews_corrcoef(true, predicted),
        "f1_weighted": f1_score(true, predicted, labels=indices, average="weighted", zero_division=0),
        "f1": dict(zip(classes, f1, strict=True)),
    }


def confusion(true: np.ndarray, predicted: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Confusion matrix in counts: a row a true class, a column a predicted class."""
    counts = confusion_matrix(true, predicted, labels=range(len(classes)))
    return pd.DataFrame(counts, index=pd.Index(classes, name="true"), columns=classes)


def percent(counts: pd.DataFrame) -> pd.DataFrame:
    """The matrix with each row in percent of that class; a class without objects is 0."""
    return (100 * counts.div(counts.sum(axis=1).where(lambda total: total > 0, 1), axis=0)).round(2)


def prediction_table(
    ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: list[str]
) -> pd.DataFrame:
    """A row an object: ``lcid``, ``class`` (empty where not known), ``predicted``, and ``p_<class>`` for each class."""
    names = np.array([*classes, ""])
    table = pd.DataFrame({"lcid": ids, "class": names[labels], "predicted": names[probabilities.argmax(axis=1)]})
    return table.join(pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes]))
