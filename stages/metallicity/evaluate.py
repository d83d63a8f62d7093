"""Compare the maps with the true local metallicity, which only a simulation knows, and score all methods.

None of it is in Wu 2020. The maps of low should fall on the metal-poor pixels of a galaxy, those of high on the
metal-rich ones. The controls, which need no network, are maps of colour, brightness, distance from the centre, edges,
and noise.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.galaxies import local_metallicity
from skylight.galaxies.metal_scores import agreement_table, metal_poor_half, parts_table
from skylight.galaxies.metallicity import ANSWERS
from skylight.galaxies.metallicity_arrays import load
from skylight.outputs import read_table, save_json, save_table

OUT = Path("out/metallicity")
LOW, HIGH = ANSWERS.index("low"), ANSWERS.index("high")
METRICS = ("insertion", "deletion", "faithfulness_correlation", "sparseness")
WITH_TRUTH = ("relevance_mass", "roc_auc")
SHUFFLED = ("saliency", "gradient_x_input", "gradcam", "lrp")  # methods of the randomisation test


@script
def main() -> None:
    metallicity = params.load().metallicity
    settings, truth = metallicity.evaluate, metallicity.data.truth

    from skylight.evaluation.explanations import evaluate
    from skylight.galaxies.metal_maps import controls
    from skylight.networks.metallicity_cnn import load_metallicity_cnn
    from skylight.training.fit import deterministic

    deterministic(settings.seed)
    galaxies = load("data/processed/metallicity")
    size, width = metallicity.transform.size, metallicity.network.width
    chosen = read_table(OUT / "heatmaps/galaxies.csv", dtype={"objID": str})
    images = galaxies.images[galaxies.places(chosen["objID"])]
    cams = np.load(OUT / "heatmaps/gradcam.npy")
    with np.load(OUT / "heatmaps/methods.npz") as file:
        methods = {name: file[name] for name in file.files}
    explained = len(next(iter(methods.values())))

    low, high = cams[..., LOW], cams[..., HIGH]
    maps = {
        "Grad-CAM of low": np.maximum(low, 0),
        "Grad-CAM of high": np.maximum(high, 0),
        "low, without ReLU": low,
        "high, without ReLU": high,
        "low minus high": low - high,
        **controls(images, settings.seed),
    }
    truths = [local_metallicity.read(truth, objid).cut(size) for objid in chosen["objID"]] if truth else []
    agreement = pd.concat(
        [
            agreement_table(maps, truths, settings, group="maps"),
            agreement_table(methods, truths[:explained], settings, group="methods"),
        ]
    )
    save_table(OUT / "metrics/agreement.csv", agreement)
    save_table(OUT / "metrics/parts.csv", parts_table(maps, truths, settings))
    by_name = agreement.set_index("map")[["mean", "error"]].to_dict("index")
    save_json(OUT / "metrics/agreement.json", {"galaxies": len(truths), "agreement": by_name})

    model = load_metallicity_cnn(OUT / "networks/classifier.weights.h5", size, len(ANSWERS), width)
    inputs = images[:explained].astype(np.float32) / 255
    masks = metal_poor_half(truths[:explained], settings.radius) if truth else None
    metrics = METRICS + (WITH_TRUTH if truth else ())
    known = {name: saved(values) for name, values in methods.items()}
    scores = evaluate(model, inputs, LOW, known, masks, metrics=metrics, seed=settings.seed)
    chance = {"metrics": ("randomisation",), "layers": ["answers", "conv1"], "seed": settings.seed}
    save_table(OUT / "metrics/scorecard.csv", pd.concat([scores, evaluate(model, inputs, LOW, SHUFFLED, **chance)]))


def saved(values: np.ndarray):
    """Return a method that gives maps which have been computed already."""
    return lambda model, inputs, targets: values[..., None]


if __name__ == "__main__":
    main()
