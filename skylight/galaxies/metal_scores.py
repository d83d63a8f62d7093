"""How well galaxies are classified by metallicity, and how well maps show where the metals are."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skylight.evaluation.bootstrap import resamples
from skylight.galaxies.local_metallicity import PARTS, LocalMetallicity
from skylight.params.metallicity import Evaluate

CONTROL_FEATURES = ["g_r", "r50"]
"""Colour and size: what the control knows of a galaxy."""
CONTROLS = ("colour", "brightness", "centre", "edges", "random")
"""Maps that need no network (`skylight.galaxies.metal_maps.controls`)."""
SKY = "sky"
"""What is in no part of the galaxy."""


def classification(low: np.ndarray, p_low: np.ndarray, times: int, seed: int) -> dict[str, float]:
    """Compute accuracy, ROC AUC and F1 of the class low (the published scores), and the cross-entropy.

    Parameters
    ----------
    low : np.ndarray of bool, shape (N,)
        Whether the galaxies are of the class low.
    p_low : np.ndarray, shape (N,)
        Probability of that class.
    times, seed : int
        Number of bootstrap samples, and their seed.

    Returns
    -------
    dict
        The four scores, the bootstrap error of the first three (``<score>_error``), and ``roc_auc_of_classes``: the ROC
        AUC of the predicted classes instead of the probabilities, (sensitivity + specificity) / 2. The published "ROC
        AUC" is close to the accuracy, as this one is. Samples with one class only are left out.
    """
    scores = _scores(low, p_low)
    drawn = [_scores(low[rows], p_low[rows]) for rows in resamples(len(low), times, seed) if 0 < low[rows].mean() < 1]
    errors = {f"{name}_error": np.std([one[name] for one in drawn], ddof=1) for name in scores}
    loss = log_loss(low, np.clip(p_low, 1e-7, 1 - 1e-7), labels=[False, True])
    return {name: float(value) for name, value in (scores | errors | {"loss": loss}).items()}


def _scores(low: np.ndarray, p_low: np.ndarray) -> dict[str, float]:
    called = p_low > 0.5
    both = 0 < low.mean() < 1
    return {
        "accuracy": (called == low).mean(),
        "roc_auc": roc_auc_score(low, p_low) if both else np.nan,
        "roc_auc_of_classes": roc_auc_score(low, called) if both else np.nan,
        "f1": f1_score(low, called, zero_division=0),
    }


def calibration(low: np.ndarray, p_low: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Return, for equal bins of the probability, ``galaxies``, mean ``predicted`` and ``observed`` share of the class.

    Empty bins are left out.
    """
    place = np.minimum((p_low * bins).astype(int), bins - 1)
    rows = [
        {"galaxies": int(inside.sum()), "predicted": p_low[inside].mean(), "observed": low[inside].mean()}
        for number in range(bins)
        if (inside := place == number).any()
    ]
    return pd.DataFrame(rows)


def control_probabilities(
    training: pd.DataFrame, others: Sequence[pd.DataFrame], features: Sequence[str] = CONTROL_FEATURES
) -> list[np.ndarray]:
    """Fit a logistic regression on a few measured properties; return its probability of low for other galaxies.

    Parameters
    ----------
    training : pandas.DataFrame
        ``class`` and the features.
    others : sequence of pandas.DataFrame
        With the features.
    features : sequence of str
    """
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(training[features], training["class"] == "low")
    return [model.predict_proba(table[features])[:, 1] for table in others]


def rank_correlations(maps: np.ndarray, truths: Sequence[LocalMetallicity], radius: float) -> np.ndarray:
    """Compute Spearman's rank correlation of maps with the true local metallicity of the galaxies.

    Parameters
    ----------
    maps : np.ndarray, shape (N, H, W)
    truths : sequence of N LocalMetallicity
    radius : float
        Effective radii; pixels farther out and those of neighbours do not count.

    Returns
    -------
    np.ndarray, shape (N,)
        NaN where the map or the metallicity is constant there.
    """
    found = np.full(len(maps), np.nan)
    for i, (values, truth) in enumerate(zip(maps, truths, strict=True)):
        inside = (truth.radius <= radius) & ~truth.parts["neighbours"]
        ranks = np.stack([rankdata(values[inside]), rankdata(truth.metallicity[inside])])
        if inside.any() and (ranks.std(axis=1) > 0).all():
            found[i] = np.corrcoef(ranks)[0, 1]
    return found


