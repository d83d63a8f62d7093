"""Images on dm and dt axes: dmdt images, and maps that explain them."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skylight import plotting
from skylight.params.periodic import Dmdt

TITLES = {
    "gradcam": "Grad-CAM",
    "saliency": "saliency\n|d score / d cell|",
    "blanking": "blanking\n(drop in probability)",
    "deep_shap": "SHAP\n(share of the score)",
}
SIGNED = ("blanking", "deep_shap")


def counts_norm(values: np.ndarray) -> colors.Normalize:
    """A square-root scale from 0: the cells of a dmdt image span three decades and many are empty."""
    return colors.PowerNorm(0.5, vmin=0, vmax=values.max() or 1)


def map_scale(name: str, values: np.ndarray) -> tuple:
    """Norm and colour map: signed maps about 0, the others from 0."""
    if name in SIGNED:
        return plotting.diverging_norm(values), plotting.DIVERGING
    return plt.Normalize(0, values.max() or 1), "magma"


def counts_scale(image: np.ndarray) -> tuple:
    """Norm and colour map of a dmdt image itself, in 255 x share of pairs."""
    return counts_norm(image), plotting.SEQUENTIAL


def draw_map(
    figure: Figure, axes: Axes, image: np.ndarray, scale: tuple, grid: Dmdt, every: int, missing: str = "no object"
) -> None:
    """Draw an image with its colour bar, pointed where cells are beyond it, or the words why there is nothing to see.

    Parameters
    ----------
    figure, axes
    image : (rows, columns) array
        Rows by ascending dm (mag), columns by ascending dt (days). All cells are drawn at the same size.
    scale : tuple
        Norm and colour map.
    grid : Dmdt
    every : int
        Ticks are the edges of every so many cells, that at 0 always among them.
    missing : str
        Why there is no image, where it is all NaN.
    """
    norm, cmap = scale
    shown = axes.imshow(image, norm=norm, cmap=cmap, aspect="auto")
    for axis, edges in ((axes.xaxis, grid.dt_edges), (axes.yaxis, grid.dm_edges)):
        ticks = np.arange(np.argmin(np.abs(edges)) % every, len(edges), every)
        axis.set_ticks(ticks - 0.5, [_edge(edges[i]) for i in ticks], fontsize=6 if every == 1 else 7)
    axes.tick_params(axis="x", rotation=90)
    note = missing if np.isnan(image).all() else "0 everywhere" if not image.any() else None
    if note:
        colour = "white" if note == "0 everywhere" else "black"
        middle = {"ha": "center", "va": "center", "transform": axes.transAxes, "in_layout": False}
        axes.text(0.5, 0.5, textwrap.fill(note, 18), color=colour, fontsize=7, **middle)
    else:
        beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
        extend = beyond[bool(image.min() < shown.norm.vmin), bool(image.max() > shown.norm.vmax)]
        figure.colorbar(shown, ax=axes, extend=extend).ax.tick_params(labelsize=6)


def panels(count: int, columns: int, size: tuple[float, float], **options) -> tuple[Figure, list[Axes]]:
    """A grid of ``count`` axes of a size in inches; those left over are taken away."""
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(size[0] * columns, size[1] * rows), squeeze=False, **options)
    for extra in axes.flat[count:]:
        extra.remove()
    return figure, list(axes.flat[:count])


def by_class(maps: np.ndarray, titles: list[str], scales: list, label: str, grid: Dmdt) -> Figure:
    """A panel a class, each with its own colour scale; a class without a map says so."""
    figure, axes = panels(len(maps), 4, (2.3, 2.0), sharex=True, sharey=True)
    for ax, image, title, scale in zip(axes, maps, titles, scales, strict=True):
        ax.set_title(title)
        draw_map(figure, ax, image, scale, grid, every=3)
    for ax in axes[-4:]:
        ax.tick_params(axis="x", labelbottom=True)
    name_axes(figure)
    figure.suptitle(label, fontsize=10)
    return figure


def name_axes(figure: Figure) -> None:
    """Name the axes that all panels share."""
    figure.supxlabel("dt (days)", fontsize=9)
    figure.supylabel("dm (mag)", fontsize=9)


def _edge(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:g}"
