"""Figures of light curves, dmdt images, predictions and the maps that explain single objects."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skylight import plotting
from skylight.light_curves.curve import LightCurve
from skylight.params.light_curves import CrtsLayout, Data
from skylight.params.periodic import Dmdt

DMDT_LABEL = "255 x share of pairs"
FEATURE_TITLES = {
    "mean": "mean magnitude",
    "min": "brightest magnitude",
    "max": "faintest magnitude",
    "amplitude": "amplitude",
    "beyond_1_sigma": "share beyond 1 sigma",
    "flux_percentile_ratio_mid20": "share of flux spread, middle 20 %",
    "flux_percentile_ratio_mid35": "share of flux spread, middle 35 %",
    "flux_percentile_ratio_mid50": "share of flux spread, middle 50 %",
    "flux_percentile_ratio_mid65": "share of flux spread, middle 65 %",
    "flux_percentile_ratio_mid80": "share of flux spread, middle 80 %",
    "linear_trend": "linear trend",
    "max_slope": "steepest slope",
    "median_absolute_deviation": "median absolute deviation",
    "median_buffer_range_percentage": "share near the median",
    "pair_slope_trend": "rising minus falling, last 30 points",
    "percent_difference_flux_percentile": "flux spread, 5 to 95 %",
    "skew": "skewness",
    "small_kurtosis": "kurtosis",
    "std": "standard deviation",
    "stetson_j": "Stetson J",
    "stetson_k": "Stetson K",
}
"""What the features of `skylight.light_curves.features` are called in figures."""


def counts_scale(image: np.ndarray) -> tuple[colors.Normalize, str]:
    """Return norm and colour map of a dmdt image. Square root: cells span three decades and many are empty."""
    return colors.PowerNorm(0.5, vmin=0, vmax=np.nan_to_num(image).max() or 1), plotting.SEQUENTIAL


def draw_map(
    figure: Figure, axes: Axes, image: np.ndarray, scale: tuple, grid: Dmdt, every: int, missing: str = "no object"
) -> None:
    """Draw a dmdt image, or a map of it, with dm and dt ticks; all cells have one size.

    Parameters
    ----------
    figure, axes, scale, missing
        As in `skylight.plotting.draw_map`.
    image : (rows, columns) array
        Rows by ascending dm (mag), columns by ascending dt (days); all NaN where there is no image.
    grid : Dmdt
    every : int
        Number of cells between two ticks. There is always a tick at 0.
    """
    plotting.draw_map(figure, axes, image, scale, missing)
    axes.set_aspect("auto")
    for axis, edges in ((axes.xaxis, grid.dt_edges), (axes.yaxis, grid.dm_edges)):
        ticks = np.arange(np.argmin(np.abs(edges)) % every, len(edges), every)
        axis.set_ticks(ticks - 0.5, [_edge(edges[i]) for i in ticks], fontsize=6 if every == 1 else 7)
    axes.tick_params(axis="x", rotation=90)


def _edge(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:g}"


def time_label(survey: Data) -> str:
    """Return the label of the times of a survey: the name of their column, where it has one."""
    column = "MJD" if isinstance(survey, CrtsLayout) else survey.columns.time
    return f"{column if isinstance(column, str) else 'time'} (days)"


def show_light_curve(
    axes: Axes, time: np.ndarray, mag: np.ndarray, magerr: np.ndarray, label: str = "time (days)"
) -> None:
    """Draw magnitudes with errors against time, bright at the top; an error of 0 or less is not known."""
    axes.errorbar(time, mag, np.maximum(magerr, 0), fmt=".", ms=3, lw=0, elinewidth=0.6, ecolor="0.7")
    axes.set(xlabel=label, ylabel="magnitude")
    axes.invert_yaxis()


def panels(count: int, columns: int, size: tuple[float, float], **options) -> tuple[Figure, list[Axes]]:
    """Make a grid of ``count`` axes; ``size`` is that of one axes, inches."""
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False, **options)
    for extra in axes.flat[count:]:
        extra.remove()
    return figure, list(axes.flat[:count])


def grid_of_maps(rows: Sequence[str], titles: Sequence[str], width: float) -> tuple[Figure, np.ndarray]:
    """Make axes (rows, columns) with dm and dt as shared axes, one label per row and one title per column."""
    size = (width, 1.45 * len(rows) + 0.8)
    figure, axes = plt.subplots(len(rows), len(titles), figsize=size, squeeze=False, sharex=True, sharey=True)
    for ax, label in zip(axes[:, 0], rows, strict=True):
        ax.set_ylabel(label)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=8)
    name_axes(figure)
    return figure, axes


def name_axes(figure: Figure) -> None:
    """Label the axes that all panels share."""
    figure.supxlabel("dt (days)", fontsize=9)
    figure.supylabel("dm (mag)", fontsize=9)


def map_of_each_class(maps: np.ndarray, titles: Sequence[str], scales: Sequence, label: str, grid: Dmdt) -> Figure:
    """Draw one panel per class, each with its own colour scale.

    Parameters
    ----------
    maps : (classes, rows, columns) array
        All NaN for a class without a map.
    titles, scales : sequence
        One per class.
    label : str
        What the colours mean.
    grid : Dmdt
    """
    figure, axes = panels(len(maps), 4, (2.3, 2.0), sharex=True, sharey=True)
    for ax, image, title, scale in zip(axes, maps, titles, scales, strict=True):
        ax.set_title(title)
        draw_map(figure, ax, image, scale, grid, every=3)
    for ax in axes[-4:]:
        ax.tick_params(axis="x", labelbottom=True)
    name_axes(figure)
    figure.suptitle(label, fontsize=10)
    return figure


def mean_dmdt(means: np.ndarray, objects: pd.DataFrame, grid: Dmdt) -> Figure:
    """Draw the mean dmdt image of each class; ``objects`` has columns ``class`` and ``objects``."""
    titles = [f"{row[1]} ({row.objects:,})" for row in objects.itertuples()]
    return map_of_each_class(
        means, titles, [counts_scale(mean) for mean in means], f"mean dmdt image ({DMDT_LABEL})", grid
    )


def class_summary(
    maps: np.ndarray, name: str, summary: str, objects: Mapping[str, int], grid: Dmdt, score: str
) -> Figure:
    """Draw the mean or median map of each class; ``objects`` is the number of objects by class name."""
    titles = [f"{class_name} ({count})" for class_name, count in objects.items()]
    scales = [plotting.map_scale(name, np.nan_to_num(values)) for values in maps]
    label = f"{summary} of {plotting.map_title(name, score)}".replace("\n", " ")
    return map_of_each_class(maps, titles, scales, label, grid)


def folded(examples: pd.DataFrame, light_curves: pd.DataFrame) -> Figure:
    """Draw light curves folded at their periods.

    Parameters
    ----------
    examples : DataFrame
        ``lcid``, ``class``, ``period_days``; one panel per row.
    light_curves : DataFrame
        ``lcid``, ``phase``, ``mag``; one row per point.
    """
    figure, axes = panels(len(examples), 4, (1.9, 1.7))
    for ax, (_, row) in zip(axes, examples.iterrows(), strict=True):
        curve = light_curves[light_curves["lcid"] == row["lcid"]]
        ax.plot([*curve["phase"], *(curve["phase"] + 1)], [*curve["mag"], *curve["mag"]], ".", ms=2)
        ax.set_title(f"{row['class']}, P = {row['period_days']:.4g} d")
        ax.set_xlim(0, 2)
        ax.invert_yaxis()
    figure.supxlabel("phase", fontsize=9)
    figure.supylabel("magnitude", fontsize=9)
    return figure


def light_curve_to_dmdt(class_name: str, curve: pd.DataFrame, image: np.ndarray, grid: Dmdt, label: str) -> Figure:
    """Draw a light curve (``time``, ``mag``, ``magerr``) beside its dmdt image; ``label`` is that of the times."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 3.4), width_ratios=[1, 1.35])
    show_light_curve(left, curve["time"], curve["mag"], curve["magerr"], label)
    left.set_title(f"{class_name} light curve, {len(curve)} points")
    _draw_dmdt(figure, right, image, grid)
    right.set_title(f"dmdt image of {len(curve) * (len(curve) - 1) // 2:,} pairs ({DMDT_LABEL})")
    return figure


