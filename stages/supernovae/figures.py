"""The figures of the chapter: training, tests, and candidates with their relevance in all four channels."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params, plotting
from skylight.candidates import explain, hits, plots
from skylight.errors import script
from skylight.evaluation.rotation_equivariance import nearest_to_median, rotation_agreement
from skylight.outputs import writing

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")
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
    with writing(OUT / "figures") as folder:
        for name, figure in {**detection_figures(supernovae), **relevance_figures(supernovae)}.items():
            plotting.save(figure, folder / f"{name}.png")


def detection_figures(supernovae) -> dict:
    """Draw the trainings and the tests."""
    members = supernovae.members
    curves = {name: [plotting.read_curves(OUT / "training" / each) for each in members[name]] for name in members}
    return {
        "training": plots.training_curves(curves),
        "det": plots.trade_off(pd.read_csv(OUT / "tables/det.csv")),
        "snr": plots.by_snr(pd.read_csv(OUT / "tables/snr.csv")),
    }


def relevance_figures(supernovae) -> dict:
    """Draw the relevance maps, and what was measured on them."""
    rules, rule = supernovae.heatmaps.rules, supernovae.heatmaps.rule
    score = plotting.SCORE_TITLES[supernovae.heatmaps.score]
    candidates = pd.read_csv(OUT / "heatmaps/candidates.csv")
    stamps = hits.load(DATA, "test").stamps[candidates["place"]]
    footprints = np.load(OUT / "heatmaps/footprints.npy")
    by_rule = np.load(OUT / "heatmaps/cap.npy", mmap_mode="r")
    maps = by_rule[rules.index(rule)]

    figures = {}
    for name, (title, label, right) in OUTCOMES.items():
        rows = explain.examples(candidates, label, right, SHOWN)
        if rows:
            figures[name] = plots.relevance(
                rows, candidates, stamps, maps, footprints, f"{title} (CAP, {rule}, {score})"
            )
    first = [*explain.examples(candidates, 1, True, SHOWN), int(candidates["label"].idxmax())][0]
    figures["rules"] = plots.all_rules(stamps[first], by_rule[:, first], rules)

    agreement = json.loads((OUT / "metrics/relevance.json").read_text(encoding="utf-8"))["rotation_agreement"]
    figures["rotation_agreement"] = plots.rotation_agreement(agreement, rules)
    turns = {name: np.load(OUT / f"heatmaps/{name}_turns.npy", mmap_mode="r") for name in supernovae.members}
    row = nearest_to_median(rotation_agreement(turns["deep_hits"]))
    figures["quarter_turns"] = plots.quarter_turns(stamps[row], {name: each[:, row] for name, each in turns.items()})

    with np.load(OUT / "heatmaps/layers.npz") as saved:
        layers = {}
        for key in sorted(set(saved.files) - {"rows"}):
            by, layer = key.split("/", 1)
            layers.setdefault(by, {})[layer] = saved[key]
        figures["layers"] = plots.layer_by_layer(saved["rows"], candidates, stamps, layers)
    localisation = pd.read_csv(OUT / "tables/localisation.csv")
    if len(localisation):
        figures["localisation"] = plots.localisation(localisation, rules)
        found = (candidates["label"] == 1) & candidates["right"]
        if found.any():
            mean, title = (
                explain.mean_relevance(maps[found]),
                f"{found.sum()} real sources found (CAP, {rule}, {score})",
            )
            figures["mean_relevance"] = plots.mean_relevance(stamps[found], mean, footprints[found], title)
    return figures


if __name__ == "__main__":
    main()
