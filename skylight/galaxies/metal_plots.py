"""The figures of the metallicity chapter."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from skylight import plotting
from skylight.galaxies.local_metallicity import LocalMetallicity
from skylight.galaxies.metal_scores import CONTROLS
from skylight.galaxies.metallicity import ANSWERS

CLASS_COLOURS = {"low": plotting.COLOURS[0], "medium": plotting.COLOURS[6], "high": plotting.COLOURS[1]}
OVERLAY = {"alpha": 0.6, "interpolation": "bicubic", "cmap": "inferno", "origin": "upper"}
"""How the published figures draw a map over its image."""
NO_TICKS = {"xticks": [], "yticks": []}


def learning_rates(sweep: pd.DataFrame, suggested: Mapping[str, float]) -> Figure:
    """Draw the loss against the learning rate of the range test, and the suggested rates.

    Parameters
    ----------
    sweep : pandas.DataFrame
        ``learning_rate``, ``loss``, ``smoothed``.
    suggested : mapping
        Name -> learning rate.
    """
    figure, ax = plt.subplots(figsize=(plotting.COLUMN * 1.3, 2.6))
    ax.plot(sweep["learning_rate"], sweep["loss"], color="#BBBBBB", lw=0.8, label="loss of a batch")
    ax.plot(sweep["learning_rate"], sweep["smoothed"], color=plotting.COLOURS[0], label="smoothed")
    for (name, rate), colour in zip(suggested.items(), plotting.COLOURS[1:], strict=False):
        text = {"minimum": "minimum / 10", "steepest": "steepest"}.get(name, name)
        ax.axvline(rate, color=colour, ls="--", lw=1, label=f"{text}: {rate:.1e}")
    top = 1.3 * sweep["smoothed"].max()
    ax.set(xscale="log", xlabel="learning rate", ylabel="cross-entropy", ylim=(0, top))
    ax.legend(loc="lower left", fontsize=7)
    return figure


def test_figure(counts: pd.DataFrame, bins: pd.DataFrame, predictions: pd.DataFrame) -> Figure:
    """Draw the confusion matrix, the calibration, and the probabilities of the network by metallicity.

    Parameters
    ----------
    counts : pandas.DataFrame
        Confusion matrix in counts, one row per true class.
    bins : pandas.DataFrame
        Of `skylight.galaxies.metal_scores.calibration`.
    predictions : pandas.DataFrame
        ``oh_p50``, ``class``, ``p_low``.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(plotting.PAGE, 2.5))
    plotting.draw_confusion(left, counts, "validation galaxies")
    middle.plot([0, 1], [0, 1], color="black", lw=0.6)
    middle.plot(bins["predicted"], bins["observed"], "o-", ms=3.5)
    middle.set(
        xlabel="predicted probability of low", ylabel="share of low galaxies", title="calibration", aspect="equal"
    )
    for name in ANSWERS:
        some = predictions[predictions["class"] == name]
        right.scatter(some["oh_p50"], some["p_low"], s=3, color=CLASS_COLOURS[name], label=name, linewidths=0)
    right.set(xlabel="12 + log(O/H)", ylabel="predicted probability of low")
    right.legend(markerscale=3)
    return figure


def gradcam_of_both(
    images: np.ndarray,
    maps: np.ndarray,
    galaxies: pd.DataFrame,
    truths: Sequence[LocalMetallicity] | None = None,
    radius: float = 2.0,
) -> Figure:
    """Draw galaxies with their maps of low and of high as published, then without ReLU, and where the metals are.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, H, 3), uint8
    maps : np.ndarray, shape (N, H, H, 2)
        Grad-CAM without its ReLU, in the order of `ANSWERS`.
    galaxies : pandas.DataFrame
        ``objID``, ``p_low``, and ``class`` where it is known.
    truths : sequence of LocalMetallicity, optional
        The last column, if known.
    radius : float
        Effective radii to which the metallicity is drawn.
    """
    columns = 4 + (truths is not None)
    size = plotting.PAGE, plotting.PAGE / columns * len(images) * 1.13
    figure, axes = plt.subplots(len(images), columns, figsize=size, subplot_kw=NO_TICKS, squeeze=False)
    low, high = (maps[..., ANSWERS.index(name)] for name in ("low", "high"))
    for row, (ax, image, galaxy) in enumerate(zip(axes, images, galaxies.itertuples(), strict=True)):
        true = f", {galaxies['class'].iloc[row]}" if "class" in galaxies else ""
        ax[0].imshow(image, origin="upper")
        ax[0].set_title(f"{galaxy.objID}{true}", fontsize=6.5)
        for axis, values, text in (
            (ax[1], low[row], f"low: p = {galaxy.p_low:.3f}"),
            (ax[2], high[row], f"high: p = {1 - galaxy.p_low:.3f}"),
        ):
            axis.imshow(image, origin="upper")
            axis.imshow(np.maximum(values, 0), **OVERLAY)
            axis.set_title(text, fontsize=7)
        difference = low[row] - high[row]
        ax[3].imshow(difference, origin="upper", cmap=plotting.DIVERGING, norm=plotting.diverging_norm(difference))
        ax[3].set_title("low − high, signed", fontsize=7)
        if truths is not None:
            _draw_metals(ax[4], truths[row], radius)
    return figure


