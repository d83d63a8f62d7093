"""Test the network: accuracy, ROC, false negatives and positives against the score (Duev et al. 2019, section 4)."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.alerts.triplets import CLASSES
from skylight.errors import script
from skylight.evaluation.classification import error_rates, prediction_table, scores
from skylight.networks.vgg6 import load_vgg6
from skylight.outputs import save_json, save_table

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")
THRESHOLD = 0.5


@script
def main() -> None:
    params.load()
    triplets = np.load(DATA / "triplets.npy", mmap_mode="r")
    labels, candids = np.load(DATA / "label.npy"), np.load(DATA / "candid.npy")
    part = pd.read_csv(OUT / "tables/split.csv").set_index("candid")["part"].loc[candids].to_numpy()
    rows = np.flatnonzero(part == "test")

    model = load_vgg6(OUT / "networks/vgg6.weights.h5")
    probabilities = model.predict(triplets[rows], batch_size=256, verbose=0)
    predictions = prediction_table(candids[rows], labels[rows], probabilities, CLASSES, id_name="candid")
    save_table(OUT / "tables/predictions.csv", predictions)
    save_table(OUT / "tables/misclassified.csv", predictions[predictions["class"] != predictions["predicted"]])

    is_real, score = labels[rows] == 1, probabilities[:, 1]
    rates = error_rates(is_real, score)
    save_table(OUT / "tables/error_rates.csv", rates)
    called_real = score >= THRESHOLD
    metrics = {
        "alerts": len(rows),
        "misclassified": int((called_real != is_real).sum()),
        "false_negative_rate": float((~called_real)[is_real].mean()),
        "false_positive_rate": float(called_real[~is_real].mean()),
        "roc_auc": float(np.trapezoid(1 - rates["fnr"], rates["fpr"])),
        **scores(labels[rows], probabilities.argmax(axis=1), CLASSES),
    }
    save_json(OUT / "metrics/test.json", metrics)


if __name__ == "__main__":
    main()