def misclassified(row: pd.Series, curve: pd.DataFrame, image: np.ndarray, grid: Dmdt) -> Figure:
    """Draw the folded light curve of a misclassified object beside its dmdt image.

    Parameters
    ----------
    row : Series
        ``lcid``, ``class``, ``predicted``, ``probability``, ``period_days``.
    curve : DataFrame
        ``phase``, ``mag``, ``magerr``.
    image : (rows, columns) array
    grid : Dmdt
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 3.2), width_ratios=[1, 1.3])
    show_light_curve(left, [*curve["phase"], *(curve["phase"] + 1)], [*curve["mag"]] * 2, [*curve["magerr"]] * 2)
    left.set_xlabel(f"phase (P = {row['period_days']:.5g} d)")
    left.set_title(f"{row['class']}, predicted {row['predicted']} (p = {row['probability']:.2f})")
    _draw_dmdt(figure, right, image, grid)
    right.set_title(f"dmdt image of {row['lcid']}")
    return figure


def _draw_dmdt(figure: Figure, axes: Axes, image: np.ndarray, grid: Dmdt) -> None:
    """Draw a dmdt image with all ticks and with labels."""
    draw_map(figure, axes, image, counts_scale(image), grid, every=1)
    axes.set(xlabel="dt (days)", ylabel="dm (mag)")


def confusions(counts: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the confusion matrices of several classifiers side by side; ``counts`` has them by title."""
    figure, axes = plt.subplots(1, len(counts), figsize=(plotting.PAGE, 3.6), sharey=True)
    for ax, (title, matrix) in zip(axes, counts.items(), strict=True):
        plotting.draw_confusion(ax, matrix, title, colour_bar=ax is axes[-1])
    for ax in axes[1:]:
        ax.set_ylabel("")
        ax.tick_params(axis="y", left=False)
    return figure