def _draw_metals(axes: Axes, truth: LocalMetallicity, radius: float) -> None:
    """Draw the true local metallicity within some effective radii."""
    inside = (truth.radius <= radius) & ~truth.parts["neighbours"]
    values = np.where(inside, truth.metallicity, np.nan)
    axes.imshow(values, origin="upper", cmap=plotting.SEQUENTIAL)
    axes.set_facecolor("#EEEEEE")
    axes.set_title(f"true 12 + log(O/H)\n{np.nanmin(values):.2f} to {np.nanmax(values):.2f}", fontsize=6.5)


def agreement(table: pd.DataFrame) -> Figure:
    """Draw the rank correlation of maps with the true metallicity: maps of both classes and controls, then all methods.

    Parameters
    ----------
    table : pandas.DataFrame
        ``map``, ``group``, ``mean``, ``error``, ``n``.
    """
    table = table.dropna(subset="mean")  # a map may be constant on every galaxy
    groups = [table[table["group"] == group] for group in ("maps", "methods")]
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 3.6), sharex=True)
    for ax, some in zip(axes, groups, strict=True):
        some = some.iloc[::-1] if some["group"].eq("maps").all() else some.sort_values("mean")
        colours = ["#BBBBBB" if name in CONTROLS else plotting.COLOURS[0] for name in some["map"]]
        ax.barh(some["map"], some["mean"], xerr=some["error"], color=colours, error_kw={"lw": 0.8})
        ax.axvline(0, color="black", lw=0.6)
        ax.tick_params(axis="y", labelsize=7)
        ax.set_xticks([-0.5, 0, 0.5, 1])
        ax.set_title(f"{int(some['n'].max())} galaxies", fontsize=8)
    figure.supxlabel("rank correlation with the metals, in the direction of the class", fontsize=8)
    return figure


def parts(table: pd.DataFrame) -> Figure:
    """Draw on which part of the galaxy the evidence of each map lies.

    Parameters
    ----------
    table : pandas.DataFrame
        ``map``, ``part``, ``mean``.
    """
    shares = table.pivot_table(index="map", columns="part", values="mean", sort=False).iloc[::-1]
    figure, ax = plt.subplots(figsize=(plotting.PAGE, 3.2))
    left = np.zeros(len(shares))
    for part, colour in zip(shares, (*plotting.COLOURS[:4], "#DDDDDD"), strict=True):
        ax.barh(shares.index, shares[part], left=left, color=colour, label=part)
        left = left + shares[part].to_numpy()
    ax.set(xlim=(0, 1), xlabel="share of the positive values of the map")
    ax.tick_params(axis="y", labelsize=7)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=5)
    return figure


def regression(table: pd.DataFrame, metrics: Mapping) -> Figure:
    """Draw predicted against true metallicities.

    Parameters
    ----------
    table : pandas.DataFrame
        ``oh_p50``, ``predicted``, ``class``.
    metrics : mapping
        Name of a predictor -> ``rmse`` and others.
    """
    figure, ax = plt.subplots(figsize=(plotting.COLUMN, plotting.COLUMN))
    for name, some in table.groupby("class"):
        ax.scatter(some["oh_p50"], some["predicted"], s=3, color=CLASS_COLOURS[name], label=name, linewidths=0)
    limits = (8.1, 9.3)
    ax.plot(limits, limits, color="black", lw=0.6)
    lines = [f"{label}: {metrics[key]['rmse']:.3f} dex" for key, label in _PREDICTORS.items() if key in metrics]
    ax.text(0.03, 0.97, "RMSE\n" + "\n".join(lines), transform=ax.transAxes, va="top", fontsize=7)
    ax.set(xlim=limits, ylim=limits, aspect="equal", xlabel="12 + log(O/H)", ylabel="predicted 12 + log(O/H)")
    ax.legend(loc="lower right", markerscale=3)
    return figure


_PREDICTORS = {"network": "network", "mass": "mass alone", "mean": "the mean"}


