"""The fast backward passes return the gradients of TensorFlow, for every kind of convolution."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from skylight.attribution.backward import cheap_gradients, gradient
from skylight.errors import InputError

CONVOLUTIONS = [
    layers.Conv2D(3, size, strides=stride, padding=padding, dilation_rate=dilation)
    for size in ((1, 1), (3, 3), (4, 1))
    for stride, dilation in ((1, 1), (2, 1), (1, 2))
    for padding in ("same", "valid")
]
DEPTHWISE = [
    layers.DepthwiseConv2D(size, strides=stride, padding=padding, depth_multiplier=multiplier)
    for size, multiplier in ((3, 1), (2, 1), (3, 2))
    for stride in (1, 2)
    for padding in ("same", "valid")
]
OTHERS = [
    layers.Conv2D(4, 3, groups=2, padding="same"),
    layers.SeparableConv2D(4, 3, padding="same"),
    layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
]


@pytest.mark.parametrize("shape", [(9, 8, 4), (8, 11, 4)])
@pytest.mark.slow
def test_gradients_equal_those_of_tensorflow(shape):
    keras.utils.set_random_seed(0)
    images = tf.random.normal((3, *shape))
    for layer in CONVOLUTIONS + DEPTHWISE + OTHERS:
        layer = type(layer).from_config(layer.get_config())
        layer.build((None, *shape))
        weights = tf.random.normal(layer(images).shape)

        @tf.function(input_signature=[tf.TensorSpec((None, *shape))])
        def run(images, layer=layer, weights=weights):
            with cheap_gradients():
                score = tf.reduce_sum(layer(images) ** 2 * weights)
            return gradient(score, images)

        with tf.GradientTape() as tape:
            tape.watch(images)
            score = tf.reduce_sum(layer(images) ** 2 * weights)
        expected = tape.gradient(score, images).numpy()
        assert np.allclose(run(images), expected, atol=1e-5 * np.abs(expected).max()), layer.get_config()


@pytest.mark.parametrize("name", ["rounding", "rounding_7"])
def test_a_layer_that_cuts_the_gradient_is_named(name):
    image = layers.Input((3, 3, 1))
    x = layers.Lambda(tf.round, name=name)(layers.Conv2D(2, 2)(image))
    model = keras.Model(image, layers.Dense(1)(layers.Flatten()(x)))

    @tf.function(autograph=False)
    def run(images):
        with cheap_gradients():
            score = model(images)
        return gradient(score, images)

    with pytest.raises(InputError, match=f"^layer {name}: has no gradient"):
        run(tf.ones((2, 3, 3, 1)))
