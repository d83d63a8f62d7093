"""Draw the figures of the chapter: light curves, dmdt images, training, tests, and the maps of single objects."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.errors import script
from skylight.light_curves import arrays, plots
from skylight.light_curves.maps import DRAWN, MAPS
from skylight.outputs import OutputNames, read_table, writing
from skylight.params.periodic import Periodic
from skylight.plotting import read_curves, save, training_curves

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")
TEXT = {"lcid": str}
SUMMARIES = [("median", "blanking"), *(("mean", name) for name in DRAWN)]


@script
def main() -> None:
    periodic = params.load().periodic
    data = arrays.load(DATA)
    with writing(OUT / "figures") as folder:
        draw_data(data, periodic, folder)
        draw_maps(data, periodic, folder)

        save(training_curves({"": read_curves(OUT / "training")}, ["accuracy", "loss"]), folder / "training.png")
        counts = {
            title: pd.read_csv(OUT / f"tables/confusion_{name}_counts.csv", index_col="true")
            for name, title in (("cnn", "network on dmdt images"), ("forest", "forest on features"))
        }
        save(plots.confusions(counts), folder / "confusion.png")
        features = pd.read_csv(OUT / "tables/forest_features.csv", index_col="class", keep_default_na=False)
        save(plots.feature_shares(features), folder / "forest.png")
        if periodic.transfer.surveys:
            metrics = {name: read_json(f"transfer_{name}") for name in periodic.transfer.surveys}
            save(plots.transfer(metrics, periodic.classes), folder / "transfer.png")


def draw_data(data: arrays.Arrays, periodic: Periodic, folder: Path) -> None:
    """Draw light curves and dmdt images of the examples, and the mean dmdt images."""
    clearest, wrong = (read_table(OUT / f"examples/{name}.csv", dtype=TEXT) for name in ("clearest", "misclassified"))
    points = read_table(OUT / "examples/light_curves.csv", dtype=TEXT)
    save(plots.folded(clearest, points), folder / "folded.png")
    curves = dict(list(points.groupby("lcid")))
    longest = max(clearest.itertuples(), key=lambda row: len(curves[row.lcid]))
    image = data.images[data.rows([longest.lcid])[0], ..., 0]
    label = plots.time_label(periodic.data)
    figure = plots.light_curve_to_dmdt(longest[2], curves[longest.lcid], image, periodic.dmdt, label)
    save(figure, folder / "dmdt.png")
    names = OutputNames()
    for (_, row), image in zip(wrong.iterrows(), data.images[data.rows(wrong["lcid"]), ..., 0], strict=True):
        figure = plots.misclassified(row, curves[row["lcid"]], image, periodic.dmdt)
        save(figure, folder / f"misclassified/{names.new(row['lcid'])}.png")
    objects = pd.read_csv(OUT / "examples/classes.csv")
    save(plots.mean_dmdt(np.load(OUT / "examples/mean_dmdt.npy"), objects, periodic.dmdt), folder / "mean_dmdt.png")


def draw_maps(data: arrays.Arrays, periodic: Periodic, folder: Path) -> None:
    """Draw the maps of one object per class, and their summaries by class."""
    objects = read_table(OUT / "heatmaps/objects.csv", dtype=TEXT)
    best = objects.groupby("class")["probability"].idxmax().reindex(periodic.classes).dropna().astype(int)
    maps = {name: np.load(OUT / f"heatmaps/{name}.npy", mmap_mode="r")[best] for name in DRAWN}
    shown = objects.loc[best]
    images = data.images[data.rows(shown["lcid"]), ..., 0]
    counts, empty = (read_json("heatmaps")[name] for name in ("objects", "gradcam_is_0"))
    note = f"Grad-CAM of this layer is 0 everywhere for {sum(empty.values())} of {sum(counts.values())} objects ("
    note += ", ".join(f"{name} {empty[name]} of {counts[name]}" for name in periodic.classes) + ")."
    score = periodic.heatmaps.score
    save(plots.example_maps(shown, images, maps, periodic.dmdt, score, note), folder / "maps.png")
    by_class = {name: counts[name] for name in periodic.classes}
    for summary, name in SUMMARIES:
        values = np.load(OUT / f"heatmaps/class_{summary}.npy")[MAPS.index(name)]
        figure = plots.class_summary(values, name, summary, by_class, periodic.dmdt, score)
        save(figure, folder / f"{summary}_{name}.png")


def read_json(name: str) -> dict:
    return json.loads((OUT / f"metrics/{name}.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
