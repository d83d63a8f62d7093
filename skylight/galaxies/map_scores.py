"""How well heatmaps lie on the true bars of simulated galaxies."""

from collections.abc import Iterable, Sequence

import numpy as np

from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc

METRICS = {
    "pointing game": pointing_game,
    "relevance mass": relevance_mass,
    "rank accuracy": rank_accuracy,
    "ROC AUC": roc_auc,
}


def localisation(
    galaxies: Iterable[tuple[np.ndarray, np.ndarray]], networks: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Compute the mean localisation metrics of the maps of each network, of their mean, and of a constant map.

    Parameters
    ----------
    galaxies : iterable of (maps, mask)
        Maps of a galaxy from the M networks, (M, H, W), and the pixels of its bar, (H, W) bool.
    networks : sequence of str
        Names of the M networks.

    Returns
    -------
    dict
        Name (a network, ``averageheatmaps`` or ``chance``) -> metric -> mean over the galaxies where it is defined.
    """
    names = [*networks, "averageheatmaps", "chance"]
    values = {name: {metric: [] for metric in METRICS} for name in names}
    for maps, mask in galaxies:
        for name, heatmap in zip(names, [*maps, maps.mean(axis=0), np.ones(mask.shape)], strict=True):
            for metric, function in METRICS.items():
                values[name][metric].append(function(heatmap, mask)[0])
    means = {name: {metric: np.nanmean(found) for metric, found in row.items()} for name, row in values.items()}
    # A constant map has no brightest pixel. A random pixel is on the bar as often as its share of the image.
    means["chance"]["pointing game"] = means["chance"]["relevance mass"]
    return means
