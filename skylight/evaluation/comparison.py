"""Which methods differ? A paired test on the scores of the same objects."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon


def paired_wilcoxon(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare every pair of methods on the same objects by the signed-rank test (Wilcoxon 1945, Biometrics 1, 80).

    Parameters
    ----------
    scores : pandas.DataFrame
        Of `skylight.evaluation.explanations.score_each`: ``method``, ``metric``, ``layer``, ``object``, ``value``.

    Returns
    -------
    pandas.DataFrame
        One row per metric, layer and pair of methods: ``metric``, ``layer``, ``a``, ``b`` (the methods),
        ``median_difference`` (of the value of a minus that of b), ``p`` (two-sided; corrected for the number of pairs
        of this metric and layer by Holm 1979, Scand. J. Statist. 6, 65), ``n`` (objects for which the metric is defined
        for both). p is 1 if all values are equal, and NaN for no objects, which then are not counted as a pair.
    """
    rows = []
    for (metric, layer), some in scores.groupby(["metric", "layer"], sort=False):
        values = some.pivot(index="object", columns="method", values="value")
        pairs = [
            {"metric": metric, "layer": layer, "a": a, "b": b} | _difference((values[a] - values[b]).dropna())
            for a, b in combinations(some["method"].unique(), 2)
        ]
        corrected = holm(np.array([pair["p"] for pair in pairs]))
        rows += [pair | {"p": p} for pair, p in zip(pairs, corrected, strict=True)]
    return pd.DataFrame(rows, columns=["metric", "layer", "a", "b", "median_difference", "p", "n"])


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p-values (M,) of a family of tests by the step-down method of Holm 1979; NaN are no tests."""
    corrected = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.maximum.accumulate(steps).clip(max=1)
    return corrected


def _difference(differences: pd.Series) -> dict[str, float]:
    if differences.empty:
        return {"median_difference": np.nan, "p": np.nan, "n": 0}
    p = wilcoxon(differences).pvalue if differences.any() else 1.0
    return {"median_difference": differences.median(), "p": p, "n": len(differences)}
