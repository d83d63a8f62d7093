"""The test table of a classifier."""

import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, matthews_corrcoef, roc_curve


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


def error_rates(is_real: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """False negatives and false positives of a two-class network for every threshold on its score.

    Parameters
    ----------
    is_real : (N,) bool
    score : (N,) float
        Alerts of at least the threshold are called real.

    Returns
    -------
    pd.DataFrame
        ``threshold`` (falling, from infinity), ``fnr`` (share of the real called bogus), ``fpr`` (share of the bogus
        called real; with 1 - fnr the ROC curve); NaN for a class of which there are none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        fpr, tpr, thresholds = roc_curve(is_real, score, drop_intermediate=False)
    return pd.DataFrame({"threshold": thresholds, "fnr": 1 - tpr, "fpr": fpr})


def prediction_table(
    ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: list[str], id_name: str = "lcid"
) -> pd.DataFrame:
    """A row an object: its id, ``class`` (empty where not known), ``predicted``, and ``p_<class>`` for each class."""
    names = np.array([*classes, ""])
    table = pd.DataFrame({id_name: ids, "class": names[labels], "predicted": names[probabilities.argmax(axis=1)]})
    return table.join(pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes]))
