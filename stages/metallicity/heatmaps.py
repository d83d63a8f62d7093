"""Explain validation galaxies: Grad-CAM of both classes, at the resolution of the image (Wu 2020).

``gradcam.npy`` has the maps without ReLU, so that figures and scores can have them with and without; ``worst.npy`` has
those of the galaxies of highest loss. A part of the galaxies is explained for the class low by every method of the
library too (``methods.npz``); of these, a few have the gradient of their predicted metallicity.
"""

from pathlib import Path

import numpy as np

from skylight import params
from skylight.errors import InputError, script
from skylight.galaxies.metallicity import ANSWERS
from skylight.galaxies.metallicity_arrays import load
from skylight.outputs import read_table, save_array, save_table, writing

OUT = Path("out/metallicity")
LOW = ANSWERS.index("low")
EXAMPLES = 5  # galaxies whose regression is explained as well


@script
def main() -> None:
    metallicity = params.load().metallicity
    settings = metallicity.heatmaps

    from skylight.galaxies.metal_maps import class_activation_maps, gradients, methods
    from skylight.networks.metallicity_cnn import load_metallicity_cnn
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    galaxies = load("data/processed/metallicity")
    size, width = metallicity.transform.size, metallicity.network.width
    model = load_metallicity_cnn(OUT / "networks/classifier.weights.h5", size, len(ANSWERS), width)

    predictions = read_table(OUT / "tables/predictions.csv", dtype={"objID": str})
    near, far = settings.redshift
    inside = predictions[(predictions["z"] > near) & (predictions["z"] < far)]
    if inside.empty:
        raise InputError(f"metallicity.heatmaps.redshift: no validation galaxy lies between {near:g} and {far:g}")
    chosen = inside.sample(min(settings.galaxies, len(inside)), random_state=settings.seed).reset_index(drop=True)
    rows = galaxies.places(chosen["objID"])
    save_table(OUT / "heatmaps/galaxies.csv", chosen)
    save_array(OUT / "heatmaps/gradcam.npy", class_activation_maps(model, galaxies.images, rows))
    worst = predictions.nlargest(metallicity.test.worst, "loss", keep="first").reset_index(drop=True)
    save_table(OUT / "heatmaps/worst.csv", worst)
    if len(worst):
        of_worst = class_activation_maps(model, galaxies.images, galaxies.places(worst["objID"]))
        save_array(OUT / "heatmaps/worst.npy", of_worst)

    random = np.random.default_rng(settings.seed)
    training = random.permutation(galaxies.rows("train"))[: settings.background]
    background = galaxies.images[np.sort(training)].astype(np.float32) / 255
    inputs = galaxies.images[rows[: settings.methods]].astype(np.float32) / 255
    targets = np.full(len(inputs), LOW)
    with writing(OUT / "heatmaps/methods.npz") as aside:
        explained = methods(background, settings.score, settings.seed)
        maps = {name: method(model, inputs, targets).sum(axis=-1) for name, method in explained.items()}
        np.savez(aside, **maps)

    regressor = load_metallicity_cnn(OUT / "networks/regression.weights.h5", size, 1, width)
    save_array(OUT / "heatmaps/regression_saliency.npy", gradients(regressor, inputs[:EXAMPLES]))


if __name__ == "__main__":
    main()
