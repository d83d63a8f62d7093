"""Train the control, an Xception that predicts the lengths of the catalogue (Bhambra et al. 2022, section 3.4).

It learns ``length_scaled`` from all but the last ``bars.measure.test_split`` of the shuffled catalogue. That last part
tests it.
"""

from pathlib import Path

import numpy as np

from skylight import params
from skylight.errors import script
from skylight.galaxies import catalogue as survey
from skylight.galaxies.arrays import load
from skylight.outputs import save_table, writing

OUT = Path("out/bars")


@script
def main() -> None:
    bars = params.load().bars
    network, settings, seed = bars.control, bars.train, bars.data.split_seed

    from skylight.galaxies.regression import predict, train
    from skylight.networks.galaxy_zoo import galaxy_zoo
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    shape = (bars.transform.size, bars.transform.size, 3)
    model = galaxy_zoo("xception", shape, 1, network.width, network.momentum, network.weights, network.min_filters)

    pictures = load("data/processed/bars", "catalogue")
    catalogue = survey.read_catalogue(bars.data.path)
    rest, test = survey.shuffle_split(catalogue, 1 - bars.measure.test_split, seed, "bars.measure.test_split")
    parts = survey.shuffle_split(rest, 1 - settings.validation_split, seed, "bars.train.validation_split")
    rows, validation = (pictures.rows(part["asset_id"]) for part in parts)
    lengths = catalogue.set_index("asset_id").loc[pictures.ids, ["length_scaled"]].to_numpy(np.float32)
    curves = OUT / "training" / "control"
    train(model, pictures.images, lengths, rows, validation, network, settings, name="bars-control", curves=curves)
    with writing(OUT / "networks" / "control.weights.h5") as aside:
        model.save_weights(aside)

    test = test[test["asset_id"].isin(pictures.ids)]
    predicted = predict(model, pictures.images, pictures.rows(test["asset_id"]))[:, 0]
    predictions = test[["objid", "asset_id"]].rename(columns={"asset_id": "GalaxyID"})
    predictions["cnn_length"] = survey.LENGTH_UNIT * predicted * test["PETROR90_R"]
    predictions["hoyle_length"] = survey.catalogue_arcsec(test)
    save_table(OUT / "tables" / "control_predictions.csv", predictions)


if __name__ == "__main__":
    main()
