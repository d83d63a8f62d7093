"""The figures of the chapter: triplets, error rates, class maps, and the maps that explain one alert."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skylight import plotting
from skylight.alerts.realism import QUANTITIES
from skylight.alerts.triplets import CHANNELS, CLASSES, FILLING
from skylight.plotting import MAP_TITLES, SCORE_TITLES, draw_map, map_scale, map_title

MASKED = "#d8b365"
LINEAR = ("fwhm", "axis_ratio", "hole", "masked_share")
SHOWN = {"fwhm": (0, 6), "hole": (-0.1, 1.5), "crowding": (5e-4, 1), "noise": (3, 100)}
"""Quantities with a linear axis, and the range of the axis where a few outliers would set it."""


def draw_cutout(axes: Axes, pixels: np.ndarray) -> None:
    """Draw one normalised cutout (63, 63) in grey, from 2 sigma below the sky to at least 10 above it.

    Masked and missing pixels are sand-coloured.
    """
    masked = (pixels == 0) | (pixels == FILLING)
    good = pixels[~masked]
    level = np.median(good) if good.size else 0
    noise = 1.4826 * np.median(np.abs(good - level)) if good.size else 1
    top = max(level + 10 * noise, np.quantile(good, 0.997)) if good.size else 1
    cmap = plt.get_cmap("gray").with_extremes(bad=MASKED)
    axes.imshow(np.where(masked, np.nan, pixels), cmap=cmap, vmin=level - 2 * noise, vmax=top)
    axes.set(xticks=[], yticks=[])


def draw_triplet(axes: list[Axes], triplet: np.ndarray, titles: bool = True) -> None:
    """Draw the three cutouts of a triplet (63, 63, 3), each on its own scale."""
    for channel, (ax, name) in enumerate(zip(axes, CHANNELS, strict=True)):
        draw_cutout(ax, triplet[..., channel])
        if titles:
            ax.set_title(name)


def nine_panels(triplet: np.ndarray, maps: dict[str, np.ndarray], title: str, score: str) -> Figure:
    """Draw the published figure of one alert: its cutouts; Grad-CAM, saliency and blanking; SHAP of each cutout.

    Parameters
    ----------
    triplet : (63, 63, 3)
    maps : dict
        Name -> map of this alert, (63, 63, 1); ``deep_shap`` is (63, 63, 3).
    title : str
    score : str
        What the maps explain.
    """
    figure, axes = plt.subplots(3, 3, figsize=(plotting.PAGE, plotting.PAGE * 0.93))
    draw_triplet(list(axes[0]), triplet)
    for ax, name in zip(axes[1], ("gradcam", "saliency", "blanking"), strict=True):
        draw_map(figure, ax, maps[name][..., 0], map_scale(name, maps[name]))
        ax.set(xticks=[], yticks=[], title=map_title(name, score))
    scale = map_scale("deep_shap", maps["deep_shap"], percentile=99.9)  # one scale, to compare the cutouts
    for channel, (ax, name) in enumerate(zip(axes[2], CHANNELS, strict=True)):
        draw_map(figure, ax, maps["deep_shap"][..., channel], scale)
        ax.set(xticks=[], yticks=[], title=f"SHAP of {name}\n(share of the {SCORE_TITLES[score]})")
    figure.suptitle(title, fontsize=10)
    return figure


def examples(triplets: dict[str, np.ndarray], rows: int) -> Figure:
    """Draw triplets of two classes side by side.

    Parameters
    ----------
    triplets : dict
        Name of the class -> (N, 63, 63, 3), up to ``rows`` of each.
    rows : int
    """
    figure = plt.figure(figsize=(plotting.PAGE, 1.17 * rows))
    halves = figure.subfigures(1, len(triplets))
    for half, (name, members) in zip(halves, triplets.items(), strict=True):
        axes = half.subplots(rows, len(CHANNELS))
        for line in axes[len(members) :].flat:
            line.remove()
        for number, (line, triplet) in enumerate(zip(axes, members, strict=False)):
            draw_triplet(list(line), triplet, titles=number == 0)
        half.suptitle(name, fontsize=10)
    return figure


def error_curves(rates: pd.DataFrame, metrics: dict) -> Figure:
    """Draw the ROC curve, and both error rates against the threshold on the score, as in braai's paper.

    Parameters
    ----------
    rates : DataFrame
        Of `skylight.evaluation.classification.error_rates`.
    metrics : dict
        ``alerts`` (number), ``roc_auc``, ``false_negative_rate`` and ``false_positive_rate`` at a threshold of 0.5.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.9))
    left.plot(rates["fpr"], 1 - rates["fnr"], drawstyle="steps-post")
    left.plot([0, 1], [0, 1], ":", color="0.5", lw=0.8)
    left.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    left.set_title(f"ROC, area {metrics['roc_auc']:.4f}, {metrics['alerts']:,} test alerts")
    finite = np.isfinite(rates["threshold"])
    for name, label in (("fnr", "false negatives / real"), ("fpr", "false positives / bogus")):
        # Between two scores the rate is that of the higher one.
        right.plot(rates["threshold"][finite], 100 * rates[name][finite], drawstyle="steps-post", label=label)
    right.axvline(0.5, color="0.5", lw=0.8, ls=":")
    right.set_yscale("symlog", linthresh=100 / metrics["alerts"])
    right.set_yticks([0, 0.5, 1, 2, 5, 10, 20, 50, 100], ["0", "0.5", "1", "2", "5", "10", "20", "50", "100"])
    right.minorticks_off()
    right.set(xlabel="threshold on the score", ylabel="rate (%)", xlim=(0, 1), ylim=(0, 100))
    fnr, fpr = 100 * metrics["false_negative_rate"], 100 * metrics["false_positive_rate"]
    right.set_title(f"at 0.5: {fnr:.1f} % of real, {fpr:.1f} % of bogus misclassified")
    right.legend(loc="upper center")
    return figure


