"""Figures of the explanations of a class: lighting, activation maximization, pix2piXAI, and their test by blanking."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import colors
from matplotlib.figure import Figure

from skylight.light_curves.maps import DRAWN
from skylight.light_curves.plots import DMDT_LABEL, counts_scale, draw_map, grid_of_maps, map_of_each_class, panels
from skylight.params.periodic import Dmdt
from skylight.plotting import COLOURS, MAP_TITLES, PAGE, map_scale

# Legend and line of each approach whose cells are blanked.
STYLES = {
    "lighting": ("lighting", {"color": COLOURS[4]}),
    "maximization": ("activation maximization", {"color": COLOURS[2]}),
    "pix2pixai_hirescam": ("pix2piXAI, HiResCAM", {"color": COLOURS[5], "marker": "s"}),
    "pix2pixai_saliency": ("pix2piXAI, saliency", {"color": COLOURS[3], "marker": "^"}),
    "pix2pixai_blanking": ("pix2piXAI, blanking", {"color": COLOURS[1], "marker": "v"}),
    "pix2pixai_deep_shap": ("pix2piXAI, SHAP", {"color": COLOURS[0], "marker": "D"}),
    "mean_image": ("brightest cells of the mean image", {"color": "black", "linestyle": "--", "marker": ""}),
    "random": ("random cells", {"color": COLOURS[6], "linestyle": ":", "marker": ""}),
}


def plain_scale(image: np.ndarray) -> tuple[colors.Normalize, str]:
    """Return norm and colour map of a picture from 0."""
    return colors.Normalize(0, image.max() or 1), "magma"


def picture_of_each_class(pictures: np.ndarray, classes: Sequence[str], label: str, grid: Dmdt) -> Figure:
    """Draw lighting or activation maximization: (classes, rows, columns), one panel per class."""
    return map_of_each_class(pictures, classes, [plain_scale(picture) for picture in pictures], label, grid)


def overview(
    pictures: Mapping[str, np.ndarray], generated: np.ndarray, table: pd.DataFrame, classes: Sequence[str], grid: Dmdt
) -> Figure:
    """Draw one row per class: lighting, activation maximization, and the pix2piXAI picture of each kind of map.

    Parameters
    ----------
    pictures : mapping
        ``lighting`` and ``maximization`` -> (classes, rows, columns) array.
    generated : (4, classes, rows, columns) array
        By kind of map, in the order of `skylight.light_curves.maps.DRAWN`.
    table : DataFrame
        ``class``, ``map``, ``score`` and ``note`` (why there is no picture), one row per class and kind of map.
    classes : sequence of str
    grid : Dmdt
    """
    titles = ["lighting\n(probability)", "activation\nmaximization"]
    titles += [f"pix2piXAI\n{MAP_TITLES[name][0]}" for name in DRAWN]
    figure, axes = grid_of_maps(classes, titles, PAGE * 1.5)
    rows = table.set_index(["class", "map"])
    for index, (line, class_name) in enumerate(zip(axes, classes, strict=True)):
        for ax, maps in zip(line, pictures.values(), strict=False):
            draw_map(figure, ax, maps[index], plain_scale(maps[index]), grid, every=4)
        for ax, name, maps in zip(line[2:], DRAWN, generated, strict=True):
            row = rows.loc[(class_name, name)]
            scale = map_scale(name, np.nan_to_num(maps[index]))
            draw_map(figure, ax, maps[index], scale, grid, every=4, missing=row["note"])
            if not row["note"]:
                _add_to_title(ax, f"similarity {row['score']:.3f}")
    return figure


def shown_objects(
    name: str, pictures: Mapping[str, np.ndarray], table: pd.DataFrame, classes: Sequence[str], grid: Dmdt
) -> Figure:
    """Draw one row per class: the object that the GAN reproduces best, its own map, and the GAN's map of it.

    Parameters
    ----------
    name : str
        Kind of map, a key of `skylight.plotting.MAP_TITLES`.
    pictures : mapping
        ``image``, ``own`` and ``generated`` -> (classes, rows, columns) array.
    table : DataFrame
        ``class``, ``lcid`` and ``score``; one row per class that has a picture.
    classes : sequence of str
    grid : Dmdt
    """
    title = MAP_TITLES[name][0]
    titles = [f"dmdt image\n({DMDT_LABEL})", f"its {title}\n(1: largest value)", "map by the GAN\n(same scale)"]
    figure, axes = grid_of_maps(list(table["class"]), titles, PAGE)
    for line, (_, row) in zip(axes, table.iterrows(), strict=True):
        index = classes.index(row["class"])
        image, own, generated = (pictures[key][index] for key in ("image", "own", "generated"))
        scale = map_scale(name, own)
        for ax, shown, norm in zip(line, (image, own, generated), (counts_scale(image), scale, scale), strict=True):
            draw_map(figure, ax, shown, norm, grid, every=4)
        _add_to_title(line[0], row["lcid"])
        _add_to_title(line[2], f"similarity {row['score']:.3f}")
    return figure


def _add_to_title(axes: plt.Axes, line: str) -> None:
    """Add a line below the title of the column, or write it alone."""
    axes.set_title("\n".join(filter(None, (axes.get_title(), line))), fontsize=8 if axes.get_title() else 7)


def blanking(drops: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Draw the drop in the probability against the number of blanked cells: one panel per class.

    Parameters
    ----------
    drops : DataFrame
        ``class``, ``approach`` (a key of `STYLES`), ``cells``, ``drop``, ``error`` (standard error) and ``objects``.
    classes : sequence of str
    """
    figure, axes = panels(len(classes) + 1, 4, (2.3, 2.1), sharex=True, sharey=True)
    *axes, last = axes
    for ax, class_name in zip(axes, classes, strict=True):
        members = drops[drops["class"] == class_name]
        for name, (label, style) in STYLES.items():
            line = members[members["approach"] == name]
            style = {"marker": "o", "ms": 3, "lw": 1.1} | style
            ax.errorbar(line["cells"], line["drop"], line["error"], label=label, **style)
        ax.set_title(f"{class_name} ({members['objects'].max() if len(members) else 0})")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.axhline(0, color="0.8", lw=0.6, zorder=0)
        ax.tick_params(axis="x", labelbottom=True)
    last.axis("off")
    last.legend(*axes[0].get_legend_handles_labels(), loc="center", fontsize=7)
    figure.supxlabel("number of blanked cells, highest values of the picture first", fontsize=9)
    figure.supylabel("drop in the probability of the class", fontsize=9)
    return figure
