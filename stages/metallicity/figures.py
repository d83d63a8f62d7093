"""Draw the figures of the metallicity chapter."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params, plotting
from skylight.errors import script
from skylight.galaxies import local_metallicity
from skylight.galaxies import metal_plots as plots
from skylight.galaxies.metallicity import ANSWERS
from skylight.galaxies.metallicity_arrays import load
from skylight.outputs import read_table, writing

OUT = Path("out/metallicity")
EXAMPLES = 5  # galaxies that are drawn with both maps; published: 5
LOW, HIGH = ANSWERS.index("low"), ANSWERS.index("high")


@script
def main() -> None:
    metallicity = params.load().metallicity
    galaxies = load("data/processed/metallicity")
    truth, size = metallicity.data.truth, metallicity.transform.size
    text = {"objID": str}
    predictions = read_table(OUT / "tables/predictions.csv", dtype=text)
    explained = read_table(OUT / "heatmaps/galaxies.csv", dtype=text)
    features = read_table(OUT / "tables/features.csv", dtype=text)
    predicted = read_table(OUT / "tables/regression.csv", dtype=text)
    cams = np.load(OUT / "heatmaps/gradcam.npy", mmap_mode="r")
    images = galaxies.images[galaxies.places(explained["objID"])]

    def metals(ids):
        return [local_metallicity.read(truth, objid).cut(size) for objid in ids] if truth else None

    some = slice(0, EXAMPLES)
    figures = {
        "learning_rate": plots.learning_rates(pd.read_csv(OUT / "tables/learning_rates.csv"), metrics("learning_rate")),
        "training": plotting.training_curves(
            {"classifier": plotting.read_curves(OUT / "training/classifier")}, ["loss", "accuracy"]
        ),
        "test": plots.test_figure(
            pd.read_csv(OUT / "tables/confusion.csv", index_col=0),
            pd.read_csv(OUT / "tables/calibration.csv"),
            predictions,
        ),
        "gradcam": plots.gradcam_of_both(
            images[some], cams[some], explained[some], metals(explained["objID"][some]), metallicity.evaluate.radius
        ),
        "regression": plots.regression(predicted, metrics("regression")),
        "feature_planes": plots.feature_planes(features),
        "feature_images": plots.images_on_plane(features, galaxies.images[galaxies.places(features["objID"])]),
    }
    with np.load(OUT / "heatmaps/methods.npz") as file:
        row = explained.iloc[0]
        title = f"{row['objID']}, {row['class']}, p(low) = {row['p_low']:.2f}"
        figures["methods"] = plots.maps_of_methods(images[0], {name: file[name][0] for name in file.files}, title)
    saliency = np.load(OUT / "heatmaps/regression_saliency.npy")
    joined = explained[: len(saliency)].merge(predicted[["objID", "predicted"]], on="objID")
    difference = cams[: len(saliency), ..., LOW] - cams[: len(saliency), ..., HIGH]
    figures["regression_saliency"] = plots.regression_saliency(images[: len(saliency)], saliency, difference, joined)
    worst = read_table(OUT / "heatmaps/worst.csv", dtype=text)
    if len(worst):
        maps = np.load(OUT / "heatmaps/worst.npy")
        pictures = galaxies.images[galaxies.places(worst["objID"])]
        figures["worst"] = plots.gradcam_of_both(
            pictures, maps, worst, metals(worst["objID"]), metallicity.evaluate.radius
        )
    agreement = pd.read_csv(OUT / "metrics/agreement.csv")
    if len(agreement):
        figures["agreement"] = plots.agreement(agreement)
        figures["parts"] = plots.parts(pd.read_csv(OUT / "metrics/parts.csv"))
    with writing(OUT / "figures") as folder:
        for name, figure in figures.items():
            plotting.save(figure, folder / f"{name}.png")


def metrics(name: str) -> dict:
    return json.loads((OUT / f"metrics/{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
