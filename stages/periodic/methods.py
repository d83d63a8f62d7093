"""Measure every method of explanation on this network, and draw the map of one object by each (not in the paper).

The table has each method once for the logit and once for the log-odds, beside random maps and an edge detector. The
score of the chapter's maps, ``periodic.heatmaps.score``, was chosen from it (docs/evaluation.md). So the objects are of
the training part; the paper has no validation part.
"""

from pathlib import Path

import numpy as np

from skylight import params, plotting
from skylight.attribution import METHODS
from skylight.errors import InputError, script
from skylight.evaluation.scorecard import PUBLISHED_WITH_PROBABILITY, WITHOUT_SCORE, scorecard
from skylight.light_curves import arrays
from skylight.light_curves.plots import map_of_each_method
from skylight.networks.periodic_cnn import load_periodic_cnn
from skylight.outputs import read_table, save_table, writing

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")
CAMS = ("gradcam", "gradcam_plus_plus", "hirescam", "xgradcam", "layercam", "scorecam", "ablationcam", "eigencam")
OPTIONS = {name: {"layer": "conv2d2"} for name in (*CAMS, "guided_gradcam")}


@script
def main() -> None:
    periodic = params.load().periodic
    settings = periodic.methods
    data = arrays.load(DATA).objects()
    test = read_table(OUT / "tables/predictions.csv", usecols=["lcid"], dtype=str)["lcid"]
    data = data[np.flatnonzero(~np.isin(data.ids, test))]
    model = load_periodic_cnn(OUT / "networks/cnn.weights.h5", len(periodic.classes), data.images.shape[1:])
    probabilities = model.predict(data.images, batch_size=1024, verbose=0)
    own = np.take_along_axis(probabilities, data.labels[:, None], axis=1)[:, 0]
    sure = (probabilities.argmax(axis=1) == data.labels) & (own >= periodic.heatmaps.min_probability)
    by_class = [np.flatnonzero(sure & (data.labels == target)) for target in range(len(periodic.classes))]
    rows = np.concatenate([some[: settings.objects_per_class] for some in by_class])
    if not len(rows):
        raise InputError("periodic.heatmaps.min_probability: no training object is classified right with it")

    background = np.load(OUT / "heatmaps/background.npy")
    options = OPTIONS | {name: {"background": background} for name in ("deep_shap", "gradient_shap")}
    methods = {name: options.get(name, {}) for name in METHODS if name not in ("lrp", "kernel_shap")}
    methods |= {f"lrp {rule}": {"method": "lrp", "rule": rule} for rule in settings.lrp_rules}
    table, differences = scorecard(model, data.images[rows], data.labels[rows], methods, seed=settings.seed)
    save_table(OUT / "metrics/methods.csv", table)
    save_table(OUT / "metrics/scores.csv", differences)

    of_class = rows[data.labels[rows] == periodic.classes.index(settings.example_class)]
    shown = of_class if len(of_class) else rows
    example = shown[own[shown].argmax()]
    image, target, score = data.images[[example]], data.labels[[example]], periodic.heatmaps.score
    maps = {}
    for name, how in methods.items():
        method = how.get("method", name)
        chosen = {key: value for key, value in how.items() if key != "method"}
        chosen |= {} if method in WITHOUT_SCORE + PUBLISHED_WITH_PROBABILITY else {"score": score}
        maps[name] = METHODS[method](model, image, target, **chosen)[0, ..., 0]
    title = f"{periodic.classes[data.labels[example]]}, p = {own[example]:.2f}"
    with writing(OUT / "figures_methods") as folder:
        figure = map_of_each_method(title, image[0, ..., 0], maps, periodic.dmdt, score)
        plotting.save(figure, folder / "methods.png")


if __name__ == "__main__":
    main()
