"""Explain the forest on 21 features by Kernel SHAP: which features make a star of each class one of its class.

Not in the paper, which explains the network only. Explained is the probability of the true class, for test objects of
each class. A feature that is outside of a coalition has the values of random training objects.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution import background, kernel_shap
from skylight.errors import InputError, script
from skylight.light_curves import arrays
from skylight.light_curves.features import FEATURES
from skylight.light_curves.forest import train_forest
from skylight.light_curves.selection import summarise
from skylight.outputs import read_table, save_json, save_table

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")
ROWS_PER_CALL = 20_000  # a call of the forest costs as much as some thousand rows


@script
def main() -> None:
    periodic = params.load().periodic
    settings, classes = periodic.forest, periodic.classes
    data = arrays.load(DATA)
    parts = read_table(OUT / "tables/split.csv", dtype=str)
    in_test = np.isin(data.ids, parts["lcid"][parts["part"] == "test"])
    features, test = data.features[~in_test], data[in_test].objects()
    if settings.background > len(features):
        raise InputError(f"periodic.forest.background: must be at most {len(features)}, the training objects")

    forest = train_forest(features, data.labels[~in_test], len(classes), periodic.test.trees, periodic.test.seed)
    reference = background(features, settings.background, settings.seed)
    chosen = pd.Series(test.labels).groupby(test.labels).head(settings.objects_per_class).index
    explained = test[np.sort(chosen)]
    shares = kernel_shap(
        forest,
        explained.features,
        explained.labels,
        background=reference,
        samples=settings.coalitions,
        seed=settings.seed,
        batch_size=ROWS_PER_CALL,
    )

    probability = forest(explained.features)[np.arange(len(explained)), explained.labels]
    names = np.array(classes)[explained.labels]
    table = pd.DataFrame({"lcid": explained.ids, "class": names, "probability": probability})
    save_table(OUT / "tables/forest_objects.csv", pd.concat([table, pd.DataFrame(shares, columns=FEATURES)], axis=1))
    mean = pd.DataFrame(summarise(np.abs(shares), explained.labels, len(classes)), columns=FEATURES)
    mean.insert(0, "class", classes)
    mean = mean[mean["class"].isin(names)]
    save_table(OUT / "tables/forest_features.csv", mean)
    typical = dict(zip(classes, forest(reference).mean(axis=0), strict=True))
    metrics = {
        name: {
            "objects": len(members),
            "probability": members["probability"].mean(),
            "probability_of_background": typical[name],
        }
        for name, members in table.groupby("class")
    }
    save_json(OUT / "metrics/forest.json", metrics)


if __name__ == "__main__":
    main()
