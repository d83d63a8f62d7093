"""Apply every method of `skylight.attribution` to one object, and measure how far to trust each on this network.

Not in the paper, which has four methods. The maps explain the predicted class. The table compares every method with
random maps and with an edge detector (docs/evaluation.md explains it).
"""

import inspect
from pathlib import Path

import numpy as np

from skylight import params, plotting
from skylight.attribution import METHODS
from skylight.errors import script
from skylight.evaluation.explanations import evaluate
from skylight.light_curves import arrays
from skylight.light_curves.plots import map_of_each_method
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import read_table, save_table, writing

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")
METRICS = ("deletion", "insertion", "faithfulness_correlation", "sparseness")


@script
def main() -> None:
    periodic = params.load().periodic
    objects = read_table(OUT / "heatmaps/objects.csv", dtype={"lcid": str})
    chosen = objects.groupby("class", sort=False).head(periodic.methods.objects_per_class)
    data = arrays.load(DATA)
    inputs = data.images[data.rows(chosen["lcid"])]
    classes = np.array([periodic.classes.index(name) for name in chosen["class"]])
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(periodic.classes), inputs.shape[1:])

    background = np.load(OUT / "heatmaps/background.npy")
    functions = {name: with_options(name, background) for name in METHODS if name != "lrp"}
    functions |= {f"lrp {rule}": with_options("lrp", background, rule=rule) for rule in periodic.methods.lrp_rules}
    scores = evaluate(model, inputs, classes, functions, metrics=METRICS, seed=periodic.methods.seed)
    save_table(OUT / "metrics/methods.csv", scores.drop(columns="layer"))

    example = int(np.argmax(chosen["probability"].where(chosen["class"] == periodic.methods.example_class, -1)))
    image, target = inputs[example : example + 1], classes[example : example + 1]
    maps = {name: function(model, image, target)[0, ..., 0] for name, function in functions.items()}
    row = chosen.iloc[example]
    title = f"{row['class']}, p = {row['probability']:.2f}"
    with writing(OUT / "figures_methods") as folder:
        figure = map_of_each_method(title, image[0, ..., 0], maps, periodic.dmdt)
        plotting.save(figure, folder / "methods.png")


def with_options(name: str, background: np.ndarray, **options):
    """Return the method with the options that it needs on this network."""
    if "layer" in inspect.signature(METHODS[name]).parameters:
        options["layer"] = "conv2d2"
    if name in ("deep_shap", "gradient_shap"):
        options["background"] = background
    return lambda model, inputs, targets: METHODS[name](model, inputs, targets, **options)


if __name__ == "__main__":
    main()