def class_maps(table: pd.DataFrame, differences: dict[str, np.ndarray], generated: np.ndarray) -> Figure:
    """Draw the class maps: one row per subcategory, and for each kind of map the alert shown and the generated map.

    Parameters
    ----------
    table : DataFrame
        One row per subcategory and kind of map, in this order: ``subcategory``, ``map``, ``candid`` of the alert,
        ``score`` (structural similarity), and ``note``, which says why there is no picture.
    differences : dict
        ``candid`` -> (63, 63), the difference image of the alert.
    generated : (subcategories, kinds of map, 63, 63)
    """
    subcategories, kinds = (list(dict.fromkeys(table[name])) for name in ("subcategory", "map"))
    size = (plotting.PAGE * 1.55, 1.3 * len(subcategories) + 0.4)
    figure, axes = plt.subplots(len(subcategories), 2 * len(kinds), figsize=size, squeeze=False)
    pairs = zip(axes.reshape(-1, 2), table.itertuples(), generated.reshape(-1, *generated.shape[2:]), strict=True)
    for (image, picture), row, values in pairs:
        if row.note:
            for ax in (image, picture):
                ax.set_axis_off()
            words = textwrap.fill(row.note, 24)
            reason = image.text(1.0, 0.5, words, ha="center", va="center", transform=image.transAxes, fontsize=6)
            reason.set_in_layout(False)
        else:
            draw_cutout(image, differences[row.candid])
            # Up to the maximum: in a map of few pixels, values below the 99.5th percentile are mostly noise.
            draw_map(figure, picture, values, map_scale(row.map, values, percentile=100))
            picture.set(xticks=[], yticks=[])
            picture.set_title(f"similarity {row.score:.2f}", fontsize=7)
    for kind, image, picture in zip(kinds, axes[0, ::2], axes[0, 1::2], strict=True):
        title = MAP_TITLES[kind][0] + (" of DIFF" if kind == "deep_shap" else "")
        picture.set_title(f"{title}\n{picture.get_title()}", fontsize=8)
        image.set_title("DIFF", fontsize=8)
    for ax, subcategory in zip(axes[:, 0], subcategories, strict=True):
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(subcategory.replace("_", "\n", 1).replace("_", " "), fontsize=8)
    return figure


def realism(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw the cumulative distributions of the ten quantities: a colour for each class, a line style for each survey.

    Parameters
    ----------
    tables : dict
        Name of a survey -> its quantities, as `skylight.alerts.realism.measured` returns them. The first is dashed.
    """
    figure, axes = plt.subplots(2, 5, figsize=(plotting.PAGE * 1.3, 4.6), sharey=True)
    for ax, (quantity, label) in zip(axes.flat, QUANTITIES.items(), strict=True):
        for (survey, table), style in zip(tables.items(), ("--", "-"), strict=False):
            for name, colour in zip(CLASSES, plotting.COLOURS[1::-1], strict=True):
                values = np.sort(table.loc[table["class"] == name, quantity].dropna())
                share = np.arange(1, len(values) + 1) / max(len(values), 1)
                ax.plot(values, share, style, color=colour, lw=1.2, label=f"{name}, {survey} ({len(values):,})")
        if quantity not in LINEAR:
            ax.set_xscale("log")
            ax.xaxis.set_minor_formatter("")
        ax.set_xlim(*SHOWN.get(quantity, (None, None)))
        ax.set_xlabel(label)
    for ax in axes[:, 0]:
        ax.set(ylabel="cumulative share", ylim=(0, 1))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def maximization(images: np.ndarray) -> Figure:
    """Draw the input that maximises each output, (2, 63, 63, 3), cutout by cutout."""
    figure, axes = plt.subplots(len(CLASSES), len(CHANNELS), figsize=(plotting.PAGE * 0.8, 3.6))
    for line, image, name in zip(axes, images, CLASSES, strict=True):
        for channel, ax in enumerate(line):
            shown = ax.imshow(image[..., channel], cmap="gray", vmin=images.min(), vmax=images.max())
            ax.set(xticks=[], yticks=[], title=CHANNELS[channel])
        line[0].set_ylabel(name)
    figure.colorbar(shown, ax=axes, label="pixel of a normalised cutout", shrink=0.8)
    return figure
