"""Tiny networks for the tests of attribution."""

import keras
import numpy as np
from keras import layers

SHAPE = (8, 9, 2)


def network(*head: layers.Layer, seed: int = 0) -> keras.Model:
    """Two convolutions (``first`` as large as the input), a max pooling, biases that are not 0, and ``head``."""
    keras.utils.set_random_seed(seed)
    image = layers.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", bias_initializer="normal", name="first")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(5, 3, activation="relu", bias_initializer="normal", name="second")(x)
    x = layers.Flatten(name="flatten")(x)
    for layer in head:
        x = layer(x)
    return keras.Model(image, x, name=f"small{seed}")


def weights_of(linear: keras.Model, target: int) -> np.ndarray:
    """The weights of one score of the linear model, as an image."""
    return linear.get_layer("scores").get_weights()[0][:, target].reshape(SHAPE)
