"""Gradient methods against tf-keras-vis, against literal versions of their formulas, and against their axioms."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution import (
    completeness_gap,
    gradient_x_input,
    integrated_gradients,
    saliency,
    smoothgrad,
    vargrad,
)
from skylight.attribution.engines import by_engine
from skylight.attribution.scoring import score_model
from skylight.errors import InputError
from tests.skylight.attribution.small_networks import SHAPE, weights_of

TARGETS = [0, 1, 2, 1, 0]


def gradients(model, images, targets):
    """Compute gradients eagerly, with one tape."""
    images = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        score = tf.gather(score_model(model)(images), targets, axis=1, batch_dims=1)
    return tape.gradient(score, images).numpy()


def library(method, *arguments, **options):
    """Return the maps of the logit by tf-keras-vis."""
    return by_engine("tf_keras_vis", method)(*arguments, **options, score="logit")


def test_saliency_equals_that_of_tf_keras_vis(classifier, images):
    assert np.allclose(
        saliency(classifier, images, TARGETS, score="logit"), library(saliency, classifier, images, TARGETS), atol=1e-6
    )


def test_saliency_of_a_linear_model_equals_its_weights(linear, images):
    assert np.allclose(saliency(linear, images, 1), np.abs(weights_of(linear, 1)), atol=1e-6)


def test_smoothgrad_without_noise_is_saliency(classifier, images):
    maps = smoothgrad(classifier, images, TARGETS, samples=7, noise=0, score="logit")
    assert np.allclose(maps, saliency(classifier, images, TARGETS, score="logit"), rtol=1e-5, atol=1e-8)
    assert np.allclose(maps, library(smoothgrad, classifier, images, TARGETS, samples=2, noise=0), rtol=1e-4, atol=1e-6)


def copies(images, samples, noise, seed):
    """Return the noisy copies, (samples, N, H, W, C), computed one by one."""
    draws = [
        [tf.random.stateless_normal(SHAPE, [seed, number * samples + sample]).numpy() for number in range(len(images))]
        for sample in range(samples)
    ]
    spread = images.max(axis=(1, 2, 3), keepdims=True) - images.min(axis=(1, 2, 3), keepdims=True)
    return images + noise * spread * np.array(draws)


def test_smoothgrad_and_vargrad_are_moments_over_noisy_copies(classifier, images):
    each = np.array([gradients(classifier, copy, TARGETS) for copy in copies(images, 6, 0.3, seed=9)])
    options = {"samples": 6, "noise": 0.3, "seed": 9}
    assert np.allclose(
        smoothgrad(classifier, images, TARGETS, **options, score="logit"), np.abs(each).mean(axis=0), atol=1e-6
    )
    assert np.allclose(
        vargrad(classifier, images, TARGETS, **options, score="logit"), each.var(axis=0), rtol=1e-3, atol=1e-8
    )


@pytest.mark.slow
def test_smoothgrad_agrees_with_tf_keras_vis_within_the_noise(classifier, images):
    samples = 200
    absolute = np.abs([gradients(classifier, copy, TARGETS) for copy in copies(images, 50, 0.2, seed=1)])
    error = np.sqrt(2 / samples) * absolute.std(axis=0) + 1e-6
    theirs = library(smoothgrad, classifier, images, TARGETS, samples=samples, noise=0.2)
    ours = smoothgrad(classifier, images, TARGETS, samples=samples, noise=0.2, score="logit")
    deviation = np.sqrt(np.mean(((ours - theirs) / error) ** 2))
    assert 0.7 < deviation < 1.3
    other = smoothgrad(classifier, images, TARGETS, samples=samples, noise=0.5, score="logit")
    assert np.sqrt(np.mean(((other - theirs) / error) ** 2)) > 2


def test_the_seed_determines_the_noise(classifier, images):
    one, same, other = (smoothgrad(classifier, images, samples=3, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_vargrad_of_a_linear_model_is_zero(linear, images):
    assert vargrad(linear, images, samples=4).max() < 1e-12


def test_gradient_x_input_without_biases_sums_to_the_score(classifier, images):
    plain = keras.models.clone_model(classifier)
    plain.set_weights([weight if weight.ndim > 1 else 0 * weight for weight in classifier.get_weights()])
    scores = score_model(plain)(images).numpy()
    maps = gradient_x_input(plain, images, 2, score="logit")
    assert np.allclose(maps.sum(axis=(1, 2, 3)), scores[:, 2], atol=1e-5)


@pytest.mark.parametrize("baseline", [0.0, 0.5, "image", "one for each"])
def test_integrated_gradients_are_complete(baseline, classifier, images):
    if baseline == "image":
        baseline = np.full(SHAPE, 0.3)
    elif baseline == "one for each":
        baseline = images[::-1]
    maps = integrated_gradients(classifier, images, TARGETS, baseline=baseline, steps=300, score="logit")
    start = np.broadcast_to(baseline, images.shape)
    scores = [score_model(classifier)(some).numpy()[np.arange(5), TARGETS] for some in (images, start)]
    assert np.allclose(maps.sum(axis=(1, 2, 3)), scores[0] - scores[1], atol=2e-3)
    gap = completeness_gap(classifier, images, TARGETS, maps, baseline=baseline, score="logit")
    assert np.allclose(gap, scores[0] - scores[1] - maps.sum(axis=(1, 2, 3)), atol=1e-5)


def test_integrated_gradients_by_definition(classifier, images):
    points = [gradients(classifier, 0.1 + (k + 0.5) / 5 * (images - 0.1), TARGETS) for k in range(5)]
    maps = integrated_gradients(classifier, images, TARGETS, baseline=0.1, steps=5, score="logit")
    assert np.allclose(maps, (images - 0.1) * np.mean(points, axis=0), atol=1e-6)


def test_the_completeness_gap_decreases_with_the_number_of_steps(classifier, images):
    options = {"baseline": -2.0, "batch_size": 500}
    gaps = []
    for steps in (1, 500):
        maps = integrated_gradients(classifier, images, 1, steps=steps, **options)
        gaps.append(np.abs(completeness_gap(classifier, images, 1, maps, baseline=-2.0)).mean())
    assert gaps[0] > 10 * gaps[1]


def test_integrated_gradients_of_a_linear_model_need_one_step(linear, images):
    maps = integrated_gradients(linear, images, 0, baseline=0.2, steps=1)
    assert np.allclose(maps, weights_of(linear, 0) * (images - 0.2), atol=1e-6)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (smoothgrad, {"samples": 0}, "samples: must be at least 1, got 0"),
        (smoothgrad, {"noise": -0.1}, "noise: must be at least 0, got -0.1"),
        (smoothgrad, {"noise": np.nan}, "noise: must be at least 0, got nan"),
        (vargrad, {"samples": 1}, "samples: must be at least 2, got 1"),
        (integrated_gradients, {"steps": 0}, "steps: must be at least 1, or 'auto', got 0"),
        (integrated_gradients, {"baseline": np.zeros((3, 3))}, r"baseline: must be a number.*got \(3, 3\)"),
        (saliency, {"batch_size": 0}, "batch_size: must be at least 1, got 0"),
        (saliency, {"targets": 3}, "targets: must be 0 to 2"),
    ],
)
def test_wrong_options_are_errors(method, options, message, classifier, images):
    with pytest.raises(InputError, match=message):
        method(classifier, images, **options)


def test_integrated_gradients_say_when_they_have_not_converged_and_auto_converges():
    image = layers.Input((4, 4, 1))
    x = layers.Dense(1, activation="sigmoid", kernel_initializer="ones")(
        layers.Rescaling(20.0, -10.0)(layers.Flatten()(image))
    )
    model = keras.Model(image, layers.Rescaling(1.0)(x))
    ones = np.ones((1, 4, 4, 1), np.float32)
    with pytest.warns(UserWarning, match="1 of 1 maps have not converged with 2 steps"):
        integrated_gradients(model, ones, 1, steps=2, score="probability")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = integrated_gradients(model, ones, 1, steps="auto", score="probability")
    change = np.subtract(*model.predict(np.concatenate([ones, 0 * ones]), verbose=0)[:, 0])
    assert abs(maps.sum() - change) <= 0.05 * abs(change)
    with pytest.raises(InputError, match="steps: must be at least 1, or 'auto', got 'many'"):
        integrated_gradients(model, ones, 1, steps="many")


@pytest.mark.parametrize("method", [saliency, smoothgrad, integrated_gradients])
def test_a_cut_gradient_is_an_error_that_names_the_layer(method):
    image = layers.Input((4, 4, 1))
    x = layers.Lambda(lambda x: keras.ops.cast(keras.ops.cast(x, "uint8"), "float32"), name="to_bytes")(image)
    model = keras.Model(image, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))
    with pytest.raises(InputError, match=r"^layer to_bytes: has no gradient"):
        method(model, np.ones((1, 4, 4, 1), np.float32), 0)
