"""One style for all figures: sizes, colours that colour-blind readers can tell apart, the same bytes on every run."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008; black and yellow left out (black is for axes, yellow hard to see on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
SEQUENTIAL = "viridis"
DIVERGING = "RdBu_r"
COLUMN, PAGE = 3.5, 7.2  # widths of a journal's column and page, inches

mpl.use("Agg")
mpl.rcParams.update(
    {
        "axes.prop_cycle": mpl.cycler(color=COLOURS),
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "font.size": 9,
        "figure.constrained_layout.use": True,
        "figure.dpi": 100,
        "savefig.dpi": 160,
        "image.interpolation": "nearest",
        "image.origin": "lower",
        "svg.hashsalt": "skylight",
    }
)


def save(figure: Figure, path: str | Path) -> None:
    """Write ``figure`` as PNG without the version that would change its bytes, and close it.

    A stage writes its figures to a folder of `skylight.outputs.writing`, which is complete or not there at all.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)


ROUNDING = 1e-6
"""Largest difference of two probabilities that may be rounding alone: float32 has steps of 6e-8 below 1."""


def diverging_norm(values: np.ndarray, percentile: float = 99.5, floor: float = 0) -> colors.Normalize:
    """Limits symmetric about 0, at least ``floor``; a few extreme cells do not wash out the others."""
    finite = np.abs(values[np.isfinite(values)])
    limit = np.percentile(finite, percentile) if finite.size else 0
    limit = max(limit or (finite.max() if finite.size else 0), floor) or 1
    return colors.Normalize(-limit, limit)


# What the maps of an explanation are called in figures, what their values are, and which of them have a sign.
MAP_TITLES = {
    "gradcam": ("Grad-CAM", "of the {score}"),
    "hirescam": ("HiResCAM", "of the {score}"),
    "saliency": ("saliency", "|d {score} / d input|"),
    "blanking": ("blanking", "(drop in probability)"),
    "deep_shap": ("SHAP", "(share of the {score})"),
}
SCORE_TITLES = {"logit": "logit", "log_odds": "log-odds", "probability": "probability"}
SIGNED_MAPS = ("hirescam", "blanking", "deep_shap")


def map_title(name: str, score: str) -> str:
    """Return the title of a map in two lines: its method, and what its values are for this score."""
    return "\n".join(MAP_TITLES[name]).format(score=SCORE_TITLES[score])


def map_scale(name: str, values: np.ndarray, percentile: float = 99.5) -> tuple[colors.Normalize, str]:
    """Return the norm and the colour map of an explanation: signed maps about 0, the others from 0.

    Drops in probability that may be rounding are drawn pale.
    """
    if name in SIGNED_MAPS:
        return diverging_norm(values, percentile, ROUNDING if name == "blanking" else 0), DIVERGING
    return colors.Normalize(0, values.max() or 1), "magma"


def draw_map(figure: Figure, axes: Axes, values: np.ndarray, scale: tuple, missing: str = "no object") -> None:
    """Draw a map with its colour bar, or the reason why there is nothing to see.

    Parameters
    ----------
    figure, axes
    values : (rows, columns) array
        All NaN where there is no map.
    scale : tuple
        Norm and colour map (`map_scale`). The colour bar is pointed where values lie beyond it.
    missing : str
        Why there is no map.
    """
    norm, cmap = scale
    shown = axes.imshow(values, norm=norm, cmap=cmap)
    note = missing if np.isnan(values).all() else "0 everywhere" if not values.any() else None
    if note:
        colour = "white" if note == "0 everywhere" else "black"
        middle = {"ha": "center", "va": "center", "transform": axes.transAxes, "in_layout": False}
        axes.text(0.5, 0.5, textwrap.fill(note, 18), color=colour, fontsize=7, **middle)
        return
    beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    extend = beyond[bool(values.min() < shown.norm.vmin), bool(values.max() > shown.norm.vmax)]
    bar = figure.colorbar(shown, ax=axes, extend=extend)
    bar.ax.tick_params(labelsize=6)
    bar.formatter.set_powerlimits((-3, 4))
    bar.ax.yaxis.get_offset_text().set_fontsize(6)


def draw_confusion(axes: Axes, counts: pd.DataFrame, title: str, colour_bar: bool = False) -> None:
    """Draw a confusion matrix: one row per true class, in per cent of that class and in counts.

    Parameters
    ----------
    axes
    counts : DataFrame
        One row per true class, one column per predicted class (`skylight.evaluation.classification.confusion`).
    title : str
    colour_bar : bool
    """
    share = 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    words = share.map("{:.0f}%\n".format) + counts.map("{:,}".format)
    seaborn.heatmap(
        share,
        ax=axes,
        annot=words.where(counts > 0, ""),
        annot_kws={"fontsize": 6.5},
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=100,
        cbar=colour_bar,
        cbar_kws={"label": "share of the true class (%)", "shrink": 0.8} if colour_bar else None,
    )
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    axes.tick_params(axis="x", rotation=45)
    axes.tick_params(axis="y", rotation=0)


def read_curves(folder: str | Path) -> dict[str, np.ndarray]:
    """Read the curves of a training: ``<part>/<metric>`` (``train/loss``) -> one value per epoch.

    Parameters
    ----------
    folder : path
        Where `skylight.training.fit.fit` wrote them: ``plots/metrics/<part>/<metric>.tsv``.
    """
    root = Path(folder) / "plots" / "metrics"
    tables = {path: pd.read_csv(path, sep="\t") for path in sorted(root.glob("*/*.tsv"))}
    return {f"{path.parent.name}/{path.stem}": table[path.stem].to_numpy() for path, table in tables.items()}


def training_curves(runs: Mapping[str, Mapping[str, Sequence[float]]], metrics: Sequence[str] = ()) -> Figure:
    """Draw the metrics of one or more trainings by epoch: one panel per metric, one colour per training.

    Parameters
    ----------
    runs : mapping
        Label -> curves of a training: one value per epoch under ``<part>/<metric>`` (`read_curves`). The training
        part is dotted where there is more than one training, the other parts are solid.
    metrics : sequence of str
        Which ones, in order; all by default.
    """
    found = dict.fromkeys(key.rpartition("/")[2] for curves in runs.values() for key in curves)
    metrics = metrics or list(found)
    figure, axes = plt.subplots(1, len(metrics), figsize=(PAGE, 2.6), squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        for (label, curves), run_colour in zip(runs.items(), itertools.cycle(COLOURS)):
            parts = [part for part in ("train", "validation", "test") if f"{part}/{metric}" in curves]
            for part, colour in zip(parts, COLOURS, strict=False):
                values = curves[f"{part}/{metric}"]
                several = len(runs) > 1
                style = {"ls": ":" if several and part == "train" else "-", "color": run_colour if several else colour}
                words = (label if part != "train" else None) if several else part
                ax.plot(range(1, len(values) + 1), values, lw=1.2, label=words, **style)
        ax.set(xlabel="epoch", ylabel=metric)
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].legend(title="validation (dotted: training)" if len(runs) > 1 else None, title_fontsize=8)
    return figure
