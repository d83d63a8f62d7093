"""Layer-wise relevance propagation (LRP) on test candidates (Reyes et al. 2018, section IV).

Every map explains the class that the network predicts, in all four channels. By every rule: the map of the candidate
(``<network>.npy``) and the mean of the maps of its four quarter turns, turned back (``<network>_averaged.npy``). By the
rule of the figures: the map of each turn, turned back (``<network>_turns.npy``). For CAP, by that rule and by epsilon,
the relevance of every layer (``layers.npz``, keys ``<rule>/<layer>``).
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution import lrp, lrp_layerwise
from skylight.attribution.scoring import resolve_targets
from skylight.candidates import explain, hits
from skylight.errors import script
from skylight.evaluation.rotation_equivariance import (
    agreement_summary,
    largest_relative_change,
    maps_of_turns,
    relevance_per_input,
    rotation_agreement,
)
from skylight.networks.deep_hits import load_deep_hits
from skylight.outputs import save_array, save_json, save_table, writing

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")
BATCH = 64


@script
def main() -> None:
    supernovae = params.load().supernovae
    settings, truth = supernovae.heatmaps, supernovae.data.truth
    predictions = pd.read_csv(OUT / "tables/predictions.csv")
    candidates = explain.choose(predictions, settings.candidates, settings.max_misclassified)
    images = hits.load(DATA, "test").stamps[candidates["place"]]
    footprints = hits.footprints(truth, "test", candidates) if truth else np.zeros(images.shape[:3], bool)
    labels = candidates["label"].to_numpy()
    measured = candidates["explained_by"].to_numpy() == explain.ALL_RULES

    agreement, changes, localisation = {rule: {} for rule in settings.rules}, {rule: {} for rule in settings.rules}, []
    for network, members in supernovae.members.items():
        model = load_deep_hits(OUT / "networks" / members[0], **supernovae.network_options[network])
        targets = resolve_targets(model, images)
        upright, averaged = [], []
        for rule in settings.rules:
            maps = maps_of_turns(
                partial(lrp, model, targets=targets, rule=rule, score=settings.score, batch_size=BATCH), images
            )
            upright.append(maps[0])
            averaged.append(maps.mean(axis=0))
            agreement[rule][network] = rotation_agreement(maps[:, measured])
            changes[rule][network] = largest_relative_change(maps)
            if truth:
                table = explain.localisation(averaged[-1], footprints, targets, labels, measured)
                localisation.append(table.assign(network=network, rule=rule))
            if rule == settings.rule:
                save_array(OUT / f"heatmaps/{network}_turns.npy", maps)
        save_array(OUT / f"heatmaps/{network}.npy", np.stack(upright))
        save_array(OUT / f"heatmaps/{network}_averaged.npy", np.stack(averaged))
        if network == "cap":
            save_layers(model, images, targets, explain.surest_of_each_class(candidates), settings)

    save_table(OUT / "heatmaps/candidates.csv", candidates)
    save_array(OUT / "heatmaps/footprints.npy", footprints)
    empty = pd.DataFrame(columns=["measure", "maps", "mean", "error", "network", "rule"])
    save_table(OUT / "tables/localisation.csv", pd.concat(localisation) if truth else empty)
    metrics = {
        "candidates": int(measured.sum()),
        "rotation_agreement": {rule: agreement_summary(agreement[rule], "deep_hits") for rule in settings.rules},
        "largest_relative_change_of_a_turned_map": changes,
    }
    save_json(OUT / "metrics/relevance.json", metrics, digits=8)


def save_layers(model, images: np.ndarray, targets: np.ndarray, rows: list[int], settings) -> None:
    """Write the relevance of every layer for some of the candidates; the network's four copies are added up."""
    arrays = {}
    for rule in dict.fromkeys((settings.rule, "epsilon")):
        layers = lrp_layerwise(model, images[rows], targets[rows], rule=rule, score=settings.score)
        arrays |= {f"{rule}/{name}": relevance_per_input(values, len(rows)) for name, values in layers.items()}
    with writing(OUT / "heatmaps/layers.npz") as aside:
        np.savez(aside, rows=np.array(rows), **arrays)


if __name__ == "__main__":
    main()
