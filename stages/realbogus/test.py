"""Test the network: accuracy, ROC curve, and error rates against the threshold (Duev et al. 2019, section 4)."""

from pathlib import Path

import pandas as pd

from skylight.alerts.triplets import CLASSES, load
from skylight.errors import script
from skylight.evaluation.classification import error_rates, prediction_table, scores, threshold_scores
from skylight.networks.vgg6 import load_vgg6
from skylight.outputs import save_json, save_table

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")
THRESHOLD = 0.5


@script
def main() -> None:
    survey = load(DATA)
    split = pd.read_csv(OUT / "tables/split.csv")
    rows = survey.rows(split["candid"][split["part"] == "test"])
    labels, candids = survey.labels[rows], survey.candids[rows]

    model = load_vgg6(OUT / "networks/vgg6.weights.h5")
    probabilities = model.predict(survey.triplets[rows], batch_size=256, verbose=0)
    predictions = prediction_table(candids, labels, probabilities, CLASSES, id_name="candid")
    save_table(OUT / "tables/predictions.csv", predictions)
    save_table(OUT / "tables/misclassified.csv", predictions[predictions["class"] != predictions["predicted"]])

    is_real, score = labels == 1, probabilities[:, 1]
    save_table(OUT / "tables/error_rates.csv", error_rates(is_real, score))
    metrics = {"alerts": len(rows), **threshold_scores(is_real, score, THRESHOLD)}
    save_json(OUT / "metrics/test.json", metrics | scores(labels, probabilities.argmax(axis=1), CLASSES))


if __name__ == "__main__":
    main()
