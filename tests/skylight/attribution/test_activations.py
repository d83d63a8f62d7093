"""Layers at any depth: their names and shapes, and running a network with one of them changed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution.activations import layer_outputs, with_layer
from skylight.attribution.scoring import score_model
from tests.skylight.attribution.small_networks import SHAPE


def backbone():
    """A model for images of any size, with two outputs and a Sequential model in it."""
    image = layers.Input((None, None, 2))
    early = layers.Conv2D(3, 3, padding="same", activation="relu", name="early")(image)
    late = keras.Sequential([layers.MaxPooling2D(2, name="pool"), layers.Conv2D(4, 2, name="deep")], name="stage")(
        early
    )
    dead = layers.Conv2D(5, 1, name="dead")(late)
    return keras.Model(image, [early, late, dead], name="backbone")


def nested():
    keras.utils.set_random_seed(0)
    image = layers.Input(SHAPE)
    early, late, _ = backbone()(image)
    features = [layers.GlobalAveragePooling2D(name=name)(each) for name, each in (("one", early), ("two", late))]
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Concatenate(name="both")(features)))


def test_layers_of_nested_models_have_paths_and_the_shapes_of_their_last_call():
    shapes = {path: output.shape for path, output in layer_outputs(nested()).items()}
    assert list(shapes)[:4] == ["backbone/early", "backbone/stage/pool", "backbone/stage/deep", "backbone/stage"]
    assert shapes["backbone/early"] == (None, 8, 9, 3)
    assert shapes["backbone/stage/deep"] == shapes["backbone/stage"] == (None, 3, 3, 4)
    assert shapes["both"] == (None, 7)


def test_layers_that_the_score_does_not_depend_on_and_several_outputs_are_left_out():
    assert not {"backbone", "backbone/dead"} & set(layer_outputs(nested()))


def test_the_graph_of_the_user_does_not_grow(images):
    model = nested()
    everything = [*model.layers, *model.get_layer("backbone").layers]
    before = [len(layer._inbound_nodes) for layer in everything]
    network = tf.function(with_layer(model, "backbone/stage/deep"))
    activations, logits = network(tf.constant(images))
    assert [len(layer._inbound_nodes) for layer in everything] == before
    assert np.allclose(logits, score_model(model)(images), atol=1e-6)
    assert activations.shape == (5, 3, 3, 4)


def test_the_output_of_a_layer_can_be_changed(images):
    model = nested()
    network = tf.function(with_layer(model, "backbone/stage/deep"))
    _, logits = network(tf.constant(images), tf.zeros_like)
    kernel, bias = model.layers[-1].get_weights()
    early = keras.Model(model.get_layer("backbone").inputs, model.get_layer("backbone").get_layer("early").output)
    assert np.allclose(logits, early(images).numpy().mean(axis=(1, 2)) @ kernel[:3] + bias, atol=1e-5)


@pytest.mark.parametrize("branches", [False, True])
def test_the_output_of_a_layer_that_is_used_twice_is_that_of_the_last_call(branches, images):
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    image = layers.Input(SHAPE)
    first = shared(image)
    second = shared(layers.Identity()(image) if branches else first)
    both = layers.Concatenate()([first, layers.ReLU()(second)])
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(both)))
    assert layer_outputs(model)["shared"].call == 1
    once = keras.layers.Conv2D(2, 3, padding="same")
    once.build((None, *SHAPE))
    once.set_weights(shared.get_weights())
    expected = once(images) if branches else once(once(images))
    _, logits = tf.function(with_layer(model, "shared"))(tf.constant(images), lambda z: tf.zeros_like(z))
    kernel, bias = model.layers[-1].get_weights()
    without = np.concatenate([once(images), np.zeros_like(expected)], axis=-1).reshape(5, -1) @ kernel + bias
    assert np.allclose(tf.function(with_layer(model, "shared"))(tf.constant(images))[0], expected, atol=1e-6)
    assert np.allclose(logits, without, atol=1e-5)
