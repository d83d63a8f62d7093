"""The figures of the galaxy-bars chapter, and how well the heatmaps lie on the true bars."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from skylight import params, plotting
from skylight.errors import script
from skylight.evaluation import localisation
from skylight.evaluation.bootstrap import correlation
from skylight.galaxies import catalogue as survey
from skylight.galaxies import length_scores as lengths
from skylight.galaxies.bar_length import bar_ends, bar_pixels, estimator_names
from skylight.galaxies.heatmaps import read_heatmaps
from skylight.galaxies.images import grey, read_image, read_mask, shrink
from skylight.galaxies.questions import ANSWERS, QUESTIONS, answers_to
from skylight.outputs import save_json
from skylight.params.bars import Bars

OUT = Path("out/bars")
FIGURES = OUT / "figures"
LABELS = {
    "vgg16": "VGG16",
    "resnet50v2": "ResNet50V2",
    "xception": "Xception",
    "ensemble": "ensemble",
    "averageheatmaps": "mean of heatmaps",
    "averagemeasurements": "mean of measurements",
    "control": "control",
}


@script
def main() -> None:
    bars = params.load().bars
    measured = pd.read_csv(OUT / "barlengths.csv")
    table = pd.read_csv(OUT / "barlength_correlations_test.csv").set_index("model")
    plotting.save(examples(bars, measured, table), FIGURES / "heatmaps.png")
    plotting.save(scatter(bars, measured, table), FIGURES / "barlengths.png")
    plotting.save(grid(bars, table), FIGURES / "parameter_grid.png")
    plotting.save(curves(bars), FIGURES / "training.png")
    plotting.save(residuals(bars), FIGURES / "vote_fractions.png")
    if bars.data.truth:
        plotting.save(on_masks(bars, measured), FIGURES / "localisation.png")


def best_on_validation(models: list[str]) -> str:
    """Which of the estimators followed people best, at its best setting."""
    tried = pd.read_csv(OUT / "barlength_correlations_val.csv")
    return lengths.best(tried[tried["model"].isin(models)])["model"]


def examples(bars: Bars, measured: pd.DataFrame, table: pd.DataFrame, rows: int = 6) -> plt.Figure:
    """Galaxies from short bars to long ones: each network's map and their mean, the bar measured on it drawn on it.

    The bar of the best one of them is on the image, too, with the factor by which it falls short on average.
    """
    estimators = [*bars.models, "averageheatmaps"]
    best = best_on_validation(estimators)
    chosen = measured.sort_values("hoyle_length").iloc[np.linspace(0.03, 0.97, rows) * (len(measured) - 1)]
    columns = len(estimators) + 1
    figure, axes = plt.subplots(rows, columns, figsize=(plotting.PAGE, plotting.PAGE * rows / columns))
    for (_, galaxy), row in zip(chosen.iterrows(), axes, strict=True):
        maps = read_heatmaps(map_folders(bars), int(galaxy["asset_id"]))
        image = small_image(bars, int(galaxy["asset_id"]), maps.shape[1])
        row[0].imshow(image, origin="upper")
        for ax, model, heatmap in zip(row[1:], estimators, [*maps, maps.mean(axis=0)], strict=True):
            setting = table.loc[model]
            scanned = heatmap * grey(image) if setting["xinput"] else heatmap
            ends = bar_ends(bar_pixels(scanned, setting["corr_threshold"], int(setting["len_threshold"])))
            ax.imshow(heatmap, origin="upper", cmap=plotting.SEQUENTIAL, vmin=0, vmax=1)
            line = {"color": plotting.COLOURS[1], "lw": 1.5, "marker": "o", "ms": 2.5}
            ax.plot(ends[:, 1], ends[:, 0], **line)
            if model == best:
                middle = ends.mean(axis=0)
                ends = middle + setting["scale"] * (ends - middle)
                row[0].plot(ends[:, 1], ends[:, 0], **line)
        row[0].set_ylabel(f"{galaxy['hoyle_length']:.1f}″ | {galaxy[best]:.1f}″", fontsize=7)
    for ax, title in zip(axes[0], ["galaxy", *(LABELS[model] for model in estimators)], strict=True):
        ax.set_title(title, fontsize=8)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    figure.supylabel(f"length by people | measured on the map of: {LABELS[best]}", fontsize=8)
    return figure


def scatter(bars: Bars, measured: pd.DataFrame, table: pd.DataFrame) -> plt.Figure:
    """Measured against people's lengths, on the galaxies that the control was tested on."""
    best = best_on_validation(estimator_names(bars.models))
    shared = measured.dropna(subset="control")
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, plotting.PAGE / 2), sharex=True, sharey=True)
    limit = 1.05 * shared[["hoyle_length", best, "control"]].to_numpy().max()
    for ax, model, colour in zip(axes, (best, "control"), plotting.COLOURS, strict=False):
        ax.plot([0, limit], [0, limit], color="black", lw=0.8)
        ax.scatter(shared["hoyle_length"], shared[model], s=8, color=colour, alpha=0.7, lw=0)
        r = correlation(shared[model].to_numpy(), shared["hoyle_length"].to_numpy())
        ax.set_title(f"{LABELS[model]}: r = {r:.2f}")
        ax.set(xlabel="length by people (arcsec)", xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes[0].set_ylabel("measured length (arcsec)")
    return figure


def grid(bars: Bars, table: pd.DataFrame) -> plt.Figure:
    """Correlation on the validation part over all settings; circles are those that the test part was measured with."""
    tried = pd.read_csv(OUT / "barlength_correlations_val.csv")
    models, xinputs = estimator_names(bars.models), bars.xai.barlength_mask.xinput
    figure, axes = plt.subplots(
        len(xinputs),
        len(models),
        figsize=(plotting.PAGE, 1.6 * len(xinputs) + 0.4),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for row, xinput in zip(axes, xinputs, strict=True):
        for ax, model in zip(row, models, strict=True):
            part = tried[(tried["model"] == model) & (tried["xinput"] == xinput)]
            cells = part.pivot_table(index="corr_threshold", columns="len_threshold", values="correlation")
            shown = ax.imshow(cells, vmin=0.4, vmax=1, cmap=plotting.SEQUENTIAL, aspect="auto")
            ax.set_xticks(range(cells.shape[1]), cells.columns, fontsize=6, rotation=90)
            ax.set_yticks(range(cells.shape[0]), cells.index, fontsize=6)
            ax.set_title(LABELS[model], fontsize=6)
            used = table.loc[model]
            if used["xinput"] == xinput and used["corr_threshold"] in cells.index and used["len_threshold"] in cells:
                place = cells.columns.get_loc(used["len_threshold"]), cells.index.get_loc(used["corr_threshold"])
                ax.plot(*place, "o", ms=5, mfc="none", mec=plotting.COLOURS[1])
        row[0].set_ylabel("map x image" if xinput else "map", fontsize=8)
    figure.supxlabel("len_threshold (pixels); circles: settings of the test part", fontsize=8)
    figure.supylabel("corr_threshold", fontsize=8)
    figure.colorbar(shown, ax=axes, label="correlation with people")
    return figure


def curves(bars: Bars) -> plt.Figure:
    """Root mean squared error of training and validation by epoch."""
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.6))
    for ax, models in zip(axes, (bars.models, ["control"]), strict=True):
        for model, colour in zip(models, plotting.COLOURS, strict=False):
            for part, style in (("train", "-"), ("validation", "--")):
                path = OUT / model / "training" / "plots" / "metrics" / part / "rmse.tsv"
                curve = pd.read_csv(path, sep="\t")
                ax.plot(curve["step"] + 1, curve["rmse"], style, color=colour, label=f"{LABELS[model]}, {part}")
        ax.set(xlabel="epoch", ylabel="RMSE", ylim=(0, None))
        ax.legend(fontsize=7)
    axes[0].set_title("vote fractions")
    axes[1].set_title("bar length over diameter")
    return figure


