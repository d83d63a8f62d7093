"""Guided backpropagation, deconvnet and Guided Grad-CAM: definitions, every way to write a ReLU, and refusals."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation, ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

from skylight.attribution import deconvnet, guided_backpropagation, guided_gradcam, saliency
from skylight.errors import InputError
from tests.skylight.attribution.small_networks import network

pytestmark = pytest.mark.slow

TARGETS = [0, 1, 2, 1, 0]


@keras.saving.register_keras_serializable("tests")
class Hidden(layers.Layer):
    """A layer of the user, with an activation in its call."""

    def __init__(self, function=tf.nn.relu, **options):
        super().__init__(**options)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def guided_of_tf_keras_vis(model, images):
    call = Saliency(model, [GuidedBackpropagation(), ReplaceToLinear()])
    return call(CategoricalScore(TARGETS), images, keepdims=True, normalize_map=False, gradient_modifier=None)


def test_guided_backpropagation_equals_that_of_tf_keras_vis(classifier, images):
    maps = guided_backpropagation(classifier, images, TARGETS, score="logit")
    assert np.allclose(maps, guided_of_tf_keras_vis(classifier, images), atol=1e-6)
    assert not np.allclose(np.abs(maps), saliency(classifier, images, TARGETS, score="logit"), atol=1e-3)


def test_guided_gradcam_equals_the_product_of_those_of_tf_keras_vis(classifier, images):
    call = Gradcam(classifier, ReplaceToLinear())
    coarse = call(CategoricalScore(TARGETS), images, penultimate_layer="first", expand_cam=False, normalize_cam=False)
    expected = np.array(guided_of_tf_keras_vis(classifier, images)) * np.array(coarse)[..., None]
    maps = guided_gradcam(classifier, images, TARGETS, layer="first", score="logit")
    assert np.allclose(maps, expected, atol=1e-6)
    assert expected.std() > 0


RELUS = {
    "ReLU": lambda z: layers.ReLU()(z),
    "relu": lambda z: layers.Activation("relu")(z),
    "relu6": lambda z: layers.Activation("relu6")(z),
    "max_value": lambda z: layers.ReLU(max_value=5)(z),
    "tf.nn.relu": lambda z: layers.Activation(tf.nn.relu)(z),
    "keras.ops.relu": ops.relu,
    "keras.ops.maximum": lambda z: ops.maximum(z, 0),
    "lambda": lambda z: layers.Activation(lambda x: tf.nn.relu(x))(z),
    "Lambda": lambda z: layers.Lambda(lambda x: tf.maximum(x, 0.0))(z),
    "hidden": lambda z: Hidden()(z),
    "nested": lambda z: keras.Sequential([layers.Input((6,)), layers.Identity(), layers.Activation("relu")])(z),
}


@pytest.mark.parametrize("relu", RELUS)
def test_guided_backpropagation_and_deconvnet_by_definition(relu):
    model = chain(RELUS[relu], RELUS[relu])
    a, b, c = model.get_weights()[::2]
    images = np.random.default_rng(0).normal(size=(6, 2, 2, 1)).astype(np.float32)
    x = images.reshape(6, 4)
    z1 = x @ a
    z2 = np.maximum(z1, 0) @ b
    top = np.tile(c[:, 1], (6, 1))
    guided = np.maximum((z1 > 0) * (np.maximum((z2 > 0) * top, 0) @ b.T), 0) @ a.T
    deconvolved = np.maximum(np.maximum(top, 0) @ b.T, 0) @ a.T
    assert np.allclose(guided_backpropagation(model, images, 1).reshape(6, 4), guided, atol=1e-6)
    assert np.allclose(deconvnet(model, images, 1).reshape(6, 4), deconvolved, atol=1e-6)


def chain(*activations):
    """Return a network of dense layers with the given activations between them."""
    keras.utils.set_random_seed(5)
    image = layers.Input((2, 2, 1))
    x = layers.Flatten()(image)
    for activation in activations:
        x = activation(layers.Dense(6)(x))
    return keras.Model(image, layers.Dense(2)(x), name="chain")


def test_a_maximum_of_two_branches_has_its_usual_gradient():
    image = layers.Input((2, 2, 1))
    x = layers.Flatten()(image)
    maximum = layers.Maximum()([layers.Dense(6)(x), layers.Dense(6)(x)])
    model = keras.Model(image, layers.Dense(2)(layers.Dense(6, activation="relu")(maximum)))
    a, _, b, _, c, _, d, _ = model.get_weights()
    images = np.random.default_rng(0).normal(size=(6, 2, 2, 1)).astype(np.float32)
    x = images.reshape(6, 4)
    above = np.maximum((np.maximum(x @ a, x @ b) @ c > 0) * d[:, 1], 0) @ c.T
    expected = (above * (x @ a > x @ b)) @ a.T + (above * (x @ a <= x @ b)) @ b.T
    assert np.allclose(guided_backpropagation(model, images, 1).reshape(6, 4), expected, atol=1e-6)


ODD = {
    "silu": lambda z: layers.Activation("silu", name="odd")(z),
    "LeakyReLU": lambda z: layers.LeakyReLU(name="odd")(z),
    "clipped LeakyReLU": lambda z: layers.ReLU(negative_slope=0.1, max_value=3, name="odd")(z),
    "threshold": lambda z: layers.ReLU(threshold=1.0, name="odd")(z),
    "PReLU": lambda z: layers.PReLU(name="odd")(z),
    "ELU": lambda z: layers.ELU(name="odd")(z),
    "Softmax": lambda z: layers.Softmax(name="odd")(z),
    "hard_silu": lambda z: layers.Activation("hard_silu", name="odd")(z),
    "of a dense layer": lambda z: layers.Dense(6, activation="gelu", name="odd")(z),
    "Lambda": lambda z: layers.Lambda(lambda x: x * tf.nn.relu6(x + 3) / 6, name="odd")(z),
    "hidden": lambda z: Hidden(tf.nn.silu, name="odd")(z),
    "LSTM": lambda z: layers.LSTM(3, name="odd")(layers.Reshape((3, 2))(z)),
    "hidden in a loop": lambda z: layers.SimpleRNN(3, activation="relu", name="odd")(layers.Reshape((3, 2))(z)),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_mixture_with_other_activations_is_an_error_that_names_the_layer(odd):
    images = np.ones((1, 2, 2, 1), np.float32)
    model = chain(layers.ReLU(), ODD[odd])
    for method in (guided_backpropagation, deconvnet):
        with pytest.raises(InputError, match=r"^layer odd: computes \w+; this method needs a network without") as error:
            method(model, images, 0)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["silu", "hard_silu"])
def test_an_operation_without_a_layer_is_refused_too(name):
    with pytest.raises(InputError, match=r"^layer .*silu.*: computes"):
        guided_backpropagation(chain(layers.ReLU(), getattr(ops, name)), np.ones((1, 2, 2, 1)), 0)


def test_a_refused_layer_in_a_nested_model_has_its_path():
    inner = keras.Sequential([layers.Input((6,)), layers.ELU(name="odd")], name="inner")
    with pytest.raises(InputError, match=r"^layer inner/odd: computes Elu"):
        deconvnet(chain(layers.ReLU(), inner), np.ones((1, 2, 2, 1)), 0)


def test_a_network_without_relu_is_an_error(linear, images):
    for method in (guided_backpropagation, deconvnet):
        with pytest.raises(InputError, match="model linear: has no ReLU"):
            method(linear, images)


@pytest.mark.slow
@pytest.mark.parametrize("method", [guided_backpropagation, deconvnet, guided_gradcam])
def test_weights_and_graphs_are_freed_with_the_model(method, images):
    """TensorFlow keeps each gradient of ``tf.custom_gradient``, and its graph, for ever."""

    def explained():
        model = network({"units": 3, "activation": "softmax"})
        method(model, images)
        return weakref.ref(model.get_layer("first").kernel)

    def graphs():
        for _ in range(3):  # the model, what `cached_per_model` kept for it, and the cycles in that
            gc.collect()
        return sum(isinstance(each, tf.Graph) for each in gc.get_objects())

    explained()
    before = graphs()
    kernel = explained()
    assert graphs() <= before
    assert kernel() is None