def feature_planes(table: pd.DataFrame) -> Figure:
    """Draw the planes of PCA and UMAP, coloured by metallicity, redshift and colour.

    Parameters
    ----------
    table : pandas.DataFrame
        ``pca_1``, ``pca_2``, ``umap_1``, ``umap_2``, ``oh_p50``, ``z``, ``g_r``.
    """
    figure, axes = plt.subplots(2, 3, figsize=(plotting.PAGE, 4.4), subplot_kw=NO_TICKS)
    quantities = {"oh_p50": "12 + log(O/H)", "z": "redshift", "g_r": "g − r (mag)"}
    for row, plane in zip(axes, ("pca", "umap"), strict=True):
        for ax, (column, text) in zip(row, quantities.items(), strict=True):
            low, high = table[column].quantile([0.02, 0.98])
            style = {"s": 3, "linewidths": 0, "cmap": plotting.SEQUENTIAL, "vmin": low, "vmax": high}
            points = ax.scatter(table[f"{plane}_1"], table[f"{plane}_2"], c=table[column], **style)
            if plane == "pca":
                ax.set_title(text)
            figure.colorbar(points, ax=ax).ax.tick_params(labelsize=6)
        row[0].set_ylabel(plane.upper())
    return figure


def images_on_plane(table: pd.DataFrame, images: np.ndarray, cells: int = 14) -> Figure:
    """Draw the image of one galaxy in each cell of the plane of UMAP that has any.

    Parameters
    ----------
    table : pandas.DataFrame
        ``umap_1``, ``umap_2``; one row per image.
    images : np.ndarray, shape (N, H, H, 3), uint8
        May be mapped from a file.
    cells : int
        In each direction.
    """
    places = table[["umap_1", "umap_2"]].to_numpy()
    scaled = (places - places.min(axis=0)) / np.maximum(np.ptp(places, axis=0), 1e-9)
    numbers = np.minimum((scaled * cells).astype(int), cells - 1)
    figure, ax = plt.subplots(figsize=(plotting.PAGE, plotting.PAGE), subplot_kw=NO_TICKS)
    ax.set(xlim=(0, cells), ylim=(0, cells), xlabel="UMAP 1", ylabel="UMAP 2", aspect="equal")
    for cell in np.unique(numbers, axis=0):
        inside = np.flatnonzero((numbers == cell).all(axis=1))
        middle = (cell + 0.5) / cells
        nearest = inside[np.hypot(*(scaled[inside] - middle).T).argmin()]
        picture = OffsetImage(images[nearest][16:-16, 16:-16] if images.shape[1] > 64 else images[nearest], zoom=0.55)
        ax.add_artist(AnnotationBbox(picture, cell + 0.5, frameon=False, pad=0))
    return figure


def maps_of_methods(image: np.ndarray, maps: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw the map of every method for one galaxy.

    Parameters
    ----------
    image : np.ndarray, shape (H, H, 3), uint8
    maps : mapping
        Name -> map (H, H).
    title : str
    """
    columns = 5
    rows = -(-(len(maps) + 1) // columns)
    size = plotting.PAGE, plotting.PAGE / columns * rows * 1.12
    figure, axes = plt.subplots(rows, columns, figsize=size, subplot_kw=NO_TICKS)
    for ax in axes.flat[len(maps) + 1 :]:
        ax.axis("off")
    axes.flat[0].imshow(image, origin="upper")
    axes.flat[0].set_title("galaxy", fontsize=7)
    for ax, (name, values) in zip(axes.flat[1:], maps.items(), strict=False):
        if values.min() < 0:
            ax.imshow(values, origin="upper", cmap=plotting.DIVERGING, norm=plotting.diverging_norm(values))
        else:
            ax.imshow(values, origin="upper", cmap="magma")
        ax.set_title(name.replace("_", " "), fontsize=7)
    figure.suptitle(title, fontsize=9)
    return figure


def regression_saliency(images: np.ndarray, saliency: np.ndarray, cams: np.ndarray, galaxies: pd.DataFrame) -> Figure:
    """Draw the saliency of the regression beside the signed map of the classifier.

    Parameters
    ----------
    images : np.ndarray, shape (N, H, H, 3), uint8
    saliency : np.ndarray, shape (N, H, H)
        Gradient of the predicted metallicity with respect to the image, summed over the colours.
    cams : np.ndarray, shape (N, H, H)
        Map of low minus that of high.
    galaxies : pandas.DataFrame
        ``oh_p50``, ``predicted``.
    """
    size = plotting.PAGE, plotting.PAGE / len(images) * 3.25
    figure, axes = plt.subplots(3, len(images), figsize=size, subplot_kw=NO_TICKS, squeeze=False)
    for column, (image, one, cam, row) in enumerate(zip(images, saliency, cams, galaxies.itertuples(), strict=True)):
        axes[0, column].imshow(image, origin="upper")
        axes[0, column].set_title(f"{row.oh_p50:.2f}, predicted {row.predicted:.2f}", fontsize=7)
        for ax, values in ((axes[1, column], one), (axes[2, column], -cam)):
            ax.imshow(values, origin="upper", cmap=plotting.DIVERGING, norm=plotting.diverging_norm(values))
    for ax, text in zip(axes[:, 0], ("12 + log(O/H)", "regression:\ngradient", "classes:\nhigh − low"), strict=True):
        ax.set_ylabel(text, fontsize=8)
    return figure
