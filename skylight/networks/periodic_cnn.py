"""The convolutional network for dmdt images (Mahabal et al. 2017, arXiv:1709.06257)."""

from pathlib import Path

import keras
from keras import layers, regularizers

from skylight.errors import InputError
from skylight.networks.weights import load_h5_weights


def periodic_cnn(classes: int, shape: tuple[int, int, int] = (22, 24, 1)) -> keras.Model:
    """Build the network; the layer names are those of the published weights.

    Parameters
    ----------
    classes : int
        Number of classes, which is the size of the softmax layer ``preds``; 7 as published.
    shape : tuple of int
        Rows (dm), columns (dt) and channels of a dmdt image.

    Returns
    -------
    keras.Model
        Functional model, (N, *shape) -> (N, classes) probabilities, not compiled.
    """
    decay = regularizers.L2(0.01)
    image = layers.Input(shape, name="dmdt")
    x = layers.Conv2D(16, 5, activation="relu", kernel_regularizer=decay, name="conv2d1")(image)
    x = layers.MaxPooling2D(2, name="maxpool2d1")(x)
    x = layers.Conv2D(64, 5, activation="relu", kernel_regularizer=decay, name="conv2d2")(x)
    x = layers.Flatten(name="flatten")(x)
    probabilities = layers.Dense(classes, activation="softmax", name="preds")(x)
    return keras.Model(image, probabilities, name="periodic_cnn")


def load_periodic_cnn(weights: Path, classes: int, shape: tuple[int, int, int] = (22, 24, 1)) -> keras.Model:
    """Build the network and load trained weights.

    Raises
    ------
    InputError
        The file is missing, damaged, or made for other classes or another grid, or a weight is NaN or infinite.
    """
    if not Path(weights).is_file():
        raise InputError(f"{weights}: no such weights; `dvc repro periodic-train` makes them")
    model = periodic_cnn(classes, shape)
    load_h5_weights(model, weights, f"the network for {classes} classes and dmdt images of {shape}")
    return model
