"""The scorecard of a chapter: every method, once for each quantity that it can explain, on the same objects."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd

from skylight.evaluation.comparison import holm, paired_wilcoxon
from skylight.evaluation.explanations import CONTROLS, score_each, summary

COMPARED = ("logit", "log_odds")
METRICS = ("deletion", "insertion", "faithfulness_correlation", "sparseness")
PUBLISHED_WITH_PROBABILITY = ("blanking", "rise", "scorecam")
WITHOUT_SCORE = ("eigencam",)


def with_each_score(methods: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return each method once for each score: (name, score) -> options of it.

    Methods that were published with the probability have this score too. A method that explains no score has the
    score ``""``.
    """
    rows = {}
    for name, options in methods.items():
        method = options.get("method", name)
        scores = COMPARED + ("probability",) * (method in PUBLISHED_WITH_PROBABILITY)
        if method in WITHOUT_SCORE:
            rows[name, ""] = {"method": method, **options}
        else:
            rows |= {(name, score): {"method": method, **options, "score": score} for score in scores}
    return rows


def scorecard(
    model: keras.Model,
    inputs: np.ndarray,
    targets: np.ndarray,
    methods: Mapping[str, Mapping[str, Any]],
    masks: np.ndarray | None = None,
    *,
    metrics: Iterable[str] = METRICS,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure every method with every score, and test whether the scores differ.

    Parameters
    ----------
    model, inputs, targets, masks, metrics, seed
        As for `skylight.evaluation.explanations.score_each`.
    methods : dict
        Name -> options, without ``score``.

    Returns
    -------
    table : pandas.DataFrame
        Columns ``method``, ``score``, ``metric``, ``value``, ``error`` and ``n``, as `summary`.
    differences : pandas.DataFrame
        One row per metric and method: ``metric``, ``method``, ``median_difference`` (log-odds minus logit), ``p`` (of
        Wilcoxon's paired test, corrected by Holm's method for the number of methods) and ``n``.

    Raises
    ------
    InputError
        As `score_each`.
    """
    rows = with_each_score(methods)
    names = {f"{name} ({score})" if score else name: (name, score) for name, score in rows}
    each = score_each(
        model, inputs, targets, dict(zip(names, rows.values(), strict=True)), masks, metrics=metrics, seed=seed
    )
    table = summary(each, seed).drop(columns="layer")
    names |= {control: (control, "") for control in CONTROLS}
    keys = table.pop("method").map(names)
    table.insert(0, "method", keys.str[0])
    table.insert(1, "score", keys.str[1])
    return table, differences(each, [name for name, score in rows if score == "log_odds"])


def differences(each: pd.DataFrame, methods: Iterable[str]) -> pd.DataFrame:
    """Compare log-odds with logit for each method; see `scorecard`."""
    pairs = []
    for name in methods:
        pair = pd.concat(each[each["method"] == f"{name} ({score})"] for score in reversed(COMPARED))
        pairs.append(paired_wilcoxon(pair).assign(method=name))
    table = pd.concat(pairs).sort_values("metric", kind="stable", ignore_index=True)
    table["p"] = table.groupby("metric")["p"].transform(lambda p: holm(p.to_numpy()))
    return table[["metric", "method", "median_difference", "p", "n"]]
