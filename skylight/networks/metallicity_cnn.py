"""The network that tells metal-poor from metal-rich galaxies (Wu 2020; shared by its regression of the metallicity)."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers

from skylight.networks.normalization import FusedBatchNormalization
from skylight.networks.weights import load_h5_weights

FILTERS = (32, 64, 128)
"""Filters of the three convolutions, as published."""
LAST = f"relu{len(FILTERS)}"
"""The layer that Grad-CAM looks at: the last block, with as many pixels as the image."""
POOL = "pool"
"""The layer whose outputs are the features of a galaxy."""


def metallicity_cnn(size: int, outputs: int = 2, width: float = 1.0, momentum: float = 0.9) -> keras.Model:
    """Build the network: three blocks of convolution, batch normalisation and ReLU, the mean over all pixels, dense.

    The first layer normalises the colours with the statistics of the training images (`set_statistics`), which are
    weights like all others, so that the network takes images as they are.

    Parameters
    ----------
    size : int
        Rows and columns of the images, which are in [0, 1].
    outputs : int
        Two classes (softmax) or one number (linear).
    width : float
        Factor on the filters of every convolution; 1 is the published network.
    momentum : float
        Of every batch normalisation; the published one has 0.9 in the convention of Keras.

    Returns
    -------
    keras.Model
        (N, size, size, 3) -> (N, outputs), not compiled.
    """
    image = layers.Input((size, size, 3), name="image")
    x = FusedBatchNormalization(epsilon=0, center=False, scale=False, trainable=False, name="normalise")(image)
    for number, filters in enumerate(FILTERS, start=1):
        filters = max(1, round(width * filters))
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = FusedBatchNormalization(momentum=momentum, epsilon=1e-5, name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.GlobalAveragePooling2D(name=POOL)(x)
    activation = "softmax" if outputs > 1 else None
    answers = layers.Dense(outputs, activation=activation, name="answers")(x)
    return keras.Model(image, answers, name="metallicity_cnn")


def set_statistics(model: keras.Model, mean: Sequence[float], deviation: Sequence[float]) -> None:
    """Set the mean and the standard deviation of the colours of the training images, in [0, 1]."""
    layer = model.get_layer("normalise")
    layer.moving_mean.assign(np.asarray(mean, np.float32))
    layer.moving_variance.assign(np.asarray(deviation, np.float32) ** 2)


def load_metallicity_cnn(path: Path, size: int, outputs: int = 2, width: float = 1.0) -> keras.Model:
    """Return a trained network.

    Raises
    ------
    InputError
        The file does not hold the weights of such a network, or a weight is NaN or infinite.
    """
    model = metallicity_cnn(size, outputs, width)
    load_h5_weights(model, path, f"a metallicity network of width {width:g} with {outputs} outputs")
    return model
