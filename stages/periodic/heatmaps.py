"""Explain single test objects by Grad-CAM, HiResCAM, saliency, blanking and SHAP, and summarise the maps by class.

The published selection: objects of the test part that are classified right with a probability of at least 0.8.
"""

from pathlib import Path

import numpy as np

from skylight import params
from skylight.attribution.shapley import background
from skylight.errors import InputError, script
from skylight.light_curves import arrays
from skylight.light_curves.explain import explain_images
from skylight.light_curves.selection import select, summarise
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import read_table, save_array, save_json, save_table

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    settings, classes = periodic.heatmaps, periodic.classes
    data = arrays.load(DATA)
    predictions = read_table(OUT / "tables/predictions.csv", dtype={"lcid": str}, keep_default_na=False)
    chosen = select(predictions, settings.min_probability, settings.max_objects_per_class)
    if not len(chosen):
        raise InputError(
            f"periodic.heatmaps.min_probability: no test object is classified right with at least "
            f"{settings.min_probability}"
        )
    explained = data[data.rows(chosen["lcid"])]
    in_training = ~np.isin(data.ids, predictions["lcid"])

    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), data.images.shape[1:])
    reference = background(data.images[in_training], settings.background, settings.seed)
    maps = explain_images(
        model, explained.images, explained.labels, reference, settings.score, settings.engines.model_dump()
    )

    save_table(OUT / "heatmaps/objects.csv", chosen)
    save_array(OUT / "heatmaps/background.npy", reference)
    for name, values in maps.items():
        save_array(OUT / f"heatmaps/{name}.npy", values)
    for name, summary in (("mean", np.mean), ("median", np.median)):
        summaries = [summarise(values, explained.labels, len(classes), summary) for values in maps.values()]
        save_array(OUT / f"heatmaps/class_{name}.npy", np.stack(summaries))
    groups = {"objects": explained.labels, "gradcam_is_0": explained.labels[~maps["gradcam"].any(axis=(1, 2))]}
    counts = {name: np.bincount(labels, minlength=len(classes)) for name, labels in groups.items()}
    save_json(
        OUT / "metrics/heatmaps.json", {name: dict(zip(classes, each, strict=True)) for name, each in counts.items()}
    )


if __name__ == "__main__":
    main()
