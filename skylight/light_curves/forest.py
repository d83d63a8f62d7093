"""The baseline of Mahabal et al. 2017: extremely randomised trees on the 21 features of a light curve."""

from collections.abc import Callable

import numpy as np


def train_forest(features: np.ndarray, labels: np.ndarray, classes: int, trees: int, seed: int) -> Callable:
    """Train the forest (Geurts, Ernst & Wehenkel 2006).

    Parameters
    ----------
    features : array
        (N, 21), see `skylight.light_curves.features`.
    labels : array
        (N,) class indices.
    classes : int
        Number of classes K.
    trees : int
        Number of trees.
    seed : int

    Returns
    -------
    callable
        Features (N, 21) -> probabilities (N, K), 0 for a class that no training object has.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(trees, random_state=seed, n_jobs=-1).fit(features, labels)

    def probabilities(features: np.ndarray) -> np.ndarray:
        found = np.zeros((len(features), classes))
        found[:, forest.classes_] = forest.predict_proba(features)
        return found

    return probabilities
