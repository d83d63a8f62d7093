"""The figures of candidates: how well they are classified, and their relevance in all four channels.

Parameters with the same name mean the same in all functions:

- ``stamps`` (N, 21, 21, 4), scaled to [0, 1]; ``maps`` (N, 21, 21, 4), their relevance; ``footprints`` (N, 21, 21)
  bool, where the point source is;
- ``candidates``: table of `skylight.candidates.explain.choose`;
- ``rules``: names of the rules of LRP, in the order of the maps.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from skylight import plotting
from skylight.candidates.hits import CHANNELS, PIXEL_SCALE

TITLES = {"deep_hits": "Deep-HiTS", "cap": "CAP", "cap_ensemble": "CAP ensemble", "cap_bn": "CAP, batch norm."}
DIGIT_NETWORKS = {"mlp": "dense", "cnn": "convolutional"}
DIFFERENCE = list(CHANNELS).index("difference")
PERCENTILE = 99.8  # of |relevance|, at which the colours of a candidate's maps end
UNIT = f"relevance / {PERCENTILE:g}th percentile of |relevance|"
# The layers of the network that are drawn, from the input up.
LAYERS = ("candidate", "CNN1", "CNN2", "pool1", "CNN3", "CNN4", "CNN5", "pool2")


def training_curves(members: dict[str, list[dict]]) -> Figure:
    """Draw accuracy and loss of all trainings by epoch.

    Parameters
    ----------
    members : dict
        Network -> the curves (`skylight.plotting.read_curves`) of each of its members.
    """
    runs = {}
    for network, curves in members.items():
        title = TITLES.get(network, network)
        runs |= {f"{title} {i}" if len(curves) > 1 else title: each for i, each in enumerate(curves, start=1)}
    return plotting.training_curves(runs, ("accuracy", "loss"))


def trade_off(curves: pd.DataFrame) -> Figure:
    """Draw the detection error trade-off of each network.

    Parameters
    ----------
    curves : DataFrame
        Table of `skylight.evaluation.detection.trade_off`, with the column ``network``.
    """
    figure, ax = plt.subplots(figsize=(plotting.COLUMN * 1.3, plotting.COLUMN))
    for name, style in _styles(curves["network"]).items():
        curve = 100 * curves.loc[curves["network"] == name, ["fpr", "fnr"]]
        ax.plot(curve["fpr"], curve["fnr"], lw=1.2, drawstyle="steps-post", **style)
    ax.set(xscale="log", yscale="log", xlim=(0.1, 50), ylim=(0.1, 50))
    ticks = [0.1, 0.3, 1, 3, 10, 30]
    ax.set_xticks(ticks, ticks)
    ax.set_yticks(ticks, ticks)
    ax.set(xlabel="false positive rate (%)", ylabel="false negative rate (%)")
    ax.plot([0.1, 50], [0.1, 50], color="0.8", lw=0.8, zorder=0)
    ax.legend()
    return figure


def by_snr(table: pd.DataFrame) -> Figure:
    """Draw the error rates in bins of the signal-to-noise ratio, the networks side by side within a bin.

    Parameters
    ----------
    table : DataFrame
        Table of `skylight.evaluation.detection.rates_by_snr`, with the column ``network``.
    """
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.8), sharey=True)
    bins = table.drop_duplicates("snr_from")
    ends = [f"{low:g}–{high:g}" for low, high in zip(bins["snr_from"], bins["snr_to"], strict=True)]
    panels = (("fnr", "real", "real sources missed"), ("fpr", "artifacts", "artifacts taken for real"))
    for ax, (rate, count, title) in zip(axes, panels, strict=True):
        for (name, style), shift in _side_by_side(_styles(table["network"]).items(), 0.14):
            part = table[table["network"] == name]
            places = np.arange(len(part)) + shift
            ax.errorbar(places, 100 * part[rate], 100 * part[f"{rate}_error"], fmt="o", ms=3, lw=1, **style)
        ax.set_xticks(range(len(bins)), [f"{e}\n({n})" for e, n in zip(ends, bins[count], strict=True)], fontsize=7)
        ax.set(xlabel="SNR in the SNR difference (candidates)", title=title, xlim=(-0.6, len(bins) - 0.4))
    ticks = [0, 1, 3, 10, 30, 100]
    axes[0].set_yscale("symlog", linthresh=1)
    axes[0].set_ylim(-0.1, 100)
    axes[0].set_yticks(ticks, ticks)
    axes[0].minorticks_off()
    axes[0].set_ylabel("share (%)")
    axes[0].legend()
    return figure


def relevance(
    rows: list[int], candidates: pd.DataFrame, stamps: np.ndarray, maps: np.ndarray, footprints: np.ndarray, title: str
) -> Figure:
    """Draw candidates, with one row per channel: beside each stamp its relevance, as published.

    Parameters
    ----------
    rows : list of int
        Which candidates, one pair of columns for each.
    candidates, stamps, maps, footprints
    title : str
    """
    figure, axes = plt.subplots(len(CHANNELS), 2 * len(rows), figsize=(1.8 * len(rows) + 0.9, 4.3), squeeze=False)
    for j, row in enumerate(rows):
        limit = plotting.diverging_norm(maps[row], PERCENTILE).vmax
        for c, channel in enumerate(CHANNELS):
            left, right = axes[c, 2 * j], axes[c, 2 * j + 1]
            _show_stamp(left, stamps[row, ..., c])
            image = _show_relevance(right, maps[row, ..., c], limit)
            _outline(right, footprints[row])
            if j == 0:
                left.set_ylabel(channel)
        axes[0, 2 * j].set_title(f"SNR {candidates.loc[row, 'snr']:.1f}", fontsize=8)
        axes[0, 2 * j + 1].set_title(f"p(real) {candidates.loc[row, 'p_cap']:.3f}", fontsize=8)
        _scale_bar(axes[-1, 2 * j])
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, extend="both", label=f"{UNIT} of the candidate")
    figure.suptitle(title, fontsize=10)
    return figure


def all_rules(stamps: np.ndarray, maps: np.ndarray, rules: list[str]) -> Figure:
    """Draw one candidate and its relevance by every rule, with one row per channel.

    Parameters
    ----------
    stamps : (21, 21, 4) array
    maps : (rules, 21, 21, 4) array
    rules
    """
    figure, axes = plt.subplots(len(CHANNELS), len(rules) + 1, figsize=(1.15 * (len(rules) + 1) + 0.9, 4.8))
    for c, channel in enumerate(CHANNELS):
        _show_stamp(axes[c, 0], stamps[..., c])
        axes[c, 0].set_ylabel(channel)
        for ax, values in zip(axes[c, 1:], maps, strict=True):
            image = _show_relevance(ax, values[..., c], plotting.diverging_norm(values, PERCENTILE).vmax)
    for ax, title in zip(axes[0], ["stamp", *rules], strict=True):
        ax.set_title(title)
    _scale_bar(axes[-1, 0])
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, extend="both", label=f"{UNIT} of the rule")
    return figure


def rotation_agreement(agreement: dict[str, dict[str, dict[str, float]]], rules: list[str]) -> Figure:
    """Draw the rotation agreement of the networks by rule, with the errors of the means.

    Parameters
    ----------
    agreement : dict
        Rule -> table of `skylight.evaluation.rotation_equivariance.agreement_summary`.
    rules
    """
    figure, ax = plt.subplots(figsize=(plotting.COLUMN * 1.3, 2.6))
    for (name, style), shift in _side_by_side(_styles(agreement[rules[0]]).items(), 0.25):
        means, errors = ([agreement[rule][name][key] for rule in rules] for key in ("mean", "error"))
        ax.bar(np.arange(len(rules)) + shift, means, 0.23, yerr=errors, error_kw={"lw": 1}, **style)
    ax.set_xticks(range(len(rules)), rules)
    ax.set(ylabel="rotation agreement", ylim=(0, 1.05))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    return figure


def quarter_turns(stamp: np.ndarray, turns: dict[str, np.ndarray]) -> Figure:
    """Draw the maps of one candidate's difference for its four quarter turns, turned back, with one row per network.

    Parameters
    ----------
    stamp : (21, 21, 4) array
    turns : dict
        Network -> (4, 21, 21, 4), the maps of `skylight.evaluation.rotation_equivariance.maps_of_turns`.
    """
    figure, axes = plt.subplots(len(turns), 5, figsize=(plotting.PAGE, 1.2 * len(turns) + 0.3))
    for line, (name, maps) in zip(axes, turns.items(), strict=True):
        values = maps[..., DIFFERENCE]
        _show_stamp(line[0], stamp[..., DIFFERENCE])
        line[0].set_ylabel(TITLES.get(name, name))
        for ax, heatmap in zip(line[1:], values, strict=True):
            image = _show_relevance(ax, heatmap, np.abs(values).max())
    for ax, title in zip(axes[0], ["difference", *(f"input turned {90 * k}°" for k in range(4))], strict=True):
        ax.set_title(title, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.7, aspect=25, label="relevance / largest")
    return figure


def layer_by_layer(
    rows: np.ndarray, candidates: pd.DataFrame, stamps: np.ndarray, layers: dict[str, dict[str, np.ndarray]]
) -> Figure:
    """Draw candidates and the relevance of each convolution and pooling by some rules, summed over the filters.

    Parameters
    ----------
    rows : (M,) array of int
        Which candidates, one row for each and each rule.
    candidates, stamps
    layers : dict
        Rule -> layer -> relevance of its output, (M, S, S, F).
    """
    names = [name for name in LAYERS if name in next(iter(layers.values()))]
    lines = [(i, row, rule) for i, row in enumerate(rows) for rule in layers]
    size = (1.0 * (len(names) + 1) + 0.8, 1.3 * len(lines))
    figure, axes = plt.subplots(len(lines), len(names) + 1, figsize=size, squeeze=False)
    for line, (i, row, rule) in zip(axes, lines, strict=True):
        _show_stamp(line[0], stamps[row, ..., DIFFERENCE])
        kind = "real source" if candidates.loc[row, "label"] else "artifact"
        line[0].set_ylabel(f"{kind}\n{rule}", fontsize=8)
        for ax, name in zip(line[1:], names, strict=True):
            values = layers[rule][name].sum(axis=-1)[i]
            image = _show_relevance(ax, values, np.abs(values).max() or 1)
            ax.set_xlabel(f"{values.sum():.2f}", fontsize=7)
    for ax, name in zip(axes[0], ["difference", *names], strict=True):
        ax.set_title(name, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.7, aspect=25, label="relevance / largest of the map")
    figure.supxlabel("sum of the layer's relevance", fontsize=8)
    return figure


def localisation(table: pd.DataFrame, rules: list[str]) -> Figure:
    """Draw how much of the positive relevance of real sources lies on them, and the share of every channel.

    Parameters
    ----------
    table : DataFrame
        Table of `skylight.candidates.explain.localisation`, with the columns ``network`` and ``rule``.
    rules
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.8), width_ratios=[1.2, 1])
    places = np.arange(len(rules))
    mass = table[table["measure"] == "relevance_mass"].set_index("rule")
    for (name, style), shift in _side_by_side(_styles(table["network"]).items(), 0.22):
        for kind, marker in (("true positives", "o"), ("control", "x")):
            part = mass[(mass["network"] == name) & (mass["maps"] == kind)].loc[rules]
            look = style | {"label": style["label"] if kind == "true positives" else None}
            left.errorbar(places + shift, part["mean"], part["error"], fmt=marker, ms=4, lw=1, **look)
    share = table.loc[table["measure"] == "footprint_share", "mean"].iloc[0]
    left.axhline(share, color="0.6", lw=0.8, ls="--")
    left.text(len(rules) - 0.6, share + 0.02, "even spread", ha="right", va="bottom", fontsize=7, color="0.4")
    left.set(ylabel="relevance on the footprint", ylim=(0, 1), title="o real sources, x artifacts (control)")
    left.legend(loc="center right")
    for channel, shift in _side_by_side(CHANNELS, 0.2):
        part = table[(table["measure"] == f"share of {channel}") & (table["network"] == "cap")].set_index("rule")
        part = part.loc[rules]
        right.bar(places + shift, part["mean"], 0.18, yerr=part["error"], label=channel, error_kw={"lw": 0.8})
    right.set(ylabel="share of |relevance|", title="CAP, real sources", ylim=(0, 1))
    right.legend(ncols=2, fontsize=7)
    for ax in (left, right):
        ax.set_xticks(places, rules)
    return figure


