"""Explain the test objects one by one: Grad-CAM, saliency, blanking and SHAP, and their class mean and median maps.

The published selection: objects of the test part that are classified right with probability at least 0.8.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution.shapley import background
from skylight.errors import InputError, script
from skylight.light_curves.explain import explain_images
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import save_array, save_json, save_table
from skylight.training.splits import first_copies

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    settings, classes = periodic.heatmaps, periodic.classes
    images, labels, ids = (np.load(DATA / f"{name}.npy") for name in ("X_2d", "y", "lcid"))
    predictions = pd.read_csv(OUT / "tables/predictions.csv", dtype={"lcid": str}, keep_default_na=False)
    chosen = select(predictions, settings.min_probability, settings.max_objects_per_class)
    if not len(chosen):
        raise InputError(
            f"periodic.heatmaps.min_probability: no test object is classified right with at least "
            f"{settings.min_probability}"
        )
    first = first_copies(ids)
    row_of = dict(zip(ids[first], np.flatnonzero(first), strict=True))
    rows = np.array([row_of[lcid] for lcid in chosen["lcid"]])
    in_training = ~np.isin(ids, predictions["lcid"])

    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), images.shape[1:])
    compared = background(images[in_training], settings.background, settings.seed)
    by_name = explain_images(model, images[rows], labels[rows], compared)
    maps = np.stack(list(by_name.values()))

    save_table(OUT / "heatmaps/objects.csv", chosen)
    save_array(OUT / "heatmaps/background.npy", compared)
    for name, values in by_name.items():
        save_array(OUT / f"heatmaps/{name}.npy", values)
    of_class = [labels[rows] == index for index in range(len(classes))]
    for name, summary in (("mean", np.mean), ("median", np.median)):
        summaries = [
            summary(maps[:, members], axis=1) if members.any() else np.full_like(maps[:, 0], np.nan)
            for members in of_class
        ]
        save_array(OUT / f"heatmaps/class_{name}.npy", np.stack(summaries, axis=1))
    counts = {name: int(members.sum()) for name, members in zip(classes, of_class, strict=True)}
    save_json(OUT / "metrics/heatmaps.json", {"objects": counts})


def select(predictions: pd.DataFrame, min_probability: float, most: int) -> pd.DataFrame:
    """The first ``most`` objects of each class that are right with at least ``min_probability``, in test order."""
    probability = predictions.filter(regex="^p_").max(axis=1)
    right = predictions["class"] == predictions["predicted"]
    chosen = predictions[right & (probability >= min_probability)]
    return chosen.assign(probability=probability)[["lcid", "class", "probability"]].groupby("class").head(most)


if __name__ == "__main__":
    main()
