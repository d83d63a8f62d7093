"""Class activation maps against tf-keras-vis and against their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution import (
    ablationcam,
    cam,
    eigencam,
    gradcam,
    gradcam_plus_plus,
    hirescam,
    layercam,
    scorecam,
    xgradcam,
)
from skylight.attribution.activations import layer_outputs
from skylight.attribution.cam import spatial_layer
from skylight.attribution.engines import by_engine
from skylight.attribution.scoring import score_model
from skylight.errors import InputError
from skylight.networks.vgg6 import vgg6
from tests.skylight.attribution.small_networks import SHAPE, network

TARGETS = [0, 1, 2, 1, 0]
FAMILY = [gradcam, gradcam_plus_plus, xgradcam, layercam, hirescam, eigencam, scorecam, ablationcam]


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


def activations_and_slopes(model, images, layer):
    """Return the activations of a layer, and the gradients of the logits of TARGETS, eagerly."""
    scores = score_model(model)
    both = keras.Model(scores.inputs, [scores.get_layer(layer).output, scores.output])
    with tf.GradientTape() as tape:
        pictures = tf.constant(images)
        tape.watch(pictures)
        activations, logits = both(pictures)
        score = tf.gather(logits, TARGETS, axis=1, batch_dims=1)
    return activations.numpy(), tape.gradient(score, activations).numpy()


def literal_gradcam(activations, slopes):
    weights = slopes.sum(axis=(0, 1)) / (slopes.shape[0] * slopes.shape[1])
    return np.maximum(sum(weight * activations[:, :, k] for k, weight in enumerate(weights)), 0)


def literal_xgradcam(activations, slopes):
    maps = 0
    for k in range(activations.shape[-1]):
        total = activations[:, :, k].sum()
        if total:
            maps = maps + activations[:, :, k] * (activations[:, :, k] / total * slopes[:, :, k]).sum()
    return np.maximum(maps, 0)


def literal_hirescam(activations, slopes):
    return sum(slopes[:, :, k] * activations[:, :, k] for k in range(activations.shape[-1]))


def literal_eigencam(activations, slopes):
    flat = activations.reshape(-1, activations.shape[-1])
    maps = (flat @ np.linalg.svd(flat)[2][0]).reshape(activations.shape[:2])
    return maps * np.sign(maps.sum())


@pytest.mark.parametrize("layer", ["pool", "second", None])
@pytest.mark.parametrize(
    ("method", "literal"),
    [
        (gradcam, literal_gradcam),
        (xgradcam, literal_xgradcam),
        (hirescam, literal_hirescam),
        (eigencam, literal_eigencam),
    ],
)
def test_maps_by_definition(method, literal, layer, classifier, images):
    each = zip(*activations_and_slopes(classifier, images, layer or "second"), strict=True)
    expected = [resized(literal(*one), 8, 9) for one in each]
    maps = method(classifier, images, TARGETS, layer=layer, score="logit")
    assert np.allclose(maps[..., 0], expected, atol=1e-5)
    assert np.std(expected) > 0


def test_ablationcam_by_definition(classifier, images):
    activations, _ = activations_and_slopes(classifier, images, "second")
    kernel, bias = classifier.get_layer("classes").get_weights()

    def score(some, target):
        return some.reshape(-1) @ kernel[:, target] + bias[target]

    maps = ablationcam(classifier, images, TARGETS, score="logit", batch_size=2)
    for one, target, mapped in zip(activations, TARGETS, maps, strict=True):
        weighted = 0
        for k in range(one.shape[-1]):
            without = one.copy()
            without[:, :, k] = 0
            weighted = weighted + (score(one, target) - score(without, target)) * one[:, :, k]
        assert np.allclose(mapped[..., 0], resized(np.maximum(weighted, 0), 8, 9), atol=1e-5)
    assert maps.std() > 0


def test_ablation_changes_only_the_layers_after_the_ablated_one(classifier, images):
    """In a residual network the path around the layer keeps its values."""
    image = layers.Input(SHAPE)
    start = layers.Conv2D(3, 3, padding="same", activation="relu", name="start")(image)
    deep = layers.Conv2D(3, 3, padding="same", activation="relu", name="deep")(start)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Multiply()([start, deep]))))
    parts = keras.Model(image, [start, deep])
    around, activations = (part.numpy() for part in parts(images))
    kernel = model.layers[-1].get_weights()[0][:, 1].reshape(8, 9, 3)
    weights = (around * activations * kernel).sum(axis=(1, 2))  # what one channel adds to the logit
    expected = np.maximum((weights[:, None, None] * activations).sum(axis=-1), 0)
    assert np.allclose(ablationcam(model, images, 1, layer="deep", score="logit")[..., 0], expected, atol=1e-5)


def test_hirescam_sums_to_the_logit_minus_its_bias():
    keras.utils.set_random_seed(4)
    image = layers.Input(SHAPE)
    features = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(image)
    outputs = layers.Dense(3, activation="softmax", bias_initializer="normal")(layers.Flatten()(features))
    model = keras.Model(image, outputs)
    images = np.random.default_rng(0).normal(size=(7, *SHAPE)).astype(np.float32)
    maps = hirescam(model, images, 2, score="logit")
    assert np.allclose(maps.sum(axis=(1, 2, 3)), score_model(model)(images)[:, 2] - model.weights[-1][2], atol=1e-5)
    assert maps.min() < 0


@pytest.mark.slow
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


def nested_twin(classifier):
    """Return the same network with its convolutions in a model in a model, which has a second output."""
    second = classifier.get_layer("second").output
    inner = keras.Model(classifier.input, [second, layers.GlobalAveragePooling2D()(second)], name="inner")
    image = layers.Input(SHAPE)
    outer = keras.Model(image, inner(image)[0], name="outer")
    picture = layers.Input(SHAPE)
    return keras.Model(picture, classifier.get_layer("classes")(layers.Flatten()(outer(picture))))


@pytest.mark.slow
@pytest.mark.parametrize("method", FAMILY)
def test_layers_of_nested_models_are_explained_alike(method, classifier, images):
    nested = nested_twin(classifier)
    assert spatial_layer(nested) == "outer"
    for layer, same in ((None, None), ("outer/inner/second", "second"), ("outer/inner/first", "first")):
        expected = method(classifier, images, TARGETS, layer=same)
        assert np.allclose(method(nested, images, TARGETS, layer=layer), expected, rtol=1e-4, atol=1e-6)
        assert expected.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("method", FAMILY)
def test_sequences_are_explained_like_images_of_width_one(method):
    keras.utils.set_random_seed(3)

    def convolutional(shape, convolution, pooling, kernel, size):
        image = layers.Input(shape)
        x = convolution(4, kernel, activation="relu", bias_initializer="normal", name="early")(image)
        x = convolution(5, kernel, activation="relu", bias_initializer="normal", name="late")(pooling(size)(x))
        return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))

    one = convolutional((20, 2), layers.Conv1D, layers.MaxPooling1D, 3, 2)
    two = convolutional((20, 1, 2), layers.Conv2D, layers.MaxPooling2D, (3, 1), (2, 1))
    two.set_weights([weight.reshape(like.shape) for weight, like in zip(one.get_weights(), two.weights, strict=True)])
    sequences = np.random.default_rng(0).normal(size=(4, 20, 2)).astype(np.float32)
    for layer in ("early", None):
        maps = method(one, sequences, [0, 1, 2, 0], layer=layer)
        assert maps.shape == (4, 20, 1)
        expected = method(two, sequences[:, :, None], [0, 1, 2, 0], layer=layer)[:, :, 0]
        assert np.allclose(maps, expected, rtol=1e-4, atol=1e-6)
        assert maps.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("method", FAMILY)
def test_half_precision_gives_the_maps_of_float32(method, images):
    """The gradients, and their powers in Grad-CAM++, are below the least number of float16."""
    whole = network({"units": 3, "activation": "softmax"})
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = network({"units": 3, "activation": "softmax"})
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights([3e-3 * weight for weight in whole.get_weights()])
    whole.set_weights(half.get_weights())
    expected = method(whole, images, TARGETS)
    assert np.allclose(method(half, images, TARGETS), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert expected.std() > 0


@pytest.mark.parametrize("method", [scorecam, ablationcam])
def test_activations_of_one_batch_are_held_at_a_time(method, classifier, images, monkeypatch):
    held, over_variants = [], cam.over_variants

    def counted(run, inputs, activations, *rest, **options):
        held.append((len(inputs), len(activations)))
        return over_variants(run, inputs, activations, *rest, **options)

    whole = method(classifier, images, TARGETS)
    monkeypatch.setattr(cam, "over_variants", counted)
    assert np.allclose(method(classifier, images, TARGETS, batch_size=2), whole, rtol=1e-4, atol=1e-6)
    assert held == [(2, 2), (2, 2), (1, 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("application", "channels"), [("MobileNet", 1024), ("MobileNetV3Small", 576)])
def test_the_default_layer_of_mobilenet_has_more_than_one_position(application, channels):
    model = getattr(keras.applications, application)(weights=None, input_shape=(64, 64, 3), classes=3)
    assert layer_outputs(model)[spatial_layer(model)].shape == (None, 2, 2, channels)
    picture = np.random.default_rng(0).random((1, 64, 64, 3), dtype=np.float32) * 255
    assert gradcam(model, picture, 0).shape == (1, 64, 64, 1)


def test_a_layer_with_one_position_is_taken_only_if_it_is_asked_for(images):
    image = layers.Input(SHAPE)
    x = layers.Conv2D(3, 3, activation="relu", name="wide")(image)
    x = layers.Conv2D(2, 1, name="narrow")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    model = keras.Model(image, layers.Flatten()(x), name="narrowing")
    assert spatial_layer(model) == "wide"
    assert spatial_layer(model, "narrow") == "narrow"
    point = layers.Input((1, 1, 4))
    model = keras.Model(point, layers.Flatten()(layers.Conv2D(2, 1)(point)), name="points")
    with pytest.raises(InputError, match=r"model points: has no layer .* \(N, h, w, k\) of more than one position"):
        spatial_layer(model)


@pytest.mark.parametrize("layer", ["flatten", "conv9"])
def test_an_unknown_or_not_spatial_layer_is_an_error(layer, classifier, images):
    with pytest.raises(InputError, match=rf"no layer '{layer}' with a spatial output; it has first, pool, second"):
        gradcam(classifier, images, layer=layer)


def test_a_model_without_a_spatial_layer_is_an_error(linear, images):
    with pytest.raises(InputError, match="model linear: has no layer with a spatial output"):
        gradcam(linear, images)
