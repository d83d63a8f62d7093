"""Shapley values against shap, and against the sums that they must have."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution import background, deep_shap, gradient_shap
from skylight.attribution.engines import by_engine
from skylight.attribution.scoring import score_model
from skylight.errors import InputError
from tests.skylight.attribution.small_networks import SHAPE, weights_of

TARGETS = [0, 1, 2, 1, 0]


@pytest.fixture(scope="module")
def typical():
    return np.random.default_rng(1).normal(size=(7, *SHAPE)).astype(np.float32)


def residual():
    """Return a network with batch normalisation, a sum, a separable convolution and several activations."""
    keras.utils.set_random_seed(4)
    image = layers.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization(
        beta_initializer="normal", moving_mean_initializer="normal", gamma_initializer="glorot_uniform"
    )(x)
    x = layers.Activation("swish")(x)
    y = layers.SeparableConv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.ReLU(max_value=6)(layers.Add()([x, y]))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Dropout(0.5)(x)))


@pytest.mark.parametrize("score", ["logit", "log_odds"])
@pytest.mark.slow
def test_deep_shap_equals_that_of_shap(score, classifier, images, typical):
    theirs = by_engine("shap", deep_shap)(classifier, images, TARGETS, background=typical, score=score)
    ours = deep_shap(classifier, images, TARGETS, background=typical, score=score)
    assert np.allclose(ours, theirs, atol=1e-5)
    assert theirs.std() > 0.01


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
@pytest.mark.slow
def test_deep_shap_is_complete(batch_size, classifier, images, typical):
    for model in (classifier, residual()):
        maps = deep_shap(model, images, TARGETS, background=typical, batch_size=batch_size)
        scores, base = (score_model(model)(some).numpy() for some in (images, typical))
        owed = scores[np.arange(5), TARGETS] - base.mean(axis=0)[TARGETS]
        assert np.allclose(maps.sum(axis=(1, 2, 3)), owed, atol=1e-4)


def test_a_number_as_background_is_one_constant_image(classifier, images):
    assert np.allclose(
        deep_shap(classifier, images, background=0.5),
        deep_shap(classifier, images, background=np.full((1, *SHAPE), 0.5)),
    )


def test_shapley_values_of_a_linear_model(linear, images, typical):
    exact = weights_of(linear, 1) * (images - typical.mean(axis=0))
    assert np.allclose(deep_shap(linear, images, 1, background=typical), exact, atol=1e-5)
    sampled = gradient_shap(linear, images, 1, background=typical, samples=4000)
    error = np.abs(weights_of(linear, 1)) * typical.std(axis=0) / np.sqrt(4000)
    assert np.sqrt(np.mean(((sampled - exact) / error) ** 2)) < 2
    constant = gradient_shap(linear, images, 1, background=0.5, samples=2)
    assert np.allclose(constant, weights_of(linear, 1) * (images - 0.5), atol=1e-5)


def test_gradient_shap_agrees_with_shap_within_the_noise(classifier, images, typical):
    samples = 2000
    options = {"background": typical, "samples": samples, "score": "logit", "batch_size": 500}
    theirs = by_engine("shap", gradient_shap)(classifier, images, TARGETS, **options)
    ours = gradient_shap(classifier, images, TARGETS, **options)
    again = gradient_shap(classifier, images, TARGETS, **options, seed=1)
    noise = np.sqrt(np.mean((ours - again) ** 2))
    assert 0.8 < np.sqrt(np.mean((ours - theirs) ** 2)) / noise < 1.2
    assert noise < 0.1 * theirs.std()


def test_gradient_shap_is_complete_within_the_noise(classifier, images, typical):
    maps = gradient_shap(classifier, images, TARGETS, background=typical, samples=2000, batch_size=500)
    scores, base = (score_model(classifier)(some).numpy() for some in (images, typical))
    owed = scores[np.arange(5), TARGETS] - base.mean(axis=0)[TARGETS]
    assert np.allclose(maps.sum(axis=(1, 2, 3)), owed, atol=0.05 * np.abs(owed).max())


def test_the_seed_determines_the_samples(classifier, images, typical):
    one, same, other = (
        gradient_shap(classifier, images, background=typical, samples=3, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_the_seed_determines_the_background():
    inputs = np.arange(50.0).reshape(50, 1, 1, 1)
    drawn = background(inputs, 10, seed=3)
    assert drawn.shape == (10, 1, 1, 1)
    assert len(np.unique(drawn)) == 10
    assert np.array_equal(drawn, background(inputs, 10, seed=3))
    assert not np.array_equal(drawn, background(inputs, 10, seed=4))
    assert np.array_equal(background(inputs, 50, seed=0), inputs)
    with pytest.raises(InputError, match="size: must be 1 to 50"):
        background(inputs, 51, seed=0)


@pytest.mark.parametrize("gate", [lambda x: layers.Multiply()([x, x]), layers.LayerNormalization(), keras.ops.tanh])
def test_a_layer_that_deep_shap_does_not_support_is_an_error(gate, images):
    keras.utils.set_random_seed(0)
    image = layers.Input(SHAPE)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(gate(layers.Conv2D(3, 3)(image)))), name="gated")
    with pytest.raises(InputError, match="model gated: deep_shap misses the score by"):
        deep_shap(model, images, background=0.3)
    assert gradient_shap(model, images, samples=2).shape == images.shape


@pytest.mark.parametrize("method", [deep_shap, gradient_shap])
def test_wrong_backgrounds_are_errors(method, classifier, images):
    with pytest.raises(InputError, match=r"background: must be a number or images like the inputs, got \(3, 8, 8, 2\)"):
        method(classifier, images, background=np.zeros((3, 8, 8, 2)))
    with pytest.raises(InputError, match=r"background: must be .* got \(0, 8, 9, 2\)"):
        method(classifier, images, background=images[:0])


def test_gradient_shap_without_samples_is_an_error(classifier, images):
    with pytest.raises(InputError, match="samples: must be at least 1, got 0"):
        gradient_shap(classifier, images, samples=0)
