"""Scores of a classifier against counting object by object."""

import numpy as np
import pandas as pd
import pytest

from skylight.evaluation.classification import (
    confusion,
    error_rates,
    percent,
    prediction_table,
    scores,
    threshold_scores,
)

CLASSES = ["EW", "EA", "LPV"]
TRUE, PREDICTED = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 1, 1, 1, 0, 0])  # no LPV


def random_labels(classes=4, objects=500):
    """Return true classes and predictions that are right for about half of the objects."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, classes, objects)
    return true, np.where(rng.random(objects) < 0.4, true, rng.integers(0, classes, objects))


def test_a_row_of_the_confusion_matrix_is_a_true_class_and_a_column_a_predicted_one():
    counts = confusion(TRUE, PREDICTED, CLASSES)
    assert counts.loc["EW", "EA"] == 2 and counts.loc["EA", "EW"] == 1  # a transposed matrix has them exchanged
    assert counts.to_numpy().tolist() == [[2, 2, 0], [1, 1, 0], [0, 0, 0]]
    assert list(counts.index) == list(counts.columns) == CLASSES and counts.index.name == "true"


def test_confusion_counts_pairs_of_classes():
    true, predicted = random_labels()
    counts = confusion(true, predicted, list("abcd"))
    for i, row in enumerate("abcd"):
        for j, column in enumerate("abcd"):
            assert counts.loc[row, column] == sum(1 for t, p in zip(true, predicted, strict=True) if (t, p) == (i, j))


def test_percent_is_of_the_true_class_and_zero_for_a_class_without_objects():
    counts = pd.DataFrame([[2, 1, 0], [1, 4, 3], [0, 0, 0]], index=CLASSES, columns=CLASSES)
    shares = percent(counts)
    assert shares.to_numpy().tolist() == [[66.67, 33.33, 0], [12.5, 50, 37.5], [0, 0, 0]]
    assert list(shares.index) == list(shares.columns) == CLASSES


def test_scores_of_six_objects():
    found = scores(TRUE, PREDICTED, CLASSES)
    f1 = {"EW": 2 * 2 / (2 * 2 + 2 + 1), "EA": 2 * 1 / (2 * 1 + 1 + 2), "LPV": np.nan}  # 2 tp / (2 tp + fn + fp)
    assert found["accuracy"] == pytest.approx(3 / 6)
    assert found["f1"] == pytest.approx(f1, nan_ok=True)  # there is no LPV
    assert found["f1_weighted"] == pytest.approx((4 * f1["EW"] + 2 * f1["EA"]) / 6)
    assert found["mcc"] == pytest.approx((2 * 1 - 1 * 2) / np.sqrt(3 * 4 * 2 * 3))  # (tp tn - fp fn) / root


def test_scores_against_their_definitions():
    true, predicted = random_labels()
    found = scores(true, predicted, list("abcd"))
    assert found["accuracy"] == pytest.approx(sum(true == predicted) / 500)
    weighted = 0
    for k, name in enumerate("abcd"):
        precision = np.sum((true == k) & (predicted == k)) / np.sum(predicted == k)
        recall = np.sum((true == k) & (predicted == k)) / np.sum(true == k)
        assert found["f1"][name] == pytest.approx(2 / (1 / precision + 1 / recall))
        weighted += np.mean(true == k) * found["f1"][name]
    assert found["f1_weighted"] == pytest.approx(weighted)
    t, p = (np.array([np.sum(labels == k) for k in range(4)]) for labels in (true, predicted))
    covariance = 500 * np.sum(true == predicted) - np.sum(t * p)  # Gorodkin 2004, in counts
    assert found["mcc"] == pytest.approx(covariance / np.sqrt((500**2 - np.sum(p**2)) * (500**2 - np.sum(t**2))))


def test_a_class_that_is_never_predicted_has_f1_zero():
    found = scores(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 1]), CLASSES)
    assert found["f1"] == pytest.approx({"EW": 1, "EA": 2 / (2 + 0 + 2), "LPV": 0})
    assert found["f1_weighted"] == pytest.approx((1 + 0.5) / 4)


def test_a_class_without_objects_has_no_f1():
    """0 would look like a class that the network never gets right."""
    found = scores(np.array([0, 0, 1]), np.array([0, 2, 1]), ["EW", "EA", "LPV"])
    assert np.isnan(found["f1"]["LPV"]) and found["f1"]["EA"] == 1
    assert found["f1_weighted"] == pytest.approx((2 * 2 / 3 + 1) / 3)


def test_prediction_table_has_names_and_probabilities_and_an_empty_class_for_unknown_labels():
    probabilities = np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4], [0.0, 0.3, 0.7]])
    table = prediction_table(np.array([11, 5, 8]), np.array([0, -1, 2]), probabilities, CLASSES)
    assert list(table.columns) == ["lcid", "class", "predicted", "p_EW", "p_EA", "p_LPV"]
    assert table["lcid"].tolist() == [11, 5, 8]
    assert table["class"].tolist() == ["EW", "", "LPV"]
    assert table["predicted"].tolist() == ["EA", "EW", "LPV"]
    assert np.array_equal(table[["p_EW", "p_EA", "p_LPV"]], probabilities)


def test_prediction_table_has_the_given_name_of_the_ids():
    table = prediction_table(np.array(["ZTF1"]), np.array([-1]), np.array([[0.1, 0.9]]), ["bogus", "real"], "candid")
    assert table.iloc[0].to_dict() == {
        "candid": "ZTF1",
        "class": "",
        "predicted": "real",
        "p_bogus": 0.1,
        "p_real": 0.9,
    }


def test_error_rates_equal_counting_at_every_threshold():
    rng = np.random.default_rng(0)
    is_real, score = rng.random(200) < 0.7, rng.random(200).round(2)
    table = error_rates(is_real, score)
    assert np.isinf(table["threshold"][0]) and (table["threshold"].diff()[1:] < 0).all()
    for row in table.itertuples():
        called_real = score >= row.threshold
        assert np.isclose(row.fnr, (~called_real & is_real).sum() / is_real.sum())
        assert np.isclose(row.fpr, (called_real & ~is_real).sum() / (~is_real).sum())


def test_the_rate_of_a_class_without_objects_is_nan():
    table = error_rates(np.ones(3, bool), np.array([0.1, 0.5, 0.9]))
    assert table["fpr"].isna().all() and np.allclose(table["fnr"], [1, 2 / 3, 1 / 3, 0])


def test_threshold_scores_of_six_alerts():
    is_real, score = np.array([1, 1, 1, 1, 0, 0], bool), np.array([0.9, 0.8, 0.5, 0.3, 0.4, 0.7])
    found = threshold_scores(is_real, score, 0.5)
    assert found["misclassified"] == 2
    assert found["false_negative_rate"] == pytest.approx(1 / 4)  # 0.3
    assert found["false_positive_rate"] == pytest.approx(1 / 2)  # 0.7; 0.5 is at the threshold and therefore real
    assert found["roc_auc"] == pytest.approx(5 / 8)  # pairs of a real and a bogus alert in the right order


def test_threshold_scores_without_bogus_alerts():
    found = threshold_scores(np.ones(2, bool), np.array([0.2, 0.9]), 0.5)
    assert found["misclassified"] == 1 and found["false_negative_rate"] == 0.5
    assert np.isnan(found["false_positive_rate"]) and np.isnan(found["roc_auc"])