def feature_shares(shares: pd.DataFrame) -> Figure:
    """Draw the mean |SHAP value| of each feature and class as a heat map, the features with the largest means on top.

    Parameters
    ----------
    shares : DataFrame
        One row per class, indexed by its name; one column per feature, a key of `FEATURE_TITLES`. Of a probability.
    """
    percent = 100 * shares.T.loc[shares.mean().sort_values(ascending=False, kind="stable").index]
    figure, axes = plt.subplots(figsize=(plotting.PAGE, 5.4))
    seaborn.heatmap(
        percent.rename(index=FEATURE_TITLES),
        ax=axes,
        annot=percent.map("{:.1f}".format),
        annot_kws={"fontsize": 7},
        fmt="",
        cmap="Blues",
        vmin=0,
        cbar_kws={"label": "mean |SHAP value| (percentage points)", "shrink": 0.8},
    )
    axes.set(xlabel="true class", ylabel="")
    axes.tick_params(axis="y", rotation=0)
    return figure


def example_maps(
    objects: pd.DataFrame, images: np.ndarray, maps: Mapping[str, np.ndarray], grid: Dmdt, score: str, note: str
) -> Figure:
    """Draw one row per object: its dmdt image and the maps of it.

    Parameters
    ----------
    objects : DataFrame
        ``class`` and ``probability``; N rows.
    images : (N, rows, columns) array
    maps : mapping
        Key of `skylight.plotting.MAP_TITLES` -> (N, rows, columns) array.
    grid : Dmdt
    score : str
        What the maps explain.
    note : str
        A sentence below the panels.
    """
    labels = [f"{row[0]}\np = {row[1]:.2f}" for row in objects[["class", "probability"]].itertuples(index=False)]
    titles = [f"dmdt\n({DMDT_LABEL})", *(plotting.map_title(name, score) for name in maps)]
    figure, axes = grid_of_maps(labels, titles, plotting.PAGE * 1.25)
    for index, line in enumerate(axes):
        draw_map(figure, line[0], images[index], counts_scale(images[index]), grid, every=4)
        for ax, (name, values) in zip(line[1:], maps.items(), strict=True):
            draw_map(figure, ax, values[index], plotting.map_scale(name, values[index]), grid, every=4)
    figure.supxlabel("dt (days)\n" + textwrap.fill(note, 110), fontsize=9)
    return figure