def mean_relevance(stamps: np.ndarray, mean: np.ndarray, footprints: np.ndarray, title: str) -> Figure:
    """Draw the mean stamp and the mean relevance of candidates, with one column per channel.

    Parameters
    ----------
    stamps
    mean : (21, 21, 4) array
        Mean relevance of these candidates (`skylight.candidates.explain.mean_relevance`).
    footprints
        Outlined are the pixels that are in more than half of them.
    title : str
    """
    figure, axes = plt.subplots(2, len(CHANNELS), figsize=(plotting.PAGE * 0.8, 3.1))
    for c, channel in enumerate(CHANNELS):
        _show_stamp(axes[0, c], stamps[..., c].mean(axis=0))
        image = _show_relevance(axes[1, c], mean[..., c], np.abs(mean).max())
        for ax in axes[:, c]:
            _outline(ax, footprints.mean(axis=0) > 0.5)
        axes[0, c].set_title(channel)
    axes[0, 0].set_ylabel("mean stamp")
    axes[1, 0].set_ylabel("mean relevance")
    _scale_bar(axes[0, 0])
    figure.colorbar(image, ax=axes[1], shrink=0.8, label="relevance / largest")
    figure.suptitle(title, fontsize=10)
    return figure


def digits(images: np.ndarray, maps: dict[tuple[str, str], np.ndarray], predicted: dict[str, np.ndarray]) -> Figure:
    """Draw digits, one per column, and below each its relevance by every network and rule, one per row.

    Parameters
    ----------
    images : (N, H, W) array
    maps : dict
        Network (a key of `DIGIT_NETWORKS`) and rule -> (N, H, W) relevance.
    predicted : dict
        Network -> (N,) the digits that it predicts.
    """
    rows = len(maps) + 1
    figure, axes = plt.subplots(
        rows, len(images), figsize=(plotting.PAGE, 0.58 * rows + 0.3), squeeze=False, gridspec_kw={"wspace": 0.04}
    )
    for ax, image in zip(axes[0], images, strict=True):
        ax.imshow(image, cmap="gray_r", origin="upper")
    for line, ((kind, rule), values) in zip(axes[1:], maps.items(), strict=True):
        for ax, heatmap in zip(line, values, strict=True):
            shown = _show_relevance(ax, heatmap, plotting.diverging_norm(heatmap, 100).vmax, origin="upper")
        line[0].set_ylabel(f"{DIGIT_NETWORKS[kind]}\n{rule}", rotation=0, ha="right", va="center")
    axes[0, 0].set_ylabel("digit", rotation=0, ha="right", va="center")
    for ax, *read in zip(axes[0], *predicted.values(), strict=True):
        ax.set_title("read as " + " / ".join(map(str, dict.fromkeys(read))), fontsize=7)
        ax.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, shrink=0.4, aspect=40, label="relevance / largest of the map")
    return figure


