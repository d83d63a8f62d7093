"""Triplets and the maps that explain them, drawn."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skylight import plotting
from skylight.alerts.triplets import CHANNELS, FILLING

TITLES = {
    "gradcam": "Grad-CAM",
    "saliency": "saliency",
    "blanking": "blanking\n(drop in probability)",
    "deep_shap": "SHAP\n(share of the score)",
}
SIGNED = ("blanking", "deep_shap")
MASKED = "#d8b365"


def draw_cutout(axes: Axes, pixels: np.ndarray) -> None:
    """Draw one normalised cutout: grey from the sky's 2 sigma below to its 10 above at least, masked pixels in sand."""
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


def draw_map(figure: Figure, axes: Axes, values: np.ndarray, signed: bool, percentile: float = 99.5) -> None:
    """Draw a map (63, 63) with its colour bar, or say that it is 0 everywhere.

    Signed ones are drawn about 0 up to the percentile of their sizes, others from 0 to the largest.
    """
    norm = plotting.diverging_norm(values, percentile) if signed else plt.Normalize(0, values.max() or 1)
    shown = axes.imshow(values, norm=norm, cmap=plotting.DIVERGING if signed else "magma")
    axes.set(xticks=[], yticks=[])
    if values.any():
        bar = figure.colorbar(shown, ax=axes, shrink=0.85)
        bar.ax.tick_params(labelsize=6)
        bar.formatter.set_powerlimits((-2, 3))
        bar.ax.yaxis.get_offset_text().set_fontsize(6)
    else:
        axes.text(0.5, 0.5, "0 everywhere", ha="center", color="white", transform=axes.transAxes, fontsize=7)


def nine_panels(triplet: np.ndarray, maps: dict[str, np.ndarray], title: str) -> Figure:
    """The published figure of one alert: its cutouts; Grad-CAM, saliency and blanking; SHAP of each cutout.

    Parameters
    ----------
    triplet : (63, 63, 3)
    maps : dict
        Name -> map of this alert, (63, 63, 1), of ``deep_shap`` (63, 63, 3).
    title : str
    """
    figure, axes = plt.subplots(3, 3, figsize=(plotting.PAGE, plotting.PAGE * 0.93))
    draw_triplet(list(axes[0]), triplet)
    for ax, name in zip(axes[1], ("gradcam", "saliency", "blanking"), strict=True):
        draw_map(figure, ax, maps[name][..., 0], name in SIGNED)
        ax.set_title(TITLES[name].replace("\n", " "))
    norm_of_all = plotting.diverging_norm(maps["deep_shap"], percentile=99.9)
    for channel, (ax, name) in enumerate(zip(axes[2], CHANNELS, strict=True)):
        shown = ax.imshow(maps["deep_shap"][..., channel], norm=norm_of_all, cmap=plotting.DIVERGING)
        ax.set(xticks=[], yticks=[], title=f"SHAP of {name}")
    figure.colorbar(shown, ax=axes[2, 2], shrink=0.85, label="of all three").ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=10)
    return figure
