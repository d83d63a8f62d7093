"""Draw triplets, training, error rates, class maps, and the explanations of misclassified alerts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.alerts import plots
from skylight.alerts.maps import MAPS
from skylight.alerts.triplets import CHANNELS, CLASSES, LabelledAlerts, load
from skylight.errors import script
from skylight.outputs import writing
from skylight.plotting import read_curves, save, training_curves

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")
EXAMPLES = 6  # of each class


@script
def main() -> None:
    settings = params.load().realbogus.heatmaps
    survey = load(DATA)
    alerts = pd.read_csv(OUT / "heatmaps/alerts.csv")
    maps = {name: np.load(OUT / f"heatmaps/{name}.npy") for name in MAPS}
    metrics = json.loads((OUT / "metrics/test.json").read_text(encoding="utf-8"))
    with writing(OUT / "figures") as folder:
        save(examples(survey), folder / "triplets.png")
        save(training_curves({"VGG6": read_curves(OUT / "training")}, ["accuracy", "loss"]), folder / "training.png")
        save(plots.error_curves(pd.read_csv(OUT / "tables/error_rates.csv"), metrics), folder / "errors.png")
        save(class_maps(survey), folder / "class_maps.png")
        save(plots.maximization(np.load(OUT / "class_maps/maximization.npy")), folder / "maximization.png")
        for index, alert in alerts[alerts["class"] != alerts["predicted"]].head(settings.max_misclassified).iterrows():
            candid, predicted = alert["candid"], alert["predicted"]
            title = f"{candid}: {alert['class']} classified as {predicted} (p = {alert['probability']:.2f})"
            (triplet,) = survey.triplets[survey.rows([candid])]
            of_this = {name: values[index] for name, values in maps.items()}
            figure = plots.nine_panels(triplet, of_this, f"{title}; maps for {predicted}", settings.score)
            save(figure, folder / "misclassified" / f"{candid}.png")


def examples(survey: LabelledAlerts):
    predictions = pd.read_csv(OUT / "tables/predictions.csv")
    first = {name: predictions[predictions["class"] == name]["candid"].head(EXAMPLES) for name in CLASSES[::-1]}
    return plots.examples({name: survey.triplets[survey.rows(some)] for name, some in first.items()}, EXAMPLES)


def class_maps(survey: LabelledAlerts):
    table = pd.read_csv(OUT / "metrics/class_maps.csv", dtype={"candid": str, "note": str}).fillna({"note": ""})
    drawn = table["candid"].dropna()
    differences = survey.triplets[survey.rows(drawn.astype(int))][..., CHANNELS.index("DIFF")]
    generated = np.load(OUT / "class_maps/generated.npy")
    return plots.class_maps(table, dict(zip(drawn, differences, strict=True)), generated)


if __name__ == "__main__":
    main()
