"""Tiny networks for the tests of attribution."""

import keras
import numpy as np
from keras import layers

SHAPE = (8, 9, 2)


def network(*head: dict, seed: int = 0) -> keras.Model:
    """Return a network of two convolutions, a max pooling and dense layers, with biases that are not 0.

    The output of its layer ``first`` is as large as the input.
    """
    keras.utils.set_random_seed(seed)
    image = layers.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", bias_initializer="normal", name="first")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(5, 3, activation="relu", bias_initializer="normal", name="second")(x)
    x = layers.Flatten(name="flatten")(x)
    for options in head:
        x = layers.Dense(**options)(x)
    return keras.Model(image, x, name=f"small{seed}")


def weights_of(linear: keras.Model, target: int) -> np.ndarray:
    """Return the weights of one score of the linear model, as an image."""
    return linear.get_layer("scores").get_weights()[0][:, target].reshape(SHAPE)
