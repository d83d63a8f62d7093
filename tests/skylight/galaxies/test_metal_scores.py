"""Scores of the classes and of maps against the true metallicity, held to their definitions."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from skylight.galaxies.local_metallicity import PARTS, LocalMetallicity
from skylight.galaxies.metal_regression import mass_relation, residuals
from skylight.galaxies.metal_scores import (
    agreement_table,
    calibration,
    classification,
    control_probabilities,
    mass_on_parts,
    metal_poor_half,
    parts_table,
    rank_correlations,
)
from skylight.params.metallicity import Evaluate

SETTINGS = Evaluate(radius=2, bootstrap=50, seed=0)
RNG = np.random.default_rng(0)


def truth(seed: int = 0, size: int = 12) -> LocalMetallicity:
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) / 2
    radius = np.hypot(x, y)
    kind = np.random.default_rng(seed).integers(0, 5, (size, size))
    parts = {name: kind == number for number, name in enumerate(PARTS)}
    return LocalMetallicity(9 - 0.1 * radius, radius, parts)


def test_classification_is_that_of_the_definitions():
    low = np.array([True, True, True, False, False])
    p = np.array([0.9, 0.6, 0.4, 0.45, 0.1])
    found = classification(low, p, times=200, seed=0)
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["f1"] == pytest.approx(2 * 2 / (2 * 2 + 0 + 1))
    assert found["roc_auc"] == pytest.approx(5 / 6)  # pairs in order
    assert found["roc_auc_of_classes"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["loss"] == pytest.approx(-np.log([0.9, 0.6, 0.4, 0.55, 0.9]).mean())
    assert 0.1 < found["accuracy_error"] < 0.25


def test_calibration_counts_every_galaxy_once():
    p = np.array([0.0, 0.05, 0.5, 0.55, 1.0])
    table = calibration(np.array([False, False, True, False, True]), p)
    assert table["galaxies"].tolist() == [2, 2, 1]
    assert table["observed"].tolist() == [0, 0.5, 1]
    assert table["predicted"].tolist() == pytest.approx([0.025, 0.525, 1])


def test_the_control_learns_colour_and_size():
    blue = np.r_[RNG.normal(0.4, 0.1, 200), RNG.normal(0.8, 0.1, 200)]
    table = pd.DataFrame({"g_r": blue, "r50": RNG.normal(3, 1, 400), "class": np.repeat(["low", "high"], 200)})
    (p,) = control_probabilities(table, [table])
    assert ((p > 0.5) == (table["class"] == "low")).mean() > 0.95


def test_rank_correlations_are_spearmans_within_the_radius_and_without_neighbours():
    one = truth()
    maps = RNG.normal(size=(2, 12, 12))
    inside = (one.radius <= 2) & ~one.parts["neighbours"]
    expected = [spearmanr(values[inside], one.metallicity[inside])[0] for values in maps]
    assert rank_correlations(maps, [one, one], 2) == pytest.approx(expected)
    assert rank_correlations(one.metallicity[None], [one], 2) == pytest.approx([1])
    assert np.isnan(rank_correlations(np.ones((1, 12, 12)), [one], 2)).all()


def test_the_metal_poor_half_is_half():
    one = truth()
    inside = (one.radius <= 2) & ~one.parts["neighbours"]
    (mask,) = metal_poor_half([one], 2)
    assert not (mask & ~inside).any()
    assert 0.3 < mask.sum() / inside.sum() <= 0.5
    assert one.metallicity[mask].max() < one.metallicity[inside & ~mask].min()


def test_shares_on_the_parts_add_up_to_one():
    maps = RNG.normal(size=(3, 12, 12))
    maps[2] = -1
    shares = mass_on_parts(maps, [truth(1), truth(2), truth(3)])
    assert list(shares) == [*PARTS, "sky"]
    positive = np.maximum(maps[0], 0)
    assert shares["disc"][0] == pytest.approx(positive[truth(1).parts["disc"]].sum() / positive.sum())
    assert shares.sum(axis=1)[:2].tolist() == pytest.approx([1, 1])
    assert shares.iloc[2].isna().all()


def test_maps_of_high_agree_where_the_metallicity_is_high_and_all_others_where_it_is_low():
    truths = [truth(1), truth(2)]
    metals = np.stack([one.metallicity for one in truths])
    maps = {"Grad-CAM of high": metals, "Grad-CAM of low": -metals, "low minus high": -metals, "edges": metals}
    table = agreement_table(maps, truths, SETTINGS, "maps").set_index("map")
    assert table["mean"].tolist() == pytest.approx([1, 1, 1, -1])
    assert (table["n"] == 2).all() and (table["group"] == "maps").all()
    parts = parts_table(maps, truths, SETTINGS)
    assert len(parts) == 4 * 5
    for empty in (agreement_table(maps, [], SETTINGS, "maps"), parts_table(maps, [], SETTINGS)):
        assert empty.empty and "mean" in empty


def test_residuals_and_the_mass_relation():
    found = residuals(np.array([8.6, 9.0, 9.3]), np.array([8.5, 9.0, 9.0]))
    assert found["rmse"] == pytest.approx(np.sqrt(0.1 / 3))
    assert found["bias"] == pytest.approx(0.4 / 3)
    assert found["scatter"] == pytest.approx(1.4826 * 0.1)
    mass = np.linspace(8.5, 11, 50)
    table = pd.DataFrame({"lgm_tot_p50": mass, "oh_p50": -1.492 + 1.847 * mass - 0.08026 * mass**2})
    assert np.allclose(mass_relation(table, table), table["oh_p50"])
    others = pd.DataFrame({"lgm_tot_p50": [np.nan]})
    assert mass_relation(table, others) == pytest.approx([table["oh_p50"].mean()])
