"""Metrics that Quantus also has return the numbers of Quantus."""

import keras
import numpy as np
import pytest
import quantus
from keras import layers

from skylight.attribution import gradient_x_input, saliency
from skylight.evaluation.complexity import sparseness
from skylight.evaluation.faithfulness import (
    deletion,
    faithfulness_correlation,
    infidelity,
    random_sets,
    random_squares,
    road,
)
from skylight.evaluation.imputation import linear_imputation
from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc
from skylight.evaluation.randomisation import random_logit
from skylight.evaluation.robustness import relative_changes


def average_sensitivity(*args, **options):
    return relative_changes(*args, **options).mean(axis=1)


def max_sensitivity(*args, **options):
    return relative_changes(*args, **options).max(axis=1)


pytestmark = pytest.mark.slow

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


@pytest.mark.slow
def test_infidelity_equals_that_of_quantus(case):
    model, inputs, targets, noise = case
    maps = gradient_x_input(model, inputs, targets, score="probability")[..., 0] + 0.01 * noise
    squares = np.stack([random_squares((ROWS, COLUMNS), 0.3, PIXELS, [0, i]) for i in range(N)])
    perturbed = np.where(squares, 0, inputs.reshape(N, 1, PIXELS))
    # Quantus goes over the pixels (patches of 1), and gets one of our squares for each.
    drawn = iter(perturbed.swapaxes(0, 1))
    metric = quantus.Infidelity(
        perturb_patch_sizes=[1], n_perturb_samples=1, perturb_func=lambda **_: next(drawn), **OPTIONS
    )
    # It multiplies maps by the change of the input, and has no scaling.
    intact = model.predict(inputs, verbose=0)[range(N), targets]
    outputs = model.predict(perturbed.reshape(-1, ROWS, COLUMNS, 1), verbose=0).reshape(N, PIXELS, -1)
    drops = intact[:, None] - outputs[range(N), :, targets]
    sums = (squares * maps.reshape(N, 1, PIXELS)).sum(axis=2)
    scale = (sums * drops).sum(axis=1) / (sums**2).sum(axis=1)
    assert (scale > 0).all()
    expected = ask(metric, case, scale[:, None, None] * maps / inputs[..., 0])
    assert np.allclose(infidelity(model, inputs, targets, maps, side=0.3, runs=PIXELS), expected, rtol=1e-4)


@pytest.mark.slow
def test_road_equals_that_of_quantus(monkeypatch):
    """Quantus counts how often the class is predicted: of two classes, how often its probability is above 0.5."""
    keras.utils.set_random_seed(2)
    image = layers.Input((6, 10, 1))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    random = np.random.default_rng(0)
    inputs, maps = random.normal(size=(12, 6, 10, 1)).astype(np.float32), random.normal(size=(12, 6, 10))
    targets, percents = model.predict(inputs, verbose=0).argmax(axis=1), [10, 50, 90]
    order = np.argsort(-maps.reshape(12, 60), axis=1)
    noise = [0.2 * np.ptp(one) * np.random.default_rng([0, i]).normal(size=60) for i, one in enumerate(inputs)]
    drawn = iter([noise[i][order[i, : 60 * percent // 100]] for percent in percents for i in range(12)])
    monkeypatch.setattr(np.random, "randn", lambda *_: next(drawn))
    metric = quantus.ROAD(percentages=percents, noise=1, **OPTIONS)
    expected = metric(model, inputs, targets, a_batch=maps[:, None].copy(), channel_first=False, softmax=True)
    for percent in percents:
        found = road(model, inputs, targets, maps, shares=[percent / 100], noise=0.2)
        assert (found > 0.5).mean() == expected[percent]
    assert 0 < expected[90] < expected[10]


def test_imputed_pixels_equal_those_of_quantus(case):
    image, removed = case[1][0], case[3][0] > 0
    expected = quantus.noisy_linear_imputation(np.moveaxis(image, -1, 0), np.flatnonzero(removed), noise=0)
    assert np.allclose(linear_imputation(image[None], removed[None])[0], np.moveaxis(expected, 0, -1), atol=1e-6)


def test_random_logit_equals_that_of_quantus(case, monkeypatch):
    model, inputs, targets, _ = case

    def explain(targets):
        return saliency(model, inputs, targets)[..., 0]

    monkeypatch.setattr(np.random, "randint", lambda *_: np.random.default_rng(3).integers(2, size=N))
    metric = quantus.RandomLogit(similarity_func=quantus.correlation_spearman, num_classes=3, **OPTIONS)
    expected = ask(metric, case, explain(targets), explain_func=lambda targets, **_: explain(targets)[..., None])
    assert np.allclose(random_logit(explain, targets, 3, explain(targets), seed=3), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(average_sensitivity, quantus.AvgSensitivity), (max_sensitivity, quantus.MaxSensitivity)]
)
def test_sensitivities_equal_those_of_quantus(case, ours, theirs):
    model, inputs, targets, _ = case

    def explain(images):
        return saliency(model, images, targets)[..., 0]

    random = np.random.default_rng(5)
    width = 0.1 * np.ptp(inputs, axis=(1, 2, 3), keepdims=True).reshape(N, 1)

    def noise(arr, indices, **_):
        return arr + width * random.uniform(-1, 1, inputs.shape).reshape(N, -1).astype(np.float32)

    metric = theirs(nr_samples=4, perturb_func=noise, return_nan_when_prediction_changes=False, **OPTIONS)
    maps = explain(inputs)
    expected = ask(metric, case, maps, explain_func=lambda model, inputs, targets: explain(inputs)[..., None])
    found = ours(explain, inputs, maps, noise=0.1, samples=4, seed=5)
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
