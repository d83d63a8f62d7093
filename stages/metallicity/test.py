"""Test the classifier on the validation part, beside a logistic regression on colour and size (Wu 2020).

The published table is of the validation part too. With ``metallicity.test.cutouts`` the network and the control also
classify real cutouts that they were not trained on.
"""

from pathlib import Path

import numpy as np

from skylight import params
from skylight.errors import script
from skylight.evaluation.classification import confusion
from skylight.galaxies.metal_scores import calibration, classification, control_probabilities
from skylight.galaxies.metallicity import ANSWERS
from skylight.galaxies.metallicity_arrays import load, read_cutouts
from skylight.outputs import save_json, save_table

OUT = Path("out/metallicity")
LOW = ANSWERS.index("low")


@script
def main() -> None:
    metallicity = params.load().metallicity
    settings = metallicity.test

    from skylight.galaxies.metal_training import predict
    from skylight.networks.metallicity_cnn import load_metallicity_cnn
    from skylight.training.fit import deterministic

    deterministic(metallicity.train.seed)
    galaxies = load("data/processed/metallicity")
    size, width = metallicity.transform.size, metallicity.network.width
    model = load_metallicity_cnn(OUT / "networks/classifier.weights.h5", size, len(ANSWERS), width)

    rows = galaxies.rows("validation")
    tested = {"validation": (galaxies.table.iloc[rows], predict(model, galaxies.images, rows)[:, LOW])}
    if settings.cutouts:
        table, images = read_cutouts(settings.cutouts.path, size, settings.cutouts.pixel_scale)
        tested["cutouts"] = (table, predict(model, images, np.arange(len(images)))[:, LOW])

    training = galaxies.table.iloc[galaxies.rows("train")]
    controls = control_probabilities(training, [table for table, _ in tested.values()])
    metrics = {}
    for (part, (table, p_low)), p_control in zip(tested.items(), controls, strict=True):
        low = (table["class"] == "low").to_numpy()
        scores = {
            "galaxies": {"low": int(low.sum()), "high": int((~low).sum())},
            "network": classification(low, p_low.astype(float), settings.bootstrap, settings.seed),
            "control": classification(low, p_control, settings.bootstrap, settings.seed),
        }
        metrics[part] = scores
    save_json(OUT / "metrics/test.json", metrics)

    table, p_low = tested["validation"]
    low = (table["class"] == "low").to_numpy()
    counts = confusion(np.where(low, LOW, 1 - LOW), np.where(p_low > 0.5, LOW, 1 - LOW), list(ANSWERS))
    save_table(OUT / "tables/confusion.csv", counts.reset_index())
    save_table(OUT / "tables/calibration.csv", calibration(low, p_low.astype(float)))
    loss = -np.log(np.clip(np.where(low, p_low, 1 - p_low), 1e-7, 1))
    table = table[["objID", "z", "oh_p50", "class"]].assign(p_low=p_low, p_low_control=controls[0], loss=loss)
    save_table(OUT / "tables/predictions.csv", table)


if __name__ == "__main__":
    main()
