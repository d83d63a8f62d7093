"""Draw the explanations of a class, and the effect of blanking the cells that they mark in held-out objects."""

from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.light_curves import class_plots
from skylight.light_curves.maps import DRAWN
from skylight.outputs import read_table, writing
from skylight.plotting import save

OUT = Path("out/periodic")
LABELS = {
    "lighting": "probability of the class when one cell is 255 and all others are 0",
    "maximization": "input that maximises the score of the class",
}


@script
def main() -> None:
    periodic = params.load().periodic
    classes, grid = periodic.classes, periodic.dmdt
    table = read_table(OUT / "metrics/class_maps.csv", dtype={"lcid": str}).fillna({"note": ""})
    drops = pd.read_csv(OUT / "metrics/class_maps_blanking.csv")
    pictures = {name: np.load(OUT / f"class_maps/{name}.npy") for name in LABELS}
    by_map = {name: np.load(OUT / f"class_maps/pix2pixai_{name}.npy") for name in ("image", "own", "generated")}

    with writing(OUT / "figures_class_maps") as folder:
        for name, label in LABELS.items():
            figure = class_plots.picture_of_each_class(pictures[name], classes, label, grid)
            save(figure, folder / f"{name}.png")
        figure = class_plots.overview(pictures, by_map["generated"], table, classes, grid)
        save(figure, folder / "class_maps.png")
        for index, name in enumerate(DRAWN):
            rows = table[(table["map"] == name) & (table["note"] == "")]
            if len(rows):
                shown = {key: maps[index] for key, maps in by_map.items()}
                save(class_plots.shown_objects(name, shown, rows, classes, grid), folder / f"pix2pixai_{name}.png")
        save(class_plots.blanking(drops, classes), folder / "blanking.png")


if __name__ == "__main__":
    main()
