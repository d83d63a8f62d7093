"""Class activation maps against tf-keras-vis and against their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution import gradcam, gradcam_plus_plus, layercam, scorecam
from skylight.attribution.cam import spatial_layer
from skylight.attribution.engines import by_engine
from skylight.attribution.scoring import score_model
from skylight.errors import InputError
from skylight.networks.vgg6 import vgg6

TARGETS = [0, 1, 2, 1, 0]


@pytest.mark.parametrize("score", ["logit", "log_odds", "probability"])
@pytest.mark.parametrize("method", [gradcam, layercam, scorecam, gradcam_plus_plus])
def test_maps_equal_those_of_tf_keras_vis(method, score, classifier, images):
    """Maps of a layer as large as the input, which are not resized."""
    if method is scorecam:
        score = "probability"  # the only one that tf-keras-vis has for it
    expected, maps = (
        explain(classifier, images, TARGETS, layer="first", score=score)
        for explain in (by_engine("tf_keras_vis", method), method)
    )
    assert maps.shape == (5, 8, 9, 1)
    assert np.allclose(maps, expected, rtol=1e-4, atol=1e-6)
    assert expected.std() > 0


def resized(small, height, width):
    """Resize (h, w) bilinearly, with aligned pixel centres, in the most literal way."""
    result = np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        y = np.clip((row + 0.5) * small.shape[0] / height - 0.5, 0, small.shape[0] - 1)
        x = np.clip((column + 0.5) * small.shape[1] / width - 0.5, 0, small.shape[1] - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, small.shape[0] - 1), min(left + 1, small.shape[1] - 1)
        upper = small[top, left] * (left + 1 - x) + small[top, right] * (x - left)
        lower = small[bottom, left] * (left + 1 - x) + small[bottom, right] * (x - left)
        result[row, column] = upper * (top + 1 - y) + lower * (y - top)
    return result


@pytest.mark.parametrize("layer", ["pool", "second", None])
def test_gradcam_by_definition(layer, classifier, images):
    scores = score_model(classifier)
    network = keras.Model(scores.inputs, [scores.get_layer(layer or "second").output, scores.output])
    for image, target, mapped in zip(
        images, TARGETS, gradcam(classifier, images, TARGETS, layer=layer, score="logit"), strict=True
    ):
        with tf.GradientTape() as tape:
            image = tf.constant(image[None])
            tape.watch(image)
            activations, score = network(image)
            score = score[0, target]
        slopes = tape.gradient(score, activations).numpy()[0]
        weights = slopes.sum(axis=(0, 1)) / (slopes.shape[0] * slopes.shape[1])
        cam = sum(weight * activations.numpy()[0, :, :, k] for k, weight in enumerate(weights))
        assert np.allclose(mapped[..., 0], resized(np.maximum(cam, 0), 8, 9), atol=1e-6)


def test_scorecam_by_definition(classifier, images):
    scores = score_model(classifier)
    network = keras.Model(scores.inputs, scores.get_layer("second").output)
    for image, target, mapped in zip(images, TARGETS, scorecam(classifier, images, TARGETS), strict=True):
        activations = network(image[None]).numpy()[0]
        cam = 0
        for k in range(activations.shape[-1]):
            mask = resized(activations[..., k], 8, 9)
            mask = (mask - mask.min()) / max(mask.max() - mask.min(), 1e-12)
            cam += activations[..., k] * classifier.predict(image[None] * mask[None, :, :, None], verbose=0)[0, target]
        assert np.allclose(mapped[..., 0], resized(np.maximum(cam, 0), 8, 9), atol=1e-5)


def test_the_default_layer_is_the_last_spatial_one(classifier):
    assert spatial_layer(classifier) == "second"
    assert spatial_layer(vgg6(2)) == "drop2"


def test_the_last_spatial_layer_may_be_a_model(classifier, images):
    inner = keras.Model(classifier.input, classifier.get_layer("second").output, name="inner")
    image = layers.Input(images.shape[1:])
    nested = keras.Model(image, layers.Dense(2)(layers.Flatten()(inner(image))))
    assert spatial_layer(nested) == "inner"
    assert gradcam(nested, images, 1).std() > 0


@pytest.mark.parametrize("layer", ["flatten", "conv9"])
def test_an_unknown_or_not_spatial_layer_is_an_error(layer, classifier, images):
    with pytest.raises(InputError, match=rf"no layer '{layer}' with a spatial output; it has first, pool, second"):
        gradcam(classifier, images, layer=layer)


def test_a_model_without_a_spatial_layer_is_an_error(linear, images):
    with pytest.raises(InputError, match="model linear: has no layer with a spatial output"):
        gradcam(linear, images)
