"""The figures of the chapter: triplets, training, error rates, explanations of classes and of misclassified alerts."""

import json
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skylight import params, plotting
from skylight.alerts.plots import SIGNED, TITLES, draw_cutout, draw_map, draw_triplet, nine_panels
from skylight.alerts.subcategories import NAMES
from skylight.alerts.triplets import CHANNELS, CLASSES
from skylight.errors import script
from skylight.outputs import writing

DATA, OUT = Path("data/processed/realbogus"), Path("out/realbogus")
EXAMPLES = 6  # of each class


@script
def main() -> None:
    most = params.load().realbogus.heatmaps.misclassified
    triplets, candids = np.load(DATA / "triplets.npy", mmap_mode="r"), np.load(DATA / "candid.npy")
    row_of = {candid: row for row, candid in enumerate(candids)}
    predictions = pd.read_csv(OUT / "tables/predictions.csv")
    alerts = pd.read_csv(OUT / "heatmaps/alerts.csv")
    maps = {name: np.load(OUT / f"heatmaps/{name}.npy") for name in TITLES}
    with writing(OUT / "figures") as folder:
        plotting.save(examples(predictions, triplets, row_of), folder / "triplets.png")
        plotting.save(training_curves(), folder / "training.png")
        plotting.save(error_curves(), folder / "errors.png")
        plotting.save(class_maps(triplets, row_of), folder / "class_maps.png")
        plotting.save(maximization(), folder / "maximization.png")
        for index, alert in alerts[alerts["class"] != alerts["predicted"]].head(most).iterrows():
            title = (
                f"{alert['candid']}: {alert['class']} taken for {alert['predicted']} (p = {alert['probability']:.2f})"
            )
            of_this = {name: values[index] for name, values in maps.items()}
            figure = nine_panels(triplets[row_of[alert["candid"]]], of_this, f"{title}; maps of {alert['predicted']}")
            plotting.save(figure, folder / "misclassified" / f"{alert['candid']}.png")


def examples(predictions: pd.DataFrame, triplets: np.ndarray, row_of: dict[int, int]):
    """The first test alerts of each class."""
    figure = plt.figure(figsize=(plotting.PAGE, 1.17 * EXAMPLES))
    halves = figure.subfigures(1, 2)
    for half, name in zip(halves, CLASSES[::-1], strict=True):
        axes = half.subplots(EXAMPLES, 3)
        members = predictions[predictions["class"] == name]["candid"].head(EXAMPLES)
        for line in axes[len(members) :].flat:
            line.remove()
        for number, (line, candid) in enumerate(zip(axes, members, strict=False)):
            draw_triplet(list(line), triplets[row_of[candid]], titles=number == 0)
        half.suptitle(name, fontsize=10)
    return figure


def training_curves():
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.6))
    for ax, metric in zip(axes, ("accuracy", "loss"), strict=True):
        for part in ("train", "validation"):
            table = pd.read_csv(OUT / f"training/plots/metrics/{part}/{metric}.tsv", sep="\t")
            ax.plot(table["step"] + 1, table[metric], label=part)
        ax.set(xlabel="epoch", ylabel=metric)
    axes[0].legend()
    return figure


def error_curves():
    """ROC, and both error rates against the threshold on the score, as in braai's paper."""
    rates = pd.read_csv(OUT / "tables/error_rates.csv")
    metrics = json.loads((OUT / "metrics/test.json").read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.9))
    left.plot(rates["fpr"], 1 - rates["fnr"], drawstyle="steps-post")
    left.plot([0, 1], [0, 1], ":", color="0.5", lw=0.8)
    left.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    left.set_title(f"ROC, area {metrics['roc_auc']:.4f}, {metrics['alerts']} test alerts")
    finite = np.isfinite(rates["threshold"])
    smallest = 1 / metrics["alerts"]
    for name, label in (("fnr", "false negatives / real"), ("fpr", "false positives / bogus")):
        # Between two scores the rate is that of the higher one.
        right.plot(rates["threshold"][finite], 100 * rates[name][finite], drawstyle="steps-post", label=label)
    right.axvline(0.5, color="0.5", lw=0.8, ls=":")
    right.set_yscale("symlog", linthresh=100 * smallest)
    right.set_yticks([0, 0.5, 1, 2, 5, 10, 20, 50, 100], ["0", "0.5", "1", "2", "5", "10", "20", "50", "100"])
    right.minorticks_off()
    right.set(xlabel="threshold on the score", ylabel="rate (%)", xlim=(0, 1), ylim=(0, 100))
    fnr, fpr = 100 * metrics["false_negative_rate"], 100 * metrics["false_positive_rate"]
    right.set_title(f"at 0.5: {fnr:.1f} % of real, {fpr:.1f} % of bogus wrong")
    right.legend(loc="upper center")
    return figure


def class_maps(triplets: np.ndarray, row_of: dict[int, int]):
    """A row a subcategory: for each map, the difference image of the alert learnt best and what the GAN makes of it."""
    table = pd.read_csv(OUT / "metrics/class_maps.csv", dtype={"candid": str}, keep_default_na=False)
    generated = np.load(OUT / "class_maps/generated.npy")
    figure, axes = plt.subplots(
        len(NAMES), 2 * len(TITLES), figsize=(plotting.PAGE * 1.55, 1.42 * len(NAMES) + 0.4), squeeze=False
    )
    for i, subcategory in enumerate(NAMES):
        for j, name in enumerate(TITLES):
            image, picture = axes[i, 2 * j], axes[i, 2 * j + 1]
            row = table[(table["subcategory"] == subcategory) & (table["map"] == name)].iloc[0]
            if row["note"]:
                for ax in (image, picture):
                    ax.set_axis_off()
                words = textwrap.fill(row["note"], 24)
                reason = image.text(1.0, 0.5, words, ha="center", va="center", transform=image.transAxes, fontsize=6)
                reason.set_in_layout(False)
            else:
                draw_cutout(image, triplets[row_of[int(row["candid"])], ..., CHANNELS.index("DIFF")])
                # To the full: a map of few pixels has little but noise below its 99.5th percentile.
                draw_map(figure, picture, generated[i, j], name in SIGNED, percentile=100)
                picture.set_title(f"similarity {float(row['score']):.2f}", fontsize=7)
            if i == 0:
                title = TITLES[name].split("\n")[0] + (" of DIFF" if name == "deep_shap" else "")
                picture.set_title(f"{title}\n{picture.get_title()}", fontsize=8)
                image.set_title("DIFF", fontsize=8)
        axes[i, 0].set_axis_on()
        axes[i, 0].set(xticks=[], yticks=[])
        axes[i, 0].set_ylabel(subcategory.replace("_", "\n", 1).replace("_", " "), fontsize=8)
    return figure


def maximization():
    """The input that each output answers to most, cutout by cutout."""
    images = np.load(OUT / "class_maps/maximization.npy")
    figure, axes = plt.subplots(len(CLASSES), 3, figsize=(plotting.PAGE * 0.8, 3.6))
    for line, image, name in zip(axes, images, CLASSES, strict=True):
        for channel, ax in enumerate(line):
            shown = ax.imshow(image[..., channel], cmap="gray", vmin=images.min(), vmax=images.max())
            ax.set(xticks=[], yticks=[], title=CHANNELS[channel])
        line[0].set_ylabel(name)
    figure.colorbar(shown, ax=axes, label="pixel of a normalised cutout", shrink=0.8)
    return figure


if __name__ == "__main__":
    main()
