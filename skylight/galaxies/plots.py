"""The figures of the galaxy-bars chapter."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skylight import plotting
from skylight.galaxies.arrays import grey
from skylight.galaxies.bar_length import angle_between, bar_ends, bar_pixels
from skylight.galaxies.catalogue import PIXELS
from skylight.galaxies.map_scores import CENTRE, CHANCE, METRICS
from skylight.galaxies.questions import QUESTIONS, answers_to

LABELS = {
    "vgg16": "VGG16",
    "resnet50v2": "ResNet50V2",
    "xception": "Xception",
    "averageheatmaps": "mean heatmap",
    "averagemeasurements": "mean length",
    CENTRE: "centred Gaussian",
    CHANCE: "random order",
}
"""Names of networks and estimators in figures; other names are shown unchanged."""
BAR = {"color": plotting.COLOURS[1], "lw": 1.5, "marker": "o", "ms": 2.5}
OUTLINE = {"colors": "white", "linewidths": 0.8}  # of the true bar


def label(name: str) -> str:
    """Return the name of a network or estimator in figures."""
    return LABELS.get(name, name)


def bars_on_maps(
    galaxies: pd.DataFrame,
    images: Sequence[np.ndarray],
    heatmaps: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    settings: pd.DataFrame,
) -> Figure:
    """Draw galaxies and their heatmaps, with the bar that was measured on each map, its length, and what is wrong.

    On the image is the bar of the first estimator, multiplied by its scale factor.

    Parameters
    ----------
    galaxies : pandas.DataFrame
        ``hoyle_length`` and the lengths by the estimators, arcsec; one row per row of the figure.
    images : sequence of np.ndarray, shape (H, H, 3), uint8
    heatmaps : sequence of np.ndarray, shape (E, H, H)
        Maps of the estimators, in the order of the rows of ``settings``.
    masks : sequence of np.ndarray, shape (H, H), bool
        The true bars, which are outlined; empty where none is known.
    settings : pandas.DataFrame
        ``corr_threshold``, ``len_threshold``, ``xinput`` and ``scale`` of the E estimators, by name (the index), the
        best one first.
    """
    rows, columns = len(galaxies), len(settings) + 1
    size = plotting.PAGE, plotting.PAGE * rows / columns
    figure, axes = plt.subplots(rows, columns, figsize=size, subplot_kw={"xticks": [], "yticks": []}, squeeze=False)
    for row, (_, galaxy), image, maps, mask in zip(axes, galaxies.iterrows(), images, heatmaps, masks, strict=True):
        row[0].imshow(image, origin="upper")
        for ax in row[: len(row) * mask.any()]:
            ax.contour(mask, [0.5], **OUTLINE)
        for ax, heatmap, setting in zip(row[1:], maps, settings.itertuples(), strict=True):
            scanned = heatmap * grey(image) if setting.xinput else heatmap
            ends = bar_ends(bar_pixels(scanned, setting.corr_threshold, int(setting.len_threshold)))
            ax.imshow(heatmap, origin="upper", cmap=plotting.SEQUENTIAL, vmin=0, vmax=1)
            ax.plot(ends[:, 1], ends[:, 0], **BAR)
            error = galaxy[setting.Index] - galaxy["hoyle_length"]
            turned = f", {angle_between(ends, bar_ends(mask)):.0f}°" if mask.any() else ""
            measured = f"{galaxy[setting.Index]:.1f}″ ({error:+.1f}″{turned})".replace("-", "−")
            ax.set_xlabel(measured, fontsize=7, labelpad=2)
            if setting.Index == settings.index[0]:
                middle = ends.mean(axis=0)
                ends = middle + setting.scale * (ends - middle)
                row[0].plot(ends[:, 1], ends[:, 0], **BAR)
        row[0].set_xlabel(f"people: {galaxy['hoyle_length']:.1f}″", fontsize=7, labelpad=2)
    for ax, title in zip(axes[0], ["galaxy", *map(label, settings.index)], strict=True):
        ax.set_title(title, fontsize=8)
    return figure


def training_curves(runs: Mapping[str, Mapping[str, Sequence[float]]], quantity: str) -> Figure:
    """Draw the root mean squared errors of trainings by epoch: name -> curves (`skylight.plotting.read_curves`)."""
    figure = plotting.training_curves({label(name): curves for name, curves in runs.items()}, ["rmse"])
    figure.axes[0].set_ylabel(f"RMSE of the {quantity}")
    return figure


def length_scatter(lengths: pd.DataFrame, correlations: Mapping[str, float]) -> Figure:
    """Draw measured lengths against those of people, with contours of their density.

    Parameters
    ----------
    lengths : pandas.DataFrame
        ``hoyle_length`` and the lengths of each estimator, arcsec; one row per galaxy.
    correlations : mapping
        Estimator -> correlation, one panel each.
    """
    columns = len(correlations)
    size = plotting.PAGE, plotting.PAGE / columns
    figure, axes = plt.subplots(1, columns, figsize=size, sharex=True, sharey=True)
    limit = 1.05 * lengths[["hoyle_length", *correlations]].to_numpy().max()
    for ax, (name, r), colour in zip(axes, correlations.items(), plotting.COLOURS, strict=False):
        points = {"x": lengths["hoyle_length"], "y": lengths[name], "color": colour, "ax": ax}
        seaborn.kdeplot(**points, levels=4, thresh=0.1, linewidths=0.7, alpha=0.6, warn_singular=False)
        seaborn.scatterplot(**points, s=10, alpha=0.8, linewidth=0)
        ax.plot([0, limit], [0, limit], color="black", lw=0.8)
        ax.set(xlim=(0, limit), ylim=(0, limit), aspect="equal", title=f"{label(name)}: r = {r:.2f}")
        ax.set(xlabel="length by people (arcsec)", ylabel="measured length (arcsec)")
    return figure


def parameter_grid(tried: pd.DataFrame, tested: pd.DataFrame) -> Figure:
    """Draw the correlation with people for all settings; circles mark the settings of the test part.

    Parameters
    ----------
    tried : pandas.DataFrame
        Rows of `skylight.galaxies.length_scores.score_grid`.
    tested : pandas.DataFrame
        Setting of each estimator on the test part, by name (the index).
    """
    names, xinputs = tried["model"].unique(), tried["xinput"].unique()
    rows, columns = len(xinputs), len(names)
    size = plotting.PAGE, 1.75 * rows + 0.4
    figure, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for row, xinput in zip(axes, xinputs, strict=True):
        for ax, name in zip(row, names, strict=True):
            part = tried[(tried["model"] == name) & (tried["xinput"] == xinput)]
            cells = part.pivot_table(index="corr_threshold", columns="len_threshold", values="correlation")
            shown = ax.imshow(cells, vmin=0.4, vmax=1, cmap=plotting.SEQUENTIAL, aspect="auto")
            ax.set_xticks(range(cells.shape[1]), cells.columns, fontsize=7, rotation=90)
            ax.set_yticks(range(cells.shape[0]), cells.index, fontsize=7)
            _mark_setting(ax, cells, tested.loc[name], xinput)
        row[0].set_ylabel("map x image" if xinput else "map", fontsize=8)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(label(name), fontsize=8)
    figure.supxlabel("len_threshold (pixels)", fontsize=8)
    figure.supylabel("corr_threshold", fontsize=8)
    figure.colorbar(shown, ax=axes, label="correlation with people", extend="min")
    return figure


def _mark_setting(axes: Axes, cells: pd.DataFrame, setting: pd.Series, xinput: bool) -> None:
    row, column = setting["corr_threshold"], setting["len_threshold"]
    if setting["xinput"] == xinput and row in cells.index and column in cells:
        place = cells.columns.get_loc(column), cells.index.get_loc(row)
        axes.plot(*place, "o", ms=5, mfc="none", mec=plotting.COLOURS[1])


def vote_differences(difference: pd.DataFrame) -> Figure:
    """Draw the distribution of predicted minus true vote fractions, one box per question.

    Parameters
    ----------
    difference : pandas.DataFrame
        One column per answer, one row per galaxy.
    """
    table = {f"{q} {text}": difference[answers_to(q)].to_numpy().ravel() for q, (text, *_) in QUESTIONS.items()}
    long = pd.concat([pd.DataFrame({"question": name, "difference": found}) for name, found in table.items()])
    figure, ax = plt.subplots(figsize=(plotting.PAGE, 3))
    style = {"whis": (2.5, 97.5), "showfliers": False, "color": plotting.COLOURS[5], "width": 0.6, "linewidth": 0.9}
    seaborn.boxplot(long, x="difference", y="question", ax=ax, **style)
    ax.axvline(0, color="black", lw=0.6, zorder=0)
    ax.set(xlabel="vote fraction, ensemble − volunteers", ylabel="")
    return figure


def localisation_bars(scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Figure:
    """Draw localisation metrics with their errors: one group of bars per metric; the controls are grey.

    Parameters
    ----------
    scores : mapping
        Name -> metric -> ``mean`` and ``error`` (`skylight.galaxies.map_scores.localisation`), the controls last.
    """
    figure, ax = plt.subplots(figsize=(plotting.PAGE, 2.8))
    colours = [*plotting.COLOURS[: len(scores) - 2], "#888888", "#CCCCCC"]
    width = 0.8 / len(scores)
    for i, ((name, row), colour) in enumerate(zip(scores.items(), colours, strict=True)):
        places = np.arange(len(METRICS)) + (i - (len(scores) - 1) / 2) * width
        means, errors = ([row[metric][key] for metric in METRICS] for key in ("mean", "error"))
        ax.bar(places, means, width, yerr=errors, color=colour, label=label(name), error_kw={"lw": 0.8})
    ax.set_xticks(range(len(METRICS)), METRICS)
    ax.set(ylim=(0, 1.02), ylabel="mean over test galaxies")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(scores), fontsize=7, columnspacing=1)
    return figure


def measured_bar(picture: np.ndarray, heatmap: np.ndarray, ends: np.ndarray, crop: int, title: str) -> Figure:
    """Draw a galaxy with its measured bar, beside the map that it was measured on.

    Parameters
    ----------
    picture : np.ndarray, shape (P, P, 3), uint8
        The whole picture, at its own resolution.
    heatmap : np.ndarray, shape (H, H)
        Map of the central ``crop`` of 424 pixels of the picture.
    ends : np.ndarray, shape (2, 2)
        Of the bar, ``[[row, column], [row, column]]``, in pixels of the map.
    crop : int
    title : str
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(plotting.PAGE, plotting.PAGE * 0.56), subplot_kw={"xticks": [], "yticks": []}
    )
    width = len(picture) * crop / PIXELS
    on_picture = (ends + 0.5) * width / len(heatmap) + (len(picture) - width) / 2 - 0.5
    left.imshow(picture, origin="upper")
    left.plot(on_picture[:, 1], on_picture[:, 0], **BAR)
    left.set_title("galaxy")
    shown = right.imshow(heatmap, origin="upper", cmap=plotting.SEQUENTIAL, vmin=0, vmax=1)
    right.plot(ends[:, 1], ends[:, 0], **BAR)
    right.set_title("centre: mean heatmap of the networks")
    figure.colorbar(shown, ax=right, shrink=0.8).ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=10)
    return figure
