"""How well heatmaps lie on the true bars of simulated galaxies."""

from collections.abc import Iterable, Sequence

import numpy as np

from skylight.evaluation.bootstrap import mean_and_error
from skylight.evaluation.controls import centred_gaussian
from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc

METRICS = {
    "pointing game": pointing_game,
    "relevance mass": relevance_mass,
    "rank accuracy": rank_accuracy,
    "ROC AUC": roc_auc,
}
CENTRE, CHANCE = "centre", "chance"
"""Controls: a Gaussian in the middle of the image, where every galaxy is, and pixels in random order."""


def localisation(
    galaxies: Iterable[tuple[np.ndarray, np.ndarray]], networks: Sequence[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Compute the mean localisation metrics of the maps of each network, of their mean, and of two controls.

    Parameters
    ----------
    galaxies : iterable of (maps, mask)
        Maps of a galaxy from the M networks, (M, H, W), and the pixels of its bar, (H, W) bool.
    networks : sequence of str
        Names of the M networks.

    Returns
    -------
    dict
        Name (a network, ``averageheatmaps``, `CENTRE` or `CHANCE`) -> metric -> ``mean`` over the galaxies where it is
        defined, and its standard ``error``.
    """
    names = [*networks, "averageheatmaps", CENTRE, CHANCE]
    values = {name: {metric: [] for metric in METRICS} for name in names}
    for maps, mask in galaxies:
        centre = centred_gaussian(None, maps[:1, ..., None])[0, ..., 0]
        for name, heatmap in zip(names[:-1], [*maps, maps.mean(axis=0), centre], strict=True):
            for metric, function in METRICS.items():
                values[name][metric].append(function(heatmap, mask)[0])
        if mask.any():
            for metric in METRICS:
                values[CHANCE][metric].append(0.5 if metric == "ROC AUC" else mask.mean())
    return {
        name: {
            metric: dict(zip(("mean", "error"), mean_and_error(np.array(found)), strict=True))
            for metric, found in row.items()
        }
        for name, row in values.items()
    }
