"""The figures of the chapter: training, tests, and candidates with their relevance in all four channels."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects

from skylight import params, plotting
from skylight.candidates.hits import CHANNELS, PIXEL_SCALE
from skylight.errors import script
from skylight.evaluation.detection import THRESHOLD
from skylight.evaluation.rotation_equivariance import rotation_agreement
from skylight.outputs import writing
from skylight.params.supernovae import Supernovae

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")
TITLES = {"deep_hits": "Deep-HiTS", "cap": "CAP", "cap_ensemble": "CAP ensemble", "cap_bn": "CAP, batch norm."}
COLOUR = dict(zip(TITLES, plotting.COLOURS, strict=False))
OUTCOMES = {
    "true_positives": ("real sources found", 1, True),
    "true_negatives": ("artifacts rejected", 0, True),
    "false_positives": ("artifacts taken for real", 0, False),
    "false_negatives": ("real sources missed", 1, False),
}
SHOWN = 4  # candidates in a figure


@script
def main() -> None:
    supernovae = params.load().supernovae
    candidates = pd.read_csv(OUT / "heatmaps/candidates.csv")
    stamps = np.load(DATA / "test.npy", mmap_mode="r")[candidates["place"]]
    footprints = np.load(OUT / "heatmaps/footprints.npy")
    rules, rule = supernovae.heatmaps.rules, supernovae.heatmaps.rule
    shown = rules.index(rule)
    maps = {name: np.load(OUT / f"heatmaps/{name}.npy", mmap_mode="r") for name in supernovae.members}
    agreement = json.loads((OUT / "metrics/relevance.json").read_text())["rotation_agreement"]
    localisation = pd.read_csv(OUT / "tables/localisation.csv")

    with writing(OUT / "figures") as folder:
        plotting.save(training_curves(supernovae), folder / "training.png")
        plotting.save(trade_off(pd.read_csv(OUT / "tables/det.csv")), folder / "det.png")
        plotting.save(by_snr(pd.read_csv(OUT / "tables/snr.csv")), folder / "snr.png")
        for name, (title, label, right) in OUTCOMES.items():
            rows = surest(candidates, label, right)
            if rows:
                figure = relevance(rows, candidates, stamps, maps["cap"][shown], footprints)
                figure.suptitle(f"{title} (CAP, {rule})", fontsize=10)
                plotting.save(figure, folder / f"{name}.png")
        first = [*surest(candidates, 1, True), int(candidates["label"].idxmax())][0]
        plotting.save(all_rules(first, stamps, maps["cap"], rules), folder / "rules.png")
        plotting.save(rotation(agreement, rules), folder / "rotation_agreement.png")
        turns = {name: np.load(OUT / f"heatmaps/{name}_turns.npy", mmap_mode="r") for name in supernovae.members}
        plotting.save(quarter_turns(turns, stamps), folder / "quarter_turns.png")
        plotting.save(layer_by_layer(stamps, candidates), folder / "layers.png")
        if len(localisation):
            plotting.save(located(localisation, rules), folder / "localisation.png")
            real = (candidates["label"] == 1) & candidates["right"]
            if real.any():
                figure = mean_maps(maps["cap"][shown][real], stamps[real], footprints[real], rule)
                plotting.save(figure, folder / "mean_relevance.png")


def surest(candidates: pd.DataFrame, label: int, right: bool) -> list[int]:
    """The candidates of one outcome: of the right ones a spread of signal-to-noise ratios, of the wrong the surest."""
    members = candidates[(candidates["label"] == label) & (candidates["right"] == right)]
    if right:
        by_snr = members.sort_values("snr", ascending=False).index
        return [int(by_snr[i]) for i in np.unique(np.linspace(0, len(by_snr) - 1, SHOWN + 2).astype(int))[1:-1]]
    sure = (members["p_cap"] - THRESHOLD).abs().sort_values(ascending=False).index
    return [int(row) for row in sure[:SHOWN]]


def show_stamp(ax, stamp: np.ndarray) -> None:
    ax.imshow(stamp, cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])


def show_relevance(ax, heatmap: np.ndarray, limit: float):
    ax.set(xticks=[], yticks=[])
    return ax.imshow(heatmap / limit, cmap=plotting.DIVERGING, vmin=-1, vmax=1)


def outline(ax, footprint: np.ndarray) -> None:
    """Draw where the point source is, if anywhere."""
    if footprint.any():
        ax.contour(footprint, [0.5], colors=plotting.COLOURS[2], linewidths=1.0)


def scale_bar(ax) -> None:
    """Mark two arcsec."""
    length = 2 / PIXEL_SCALE
    edge = [patheffects.withStroke(linewidth=2.5, foreground="black")]  # it stands on noise
    ax.plot([1, 1 + length], [1, 1], color="white", lw=1.5, path_effects=edge)
    ax.text(1 + length / 2, 1.8, '2"', color="white", ha="center", va="bottom", fontsize=8, path_effects=edge)


def relevance(rows: list[int], candidates: pd.DataFrame, stamps, maps, footprints):
    """As published, a row a channel: beside each stamp its relevance for the predicted class."""
    figure, axes = plt.subplots(
        len(CHANNELS), 2 * len(rows), figsize=(0.9 * 2 * len(rows) + 0.9, 4.3), squeeze=False, constrained_layout=True
    )
    for j, row in enumerate(rows):
        limit = plotting.diverging_norm(maps[row], 99.8).vmax
        for c, channel in enumerate(CHANNELS):
            left, right = axes[c, 2 * j], axes[c, 2 * j + 1]
            show_stamp(left, stamps[row, ..., c])
            image = show_relevance(right, maps[row, ..., c], limit)
            outline(right, footprints[row])
            if j == 0:
                left.set_ylabel(channel)
        chosen = candidates.loc[row]
        axes[0, 2 * j].set_title(f"SNR {chosen['snr']:.1f}", fontsize=8)
        axes[0, 2 * j + 1].set_title(f"p(real) {chosen['p_cap']:.3f}", fontsize=8)
        scale_bar(axes[-1, 2 * j])
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, label="relevance / largest of the candidate")
    return figure


def all_rules(row: int, stamps, maps, rules: list[str]):
    """One real source, its stamps and its relevance by every rule, a row a channel."""
    figure, axes = plt.subplots(len(CHANNELS), len(rules) + 1, figsize=(1.15 * (len(rules) + 1) + 0.9, 4.8))
    for c, channel in enumerate(CHANNELS):
        show_stamp(axes[c, 0], stamps[row, ..., c])
        axes[c, 0].set_ylabel(channel)
        for ax, rule, values in zip(axes[c, 1:], rules, maps[:, row], strict=True):
            limit = plotting.diverging_norm(values, 99.8).vmax
            image = show_relevance(ax, values[..., c], limit)
            if c == 0:
                ax.set_title(rule)
    axes[0, 0].set_title("stamp")
    scale_bar(axes[-1, 0])
    figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, label="relevance / largest of the rule")
    return figure


def training_curves(supernovae: Supernovae):
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.6))
    for ax, metric in zip(axes, ("accuracy", "loss"), strict=True):
        for network, members in supernovae.members.items():
            for part, style in (("train", ":"), ("validation", "-")):
                tables = [OUT / f"training/{member}/plots/metrics/{part}/{metric}.tsv" for member in members]
                for i, path in enumerate(tables):
                    table = pd.read_csv(path, sep="\t")
                    label = TITLES[network] if part == "validation" and i == 0 else None
                    ax.plot(table["step"] + 1, table[metric], style, color=COLOUR[network], lw=1, label=label)
        ax.set(xlabel="epoch", ylabel=metric)
    axes[0].set_ylim(0.85, 1)
    axes[0].legend(title="validation (dotted: training)", title_fontsize=8)
    return figure


def trade_off(curves: pd.DataFrame):
    figure, ax = plt.subplots(figsize=(plotting.COLUMN * 1.3, plotting.COLUMN))
    for name, curve in curves.groupby("network", sort=False):
        ax.plot(
            100 * curve["fpr"],
            100 * curve["fnr"],
            lw=1.2,
            drawstyle="steps-post",
            color=COLOUR[name],
            label=TITLES[name],
        )
    ax.set(xscale="log", yscale="log", xlim=(0.1, 50), ylim=(0.1, 50))
    ticks = [0.1, 0.3, 1, 3, 10, 30]
    ax.set_xticks(ticks, ticks)
    ax.set_yticks(ticks, ticks)
    ax.set(xlabel="false positive rate (%)", ylabel="false negative rate (%)")
    ax.plot([0.1, 50], [0.1, 50], color="0.8", lw=0.8, zorder=0)
    ax.legend()
    return figure


def by_snr(table: pd.DataFrame):
    """Rates in bins of the SNR of the middle of the stamp, side by side within a bin."""
    figure, axes = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.8), sharey=True)
    names = list(dict.fromkeys(table["network"]))
    bins = table.drop_duplicates("snr_from")
    for ax, rate, count, title in zip(
        axes, ("fnr", "fpr"), ("real", "artifacts"), ("real sources missed", "artifacts taken for real"), strict=True
    ):
        for i, name in enumerate(names):
            part = table[table["network"] == name]
            x = np.arange(len(part)) + 0.14 * (i - (len(names) - 1) / 2)
            ax.errorbar(
                x,
                100 * part[rate],
                100 * part[f"{rate}_error"],
                fmt="o",
                ms=3,
                lw=1,
                color=COLOUR[name],
                label=TITLES[name],
            )
        ends = [f"{low:g}–{high:g}" for low, high in zip(bins["snr_from"], bins["snr_to"], strict=True)]
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


def rotation(agreement: dict, rules: list[str]):
    """The rotation agreement by rule; errors are those of the mean."""
    figure, ax = plt.subplots(figsize=(plotting.COLUMN * 1.3, 2.6))
    names = [name for name in TITLES if name in agreement[rules[0]]]
    for i, name in enumerate(names):
        x = np.arange(len(rules)) + 0.25 * (i - (len(names) - 1) / 2)
        means, errors = ([agreement[rule][name][key] for rule in rules] for key in ("mean", "error"))
        ax.bar(x, means, 0.23, yerr=errors, color=COLOUR[name], label=TITLES[name], error_kw={"lw": 1})
    ax.set_xticks(range(len(rules)), rules)
    ax.set(ylabel="rotation agreement", ylim=(0, 1.05))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    return figure


def quarter_turns(turns: dict, stamps):
    """Maps of the difference for the four turns of the input, turned back; a row a network.

    Of the candidate on which Deep-HiTS agrees with itself as well as in the median.
    """
    channel = list(CHANNELS).index("difference")
    agreement = rotation_agreement(turns["deep_hits"])
    row = int(np.argmin(np.abs(agreement - np.nanmedian(agreement))))
    figure, axes = plt.subplots(len(turns), 5, figsize=(plotting.PAGE, 1.2 * len(turns) + 0.3))
    for line, (name, maps) in zip(axes, turns.items(), strict=True):
        values = maps[:, row, ..., channel]
        show_stamp(line[0], stamps[row, ..., channel])
        line[0].set_ylabel(TITLES[name])
        for ax, heatmap in zip(line[1:], values, strict=True):
            image = show_relevance(ax, heatmap, np.abs(values).max())
    titles = ["difference", *(f"input turned {90 * k}°" for k in range(4))]
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.7, aspect=25, label="relevance / largest")
    return figure


def layer_by_layer(stamps, candidates: pd.DataFrame):
    """From the difference stamp up to the scores: the relevance of every convolution and pooling, over its filters."""
    layers = dict(np.load(OUT / "heatmaps/layers.npz"))
    rows = layers.pop("rows")
    spatial = {name: values.sum(axis=-1) for name, values in layers.items() if values.ndim == 4}
    names = [
        name for name in ("candidate", "CNN1", "CNN2", "pool1", "CNN3", "CNN4", "CNN5", "pool2") if name in spatial
    ]
    figure, axes = plt.subplots(len(rows), len(names) + 1, figsize=(1.0 * (len(names) + 1) + 0.8, 2.6))
    for i, (line, row) in enumerate(zip(axes, rows, strict=True)):
        show_stamp(line[0], stamps[row, ..., list(CHANNELS).index("difference")])
        line[0].set_ylabel("real source" if candidates.loc[row, "label"] else "artifact")
        for ax, name in zip(line[1:], names, strict=True):
            values = spatial[name][i]
            image = show_relevance(ax, values, np.abs(values).max() or 1)
            ax.set_xlabel(f"{values.sum():.2f}", fontsize=7)
    for ax, name in zip(axes[0], ["difference", *names], strict=True):
        ax.set_title(name, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.7, aspect=25, label="relevance / largest")
    figure.supxlabel("sum of the layer's relevance", fontsize=8)
    return figure


def located(table: pd.DataFrame, rules: list[str]):
    """How much of what speaks for a real source lies on it, and the share of every channel."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(plotting.PAGE, 2.8), width_ratios=[1.2, 1])
    names = list(dict.fromkeys(table["network"]))
    mass = table[table["measure"] == "relevance_mass"].set_index(["network", "rule", "maps"])
    for i, name in enumerate(names):
        x = np.arange(len(rules)) + 0.22 * (i - (len(names) - 1) / 2)
        for kind, marker in (("true positives", "o"), ("control", "x")):
            part = [mass.loc[(name, rule, kind)] for rule in rules]
            left.errorbar(
                x,
                [p["mean"] for p in part],
                [p["error"] for p in part],
                fmt=marker,
                ms=4,
                lw=1,
                color=COLOUR[name],
                label=TITLES[name] if kind == "true positives" else None,
            )
    share = table.loc[table["measure"] == "footprint_share", "mean"].iloc[0]
    left.axhline(share, color="0.6", lw=0.8, ls="--")
    left.text(len(rules) - 0.6, share + 0.02, "even spread", ha="right", va="bottom", fontsize=7, color="0.4")
    left.set_xticks(range(len(rules)), rules)
    left.set(ylabel="relevance on the footprint", ylim=(0, 1), title="o real sources, x artifacts (control)")
    left.legend(loc="center right")
    for i, channel in enumerate(CHANNELS):
        part = table[(table["measure"] == f"share of {channel}") & (table["network"] == "cap")].set_index("rule")
        x = np.arange(len(rules)) + 0.2 * (i - 1.5)
        right.bar(x, part.loc[rules, "mean"], 0.18, yerr=part.loc[rules, "error"], label=channel, error_kw={"lw": 0.8})
    right.set_xticks(range(len(rules)), rules)
    right.set(ylabel="share of |relevance|", title="CAP, real sources", ylim=(0, 1))
    right.legend(ncols=2, fontsize=7)
    return figure


def mean_maps(maps, stamps, footprints, rule: str):
    """The mean stamp and the mean relevance of the true positives, with the mean footprint's half level."""
    figure, axes = plt.subplots(2, len(CHANNELS), figsize=(plotting.PAGE * 0.8, 3.1))
    unit = maps / np.abs(maps).max(axis=(1, 2, 3), keepdims=True)
    mean = unit.mean(axis=0)
    limit = np.abs(mean).max()
    for c, channel in enumerate(CHANNELS):
        show_stamp(axes[0, c], stamps[..., c].mean(axis=0))
        image = show_relevance(axes[1, c], mean[..., c], limit)
        for ax in axes[:, c]:
            outline(ax, footprints.mean(axis=0) > 0.5)
        axes[0, c].set_title(channel)
    axes[0, 0].set_ylabel("mean stamp")
    axes[1, 0].set_ylabel("mean relevance")
    scale_bar(axes[0, 0])
    figure.colorbar(image, ax=axes[1], shrink=0.8, label="relevance / largest")
    figure.suptitle(f"{len(maps)} real sources found (CAP, {rule})", fontsize=10)
    return figure


if __name__ == "__main__":
    main()
