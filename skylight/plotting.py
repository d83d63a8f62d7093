"""One style for all figures: sizes, colours that colour-blind readers can tell apart, the same bytes on every run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
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


def diverging_norm(values: np.ndarray, percentile: float = 99.5) -> colors.Normalize:
    """Limits symmetric about 0; a few extreme cells do not wash out the others."""
    finite = np.abs(values[np.isfinite(values)])
    limit = np.percentile(finite, percentile) if finite.size else 0
    limit = limit or (finite.max() if finite.size else 0) or 1
    return colors.Normalize(-limit, limit)


def training_curves(values: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the metrics of a training by epoch, a panel a metric, a line a part of the data.

    Parameters
    ----------
    values : mapping
        One value an epoch under ``<part>/<metric>`` (``train/loss``).
    """
    metrics = dict.fromkeys(key.rpartition("/")[2] for key in values)
    figure, axes = plt.subplots(1, len(metrics), figsize=(PAGE, 2.6), squeeze=False)
    for ax, metric in zip(axes[0], metrics, strict=True):
        for key in values:
            part, _, name = key.rpartition("/")
            if name == metric:
                ax.plot(range(1, len(values[key]) + 1), values[key], label=part)
        ax.set(xlabel="epoch", ylabel=metric)
    axes[0, 0].legend()
    return figure


def show_light_curve(axes: Axes, time: np.ndarray, mag: np.ndarray, magerr: np.ndarray, **style) -> None:
    """Draw magnitudes with errors against time, bright at the top."""
    axes.errorbar(time, mag, magerr, fmt=".", ms=3, lw=0, elinewidth=0.6, **style)
    axes.set(xlabel="MJD (days)", ylabel="magnitude")
    axes.invert_yaxis()
