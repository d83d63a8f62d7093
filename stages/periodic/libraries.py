"""Compare Skylight with tf-keras-vis and shap, the libraries of the published code: the same maps of the same objects.

Not in the paper. The time of each is printed and not written, because it differs from run to run; bench/attribution.py
measures it (docs/attribution.md).
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution import METHODS
from skylight.attribution.engines import LIBRARIES, by_engine
from skylight.errors import InputError, script
from skylight.evaluation.agreement import agreement
from skylight.light_curves import arrays
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import read_table, save_table

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    objects = read_table(OUT / "heatmaps/objects.csv", dtype={"lcid": str})
    chosen = objects.groupby("class", sort=False).head(periodic.libraries.objects_per_class)
    data = arrays.load(DATA)
    inputs = data.images[data.rows(chosen["lcid"])]
    classes = np.array([periodic.classes.index(name) for name in chosen["class"]])
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(periodic.classes), inputs.shape[1:])
    background = np.load(OUT / "heatmaps/background.npy")[: periodic.libraries.background]

    rows = []
    pairs = [(engine, name) for engine, methods in LIBRARIES.items() for name in methods if name in METHODS]
    for engine, name in pairs:
        options = {"layer": "conv2d2"} if "cam" in name else {"background": background} if "shap" in name else {}
        for score in periodic.libraries.scores:
            row = {"method": name, "engine": engine, "score": score}
            try:
                theirs, ours = (
                    timed(
                        f"{name}, {score}, {by}", by_engine(by, METHODS[name]), model, inputs, classes, score, options
                    )
                    for by in (engine, "skylight")
                )
                rows.append(row | agreement(ours, theirs))
            except InputError as reason:  # a score that the library cannot explain
                rows.append(row | {"objects": 0, "note": str(reason)})
    table = pd.DataFrame(rows).astype({"constant": "Int64"})
    save_table(OUT / "tables/libraries.csv", table.round(6))  # differences below that are rounding


def timed(label: str, method, model, inputs, classes, score: str, options: dict) -> np.ndarray:
    """Return the maps, and print the seconds that they took."""
    start = time.perf_counter()
    maps = method(model, inputs, classes, score=score, **options)
    print(f"{label}: {time.perf_counter() - start:.2f} s")
    return maps


if __name__ == "__main__":
    main()
