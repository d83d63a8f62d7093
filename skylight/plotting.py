"""One style for all figures: sizes, colours that colour-blind readers can tell apart, the same bytes on every run."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

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


def diverging_norm(values: np.ndarray, percentile: float = 99.5) -> colors.Normalize:
    """Limits symmetric about 0; a few extreme cells do not wash out the others."""
    finite = np.abs(values[np.isfinite(values)])
    limit = np.percentile(finite, percentile) if finite.size else 0
    limit = limit or (finite.max() if finite.size else 0) or 1
    return colors.Normalize(-limit, limit)


def counts_norm(values: np.ndarray) -> colors.Normalize:
    """A square-root scale from 0: the cells of a dmdt image span three decades and many are empty."""
    return colors.PowerNorm(0.5, vmin=0, vmax=values.max() or 1)


def show_dmdt(
    axes: Axes,
    image: np.ndarray,
    dm_edges: Sequence[float],
    dt_edges: Sequence[float],
    *,
    norm: colors.Normalize,
    cmap: str = SEQUENTIAL,
    every: int = 1,
) -> AxesImage:
    """Draw a (dm, dt) image with cells of equal size and the edges of every ``every``-th cell at its ticks.

    ``image`` is (rows, columns), rows by ascending dm (mag), columns by ascending dt (days).
    """
    shown = axes.imshow(image, norm=norm, cmap=cmap, aspect="auto")
    for axis, edges in ((axes.xaxis, dt_edges), (axes.yaxis, dm_edges)):
        ticks = np.arange(np.argmin(np.abs(edges)) % every, len(edges), every)  # 0 is always among them
        axis.set_ticks(ticks - 0.5, [_edge(edges[i]) for i in ticks], fontsize=6 if every == 1 else 7)
    axes.tick_params(axis="x", rotation=90)
    return shown


def _edge(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:g}"


def show_light_curve(axes: Axes, time: np.ndarray, mag: np.ndarray, magerr: np.ndarray, **style) -> None:
    """Draw magnitudes with errors against time, bright at the top."""
    axes.errorbar(time, mag, magerr, fmt=".", ms=3, lw=0, elinewidth=0.6, **style)
    axes.set(xlabel="MJD (days)", ylabel="magnitude")
    axes.invert_yaxis()
