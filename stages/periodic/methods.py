"""Every method of `skylight.attribution` on one object, and how far to trust each on this network.

Beyond the paper: it drew four methods. The maps explain the predicted class; the table holds them against noise and
an edge detector (docs/evaluation.md says how to read it).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skylight import params, plotting
from skylight.attribution import METHODS
from skylight.errors import script
from skylight.evaluation.explanations import evaluate
from skylight.light_curves.plots import counts_scale, draw_map, name_axes
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import save_table, writing
from skylight.params.periodic import Periodic

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")
METRICS = ("deletion", "insertion", "faithfulness_correlation", "sparseness")


@script
def main() -> None:
    periodic = params.load().periodic
    images, ids = np.load(DATA / "X_2d.npy"), np.load(DATA / "lcid.npy")
    objects = pd.read_csv(OUT / "heatmaps/objects.csv", dtype={"lcid": str})
    compared = np.load(OUT / "heatmaps/background.npy")
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(periodic.classes), images.shape[1:])
    chosen = objects.groupby("class", sort=False).head(periodic.methods.objects_per_class)
    row_of = {id_: row for row, id_ in reversed(list(enumerate(ids)))}
    inputs = images[[row_of[lcid] for lcid in chosen["lcid"]]]
    classes = np.array([periodic.classes.index(name) for name in chosen["class"]])

    functions = {name: with_options(name, compared) for name in METHODS}
    functions |= {f"lrp {rule}": with_options("lrp", compared, rule=rule) for rule in periodic.methods.lrp_rules}
    del functions["lrp"]
    save_table(
        OUT / "metrics/methods.csv",
        evaluate(model, inputs, classes, functions, metrics=METRICS, seed=periodic.methods.seed).drop(columns="layer"),
    )

    example = int(np.argmax(chosen["probability"].where(chosen["class"] == periodic.methods.example_class, -1)))
    image, target = inputs[example : example + 1], classes[example : example + 1]
    maps = {name: function(model, image, target)[0, ..., 0] for name, function in functions.items()}
    with writing(OUT / "figures_methods") as folder:
        plotting.save(gallery(image[0, ..., 0], chosen.iloc[example], maps, periodic), folder / "methods.png")


def with_options(name: str, background: np.ndarray, **options):
    """The method, called as the other steps call it."""
    if name in ("gradcam", "gradcam_plus_plus", "scorecam", "layercam"):
        options["layer"] = "conv2d2"
    if name in ("deep_shap", "gradient_shap"):
        options["background"] = background
    return lambda model, inputs, targets: METHODS[name](model, inputs, targets, **options)


def gallery(image: np.ndarray, chosen: pd.Series, maps: dict[str, np.ndarray], periodic: Periodic):
    """The dmdt image and all maps of it, signed ones about 0."""
    columns = 5
    rows = -(-(len(maps) + 1) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(plotting.PAGE * 1.35, 1.55 * rows + 0.5), sharex=True, sharey=True, squeeze=False
    )
    first, *others = axes.flat
    draw_map(figure, first, image, counts_scale(image), periodic.dmdt, every=4)
    first.set_title(f"{chosen['class']}, p = {chosen['probability']:.2f}")
    for ax, (name, values) in zip(others, maps.items(), strict=False):
        signed = values.min() < 0
        scale = (plotting.diverging_norm(values), plotting.DIVERGING) if signed else (None, "magma")
        draw_map(figure, ax, values, scale, periodic.dmdt, every=4)
        ax.set_title(name.replace("_", " "))
    for ax in others[len(maps) :]:
        ax.remove()
    name_axes(figure)
    return figure


if __name__ == "__main__":
    main()
