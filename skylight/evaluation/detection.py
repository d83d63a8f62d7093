"""How well a network separates real sources from artifacts: error rates, their errors, and their trade-off.

Labels are 1 for a real source and 0 for an artifact; scores are the probability of a real source.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.metrics import det_curve

THRESHOLD = 0.5
RATES = ("accuracy", "fnr", "fpr")


def rates(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> dict[str, np.ndarray]:
    """Compute accuracy, false negative rate and false positive rate along the last axis.

    Parameters
    ----------
    labels, scores : array
        (..., N). A candidate counts as real where its score is at least ``threshold``.

    Returns
    -------
    dict
        ``accuracy``, ``fnr`` (share of the real sources missed), ``fpr`` (share of the artifacts taken for real),
        each (...,); NaN where there is no candidate of that class.
    """
    real, taken = np.asarray(labels) == 1, np.asarray(scores) >= threshold
    return {
        "accuracy": _share(real == taken, np.ones_like(real)),
        "fnr": _share(~taken, real),
        "fpr": _share(taken, ~real),
    }


def rates_with_errors(labels: np.ndarray, scores: np.ndarray, samples: np.ndarray) -> dict[str, float]:
    """Compute the `rates` of N candidates and their errors, the standard deviation over bootstrap samples.

    Parameters
    ----------
    labels, scores : array
        (N,).
    samples : array
        (B, N) indices, `skylight.evaluation.bootstrap.resamples`.

    Returns
    -------
    dict
        The rates, and ``<rate>_error`` for each.
    """
    resampled = rates(labels[samples], scores[samples])
    values = {name: float(value) for name, value in rates(labels, scores).items()}
    return values | {f"{name}_error": float(np.nanstd(resampled[name])) for name in RATES}


def accuracy_gain(labels: np.ndarray, better: np.ndarray, other: np.ndarray, samples: np.ndarray) -> dict[str, float]:
    """Compute how much the accuracy of one network exceeds that of another on the same candidates.

    Parameters
    ----------
    labels : array
        (N,).
    better, other : array
        (N,), the scores of the two networks.
    samples : array
        (B, N) indices, `skylight.evaluation.bootstrap.resamples`.

    Returns
    -------
    dict
        ``accuracy_gain`` and ``accuracy_gain_error``, its standard deviation over the bootstrap samples.
    """
    right = [(np.asarray(scores) >= THRESHOLD) == (labels == 1) for scores in (better, other)]
    gain = right[0].astype(float) - right[1]
    return {"accuracy_gain": float(gain.mean()), "accuracy_gain_error": float(gain[samples].mean(axis=1).std())}


def trade_off(labels: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Compute the detection error trade-off (Martin et al. 1997): ``fpr`` and ``fnr`` at every ``threshold``."""
    fpr, fnr, thresholds = det_curve(labels, scores)
    return pd.DataFrame({"threshold": thresholds, "fpr": fpr, "fnr": fnr})


def rates_by_snr(labels: np.ndarray, scores: np.ndarray, snr: np.ndarray, edges: list[float]) -> pd.DataFrame:
    """Compute the `rates` of candidates in bins of signal-to-noise ratio, with binomial errors.

    Parameters
    ----------
    labels, scores, snr : array
        (N,).
    edges : list of float
        Of the bins, ascending. A bin includes its lower edge.

    Returns
    -------
    pandas.DataFrame
        One row per bin: ``snr_from``, ``snr_to``, ``real`` and ``artifacts`` (their numbers), the rates and
        ``<rate>_error`` = sqrt((r + 1/n) (1 - r + 1/n) / n). The terms 1/n keep the error above 0 where no candidate
        fails. Rates are NaN where there is no candidate.
    """
    rows = []
    for low, high in pairwise(edges):
        inside = (snr >= low) & (snr < high)
        row = {"snr_from": low, "snr_to": high}
        row |= {"real": int((labels[inside] == 1).sum()), "artifacts": int((labels[inside] == 0).sum())}
        counts = {"accuracy": int(inside.sum()), "fnr": row["real"], "fpr": row["artifacts"]}
        for name, rate in rates(labels[inside], scores[inside]).items():
            n = counts[name]
            error = np.sqrt((rate + 1 / n) * (1 - rate + 1 / n) / n) if n else np.nan
            row |= {name: float(rate), f"{name}_error": float(error)}
        rows.append(row)
    return pd.DataFrame(rows)


def _share(of: np.ndarray, among: np.ndarray) -> np.ndarray:
    total = among.sum(axis=-1)
    return np.where(total > 0, (of & among).sum(axis=-1) / np.where(total > 0, total, 1), np.nan)
