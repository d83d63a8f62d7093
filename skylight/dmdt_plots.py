"""Images on dm and dt axes: dmdt images, and maps that explain them."""

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


def draw_map(figure: Figure, axes: Axes, image: np.ndarray, scale: tuple, grid: Dmdt, every: int) -> None:
    """Draw an image with its colour bar, or the words that say why there is nothing to see.

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
    """
    norm, cmap = scale
    shown = axes.imshow(image, norm=norm, cmap=cmap, aspect="auto")
    for axis, edges in ((axes.xaxis, grid.dt_edges), (axes.yaxis, grid.dm_edges)):
        ticks = np.arange(np.argmin(np.abs(edges)) % every, len(edges), every)
        axis.set_ticks(ticks - 0.5, [_edge(edges[i]) for i in ticks], fontsize=6 if every == 1 else 7)
    axes.tick_params(axis="x", rotation=90)
    note = "no object" if np.isnan(image).all() else "0 everywhere" if not image.any() else None
    if note:
        colour = "white" if note == "0 everywhere" else "black"
        axes.text(0.5, 0.5, note, ha="center", va="center", transform=axes.transAxes, color=colour, fontsize=7)
    else:
        figure.colorbar(shown, ax=axes).ax.tick_params(labelsize=6)


def _edge(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:g}"