def metal_poor_half(truths: Sequence[LocalMetallicity], radius: float) -> np.ndarray:
    """Return the pixels within ``radius`` whose metallicity is below the median of these, (N, H, W) bool."""
    masks = []
    for truth in truths:
        inside = (truth.radius <= radius) & ~truth.parts["neighbours"]
        masks.append(inside & (truth.metallicity < np.median(truth.metallicity[inside])) if inside.any() else inside)
    return np.stack(masks)


def mass_on_parts(maps: np.ndarray, truths: Sequence[LocalMetallicity]) -> pd.DataFrame:
    """Compute the share of the sum of the positive values of each map on each part of the galaxy and on the `SKY`.

    The shares (N, 5) of a map add up to 1; they are NaN where it has no positive value.
    """
    positive = np.maximum(maps, 0)
    masks = {name: np.stack([truth.parts[name] for truth in truths]) for name in PARTS}
    masks[SKY] = ~np.logical_or.reduce(list(masks.values()))
    total = positive.sum(axis=(1, 2))
    divisor = np.where(total > 0, total, np.nan)
    return pd.DataFrame({name: (positive * mask).sum(axis=(1, 2)) / divisor for name, mask in masks.items()})


def summary(values: Mapping[str, np.ndarray], times: int, seed: int) -> pd.DataFrame:
    """Return ``mean``, bootstrap ``error`` and number ``n`` of the finite values of each name (the index)."""
    rows = {}
    for name, found in values.items():
        found = found[np.isfinite(found)]
        if len(found) < 2:
            rows[name] = {"mean": np.nan, "error": np.nan, "n": len(found)}
            continue
        means = found[resamples(len(found), times, seed)].mean(axis=1)
        rows[name] = {"mean": found.mean(), "error": means.std(ddof=1), "n": len(found)}
    return pd.DataFrame.from_dict(rows, orient="index")


def agreement_table(
    maps: Mapping[str, np.ndarray], truths: Sequence[LocalMetallicity], settings: Evaluate, group: str
) -> pd.DataFrame:
    """Measure how well maps agree with the metals: `rank_correlations`, for maps of low with the sign turned.

    Parameters
    ----------
    maps : mapping
        Name -> maps (N, H, W). Those with ``high`` but not ``low`` in their name are of the class high; all others,
        controls and methods included, should be high where the metallicity is low.
    truths : sequence of N LocalMetallicity
        Or empty, if the truth is unknown: the table is then empty.
    settings : section ``metallicity.evaluate`` of params.yaml
    group : str
        For the column ``group``.

    Returns
    -------
    pandas.DataFrame
        ``map``, ``group``, ``mean`` over the galaxies, ``error``, ``n``.
    """
    columns = ["map", "group", "mean", "error", "n"]
    if not truths:
        return pd.DataFrame(columns=columns)
    found = {}
    for name, values in maps.items():
        sign = 1 if "high" in name and "low" not in name else -1
        found[name] = sign * rank_correlations(values, truths, settings.radius)
    table = summary(found, settings.bootstrap, settings.seed).rename_axis("map").reset_index()
    return table.assign(group=group)[columns]


def parts_table(maps: Mapping[str, np.ndarray], truths: Sequence[LocalMetallicity], settings: Evaluate) -> pd.DataFrame:
    """Return `mass_on_parts` of maps by name: ``map``, ``part``, ``mean``, ``error``, ``n``; empty without truths."""
    columns = ["map", "part", "mean", "error", "n"]
    tables = []
    for name, values in maps.items() if truths else ():
        shares = mass_on_parts(values, truths)
        table = summary({part: shares[part].to_numpy() for part in shares}, settings.bootstrap, settings.seed)
        tables.append(table.rename_axis("part").reset_index().assign(map=name)[columns])
    return pd.concat(tables) if tables else pd.DataFrame(columns=columns)
