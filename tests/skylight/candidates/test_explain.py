"""The choice of candidates and the numbers measured on their maps, against the definitions written literally."""

import numpy as np
import pandas as pd
import pytest

from skylight.candidates import explain

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "label": [1, 0, 1, 0, 0, 1, 0, 1, 0, 1],
        "p_cap": [0.9, 0.2, 0.4, 0.7, 0.1, 0.8, 0.9, 0.1, 0.6, 0.5],
        "snr": [8.0, 1.0, 9.0, 4.0, 2.0, 30.0, 3.0, 7.0, 1.0, 12.0],
    }
)


def test_the_first_of_each_class_and_the_surest_misclassified_are_chosen():
    chosen = explain.choose(TABLE, 4, 1)
    # First: 0 and 2 are real sources, 1 and 3 artifacts. Misclassified among the others: 6 and 8 (artifacts), 7.
    assert list(chosen["place"]) == [0, 1, 2, 3, 6, 7]
    assert list(chosen["right"]) == [True, True, False, False, False, False]
    assert list(chosen["explained_by"]) == ["all rules"] * 4 + ["because wrong"] * 2
    assert list(explain.choose(TABLE, 4, 5)["place"]) == [0, 1, 2, 3, 6, 7, 8]


def test_examples_are_spread_over_the_snr_or_surely_wrong():
    candidates = explain.choose(TABLE, 20, 1)
    assert explain.examples(candidates, 0, False, 2) == [6, 3]
    assert explain.examples(candidates, 1, False, 5) == [7, 2]
    many = pd.DataFrame({"label": 1, "right": True, "p_cap": 0.9, "snr": RNG.permutation(101)})
    found = explain.examples(many, 1, True, 3)
    assert list(many["snr"][found]) == [75, 50, 25]
    assert explain.examples(many, 0, True, 3) == []


def test_the_surest_candidate_of_each_class_is_classified_correctly():
    assert explain.surest_of_each_class(explain.choose(TABLE, 20, 1)) == [0, 4]


def test_localisation_is_measured_on_true_positives_and_on_a_control():
    maps = RNG.normal(size=(6, 21, 21, 4))
    footprints = RNG.random((6, 21, 21)) < 0.1
    labels, targets = np.array([1, 0, 1, 1, 0, 1]), np.array([1, 0, 1, 0, 0, 1])
    used = np.array([True, True, True, True, True, False])
    table = explain.localisation(maps, footprints, targets, labels, used).set_index(["measure", "maps"])

    def mass(row, mask):
        positive = np.zeros((21, 21))
        for channel in range(4):
            positive += np.maximum(maps[row, :, :, channel], 0)
        return positive[mask].sum() / positive.sum()

    sources = [mass(0, footprints[0]), mass(2, footprints[2])]  # 3 is missed, 5 is not used
    control = [mass(1, footprints[0]), mass(4, footprints[2])]
    for kind, values in (("true positives", sources), ("control", control)):
        row = table.loc[("relevance_mass", kind)]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["error"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(2))
    shares = [np.abs(maps[row, :, :, 2]).sum() / np.abs(maps[row]).sum() for row in (0, 2)]
    assert table.loc[("share of difference", "true positives"), "mean"] == pytest.approx(np.mean(shares))
    share = np.mean([footprints[row].mean() for row in (0, 2, 3, 5)])
    assert table.loc[("footprint_share", "true positives"), "mean"] == pytest.approx(share)
    assert len(table) == 2 * 4 + 1 + 4


def test_localisation_without_a_true_positive_is_nan():
    maps, footprints = RNG.normal(size=(2, 21, 21, 4)), np.zeros((2, 21, 21), bool)
    footprints[0, 9:12, 9:12] = True
    table = explain.localisation(maps, footprints, np.zeros(2), np.array([1, 0]), np.array([True, True]))
    assert table.loc[table["measure"] == "relevance_mass", "mean"].isna().all()
    assert table.loc[table["measure"] == "footprint_share", "mean"].item() == 9 / 441


def test_every_map_counts_equally_in_the_mean():
    maps = RNG.normal(size=(3, 21, 21, 4))
    expected = sum(each / np.abs(each).max() for each in maps) / 3
    assert np.allclose(explain.mean_relevance(maps), expected)
    assert np.allclose(explain.mean_relevance(maps * np.array([1, 10, 100])[:, None, None, None]), expected)