def residuals(bars: Bars) -> plt.Figure:
    """Ensemble minus volunteers, by question, on galaxies held out of the training."""
    solutions = survey.read_solutions(Path(bars.data.path) / survey.SOLUTIONS)
    _, held_out = survey.split(solutions, 1 - bars.data.validation_split, bars.data.seed, "bars.data.validation_split")
    predicted = pd.read_csv(OUT / "ensemble" / "predictions_train.csv").set_index("GalaxyID")
    held_out = held_out[held_out["GalaxyID"].isin(predicted.index)].set_index("GalaxyID")
    difference = predicted.loc[held_out.index, ANSWERS] - held_out[ANSWERS]
    figure, ax = plt.subplots(figsize=(plotting.PAGE, 3))
    values = [difference[answers_to(question)].to_numpy().ravel() for question in QUESTIONS]
    ax.boxplot(values, whis=(2.5, 97.5), showfliers=False, medianprops={"color": plotting.COLOURS[0]})
    ax.axhline(0, color="black", lw=0.6)
    ax.set_xticks(
        range(1, len(QUESTIONS) + 1), [f"{q} {text}" for q, (text, *_) in QUESTIONS.items()], rotation=30, ha="right"
    )
    ax.set_ylabel("ensemble − volunteers")
    return figure


