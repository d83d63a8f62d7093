"""Layer-wise relevance propagation on test candidates (Reyes et al. 2018, section IV).

By every rule, for the class that the network predicts: maps of all four channels of the candidate as it is
(``<network>.npy``), and of its four quarter turns turned back and averaged (``<network>_averaged.npy``); by one of the
rules also of each turn, turned back (``<network>_turns.npy``).
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from skylight import params
from skylight.attribution.relevance import lrp, lrp_layerwise
from skylight.attribution.scoring import resolve_targets
from skylight.candidates.hits import CHANNELS, footprints
from skylight.errors import script
from skylight.evaluation.detection import THRESHOLD
from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc
from skylight.evaluation.rotation_equivariance import copies_turned_back, maps_of_turns, rotation_agreement
from skylight.networks.deep_hits import load_deep_hits
from skylight.outputs import save_array, save_json, save_table, writing

DATA, OUT = Path("data/processed/supernovae"), Path("out/supernovae")
MEASURES = {
    "pointing_game": pointing_game,
    "relevance_mass": relevance_mass,
    "rank_accuracy": rank_accuracy,
    "roc_auc": roc_auc,
}
BATCH = 64


@script
def main() -> None:
    supernovae = params.load().supernovae
    settings, truth = supernovae.heatmaps, supernovae.data.truth
    chosen = choose(pd.read_csv(OUT / "tables/predictions.csv"), settings.candidates, settings.max_misclassified)
    images = np.load(DATA / "test.npy", mmap_mode="r")[chosen["place"]]
    masks = footprints(truth, "test", chosen) if truth else None
    by_rule = chosen["explained_by"].to_numpy() == "all rules"

    agreement, equivariance, localisation = {}, {}, []
    for network, members in supernovae.members.items():
        model = load_deep_hits(OUT / "networks" / members[0], **supernovae.network_options[network])
        targets = resolve_targets(model, images)
        found = []
        for rule in settings.rules:
            maps = maps_of_turns(partial(explained, model, targets, rule), images)
            if rule == settings.rule:
                save_array(OUT / f"heatmaps/{network}_turns.npy", maps)
            agreement.setdefault(rule, {})[network] = rotation_agreement(maps[:, by_rule])
            change = np.abs(maps - maps[0]).max(axis=(0, 2, 3, 4)) / np.abs(maps[0]).max(axis=(1, 2, 3))
            equivariance.setdefault(rule, {})[network] = float(change.max())
            found.append((maps[0], maps.mean(axis=0)))
            if truth:
                rows = located(maps.mean(axis=0), masks, targets, chosen["label"].to_numpy(), by_rule)
                localisation.append(rows.assign(network=network, rule=rule))
        for name, values in zip((network, f"{network}_averaged"), zip(*found, strict=True), strict=True):
            save_array(OUT / f"heatmaps/{name}.npy", np.stack(values))
        if network == "cap":
            save_layers(model, images, targets, chosen, settings.rule)

    save_table(OUT / "heatmaps/candidates.csv", chosen)
    save_array(OUT / "heatmaps/footprints.npy", masks if truth else np.zeros(images.shape[:3], bool))
    save_json(OUT / "metrics/relevance.json", summary(agreement, equivariance, int(by_rule.sum())), digits=8)
    empty = pd.DataFrame(columns=["measure", "maps", "mean", "error", "network", "rule"])
    save_table(OUT / "tables/localisation.csv", pd.concat(localisation) if truth else empty)


def explained(model, targets: np.ndarray, rule: str, images: np.ndarray) -> np.ndarray:
    return lrp(model, images, targets, rule=rule, batch_size=BATCH)


def choose(predictions: pd.DataFrame, count: int, wrong: int) -> pd.DataFrame:
    """Candidates to explain: the first of each class, and the misclassified ones that CAP is surest of."""
    table = predictions.assign(
        place=range(len(predictions)), right=(predictions["p_cap"] >= THRESHOLD) == predictions["label"]
    )
    usual = table.groupby("label").head(count // 2).assign(explained_by="all rules")
    others = table[~table["right"] & ~table["place"].isin(usual["place"])]
    sure = (others["p_cap"] - THRESHOLD).abs().sort_values(ascending=False, kind="stable").index
    others = others.loc[sure].groupby("label").head(wrong).assign(explained_by="because wrong")
    return pd.concat([usual, others]).sort_values("place", ignore_index=True)


def located(maps, masks, targets, labels, by_rule) -> pd.DataFrame:
    """How well what speaks for the class, over all channels, lies on the point source of the true positives.

    As a control, the same for true negatives, which have no source, and footprints borrowed from the positives: all
    candidates are centred on what was detected.
    """
    speaks_for = maps.clip(min=0).sum(axis=-1)
    positive, negative = (np.flatnonzero(by_rule & (targets == k) & (labels == k)) for k in (1, 0))
    borrowed = np.resize(positive, len(negative)) if len(positive) else negative
    sets = {"true positives": (positive, positive), "control": (negative, borrowed)}
    rows = []
    for kind, (at, of) in sets.items():
        for name, measure in MEASURES.items():
            mean, error = mean_and_error(measure(speaks_for[at], masks[of]))
            rows.append({"measure": name, "maps": kind, "mean": mean, "error": error})
    rows.append(
        {"measure": "footprint_share", "maps": "true positives", "mean": masks[labels == 1].mean(), "error": 0.0}
    )
    for c, channel in enumerate(CHANNELS):
        share = np.abs(maps[positive][..., c]).sum(axis=(1, 2)) / np.abs(maps[positive]).sum(axis=(1, 2, 3))
        mean, error = mean_and_error(share)
        rows.append({"measure": f"share of {channel}", "maps": "true positives", "mean": mean, "error": error})
    return pd.DataFrame(rows)


def summary(agreement: dict, equivariance: dict, count: int) -> dict:
    """Rotation agreement by rule and network, and by how much each network's exceeds Deep-HiTS's."""
    result = {"candidates": count, "largest_relative_change_of_a_turned_map": equivariance}
    for rule, by_network in agreement.items():
        for network, values in by_network.items():
            mean, error = mean_and_error(values)
            gain, gain_error = mean_and_error(values - by_network["deep_hits"])
            row = {"mean": mean, "error": error, "gain_over_deep_hits": gain, "gain_error": gain_error}
            result.setdefault("rotation_agreement", {}).setdefault(rule, {})[network] = row
    return result


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean of the values that are not NaN, and its standard error."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan"), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def save_layers(model, images, targets, chosen: pd.DataFrame, rule: str) -> None:
    """Layer by layer, the relevance of the surest right candidate of each class; copies turned back and averaged."""
    sure = (chosen["p_cap"] - THRESHOLD).abs().where(chosen["right"], -1)
    rows = [int(sure[chosen["label"] == label].idxmax()) for label in (1, 0)]
    layers = lrp_layerwise(model, images[rows], targets[rows], rule=rule)
    with writing(OUT / "heatmaps/layers.npz") as aside:
        arrays = {"rows": np.array(rows)}
        for name, values in layers.items():
            copies = len(values) // len(rows)
            if values.ndim == 4:
                values = copies_turned_back(values) * copies if copies > 1 else values
            else:
                values = values.reshape(len(rows), copies, -1).sum(axis=1)
            arrays[name] = values
        np.savez(aside, **arrays)


if __name__ == "__main__":
    main()
