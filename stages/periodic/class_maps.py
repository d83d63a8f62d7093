"""What makes a class: lighting, activation maximization and pix2piXAI, and whether their pictures hold.

The GANs learn from the training part: objects predicted as the class with probability at least 0.8; a picture is of one
that is right with at least 0.98. The objects of `periodic.heatmaps`, all of the test part, are held out. On them
the cells that a picture marks most are blanked, and the drop in the probability of the class is compared with that of
random cells, and of the cells that are full in the mean image of the class, which needs no network.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution.maximization import activation_maximization
from skylight.attribution.occlusion import lighting
from skylight.attribution.pix2pixai import Pix2Pix, class_map, confident, fractions, similarity
from skylight.errors import script
from skylight.evaluation.faithfulness import blanking_drops
from skylight.light_curves.explain import MAPS, explain_images
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import save_array, save_json, save_table
from skylight.params.periodic import ClassMaps
from skylight.training.fit import deterministic
from skylight.training.splits import first_copies

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    settings, classes = periodic.class_maps, periodic.classes
    images, labels, ids = (np.load(DATA / f"{name}.npy") for name in ("X_2d", "y", "lcid"))
    first = first_copies(ids)
    images, labels, ids = images[first], labels[first], ids[first]
    test = pd.read_csv(OUT / "tables/predictions.csv", usecols=["lcid"], dtype=str)["lcid"]
    learning = ~np.isin(ids, test)
    row_of = pd.Series(range(len(ids)), index=ids)
    held_out = row_of[pd.read_csv(OUT / "heatmaps/objects.csv", usecols=["lcid"], dtype=str)["lcid"]].to_numpy()

    deterministic(settings.seed)
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(classes), images.shape[1:])
    pictures = {
        "lighting": np.moveaxis(lighting(model), -1, 0),
        "maximization": np.stack(
            [activation_maximization(model, unit, seed=settings.seed)[..., 0] for unit in range(len(classes))]
        ),
    }
    known = images[learning], labels[learning], ids[learning]
    table, learnt = pix2pixai(model, known, (images[held_out], labels[held_out]), classes, settings)
    pictures |= {f"pix2pixai_{name}": learnt["generated"][index] for index, name in enumerate(MAPS)}

    for name in ("lighting", "maximization"):
        save_array(OUT / f"class_maps/{name}.npy", pictures[name])
    for name, values in learnt.items():
        save_array(OUT / f"class_maps/pix2pixai_{name}.npy", values)
    save_table(OUT / "metrics/class_maps.csv", table)

    pictures["mean_image"] = np.stack(
        [mean_image(known[0][known[1] == index], images.shape[1:3]) for index in range(len(classes))]
    )
    drops = blanking_test(model, images[held_out], labels[held_out], pictures, classes, settings)
    save_table(OUT / "metrics/class_maps_blanking.csv", drops)
    save_json(OUT / "metrics/class_maps.json", by_approach(drops))


def pix2pixai(model, known: tuple, held_out: tuple, classes: list[str], settings: ClassMaps) -> tuple:
    """A GAN for each class and map: how well it has learnt, and the object it has learnt best.

    Returns the table, and arrays (maps, classes, rows, columns), NaN where there is no picture: ``image``, the dmdt
    image of the object, ``own``, its map, and ``generated``, the GAN's map of it.
    """
    images, labels, ids = known
    background = np.load(OUT / "heatmaps/background.npy")
    probabilities = model.predict(images, batch_size=1024, verbose=0)
    gan = Pix2Pix(images.shape[1:], width=settings.width, learning_rate=settings.learning_rate)
    learnt = {
        name: np.full((len(MAPS), len(classes), *images.shape[1:3]), np.nan, np.float32)
        for name in ("image", "own", "generated")
    }
    table = []
    for target, class_name in enumerate(classes):
        rows = np.flatnonzero(confident(probabilities, target, settings.min_probability))
        rows = rows[: settings.max_objects_per_class]
        right = (labels[rows] == target) & confident(probabilities[rows], target, settings.candidate_probability)
        by_map = dict.fromkeys(MAPS, np.empty((0, *images.shape[1:3]), np.float32))
        if len(rows):  # TensorFlow's convolutions do not take an empty batch
            by_map = explain_images(model, images[rows], np.full(len(rows), target), background)
        for index, name in enumerate(MAPS):
            maps = by_map[name][..., None]
            best = class_map(
                gan,
                images[rows],
                maps,
                np.ones(len(rows), bool),
                right,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                seed=settings.seed,
                min_objects=settings.min_objects,
            )
            row = {"class": class_name, "map": name, "trained_on": best.trained_on, "candidates": best.candidates}
            row |= {"dead": best.dead, "note": best.reason}
            if not best.reason:
                chosen = rows[best.chosen]
                row |= {"lcid": ids[chosen], "score": best.score, "median_score": np.median(best.scores)}
                row |= held_out_scores(gan, name, fractions(maps).mean(axis=0), held_out, target)
                for key, picture in (("image", images[chosen]), ("own", best.own), ("generated", best.generated)):
                    learnt[key][index, target] = picture[..., 0]
            table.append(row)
            print(f"{class_name}, {name}: {best.reason or f'structural similarity {best.score:.3f}'}", flush=True)
    order = ["class", "map", "trained_on", "candidates", "dead", "lcid", "score", "median_score"]
    order += ["held_out", "held_out_score", "held_out_score_of_mean_map", "note"]
    return pd.DataFrame(table).reindex(columns=order), learnt


def held_out_scores(gan: Pix2Pix, name: str, mean_map: np.ndarray, held_out: tuple, target: int) -> dict:
    """Median similarity on held-out objects of the class, of what is generated and of one map for all of them."""
    images, labels = held_out
    maps = np.load(OUT / f"heatmaps/{name}.npy")[..., None]
    chosen = (labels == target) & maps.any(axis=(1, 2, 3))
    if not chosen.any():
        return {"held_out": 0}
    own = fractions(maps[chosen])
    return {
        "held_out": int(chosen.sum()),
        "held_out_score": np.median(similarity(own, gan.generate(images[chosen]))),
        "held_out_score_of_mean_map": np.median(similarity(own, np.broadcast_to(mean_map, own.shape))),
    }


def mean_image(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return images[..., 0].mean(axis=0) if len(images) else np.full(shape, np.nan)


def blanking_test(model, images, labels, pictures: dict, classes: list[str], settings: ClassMaps) -> pd.DataFrame:
    """Drop in the probability when the most marked cells are blanked: mean and its standard error by class."""
    random = np.random.default_rng(settings.seed)
    table = []
    for target, class_name in enumerate(classes):
        members = images[labels == target]
        if not len(members):
            continue

        def drops(maps, members=members, target=target):
            maps = np.broadcast_to(maps, members.shape[:3])
            return blanking_drops(model, members, target, maps, settings.blanked_cells, seed=settings.seed)

        by_name = {name: drops(maps[target]) for name, maps in pictures.items() if np.isfinite(maps[target]).all()}
        draws = (random.random(members.shape[:3]) for _ in range(settings.random_draws))
        by_name["random"] = np.mean([drops(maps) for maps in draws], axis=0)
        for name, values in by_name.items():
            errors = values.std(axis=0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else [np.nan] * values.shape[1]
            for cells, drop, error in zip(settings.blanked_cells, values.mean(axis=0), errors, strict=True):
                row = {"class": class_name, "approach": name, "cells": cells, "drop": drop, "error": error}
                table.append(row | {"objects": len(values)})
    return pd.DataFrame(table, columns=["class", "approach", "cells", "drop", "error", "objects"])


def by_approach(drops: pd.DataFrame) -> dict:
    """Mean over the classes that an approach has a picture of, beside random cells and the mean image in the same."""
    table = drops.pivot(index=["class", "cells"], columns="approach", values="drop")
    result = {}
    for name in table.columns.drop(["random", "mean_image"]):
        compared = table.dropna(subset=[name])
        means = compared[[name, "random", "mean_image"]].groupby("cells").mean().rename(columns={name: "drop"})
        result[name] = {"classes": compared.index.get_level_values("class").nunique()}
        result[name] |= {f"{cells} cells": row.to_dict() for cells, row in means.iterrows()}
    return result


if __name__ == "__main__":
    main()
