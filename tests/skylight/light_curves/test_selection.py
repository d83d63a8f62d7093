"""Which objects are explained and drawn, and the summaries of classes, against literal loops."""

import numpy as np
import pandas as pd
import pytest

from skylight.light_curves.selection import clearest, misclassified, select, summarise

CLASSES = ["EW", "EA", "LPV"]
TABLE = pd.DataFrame(
    [
        ("1", "EW", "EW", 0.9, 0.1, 0.0),
        ("2", "EA", "EW", 0.6, 0.4, 0.0),
        ("3", "EW", "EW", 0.7, 0.2, 0.1),
        ("4", "EA", "EA", 0.2, 0.8, 0.0),
        ("5", "EW", "EW", 1.0, 0.0, 0.0),
        ("6", "EW", "EA", 0.1, 0.9, 0.0),
        ("7", "EW", "EW", 0.8, 0.1, 0.1),
    ],
    columns=["lcid", "class", "predicted", "p_EW", "p_EA", "p_LPV"],
)


def test_selected_are_the_first_right_and_probable_objects_of_each_class():
    chosen = select(TABLE, 0.8, 2)
    assert list(chosen.columns) == ["lcid", "class", "probability"]
    assert chosen.to_numpy().tolist() == [["1", "EW", 0.9], ["4", "EA", 0.8], ["5", "EW", 1.0]]


def test_selection_is_that_of_a_loop_over_a_random_table():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.3, 0.3, 0.3], 200)
    table = pd.DataFrame(p, columns=[f"p_{name}" for name in CLASSES])
    names = np.array(CLASSES)
    table = table.assign(lcid=[str(i) for i in range(200)], predicted=names[p.argmax(axis=1)])
    table["class"] = np.where(rng.random(200) < 0.7, table["predicted"], names[rng.integers(0, 3, 200)])
    expected, count = [], dict.fromkeys(CLASSES, 0)
    for row in table.to_dict("records"):
        probability = max(row[f"p_{name}"] for name in CLASSES)
        if row["class"] == row["predicted"] and probability >= 0.6 and count[row["class"]] < 25:
            count[row["class"]] += 1
            expected.append(row["lcid"])
    assert max(count.values()) == 25
    assert select(table, 0.6, 25)["lcid"].tolist() == expected


def test_no_object_is_selected_where_none_is_probable_enough():
    assert len(select(TABLE, 1.01, 2)) == 0


def test_clearest_are_the_objects_whose_true_class_is_most_probable():
    assert clearest(TABLE, CLASSES).to_numpy().tolist() == [["5", "EW", 1.0], ["4", "EA", 0.8]]
    assert clearest(TABLE, ["EA", "EW"])["lcid"].tolist() == ["4", "5"]


def test_misclassified_objects_come_with_the_highest_probability_first():
    expected = [["6", "EW", "EA", 0.9], ["2", "EA", "EW", 0.6]]
    wrong = misclassified(TABLE, 5)
    assert list(wrong.columns) == ["lcid", "class", "predicted", "probability"]
    assert wrong.to_numpy().tolist() == expected
    assert misclassified(TABLE, 1).to_numpy().tolist() == expected[:1]
    assert len(misclassified(TABLE, 0)) == 0


@pytest.mark.parametrize("summary", [np.mean, np.median])
def test_the_summary_of_a_class_is_that_of_its_members(summary):
    values = np.random.default_rng(0).random((9, 2, 3)).astype(np.float32)
    labels = np.array([0, 2, 2, 0, 2, 0, 2, 0, 0])
    found = summarise(values, labels, 4, summary)
    assert found.shape == (4, 2, 3) and found.dtype == np.float32
    for row in range(2):
        for column in range(3):
            for index in (0, 2):
                members = [values[i, row, column] for i in range(9) if labels[i] == index]
                assert found[index, row, column] == pytest.approx(summary(members), rel=1e-6)
    assert np.isnan(found[[1, 3]]).all()
