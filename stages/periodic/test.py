"""Test the network, and the forest on the features that it is compared with (Mahabal et al. 2017, section 5)."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.evaluation.classification import confusion, percent, prediction_table, scores
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import save_json, save_table
from skylight.training.splits import first_copies

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    classes = periodic.classes
    images, features, labels, ids = (np.load(DATA / f"{name}.npy") for name in ("X_2d", "X_features", "y", "lcid"))
    parts = pd.read_csv(OUT / "tables/split.csv", dtype=str)
    in_test = np.isin(ids, parts["lcid"][parts["part"] == "test"])
    test = in_test & first_copies(ids)

    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), images.shape[1:])
    probabilities = model.predict(images[test], batch_size=1024, verbose=0)
    forest_prediction = forest(features[~in_test], labels[~in_test], features[test], periodic.test)

    predictions = prediction_table(ids[test], labels[test], probabilities, classes)
    predictions["forest"] = np.array(classes)[forest_prediction]
    save_table(OUT / "tables/predictions.csv", predictions)
    cnn_prediction = probabilities.argmax(axis=1)
    metrics = {
        "objects": int(test.sum()),
        "cnn": scores(labels[test], cnn_prediction, classes),
        "forest": scores(labels[test], forest_prediction, classes),
    }
    save_json(OUT / "metrics/test.json", metrics)
    for name, predicted in (("cnn", cnn_prediction), ("forest", forest_prediction)):
        counts = confusion(labels[test], predicted, classes)
        save_table(OUT / f"tables/confusion_{name}_counts.csv", counts.reset_index())
        save_table(OUT / f"tables/confusion_{name}_percent.csv", percent(counts).reset_index())


def forest(inputs: np.ndarray, labels: np.ndarray, test_inputs: np.ndarray, settings) -> np.ndarray:
    """The published baseline: extremely randomised trees on the features."""
    from sklearn.ensemble import ExtraTreesClassifier

    trees = ExtraTreesClassifier(settings.trees, random_state=settings.seed, n_jobs=-1)
    return trees.fit(inputs, labels).predict(test_inputs)


if __name__ == "__main__":
    main()
