"""Explain test alerts for their predicted class: misclassified ones, and confident ones of every subcategory."""

from pathlib import Path

import pandas as pd

from skylight import params
from skylight.alerts.explain import explain_triplets
from skylight.alerts.subcategories import count, select, subcategory
from skylight.alerts.triplets import load
from skylight.attribution.shapley import background
from skylight.errors import InputError, script
from skylight.networks.vgg6 import load_vgg6
from skylight.outputs import save_array, save_json, save_table

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")


@script
def main() -> None:
    settings = params.load().realbogus.heatmaps
    survey = load(DATA)
    predictions = pd.read_csv(OUT / "tables/predictions.csv")
    predictions["probability"] = predictions[["p_bogus", "p_real"]].max(axis=1)
    predictions["subcategory"] = [
        subcategory(survey.triplets[row], predicted == "real", settings.subcategories)
        for row, predicted in zip(survey.rows(predictions["candid"]), predictions["predicted"], strict=True)
    ]
    chosen = select(predictions, settings)
    if not len(chosen):
        raise InputError(
            f"realbogus.heatmaps.min_probability: no test alert is predicted with at least {settings.min_probability}"
        )

    split = pd.read_csv(OUT / "tables/split.csv")
    training = survey.rows(split["candid"][split["part"] == "train"])
    compared = background(survey.triplets[training], settings.background, settings.seed)
    model = load_vgg6(OUT / "networks/vgg6.weights.h5")
    maps = explain_triplets(model, survey.triplets[survey.rows(chosen["candid"])], None, compared, settings.score)

    save_table(OUT / "heatmaps/alerts.csv", chosen)
    save_array(OUT / "heatmaps/background.npy", compared)
    for name, values in maps.items():
        save_array(OUT / f"heatmaps/{name}.npy", values)
    in_test, explained = count(predictions["subcategory"]), count(chosen["subcategory"])
    counts = {name: {"test": in_test[name], "explained": explained[name]} for name in in_test}
    save_json(OUT / "metrics/heatmaps.json", {"alerts": len(chosen), "subcategories": counts})


if __name__ == "__main__":
    main()
