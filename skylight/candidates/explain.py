"""Which candidates are explained and shown, and what their relevance maps say (Reyes et al. 2018, section IV).

Tables of candidates have one row per candidate and the columns ``label`` (1 real source, 0 artifact), ``p_cap`` (the
probability of a real source by the first CAP network) and ``snr``.
"""

import numpy as np
import pandas as pd

from skylight.candidates.hits import CHANNELS
from skylight.evaluation.bootstrap import mean_and_error
from skylight.evaluation.detection import THRESHOLD
from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc

ALL_RULES = "all rules"
MEASURES = {
    "pointing_game": pointing_game,
    "relevance_mass": relevance_mass,
    "rank_accuracy": rank_accuracy,
    "roc_auc": roc_auc,
}


def choose(predictions: pd.DataFrame, count: int, max_misclassified: int) -> pd.DataFrame:
    """Choose the candidates to explain: the first ones of each class, and misclassified ones.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Table of candidates.
    count : int
        Number of candidates of the first kind, half of them of each class.
    max_misclassified : int
        Largest number, of each class, of those among the other candidates that CAP misclassifies: those with the
        probability farthest from 0.5.

    Returns
    -------
    pandas.DataFrame
        Their rows, with ``place`` (the row in ``predictions``, ascending), ``right`` (whether CAP classifies the
        candidate correctly) and ``explained_by`` (``all rules`` or ``because wrong``).
    """
    table = predictions.assign(
        place=range(len(predictions)), right=(predictions["p_cap"] >= THRESHOLD) == predictions["label"]
    )
    first = table.groupby("label").head(count // 2).assign(explained_by=ALL_RULES)
    others = table[~table["right"] & ~table["place"].isin(first["place"])]
    surest = _certainty(others).sort_values(ascending=False, kind="stable").index
    others = others.loc[surest].groupby("label").head(max_misclassified).assign(explained_by="because wrong")
    return pd.concat([first, others]).sort_values("place", ignore_index=True)


def examples(candidates: pd.DataFrame, label: int, right: bool, count: int) -> list[int]:
    """Choose candidates of one outcome for a figure.

    Parameters
    ----------
    candidates : pandas.DataFrame
        Table of `choose`.
    label : int
        Their class.
    right : bool
        Whether CAP classifies them correctly.
    count : int
        Largest number of them.

    Returns
    -------
    list of int
        Their rows. Correctly classified ones are spread evenly over the order of their signal-to-noise ratios, the
        brightest first; of misclassified ones, those with the probability farthest from 0.5.
    """
    members = candidates[(candidates["label"] == label) & (candidates["right"] == right)]
    if right:
        by_snr = members.sort_values("snr", ascending=False).index
        return [int(by_snr[i]) for i in np.unique(np.linspace(0, len(by_snr) - 1, count + 2).astype(int))[1:-1]]
    surest = _certainty(members).sort_values(ascending=False).index
    return [int(row) for row in surest[:count]]


def surest_of_each_class(candidates: pd.DataFrame) -> list[int]:
    """Return the row of a real source, then of an artifact: the correctly classified one that CAP is surest of."""
    certainty = _certainty(candidates).where(candidates["right"], -1)
    return [int(certainty[candidates["label"] == label].idxmax()) for label in (1, 0)]


def localisation(
    maps: np.ndarray, footprints: np.ndarray, targets: np.ndarray, labels: np.ndarray, used: np.ndarray
) -> pd.DataFrame:
    """Compute how well the positive relevance lies on the point source, and how it is shared by the channels.

    The relevance is that of all channels together, of the true positives: real sources for which the class explained
    is that of a real source. The control are true negatives. They have no source, so they borrow the footprints of the
    true positives. All candidates are centred, so a map that is only bright in the middle does well on both.

    Parameters
    ----------
    maps : array
        (N, 21, 21, 4) relevance for the class ``targets``.
    footprints : array
        (N, 21, 21) bool, where the point source is.
    targets, labels : array
        (N,), the class explained and the true class.
    used : array
        (N,) bool, which maps are used.

    Returns
    -------
    pandas.DataFrame
        Columns ``measure``, ``maps`` (``true positives`` or ``control``), ``mean`` and its standard ``error``. Measures
        are those of `MEASURES`, ``footprint_share`` (the mean share of the pixels that a footprint has) and
        ``share of <channel>`` (of the absolute relevance).
    """
    positive_relevance = maps.clip(min=0).sum(axis=-1)
    positive, negative = (np.flatnonzero(used & (targets == k) & (labels == k)) for k in (1, 0))
    borrowed = np.resize(positive, len(negative)) if len(positive) else negative
    found = [
        (name, kind, *mean_and_error(measure(positive_relevance[rows], footprints[sources])))
        for kind, rows, sources in (("true positives", positive, positive), ("control", negative, borrowed))
        for name, measure in MEASURES.items()
    ]
    found.append(("footprint_share", "true positives", footprints[labels == 1].mean(), 0.0))
    for c, channel in enumerate(CHANNELS):
        share = np.abs(maps[positive][..., c]).sum(axis=(1, 2)) / np.abs(maps[positive]).sum(axis=(1, 2, 3))
        found.append((f"share of {channel}", "true positives", *mean_and_error(share)))
    return pd.DataFrame(found, columns=["measure", "maps", "mean", "error"])


def mean_relevance(maps: np.ndarray) -> np.ndarray:
    """Average maps (N, 21, 21, C), each divided by its largest absolute relevance: (21, 21, C)."""
    return (maps / np.abs(maps).max(axis=(1, 2, 3), keepdims=True)).mean(axis=0)


def _certainty(candidates: pd.DataFrame) -> pd.Series:
    """How far the probability of CAP is from the threshold."""
    return (candidates["p_cap"] - THRESHOLD).abs()