def _styles(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return network -> its colour and label; a published network looks alike in all figures."""
    names = set(names)
    order = [*TITLES, *sorted(names - set(TITLES))]
    styles = {name: {"color": colour} for name, colour in zip(order, itertools.cycle(plotting.COLOURS), strict=False)}
    return {name: style | {"label": TITLES.get(name, name)} for name, style in styles.items() if name in names}


def _side_by_side(items: Collection, step: float) -> Iterator[tuple]:
    """Yield each item and its offset along the axis; the offsets are ``step`` apart, with mean 0."""
    for i, item in enumerate(items):
        yield item, step * (i - (len(items) - 1) / 2)


def _show_stamp(ax: Axes, stamp: np.ndarray) -> None:
    ax.imshow(stamp, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])


def _show_relevance(ax: Axes, heatmap: np.ndarray, limit: float, origin: str = "lower") -> AxesImage:
    """Draw relevance in units of ``limit``, so that all maps of a figure share one colour bar."""
    ax.set(xticks=[], yticks=[])
    return ax.imshow(heatmap / limit, cmap=plotting.DIVERGING, vmin=-1, vmax=1, origin=origin)


def _outline(ax: Axes, footprint: np.ndarray) -> None:
    """Draw where the point source is, if there is one."""
    if footprint.any():
        ax.contour(footprint, [0.5], colors=plotting.COLOURS[2], linewidths=1.0)


def _scale_bar(ax: Axes) -> None:
    """Mark two arcsec."""
    length = 2 / PIXEL_SCALE
    edge = [patheffects.withStroke(linewidth=2.5, foreground="black")]  # readable on any background
    ax.plot([1, 1 + length], [1, 1], color="white", lw=1.5, path_effects=edge)
    ax.text(1 + length / 2, 1.8, '2"', color="white", ha="center", va="bottom", fontsize=8, path_effects=edge)
