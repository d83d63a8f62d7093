"""What makes an alert real or bogus: pix2piXAI of each subcategory, and activation maximization of both outputs.

As published, a GAN is trained on alerts predicted with a probability of at least 0.8, the alert shown is classified
correctly with at least 0.98, and the SHAP map is that of the difference image. Not in the paper: if the generated map
does not correlate with the alert's own map, the class map counts as not learnt. Structural similarity cannot tell this,
because maps of blanking and SHAP are 0 except in a few pixels, and any two such maps are similar.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.alerts.maps import MAPS
from skylight.alerts.subcategories import NAMES
from skylight.alerts.triplets import CHANNELS, CLASSES, load
from skylight.attribution.maximization import activation_maximization
from skylight.attribution.pix2pixai import Group, Pix2Pix, class_maps, fractions, mean_map_score
from skylight.errors import script
from skylight.networks.vgg6 import load_vgg6
from skylight.outputs import save_array, save_table
from skylight.training.fit import deterministic

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")
COLUMNS = ["subcategory", "map", "trained_on", "candidates", "dead", "candid", "score", "correlation"]
COLUMNS += ["median_score", "median_score_of_mean_map", "note"]


@script
def main() -> None:
    realbogus = params.load().realbogus
    settings = realbogus.class_maps
    alerts = pd.read_csv(OUT / "heatmaps/alerts.csv", dtype={"candid": str})
    survey = load(DATA)
    images = np.array(survey.triplets[survey.rows(alerts["candid"].astype(int))])
    maps = {name: np.load(OUT / f"heatmaps/{name}.npy") for name in MAPS}
    maps["deep_shap"] = maps["deep_shap"][..., [CHANNELS.index("DIFF")]]

    deterministic(settings.seed)
    model = load_vgg6(OUT / "networks/vgg6.weights.h5")
    maximal = [maximal_input(model, unit, images, settings) for unit in range(len(CLASSES))]
    save_array(OUT / "class_maps/maximization.npy", np.stack(maximal))

    confident = (alerts["probability"] >= realbogus.heatmaps.min_probability).to_numpy()
    right = (alerts["class"] == alerts["predicted"]).to_numpy()
    surest = right & (alerts["probability"] >= settings.candidate_probability).to_numpy()
    groups = []
    for name in NAMES:
        some = (alerts["subcategory"] == name).to_numpy()
        of_these = {kind: values[some] for kind, values in maps.items()}
        groups.append(
            Group(name, alerts["candid"][some].to_numpy(), images[some], of_these, confident[some], surest[some])
        )
    gan = Pix2Pix(images.shape[1:], width=settings.width, learning_rate=settings.learning_rate)
    options = {
        key: getattr(settings, key) for key in ("epochs", "batch_size", "seed", "min_objects", "min_correlation")
    }
    table, learnt = class_maps(gan, groups, mean_map, **options)
    for name in ("own", "generated"):
        save_array(OUT / f"class_maps/{name}.npy", learnt[name][..., 0])
    save_table(
        OUT / "metrics/class_maps.csv",
        pd.DataFrame(table).rename(columns={"group": "subcategory", "id": "candid"}).reindex(columns=COLUMNS),
    )


def maximal_input(model, unit: int, images: np.ndarray, settings) -> np.ndarray:
    """Optimise a triplet (63, 63, 3) that maximises one output, in the range of the pixels of ``images``."""
    return activation_maximization(
        model,
        unit,
        value_range=tuple(np.quantile(images, [0.0005, 0.9995]).tolist()),
        steps=settings.maximization_steps,
        total_variation=settings.maximization_smoothness,
        norm=0.3 * settings.maximization_smoothness,
        seed=settings.seed,
    )


def mean_map(group: Group, name: str) -> dict:
    """Compute the similarity that one map reaches, the mean of those that the GAN was trained on, to all candidates."""
    maps = group.maps[name]
    alive = np.any(maps, axis=(1, 2, 3))
    mean = fractions(maps[group.training & alive]).mean(axis=0)
    return {"median_score_of_mean_map": mean_map_score(maps[group.candidates & alive], mean)}


if __name__ == "__main__":
    main()