def on_masks(bars: Bars, measured: pd.DataFrame) -> plt.Figure:
    """Localisation of every network's maps, and their mean, on the true bars; also written as metrics."""
    names = [*bars.models, "averageheatmaps"]
    figures = {
        "pointing game": localisation.pointing_game,
        "relevance mass": localisation.relevance_mass,
        "rank accuracy": localisation.rank_accuracy,
        "ROC AUC": localisation.roc_auc,
    }
    scores = {name: {figure: [] for figure in figures} for name in [*names, "chance"]}
    for asset_id in measured["asset_id"]:
        maps = read_heatmaps(map_folders(bars), asset_id)
        mask = read_mask(bars.data.truth, asset_id, bars.data.crop, maps.shape[1])
        for name, heatmap in zip([*names, "chance"], [*maps, maps.mean(axis=0), np.ones(mask.shape)], strict=True):
            for figure, function in figures.items():
                scores[name][figure].append(function(heatmap, mask)[0])
    means = {name: {figure: np.nanmean(values) for figure, values in row.items()} for name, row in scores.items()}
    # A map that is the same everywhere points nowhere: its first pixel would win, so chance is the mask's share.
    means["chance"]["pointing game"] = means["chance"]["relevance mass"]
    save_json(OUT / "metrics" / "localisation.json", means)

    drawing, ax = plt.subplots(figsize=(plotting.PAGE, 2.8))
    width = 0.8 / len(means)
    for i, (name, colour) in enumerate(zip(means, plotting.COLOURS, strict=False)):
        places = np.arange(len(figures)) + (i - (len(means) - 1) / 2) * width
        ax.bar(places, list(means[name].values()), width, color=colour, label=LABELS.get(name, name))
    ax.set_xticks(range(len(figures)), list(figures))
    ax.set(ylim=(0, 1), ylabel="mean over test galaxies")
    ax.legend(ncols=len(means), loc="upper center", bbox_to_anchor=(0.5, 1.2), fontsize=7)
    return drawing


def map_folders(bars: Bars) -> list[Path]:
    return [OUT / model / "heatmaps" / str(bars.xai.smoothgrad.smooth_noise) for model in bars.models]


def small_image(bars: Bars, asset_id: int, size: int) -> np.ndarray:
    image: Image.Image = read_image(Path(bars.data.path) / survey.CATALOGUE_IMAGES / f"{asset_id}.jpg")
    return shrink(image, bars.data.crop, size)


if __name__ == "__main__":
    main()
