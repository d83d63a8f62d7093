"""The figures of the chapter: light curves, dmdt images, training, tests, and the explanations on dm and dt axes."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skylight import params, plotting
from skylight.errors import script
from skylight.light_curves.curve import LightCurve
from skylight.light_curves.periods import best_period, phase
from skylight.light_curves.plots import TITLES, by_class, counts_scale, draw_map, map_scale, name_axes, panels
from skylight.light_curves.reading import open_survey
from skylight.outputs import writing
from skylight.params.periodic import Periodic
from skylight.training.splits import first_copies

DATA, OUT = Path("data/processed/periodic"), Path("out/periodic")


@script
def main() -> None:
    periodic = params.load().periodic
    classes = periodic.classes
    images, labels, ids = (np.load(DATA / f"{name}.npy") for name in ("X_2d", "y", "lcid"))
    first = first_copies(ids)
    images, labels, ids = images[first, ..., 0], labels[first], ids[first]
    predictions = pd.read_csv(OUT / "tables/predictions.csv", dtype={"lcid": str}, keep_default_na=False)
    examples = best_examples(predictions, classes)
    wrong = most_wrong(predictions, periodic.test.misclassified_figures)
    survey = open_survey(periodic.data, classes).only([*examples["lcid"], *wrong["lcid"]])
    curves = {source.id: source.read() for source in survey.sources()}
    image_of = dict(zip(ids, images, strict=True))

    with writing(OUT / "figures") as folder:
        plotting.save(folded(examples, curves), folder / "folded.png")
        longest = max(examples["lcid"], key=lambda lcid: len(curves[lcid]))
        example = examples.set_index("lcid").loc[longest]
        plotting.save(light_curve_to_dmdt(example, curves[longest], image_of[longest], periodic), folder / "dmdt.png")
        plotting.save(mean_dmdt(images, labels, periodic), folder / "mean_dmdt.png")
        plotting.save(training_curves(), folder / "training.png")
        plotting.save(confusions(), folder / "confusion.png")
        plotting.save(example_maps(image_of, periodic), folder / "maps.png")
        plotting.save(class_maps("median", "blanking", periodic), folder / "median_blanking.png")
        for name in TITLES:
            plotting.save(class_maps("mean", name, periodic), folder / f"mean_{name}.png")
        if periodic.transfer.surveys:
            plotting.save(transfer(periodic), folder / "transfer.png")
        for row in wrong.itertuples():
            figure = misclassified(row, curves[row.lcid], image_of[row.lcid], periodic)
            plotting.save(figure, folder / "misclassified" / f"{row.lcid}.png")


def best_examples(predictions: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """The test object of each class that the network gives the highest probability of that class."""
    best = [
        members.loc[members[f"p_{name}"].idxmax()]
        for name in classes
        if len(members := predictions[predictions["class"] == name])
    ]
    return pd.DataFrame(best)


def most_wrong(predictions: pd.DataFrame, most: int) -> pd.DataFrame:
    """The misclassified test objects, those of the highest probability first."""
    wrong = predictions[predictions["class"] != predictions["predicted"]]
    probability = wrong.filter(regex="^p_").max(axis=1)
    return wrong.assign(probability=probability).nlargest(most, "probability").rename(columns={"class": "true"})


def folded(examples: pd.DataFrame, curves: dict[str, LightCurve]):
    figure, axes = panels(len(examples), 4, (1.9, 1.7))
    for ax, row in zip(axes, examples.itertuples(index=False), strict=True):
        curve, name = curves[row.lcid], row[1]
        period = best_period(curve, name)
        x = phase(curve.time, period, curve.mag)
        ax.plot([*x, *(x + 1)], [*curve.mag, *curve.mag], ".", ms=2)
        ax.set_title(f"{name}, P = {period:.4g} d")
        ax.set_xlim(0, 2)
        ax.invert_yaxis()
    figure.supxlabel("phase", fontsize=9)
    figure.supylabel("magnitude", fontsize=9)
    return figure


def light_curve_to_dmdt(row: pd.Series, curve: LightCurve, image: np.ndarray, periodic: Periodic):
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 3.4), width_ratios=[1, 1.35])
    plotting.show_light_curve(left, curve.time, curve.mag, curve.magerr)
    left.set_title(f"{row['class']} light curve, {len(curve)} points")
    draw_map(figure, right, image, counts_scale(image), periodic.dmdt, every=1)
    right.set(xlabel="dt (days)", ylabel="dm (mag)")
    right.set_title(f"its {len(curve) * (len(curve) - 1) // 2:,} pairs as a dmdt image (255 x share)")
    return figure


def mean_dmdt(images: np.ndarray, labels: np.ndarray, periodic: Periodic):
    members = [images[labels == index] for index in range(len(periodic.classes))]
    means = np.stack([part.mean(axis=0) if len(part) else np.zeros(images.shape[1:]) for part in members])
    titles = [f"{name} ({len(part):,})" for name, part in zip(periodic.classes, members, strict=True)]
    scales = [counts_scale(mean) for mean in means]
    return by_class(means, titles, scales, "mean dmdt image (255 x share of pairs)", periodic.dmdt)


def training_curves():
    curves, names = OUT / "training/plots/metrics", ("train/accuracy", "test/accuracy", "train/loss", "test/loss")
    tables = {name: pd.read_csv(curves / f"{name}.tsv", sep="\t") for name in names}
    return plotting.training_curves({name: table.iloc[:, -1] for name, table in tables.items()})


def confusions():
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 3.6), sharey=True)
    for ax, name, title in zip(axes, ("cnn", "forest"), ("network on dmdt", "forest on features"), strict=True):
        counts, share = (
            pd.read_csv(OUT / f"tables/confusion_{name}_{unit}.csv", index_col="true") for unit in ("counts", "percent")
        )
        shown = ax.imshow(share, cmap="Blues", vmin=0, vmax=100, origin="upper")
        for (i, j), value in np.ndenumerate(share.to_numpy()):
            if counts.iloc[i, j]:
                colour = "white" if value > 55 else "black"
                text = f"{value:.0f}%\n{counts.iloc[i, j]:,}"
                ax.text(j, i, text, ha="center", va="center", color=colour, fontsize=6.5)
        ax.set_xticks(range(len(share)), share.columns, rotation=45, ha="right")
        ax.set_yticks(range(len(share)), share.index)
        ax.set(title=title, xlabel="predicted class")
    axes[0].set_ylabel("true class")
    figure.colorbar(shown, ax=axes, label="share of the true class (%)", shrink=0.8)
    return figure


def example_maps(image_of: dict, periodic: Periodic):
    """A row a class: the dmdt image of its clearest object and the four maps of it."""
    objects = pd.read_csv(OUT / "heatmaps/objects.csv", dtype={"lcid": str})
    maps = {name: np.load(OUT / f"heatmaps/{name}.npy") for name in TITLES}
    rows = [
        objects[objects["class"] == name]["probability"].idxmax()
        for name in periodic.classes
        if (objects["class"] == name).any()
    ]
    figure, axes = plt.subplots(
        len(rows), 5, figsize=(plotting.PAGE * 1.25, 1.45 * len(rows) + 0.6), squeeze=False, sharex=True, sharey=True
    )
    for line, row in zip(axes, rows, strict=True):
        chosen = objects.loc[row]
        image = image_of[chosen["lcid"]]
        draw_map(figure, line[0], image, counts_scale(image), periodic.dmdt, every=4)
        line[0].set_ylabel(f"{chosen['class']}\np = {chosen['probability']:.2f}")
        for ax, (name, values) in zip(line[1:], maps.items(), strict=True):
            draw_map(figure, ax, values[row], map_scale(name, values[row]), periodic.dmdt, every=4)
    for ax, title in zip(axes[0], ("dmdt", *TITLES.values()), strict=True):
        ax.set_title(title)
    name_axes(figure)
    return figure


def class_maps(summary: str, name: str, periodic: Periodic):
    maps = np.load(OUT / f"heatmaps/class_{summary}.npy")[list(TITLES).index(name)]
    counts = json.loads((OUT / "metrics/heatmaps.json").read_text())["objects"]
    titles = [f"{class_name} ({counts[class_name]})" for class_name in periodic.classes]
    scales = [map_scale(name, values) for values in maps]
    return by_class(maps, titles, scales, f"{summary} of {TITLES[name]}".replace("\n", " "), periodic.dmdt)


def transfer(periodic: Periodic):
    """F1 by class on each survey, before and after fine-tuning; predicted classes where there are no labels."""
    surveys = list(periodic.transfer.surveys)
    figure, axes = panels(len(surveys), 2, (plotting.PAGE / 2, 2.6), sharey=True)
    for ax, survey in zip(axes, surveys, strict=True):
        metrics = json.loads((OUT / f"metrics/transfer_{survey}.json").read_text())
        x = np.arange(len(periodic.classes))
        if "as_it_is" in metrics:
            for shift, key in ((-0.2, "as_it_is"), (0.2, "fine_tuned")):
                values = [metrics[key]["f1"][name] for name in periodic.classes]
                label = f"{key.replace('_', ' ')}: accuracy {metrics[key]['accuracy']:.2f}"
                ax.bar(x + shift, values, 0.4, label=label)
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
            ax.set(ylabel="F1", ylim=(0, 1))
        else:
            ax.bar(x, [metrics["predicted"].get(name, 0) for name in periodic.classes], 0.6)
            ax.set_ylabel("objects predicted")
        ax.set_xticks(x, periodic.classes, rotation=45, ha="right")
        ax.set_title(f"{survey}, {metrics.get('test_objects', metrics['objects'])} objects")
    return figure


def misclassified(row, curve: LightCurve, image: np.ndarray, periodic: Periodic):
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 3.2), width_ratios=[1, 1.3])
    period = best_period(curve, row.true)
    x = phase(curve.time, period, curve.mag)
    plotting.show_light_curve(left, [*x, *(x + 1)], [*curve.mag] * 2, [*curve.magerr] * 2)
    left.set_xlabel(f"phase (P = {period:.5g} d)")
    left.set_title(f"{row.lcid}: {row.true} taken for {row.predicted} (p = {row.probability:.2f})")
    draw_map(figure, right, image, counts_scale(image), periodic.dmdt, every=1)
    right.set(xlabel="dt (days)", ylabel="dm (mag)")
    return figure


if __name__ == "__main__":
    main()
