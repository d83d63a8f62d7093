"""What makes an alert real or bogus: pix2piXAI by subcategory, and activation maximization of both outputs.

As published, a GAN learns from the alerts predicted as a class with probability at least 0.8, and the picture is of one
that is right with at least 0.98; of SHAP it is that of the difference image. Not in the paper: where that picture does
not follow the map it stands for, the class is reported as not learnt. Similarity does not tell, since maps of blanking
and SHAP are 0 but for a few pixels, and any two of them are alike.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.alerts.explain import MAPS
from skylight.alerts.subcategories import NAMES
from skylight.alerts.triplets import CHANNELS, CLASSES
from skylight.attribution.maximization import activation_maximization
from skylight.attribution.pix2pixai import Pix2Pix, class_map, fractions, similarity
from skylight.errors import script
from skylight.networks.vgg6 import load_vgg6
from skylight.outputs import save_array, save_table
from skylight.training.fit import deterministic

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")


@script
def main() -> None:
    realbogus = params.load().realbogus
    settings = realbogus.class_maps
    triplets, candids = np.load(DATA / "triplets.npy", mmap_mode="r"), np.load(DATA / "candid.npy")
    alerts = pd.read_csv(OUT / "heatmaps/alerts.csv")
    row_of = {candid: row for row, candid in enumerate(candids)}
    images = np.stack([triplets[row_of[candid]] for candid in alerts["candid"]])

    deterministic(settings.seed)
    model = load_vgg6(OUT / "networks/vgg6.weights.h5")
    # The regularisers are in units of the pixels, which are small here.
    value_range = tuple(np.quantile(images, [0.0005, 0.9995]).tolist())
    maximal = [
        activation_maximization(
            model,
            unit,
            value_range=value_range,
            steps=settings.maximization_steps,
            total_variation=settings.maximization_smoothness,
            norm=0.3 * settings.maximization_smoothness,
            seed=settings.seed,
        )
        for unit in range(len(CLASSES))
    ]
    save_array(OUT / "class_maps/maximization.npy", np.stack(maximal))

    confident = (alerts["probability"] >= realbogus.heatmaps.min_probability).to_numpy()
    right = (alerts["class"] == alerts["predicted"]).to_numpy()
    surest = right & (alerts["probability"] >= settings.candidate_probability).to_numpy()
    gan = Pix2Pix(images.shape[1:], width=settings.width, learning_rate=settings.learning_rate)
    shape = (len(NAMES), len(MAPS), *images.shape[1:3])
    own, generated, table = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32), []
    for j, name in enumerate(MAPS):
        maps = np.load(OUT / f"heatmaps/{name}.npy")
        maps = maps[..., [CHANNELS.index("DIFF")]] if name == "deep_shap" else maps
        for i, subcategory in enumerate(NAMES):
            members = (alerts["subcategory"] == subcategory).to_numpy()
            best = class_map(
                gan,
                images,
                maps,
                members & confident,
                members & surest,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                seed=settings.seed,
                min_objects=settings.min_objects,
            )
            row = {"subcategory": subcategory, "map": name, "trained_on": best.trained_on}
            row |= {"candidates": best.candidates, "dead": best.dead, "candid": "", "note": best.reason}
            if not best.reason:
                correlation = np.corrcoef(best.own.ravel(), best.generated.ravel())[0, 1]
                row["correlation"] = correlation
                if not correlation >= settings.min_correlation:  # NaN, of a picture without any contrast, too
                    row["note"] = f"not learnt: correlation {correlation:.2f} of the picture with the object's map"
            if not row["note"]:
                own[i, j], generated[i, j] = best.own[..., 0], best.generated[..., 0]
                row |= {"candid": str(alerts["candid"][best.chosen]), "score": best.score}
                row |= {"median_score": np.median(best.scores)}
                row |= {"median_score_of_mean_map": mean_map_score(maps, members & confident, members & surest)}
            table.append(row)
            print(f"{subcategory} {name}: {row['note'] or f'{best.score:.3f}'}")
    save_array(OUT / "class_maps/own.npy", own)
    save_array(OUT / "class_maps/generated.npy", generated)
    save_table(OUT / "metrics/class_maps.csv", in_order(table))


def mean_map_score(maps: np.ndarray, training: np.ndarray, candidates: np.ndarray) -> float:
    """What the GAN has to beat: the median similarity of one map, the mean of those it learnt from, to all candidates.

    Most of a map of an alert is near 0, and maps that are near 0 in the same places are alike.
    """
    alive = np.any(maps, axis=(1, 2, 3))
    own = fractions(maps[candidates & alive])
    mean = fractions(maps[training & alive]).mean(axis=0)
    return float(np.median(similarity(own, np.broadcast_to(mean, own.shape))))


def in_order(table: list[dict]) -> pd.DataFrame:
    columns = ["subcategory", "map", "trained_on", "candidates", "dead", "candid", "score", "correlation"]
    columns += ["median_score", "median_score_of_mean_map", "note"]
    by_subcategory = sorted(table, key=lambda row: NAMES.index(row["subcategory"]))
    return pd.DataFrame(by_subcategory).reindex(columns=columns)


if __name__ == "__main__":
    main()
