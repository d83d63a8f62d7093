"""The forest is scikit-learn's; a class without training objects has the probability 0."""

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from skylight.light_curves.forest import train_forest

RNG = np.random.default_rng(0)
FEATURES, NEW = RNG.normal(size=(80, 21)).astype(np.float32), RNG.normal(size=(9, 21)).astype(np.float32)
LABELS = np.where(FEATURES[:, 3] > 0, 2, 0)


def test_probabilities_are_those_of_the_trees_in_the_columns_of_their_classes():
    found = train_forest(FEATURES, LABELS, classes=4, trees=7, seed=3)(NEW)
    trees = ExtraTreesClassifier(7, random_state=3).fit(FEATURES, LABELS)
    assert found.shape == (9, 4)
    assert np.array_equal(found[:, [0, 2]], trees.predict_proba(NEW)) and not found[:, [1, 3]].any()
    assert np.array_equal(found.argmax(axis=1), trees.predict(NEW))


def test_the_seed_determines_the_forest():
    one, same, other = (train_forest(FEATURES, LABELS, 3, 7, seed)(NEW) for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
