"""Test the network, and compare it with a random forest on features (Mahabal et al. 2017, section 5)."""

from pathlib import Path

import numpy as np

from skylight import params
from skylight.errors import script
from skylight.evaluation.classification import confusion, percent, prediction_table, scores
from skylight.light_curves import arrays
from skylight.light_curves.forest import train_forest
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import read_table, save_json, save_table

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    classes = periodic.classes
    data = arrays.load(DATA)
    parts = read_table(OUT / "tables/split.csv", dtype=str)
    in_test = np.isin(data.ids, parts["lcid"][parts["part"] == "test"])
    test = data[in_test].objects()

    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), data.images.shape[1:])
    probabilities = model.predict(test.images, batch_size=1024, verbose=0)
    settings = (len(classes), periodic.test.trees, periodic.test.seed)
    forest_prediction = train_forest(data.features[~in_test], data.labels[~in_test], *settings)(test.features).argmax(1)

    predictions = prediction_table(test.ids, test.labels, probabilities, classes)
    predictions["forest"] = np.array(classes)[forest_prediction]
    save_table(OUT / "tables/predictions.csv", predictions)
    cnn_prediction = probabilities.argmax(axis=1)
    metrics = {
        "objects": len(test),
        "cnn": scores(test.labels, cnn_prediction, classes),
        "forest": scores(test.labels, forest_prediction, classes),
    }
    save_json(OUT / "metrics/test.json", metrics)
    for name, predicted in (("cnn", cnn_prediction), ("forest", forest_prediction)):
        counts = confusion(test.labels, predicted, classes)
        save_table(OUT / f"tables/confusion_{name}_counts.csv", counts.reset_index())
        save_table(OUT / f"tables/confusion_{name}_percent.csv", percent(counts).reset_index())


if __name__ == "__main__":
    main()
