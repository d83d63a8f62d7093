"""The four published explanations of a dmdt image, and how they are drawn on dm and dt axes."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skylight import plotting
from skylight.params.periodic import Dmdt

MAPS = {
    "gradcam": "Grad-CAM",
    "saliency": "saliency\n|d score / d cell|",
    "blanking": "blanking\n(drop in probability)",
    "deep_shap": "SHAP\n(share of the score)",
}
SIGNED = ("blanking", "deep_shap")


def explain_images(model, images: np.ndarray, targets: np.ndarray | None, background: np.ndarray) -> dict:
    """Make the four maps of each image.

    Parameters
    ----------
    model : keras.Model
        The periodic CNN.
    images : (N, H, W, 1) float32
    targets : (N,) int or None
        Class to explain; ``None`` for the predicted ones.
    background : (B, H, W, 1) float32
        Images that SHAP compares with.

    Returns
    -------
    dict
        Name, a key of `MAPS` -> (N, H, W) float32.
    """
    from skylight.attribution import METHODS

    options = {"gradcam": {"layer": "conv2d2"}, "deep_shap": {"background": background}}
    return {name: METHODS[name](model, images, targets, **options.get(name, {}))[..., 0] for name in MAPS}


def map_scale(name: str, values: np.ndarray) -> tuple:
    """Norm and colour map: signed maps about 0, the others from 0."""
    if name in SIGNED:
        return plotting.diverging_norm(values), plotting.DIVERGING
    return plt.Normalize(0, values.max() or 1), "magma"


def counts_scale(image: np.ndarray) -> tuple:
    """Norm and colour map of a dmdt image itself, in 255 x share of pairs."""
    return plotting.counts_norm(image), plotting.SEQUENTIAL


def draw_map(figure: Figure, axes: Axes, image: np.ndarray, scale: tuple, grid: Dmdt, every: int) -> None:
    """Draw an image with its colour bar, or the words that say why there is nothing to see."""
    norm, cmap = scale
    shown = plotting.show_dmdt(axes, image, grid.dm_edges, grid.dt_edges, norm=norm, cmap=cmap, every=every)
    note = "no object" if np.isnan(image).all() else "0 everywhere" if not image.any() else None
    if note:
        colour = "white" if note == "0 everywhere" else "black"
        axes.text(0.5, 0.5, note, ha="center", va="center", transform=axes.transAxes, color=colour, fontsize=7)
    else:
        figure.colorbar(shown, ax=axes).ax.tick_params(labelsize=6)
