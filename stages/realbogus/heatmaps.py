"""Explain test alerts for their predicted class: the misclassified, and confident ones of every subcategory."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.alerts.explain import explain_triplets
from skylight.alerts.subcategories import NAMES, NONE, subcategory
from skylight.attribution.shapley import background
from skylight.errors import InputError, script
from skylight.networks.vgg6 import load_vgg6
from skylight.outputs import save_array, save_json, save_table

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")


@script
def main() -> None:
    realbogus = params.load().realbogus
    settings = realbogus.heatmaps
    triplets, candids = np.load(DATA / "triplets.npy", mmap_mode="r"), np.load(DATA / "candid.npy")
    predictions = pd.read_csv(OUT / "tables/predictions.csv")
    row_of = {candid: row for row, candid in enumerate(candids)}
    predictions["row"] = [row_of[candid] for candid in predictions["candid"]]
    predictions["probability"] = predictions[["p_bogus", "p_real"]].max(axis=1)
    predictions["subcategory"] = [
        subcategory(triplets[row], predicted == "real", realbogus.subcategories)
        for row, predicted in zip(predictions["row"], predictions["predicted"], strict=True)
    ]
    chosen = select(predictions, settings)
    if not len(chosen):
        raise InputError(
            f"realbogus.heatmaps.min_probability: no test alert is predicted with at least {settings.min_probability}"
        )

    in_training = (pd.read_csv(OUT / "tables/split.csv")["part"] == "train").to_numpy()
    compared = background(triplets[in_training], settings.background, settings.seed)
    model = load_vgg6(OUT / "networks/vgg6.weights.h5")
    maps = explain_triplets(model, triplets[chosen["row"].to_numpy()], None, compared)

    save_table(OUT / "heatmaps/alerts.csv", chosen.drop(columns="row"))
    save_array(OUT / "heatmaps/background.npy", compared)
    for name, values in maps.items():
        save_array(OUT / f"heatmaps/{name}.npy", values)
    in_test = predictions["subcategory"].value_counts()
    explained = chosen["subcategory"].value_counts()
    counts = {
        name: {"test": int(in_test.get(name, 0)), "explained": int(explained.get(name, 0))} for name in (*NAMES, NONE)
    }
    save_json(OUT / "metrics/heatmaps.json", {"alerts": len(chosen), "subcategories": counts})


def select(predictions: pd.DataFrame, settings) -> pd.DataFrame:
    """The most confidently misclassified, then the first confident ones of each subcategory, in test order."""
    wrong = predictions["class"] != predictions["predicted"]
    worst = predictions[wrong].nlargest(settings.misclassified, "probability").index
    confident = predictions[
        (predictions["probability"] >= settings.min_probability) & (predictions["subcategory"] != NONE)
    ]
    examples = confident.groupby("subcategory").head(settings.max_objects_per_subcategory).index
    return predictions.loc[[*worst, *(index for index in examples if index not in worst)]].reset_index(drop=True)


if __name__ == "__main__":
    main()
