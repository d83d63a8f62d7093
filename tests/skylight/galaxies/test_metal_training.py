"""The range test of the learning rate and its suggestions; features on a plane."""

import numpy as np
import pandas as pd
import pytest

from skylight.galaxies.metal_features import planes
from skylight.galaxies.metal_training import range_test, suggestions
from skylight.galaxies.metallicity_arrays import Galaxies
from skylight.params.metallicity import Features, FindLearningRate, Network, Training

TRAINING = Training(
    epochs=1,
    batch_size=8,
    optimizer="ranger",
    schedule="one_cycle",
    learning_rate=0.01,
    weight_decay=0.01,
    rotation=10.0,
    seed=0,
)


@pytest.fixture
def galaxies() -> Galaxies:
    """Blue galaxies are low, red ones are high."""
    rng = np.random.default_rng(0)
    names = np.repeat(["low", "high"], 40)
    images = rng.integers(0, 60, (80, 16, 16, 3)).astype(np.uint8)
    images[:40, ..., 2] += 150
    images[40:, ..., 0] += 150
    return Galaxies(images, pd.DataFrame({"class": names, "part": "train"}), [0.3, 0.1, 0.3], [0.3, 0.1, 0.3])


def test_suggestions_are_a_tenth_of_the_minimum_and_the_steepest_fall():
    rates = np.geomspace(1e-4, 1, 41)
    loss = np.where(rates < 0.001, 1.0, np.where(rates < 0.02, 1 - 0.2 * np.log(rates / 0.001), 5.0))
    table = pd.DataFrame({"learning_rate": rates, "loss": loss, "smoothed": loss})
    found = suggestions(table)
    falling = rates[(rates >= 0.001) & (rates < 0.02)]
    assert found["minimum"] == pytest.approx(falling[-1] / 10)
    assert 0.0007 < found["steepest"] < 0.02


@pytest.mark.slow
def test_the_range_test_raises_the_rate_and_the_loss_falls_where_it_suits(galaxies):
    sweep = FindLearningRate(lowest=1e-4, highest=1.0, steps=30)
    table = range_test(galaxies, np.arange(80), Network(width=0.1, momentum=0.9), TRAINING, sweep)
    assert np.allclose(np.diff(np.log(table["learning_rate"])), np.log(1e4) / 29)
    assert table["smoothed"].iloc[0] == pytest.approx(table["loss"].iloc[0])
    weights = 0.98 ** np.arange(3)[::-1]
    assert table["smoothed"].iloc[2] == pytest.approx((weights * table["loss"][:3]).sum() / weights.sum(), rel=1e-5)
    assert table["smoothed"].min() < 0.9 * table["smoothed"].iloc[0]
    again = range_test(galaxies, np.arange(80), Network(width=0.1, momentum=0.9), TRAINING, sweep)
    assert again.equals(table)


@pytest.mark.slow
def test_the_planes_keep_two_groups_apart_and_are_the_same_twice():
    rng = np.random.default_rng(0)
    features = np.r_[rng.normal(0, 1, (60, 8)), rng.normal(6, 1, (60, 8))].astype(np.float32)
    settings = Features(neighbours=10, min_dist=0.1, seed=0)
    table, explained = planes(features, settings)
    for plane in ("pca", "umap"):
        first, second = (table[[f"{plane}_1", f"{plane}_2"]][rows] for rows in (slice(0, 60), slice(60, 120)))
        apart = np.hypot(*(first.mean() - second.mean()))
        assert apart > 2 * np.hypot(*first.std())
    assert 0 < explained[1] < explained[0] < 1
    assert planes(features, settings)[0].equals(table)
