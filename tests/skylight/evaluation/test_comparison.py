"""Pairs of methods on the same objects: the test of SciPy, and Holm's correction against published numbers."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from skylight.evaluation.comparison import holm, paired_wilcoxon


def long_table(values, metric="deletion", layer=""):
    """Return rows as `score_each` does, from method -> values of the objects."""
    return pd.concat(
        pd.DataFrame({"method": name, "metric": metric, "layer": layer, "object": range(len(one)), "value": one})
        for name, one in values.items()
    )


def test_methods_that_differ_are_told_from_those_that_do_not():
    random = np.random.default_rng(0)
    base = random.normal(size=40)
    values = {"a": base, "b": base + 1 + 0.1 * random.normal(size=40), "c": base + 0.1 * random.normal(size=40)}
    table = paired_wilcoxon(long_table(values)).set_index(["a", "b"])
    assert list(table.index) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert table.loc[("a", "b"), "median_difference"] == np.median(values["a"] - values["b"])
    raw = [wilcoxon(values[a], values[b]).pvalue for a, b in table.index]
    # The smallest p is multiplied by 3, the next by 2; those of (a, b) and (b, c) are equal.
    assert np.allclose(table["p"], [3 * raw[0], raw[1], 3 * raw[0]])
    assert table.loc[("a", "b"), "p"] < 1e-6
    assert table.loc[("a", "c"), "p"] > 0.05
    assert (table["n"] == 40).all()


def test_each_metric_and_layer_is_a_family_of_its_own():
    random = np.random.default_rng(1)
    some, other = ({name: random.normal(size=12) for name in "ab"} for _ in range(2))
    both = pd.concat([long_table(some), long_table(other, "randomisation", "preds")])
    table = paired_wilcoxon(both)
    assert list(table.columns) == ["metric", "layer", "a", "b", "median_difference", "p", "n"]
    assert list(table["layer"]) == ["", "preds"]
    assert np.allclose(table["p"], [wilcoxon(one["a"], one["b"]).pvalue for one in (some, other)])


def test_objects_without_a_value_of_both_methods_are_left_out():
    values = {"a": np.array([1.0, np.nan, 3, 5, 2]), "b": np.array([2.0, 1, np.nan, 7, 6]), "dead": np.full(5, np.nan)}
    table = paired_wilcoxon(long_table(values)).set_index(["a", "b"])
    row = table.loc[("a", "b")]
    assert (row["n"], row["median_difference"]) == (3, -2)
    assert row["p"] == pytest.approx(0.25)  # three of one sign: 2 / 2^3, and it is the only pair
    assert table.loc[("a", "dead"), "n"] == 0
    assert np.isnan(table.loc[("a", "dead"), ["median_difference", "p"]].astype(float)).all()


def test_equal_methods_do_not_differ():
    row = paired_wilcoxon(long_table({"a": np.ones(6), "b": np.ones(6)})).iloc[0]
    assert (row["median_difference"], row["p"], row["n"]) == (0, 1, 6)


def test_holm_equals_p_adjust_of_r():
    assert np.allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert np.allclose(holm(np.array([0.5, 0.9])), [1, 1])
    assert np.array_equal(holm(np.array([np.nan, 0.02])), [np.nan, 0.02], equal_nan=True)