def explained_curve(
    curve: LightCurve,
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    title: str,
    grid: Dmdt,
    score: str,
    label: str,
) -> Figure:
    """Draw one object: its light curve, its dmdt image and four maps of it.

    Parameters
    ----------
    curve : LightCurve
    image : (rows, columns) array
    maps : mapping
        Key of `skylight.plotting.MAP_TITLES` -> (rows, columns) array.
    title : str
    grid : Dmdt
    score : str
        What the maps explain.
    label : str
        Of the times, `time_label`.
    """
    figure, axes = plt.subplots(2, 3, figsize=(plotting.PAGE * 1.3, 5))
    show_light_curve(axes[0, 0], curve.time, curve.mag, curve.magerr, label)
    axes[0, 0].set_title(f"light curve, {len(curve)} points")
    drawn = {f"dmdt image\n({DMDT_LABEL})": (image, counts_scale(image))}
    drawn |= {
        plotting.map_title(name, score): (values, plotting.map_scale(name, values)) for name, values in maps.items()
    }
    for ax, (name, (values, scale)) in zip(axes.flat[1:], drawn.items(), strict=True):
        draw_map(figure, ax, values, scale, grid, every=3)
        ax.set(title=name, xlabel="dt (days)", ylabel="dm (mag)")
    figure.suptitle(title, fontsize=10)
    return figure


def map_of_each_method(title: str, image: np.ndarray, maps: Mapping[str, np.ndarray], grid: Dmdt, score: str) -> Figure:
    """Draw a dmdt image and its map by every method; maps with negative values have a scale about 0."""
    figure, axes = panels(len(maps) + 1, 5, (plotting.PAGE * 0.27, 1.6), sharex=True, sharey=True)
    draw_map(figure, axes[0], image, counts_scale(image), grid, every=4)
    axes[0].set_title(title)
    for ax, (name, values) in zip(axes[1:], maps.items(), strict=True):
        signed = values.min() < 0
        scale = (plotting.diverging_norm(values), plotting.DIVERGING) if signed else (None, "magma")
        draw_map(figure, ax, values, scale, grid, every=4)
        ax.set_title(textwrap.fill(name.replace("_", " "), 22), fontsize=8)
    for ax in axes[-5:]:
        ax.tick_params(axis="x", labelbottom=True)
    name_axes(figure)
    title = (
        f"what explains the {plotting.SCORE_TITLES[score]} of the class (blanking, RISE, Score-CAM: its probability)"
    )
    figure.suptitle(title, fontsize=10)
    return figure


def transfer(metrics: Mapping[str, Mapping], classes: Sequence[str]) -> Figure:
    """Draw F1 by class on each survey before and after fine-tuning; without labels, the number of objects by class.

    Parameters
    ----------
    metrics : mapping
        Survey -> what ``stages.periodic.transfer`` writes as JSON.
    classes : sequence of str
    """
    figure, axes = panels(len(metrics), 2, (plotting.PAGE / 2, 2.9))
    x = np.arange(len(classes))
    for ax, (survey, values) in zip(axes, metrics.items(), strict=True):
        if "as_it_is" in values:
            for shift, key, name in ((-0.2, "as_it_is", "trained on CRTS only"), (0.2, "fine_tuned", "fine-tuned")):
                label = f"{name}: accuracy {values[key]['accuracy']:.2f}"
                ax.bar(x + shift, np.array([values[key]["f1"][name] for name in classes], float), 0.4, label=label)
            ax.legend(loc="lower left", bbox_to_anchor=(0, 1))
            ax.set(ylabel="F1", ylim=(0, 1), xlabel=f"{survey}: {values['test_objects']:,} test objects")
        else:
            ax.bar(x, [values["predicted"].get(name, 0) for name in classes], 0.6)
            ax.set(ylabel="objects predicted", xlabel=f"{survey}: {values['objects']:,} objects without labels")
        ax.set_xticks(x, classes, rotation=45, ha="right")
    return figure
