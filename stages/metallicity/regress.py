"""Predict 12 + log(O/H) of galaxies of all classes with the same network, by which the authors began (Wu & Boada 2019).

Beside it, the scatter of the mass-metallicity relation: what one knows who knows the mass.
"""

from pathlib import Path

import numpy as np

from skylight import params
from skylight.errors import script
from skylight.galaxies.metal_regression import mass_relation, residuals
from skylight.galaxies.metallicity_arrays import load
from skylight.outputs import save_json, save_table, writing

OUT = Path("out/metallicity")


@script
def main() -> None:
    metallicity = params.load().metallicity
    settings = metallicity.regress

    from skylight.galaxies.metal_training import build, predict, train
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    galaxies = load("data/processed/metallicity")
    rows, validation = (galaxies.rows(part, medium=True) for part in ("train", "validation"))
    truth = galaxies.table["oh_p50"].to_numpy(np.float32)
    model = build(galaxies, 1, metallicity.network)
    model.get_layer("answers").bias.assign([truth[rows].mean()])  # else the first steps only look for the mean
    curves = OUT / "training/regression"
    train(model, galaxies, truth, rows, validation, settings, name="metallicity-regression", curves=curves)
    with writing(OUT / "networks/regression.weights.h5") as aside:
        model.save_weights(aside)

    predicted = predict(model, galaxies.images, validation)[:, 0].astype(float)
    table = galaxies.table.iloc[validation]
    save_table(OUT / "tables/regression.csv", table[["objID", "z", "oh_p50", "class"]].assign(predicted=predicted))
    metrics = {"galaxies": len(table), "network": residuals(predicted, table["oh_p50"].to_numpy())}
    metrics["mean"] = residuals(np.full(len(table), truth[rows].mean()), table["oh_p50"].to_numpy())
    if "lgm_tot_p50" in table:
        metrics["mass"] = residuals(mass_relation(galaxies.table.iloc[rows], table), table["oh_p50"].to_numpy())
    save_json(OUT / "metrics/regression.json", metrics)


if __name__ == "__main__":
    main()
