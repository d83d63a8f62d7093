"""Metrics that Quantus also has return the numbers of Quantus."""

import keras
import numpy as np
import pytest
import quantus
from keras import layers

from skylight.attribution import saliency
from skylight.evaluation.complexity import sparseness
from skylight.evaluation.faithfulness import deletion, faithfulness_correlation, random_sets
from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc
from skylight.evaluation.robustness import average_sensitivity

N, ROWS, COLUMNS = 6, 7, 9
PIXELS = ROWS * COLUMNS
OPTIONS = {"abs": False, "normalise": False, "disable_warnings": True}


@pytest.fixture(scope="module")
def case():
    keras.utils.set_random_seed(1)
    image = layers.Input((ROWS, COLUMNS, 1))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    random = np.random.default_rng(0)
    inputs = random.normal(size=(N, ROWS, COLUMNS, 1)).astype(np.float32)
    return model, inputs, np.array([0, 1, 2, 2, 1, 0]), random.normal(size=(N, ROWS, COLUMNS))


def ask(metric, case, maps=None, **more):
    """Call a metric of Quantus, which takes maps with the channel first even if the inputs have it last."""
    model, inputs, targets, own = case
    maps = own if maps is None else maps
    return np.array(
        metric(model, inputs, targets, a_batch=maps[:, None].copy(), channel_first=False, softmax=True, **more)
    )


@pytest.mark.slow
def test_deletion_equals_pixel_flipping(case):
    model, inputs, targets, maps = case
    # The area of Quantus needs numpy.trapz, which NumPy 2 no longer has; its curves start after the first pixel.
    flipping = quantus.PixelFlipping(features_in_step=1, perturb_baseline=0.25, **OPTIONS)
    intact = model.predict(inputs, verbose=0)[range(N), targets]
    curves = np.column_stack([intact, ask(flipping, case)])
    expected = np.trapezoid(curves, dx=1 / PIXELS, axis=1)
    assert np.allclose(deletion(model, inputs, targets, maps, steps=PIXELS, baseline=0.25), expected, atol=1e-5)


@pytest.mark.slow
def test_faithfulness_correlation_equals_that_of_quantus(case, monkeypatch):
    model, inputs, targets, maps = case
    sets = [random_sets(PIXELS, 13, 30, [0, i]) for i in range(N)]
    drawn = (np.flatnonzero(sets[i][run]) for run in range(30) for i in range(N))
    monkeypatch.setattr(np.random, "choice", lambda *_, **__: next(drawn))
    metric = quantus.FaithfulnessCorrelation(
        subset_size=13, nr_runs=30, perturb_baseline=0.0, return_aggregate=False, **OPTIONS
    )
    found = faithfulness_correlation(model, inputs, targets, maps, share=0.2, runs=30)
    assert np.allclose(found, ask(metric, case), atol=1e-4)


def test_average_sensitivity_equals_that_of_quantus(case):
    model, inputs, targets, _ = case

    def explain(images):
        return saliency(model, images, targets)[..., 0]

    random = np.random.default_rng(5)
    width = 0.1 * np.ptp(inputs, axis=(1, 2, 3), keepdims=True).reshape(N, 1)

    def noise(arr, indices, **_):
        return arr + width * random.uniform(-1, 1, inputs.shape).reshape(N, -1).astype(np.float32)

    metric = quantus.AvgSensitivity(
        nr_samples=4, perturb_func=noise, return_nan_when_prediction_changes=False, **OPTIONS
    )
    maps = explain(inputs)
    expected = ask(metric, case, maps, explain_func=lambda model, inputs, targets: explain(inputs)[..., None])
    found = average_sensitivity(explain, inputs, maps, noise=0.1, samples=4, seed=5)
    assert np.allclose(found, expected, rtol=1e-4)


def test_sparseness_equals_that_of_quantus(case):
    maps = np.abs(case[3])
    assert np.allclose(sparseness(maps), ask(quantus.Sparseness(**OPTIONS), case, maps), atol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (pointing_game, quantus.PointingGame),
        (relevance_mass, quantus.RelevanceMassAccuracy),
        (rank_accuracy, quantus.RelevanceRankAccuracy),
        (roc_auc, quantus.AUC),
    ],
)
def test_localisation_equals_that_of_quantus(case, ours, theirs):
    masks = np.zeros((N, ROWS, COLUMNS), bool)
    masks[:, 2:5, 3:8] = True
    maps = np.abs(case[3])
    expected = ask(theirs(**OPTIONS), case, maps, s_batch=masks[:, None].astype(float))
    assert np.allclose(ours(maps, masks), expected, atol=1e-6)
