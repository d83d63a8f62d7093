"""Localisation metrics of heatmaps are means over galaxies, beside those of the mean map and of two controls."""

import numpy as np
import pytest

from skylight.evaluation.controls import WIDTH
from skylight.galaxies.map_scores import localisation


def test_metrics_are_means_over_the_galaxies():
    rng = np.random.default_rng(0)
    masks = np.zeros((3, 6, 6), dtype=bool)
    masks[0, 2, 1:4] = masks[1, 1:5, 3] = masks[2, 0, 0] = True
    maps = rng.random((3, 2, 6, 6))
    maps[0, 0] = masks[0]  # the first network is right on the first galaxy
    scores = localisation(zip(maps, masks, strict=True), ["a", "b"])
    assert list(scores) == ["a", "b", "averageheatmaps", "centre", "chance"]
    y, x = (np.mgrid[:6, :6] - 2.5) / (6 * WIDTH)
    of = {"a": maps[:, 0], "b": maps[:, 1], "averageheatmaps": maps.mean(axis=1), "chance": np.ones((3, 6, 6))}
    of["centre"] = np.broadcast_to(np.exp(-(x**2 + y**2) / 2), (3, 6, 6))
    for name, heatmaps in of.items():
        mass, rank, hit = [], [], []
        for heatmap, mask in zip(heatmaps, masks, strict=True):
            mass.append(heatmap[mask].sum() / heatmap.sum())
            brightest = np.argsort(-heatmap.ravel(), kind="stable")[: mask.sum()]
            rank.append(mask.ravel()[brightest].mean())
            hit.append(mask.ravel()[brightest[0]])
        error = np.std(mass, ddof=1) / np.sqrt(3)
        assert scores[name]["relevance mass"] == pytest.approx({"mean": np.mean(mass), "error": error})
        if name == "chance":
            assert scores[name]["rank accuracy"] == scores[name]["relevance mass"]
        elif name != "centre":  # it has ties
            assert scores[name]["rank accuracy"]["mean"] == pytest.approx(np.mean(rank))
            assert scores[name]["pointing game"]["mean"] == pytest.approx(np.mean(hit))
    assert scores["chance"]["ROC AUC"] == {"mean": 0.5, "error": 0}
    assert scores["chance"]["pointing game"]["mean"] == pytest.approx(np.mean([3, 4, 1]) / 36)


def test_a_galaxy_without_a_mask_does_not_count():
    masks = np.eye(4, dtype=bool), ~np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool)
    maps = np.random.default_rng(1).random((3, 1, 4, 4))
    all_three, two = (localisation(zip(maps[:n], masks[:n], strict=True), ["a"]) for n in (3, 2))
    assert all_three["a"] == two["a"]
