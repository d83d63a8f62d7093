"""What makes a class: lighting, activation maximization and pix2piXAI, and a test of their pictures.

The GANs are trained on the training part: objects predicted as the class with a probability of at least 0.8. The
object shown is classified correctly with at least 0.98. The objects of `periodic.heatmaps`, all of the test part, are
held out. In these, the cells that a picture marks most are blanked. The drop in the probability of the class is
compared with that of random cells, and of the cells with the highest values in the mean image of the class, which
needs no network.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution.maximization import activation_maximization
from skylight.attribution.occlusion import lighting
from skylight.attribution.pix2pixai import Group, Pix2Pix, class_maps, confident, fractions, held_out_scores
from skylight.errors import script
from skylight.evaluation.faithfulness import mean_drops, picture_drops
from skylight.light_curves import arrays
from skylight.light_curves.explain import explain_images
from skylight.light_curves.maps import DRAWN
from skylight.light_curves.selection import summarise
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import read_table, save_array, save_json, save_table
from skylight.training.fit import deterministic

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")
COLUMNS = ["class", "map", "trained_on", "candidates", "dead", "lcid", "score", "median_score"]
COLUMNS += ["held_out", "held_out_score", "held_out_score_of_mean_map", "note"]


@script
def main() -> None:
    periodic = params.load().periodic
    settings, classes = periodic.class_maps, periodic.classes
    data = arrays.load(DATA).objects()
    images, labels, ids = data.images, data.labels, data.ids
    test = read_table(OUT / "tables/predictions.csv", usecols=["lcid"], dtype=str)["lcid"]
    known = ~np.isin(ids, test)
    explained = data.rows(read_table(OUT / "heatmaps/objects.csv", usecols=["lcid"], dtype=str)["lcid"])
    explained_maps = {name: np.load(OUT / f"heatmaps/{name}.npy")[..., None] for name in DRAWN}

    deterministic(settings.seed)
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), images.shape[1:])
    maximal = [activation_maximization(model, unit, seed=settings.seed)[..., 0] for unit in range(len(classes))]
    pictures = {"lighting": np.moveaxis(lighting(model), -1, 0), "maximization": np.stack(maximal)}
    for name, picture in pictures.items():
        save_array(OUT / f"class_maps/{name}.npy", picture)

    gan = Pix2Pix(images.shape[1:], width=settings.width, learning_rate=settings.learning_rate)

    def held_out(group: Group, name: str) -> dict:
        members = labels[explained] == classes.index(group.name)
        mean_map = fractions(group.maps[name]).mean(axis=0)
        return held_out_scores(gan, images[explained][members], explained_maps[name][members], mean_map)

    groups = by_class(model, images[known], labels[known], ids[known], periodic)
    options = {key: getattr(settings, key) for key in ("epochs", "batch_size", "seed", "min_objects")}
    table, learnt = class_maps(gan, groups, held_out, **options)
    save_table(
        OUT / "metrics/class_maps.csv",
        pd.DataFrame(table).rename(columns={"group": "class", "id": "lcid"}).reindex(columns=COLUMNS),
    )
    by_map = {name: values[..., 0].swapaxes(0, 1) for name, values in learnt.items()}
    for name, values in by_map.items():
        save_array(OUT / f"class_maps/pix2pixai_{name}.npy", values)

    pictures |= {f"pix2pixai_{name}": by_map["generated"][index] for index, name in enumerate(DRAWN)}
    pictures["mean_image"] = summarise(images[known, ..., 0], labels[known], len(classes))
    drops = picture_drops(
        model,
        images[explained],
        labels[explained],
        pictures,
        classes,
        settings.blanked_cells,
        draws=settings.random_draws,
        seed=settings.seed,
    )
    save_table(OUT / "metrics/class_maps_blanking.csv", pd.DataFrame(drops))
    save_json(OUT / "metrics/class_maps.json", mean_drops(drops, controls=["random", "mean_image"]))


def by_class(model, images: np.ndarray, labels: np.ndarray, ids: np.ndarray, periodic) -> Iterator[Group]:
    """Yield the confidently predicted objects of each class, with the maps that explain this class."""
    settings, background = periodic.class_maps, np.load(OUT / "heatmaps/background.npy")
    probabilities = model.predict(images, batch_size=1024, verbose=0)
    for target, name in enumerate(periodic.classes):
        rows = np.flatnonzero(confident(probabilities, target, settings.min_probability))
        rows = rows[: settings.max_objects_per_class]
        right = (labels[rows] == target) & confident(probabilities[rows], target, settings.candidate_probability)
        maps = dict.fromkeys(DRAWN, np.empty((0, *images.shape[1:3]), np.float32))
        if len(rows):  # TensorFlow's convolutions do not take an empty batch
            maps = explain_images(model, images[rows], np.full(len(rows), target), background, periodic.heatmaps.score)
        by_name = {kind: maps[kind][..., None] for kind in DRAWN}
        yield Group(name, ids[rows], images[rows], by_name, np.ones(len(rows), bool), right)


if __name__ == "__main__":
    main()
