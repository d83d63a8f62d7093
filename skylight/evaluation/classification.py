"""Scores, confusion matrix and table of predictions of a classifier."""

import warnings

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, matthews_corrcoef, roc_curve


def scores(true: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict:
    """Compute accuracy, Matthews correlation coefficient (Gorodkin 2004), and F1 by class and weighted by class size.

    Parameters
    ----------
    true, predicted : (N,) int
        Indices into ``classes``.
    classes : list of str

    Returns
    -------
    dict
        ``accuracy``, ``mcc``, ``f1_weighted`` and ``f1`` (by class name; NaN for a class that has no object,
        0 for one that is never predicted).
    """
    indices = range(len(classes))
    f1 = f1_score(true, predicted, labels=indices, average=None, zero_division=0)
    f1[np.bincount(true, minlength=len(classes)) == 0] = np.nan
    return {
        "accuracy": accuracy_score(true, predicted),
        "mcc": matthews_corrcoef(true, predicted),
        "f1_weighted": f1_score(true, predicted, labels=indices, average="weighted", zero_division=0),
        "f1": dict(zip(classes, f1, strict=True)),
    }


def confusion(true: np.ndarray, predicted: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return the confusion matrix in counts: one row per true class, one column per predicted class."""
    counts = confusion_matrix(true, predicted, labels=range(len(classes)))
    return pd.DataFrame(counts, index=pd.Index(classes, name="true"), columns=classes)


def percent(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the confusion matrix in percent of each true class (row), to 2 decimals; a class without objects is 0."""
    return (100 * counts.div(counts.sum(axis=1).where(lambda total: total > 0, 1), axis=0)).round(2)


def error_rates(is_real: np.ndarray, score: np.ndarray) -> pd.DataFrame:
    """Compute the rates of false negatives and false positives for every threshold on the score of a network.

    Parameters
    ----------
    is_real : (N,) bool
    score : (N,) float
        Alerts with a score of at least the threshold are classified as real.

    Returns
    -------
    pd.DataFrame
        ``threshold`` (falling, from infinity), ``fnr`` (share of the real alerts classified as bogus), ``fpr`` (share
        of the bogus alerts classified as real). 1 - fnr against fpr is the ROC curve. A rate is NaN if its class has
        no alerts.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        fpr, tpr, thresholds = roc_curve(is_real, score, drop_intermediate=False)
    return pd.DataFrame({"threshold": thresholds, "fnr": 1 - tpr, "fpr": fpr})


def threshold_scores(is_real: np.ndarray, score: np.ndarray, threshold: float) -> dict[str, float]:
    """Measure a two-class network at one threshold on its score, and the area under its ROC curve.

    Parameters
    ----------
    is_real : (N,) bool
    score : (N,) float
    threshold : float
        Alerts with a score of at least the threshold are classified as real.

    Returns
    -------
    dict
        ``misclassified`` (number), ``false_negative_rate`` (share of the real called bogus), ``false_positive_rate``
        (share of the bogus called real), ``roc_auc``. A rate of a class of which there are none is NaN.
    """
    rates = error_rates(is_real, score)
    called_real = score >= threshold
    wrong = called_real != is_real
    return {
        "misclassified": int(wrong.sum()),
        "false_negative_rate": float(wrong[is_real].mean()) if is_real.any() else np.nan,
        "false_positive_rate": float(wrong[~is_real].mean()) if not is_real.all() else np.nan,
        "roc_auc": float(np.trapezoid(1 - rates["fnr"], rates["fpr"])),
    }


def prediction_table(
    ids: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, classes: list[str], id_name: str = "lcid"
) -> pd.DataFrame:
    """Return the table of predictions, one row per object.

    Parameters
    ----------
    ids : (N,) array
    labels : (N,) int
        Indices into ``classes``; -1 for an unknown class.
    probabilities : (N, K) float
    classes : list of str
        The K class names.
    id_name : str
        Name of the column of ids.

    Returns
    -------
    pd.DataFrame
        ``id_name``, ``class`` (empty if unknown), ``predicted``, and ``p_<class>`` for each class.
    """
    names = np.array([*classes, ""])
    table = pd.DataFrame({id_name: ids, "class": names[labels], "predicted": names[probabilities.argmax(axis=1)]})
    return table.join(pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes]))
