"""Every method has one row per score and metric, and the scores are compared on the same objects."""

import numpy as np
import pandas as pd
import pytest

from skylight.attribution import saliency
from skylight.evaluation.explanations import score_each
from skylight.evaluation.scorecard import differences, scorecard, with_each_score
from tests.skylight.attribution.small_networks import SHAPE, network

IMAGES = np.random.default_rng(0).normal(size=(6, *SHAPE)).astype(np.float32)


def test_each_method_has_the_scores_that_it_explains():
    methods = {
        "saliency": {},
        "rise": {"masks": 3},
        "eigencam": {"layer": "a"},
        "flat": {"method": "lrp", "rule": "flat"},
    }
    assert with_each_score(methods) == {
        ("saliency", "logit"): {"method": "saliency", "score": "logit"},
        ("saliency", "log_odds"): {"method": "saliency", "score": "log_odds"},
        ("rise", "logit"): {"method": "rise", "masks": 3, "score": "logit"},
        ("rise", "log_odds"): {"method": "rise", "masks": 3, "score": "log_odds"},
        ("rise", "probability"): {"method": "rise", "masks": 3, "score": "probability"},
        ("eigencam", ""): {"method": "eigencam", "layer": "a"},
        ("flat", "logit"): {"method": "lrp", "rule": "flat", "score": "logit"},
        ("flat", "log_odds"): {"method": "lrp", "rule": "flat", "score": "log_odds"},
    }


@pytest.mark.slow
def test_the_table_has_the_values_of_each_score():
    model = network({"units": 3, "activation": "softmax"})
    targets = np.array([0, 1, 2, 0, 1, 2])
    methods = {"saliency": {}, "flat": {"method": "lrp", "rule": "flat"}}
    table, tests = scorecard(model, IMAGES, targets, methods, metrics=["sparseness", "deletion"])
    assert list(table.columns) == ["method", "score", "metric", "value", "error", "n"]
    assert set(zip(table["method"], table["score"], strict=True)) == {
        *(("saliency", score) for score in ("logit", "log_odds")),
        *(("flat", score) for score in ("logit", "log_odds")),
        ("random", ""),
        ("edges", ""),
    }
    by_hand = {
        score: score_each(
            model, IMAGES, targets, {"x": lambda *a, score=score: saliency(*a, score=score)}, metrics=["sparseness"]
        )
        for score in ("logit", "log_odds")
    }
    rows = table[(table["method"] == "saliency") & (table["metric"] == "sparseness")].set_index("score")["value"]
    values = {score: each[each["method"] == "x"]["value"] for score, each in by_hand.items()}
    assert rows["logit"] == pytest.approx(values["logit"].mean())
    assert rows["log_odds"] == pytest.approx(values["log_odds"].mean())
    row = tests.set_index(["metric", "method"]).loc[("sparseness", "saliency")]
    assert row["median_difference"] == pytest.approx(np.median(values["log_odds"].values - values["logit"].values))
    assert row["n"] == 6 and 0 < row["p"] <= 1


def test_the_difference_is_log_odds_minus_logit_and_p_is_corrected():
    values = {
        "a (logit)": np.zeros(8),
        "a (log_odds)": np.arange(1, 9),
        "b (logit)": np.ones(8),
        "b (log_odds)": np.ones(8),
    }
    each = pd.concat(
        pd.DataFrame({"method": name, "metric": "m", "layer": "", "object": range(8), "value": some})
        for name, some in values.items()
    )
    table = differences(each, ["a", "b"]).set_index("method")
    assert table.loc["a", "median_difference"] == 4.5 and table.loc["b", "median_difference"] == 0
    assert table.loc["a", "p"] == pytest.approx(2 * 2 / 2**8)  # all eight differences positive, two methods
    assert table.loc["b", "p"] == 1
