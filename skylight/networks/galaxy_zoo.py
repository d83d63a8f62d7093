"""The three networks that answer the volunteers' questions (Bhambra, Joachimi & Lahav 2022, section 3.1)."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from skylight.errors import InputError
from skylight.networks.applications import backbone

SWISH_GAIN = 1.8
"""Factor on Keras's initial weights that keeps the signal's spread from layer to layer under swish.

For small inputs swish is x / 2. Without normalisation, as in VGG16, the spread over images would fall from 1e-2 to
1e-7 through the sixteen layers and the network would not begin to learn for many epochs.
"""

APPLICATIONS = {"vgg16": "VGG16", "resnet50v2": "ResNet50V2", "xception": "Xception"}


def galaxy_zoo(
    name: str,
    shape: tuple[int, int, int],
    outputs: int = 37,
    width: float = 1.0,
    momentum: float = 0.99,
    weights: str | None = None,
    min_filters: int = 1,
) -> keras.Model:
    """Build one of the networks, with swish in place of every ReLU and a sigmoid for each answer.

    Parameters
    ----------
    name : str
        ``vgg16``, ``resnet50v2`` or ``xception``.
    shape : tuple of int
        Rows, columns and channels of the images, which are in [0, 1].
    outputs : int
        Answers; 1 is the control that regresses the length of the bar.
    width : float
        Factor on the filters of every convolution; 1 is the published network.
    momentum : float
        Of every batch normalisation.
    weights : {None, "imagenet"}
        What the backbone starts from; ImageNet needs ``width`` 1.
    min_filters : int
        Of any convolution, whatever the width.

    Raises
    ------
    InputError
        There is no such network.
    """
    if name not in APPLICATIONS:
        raise InputError(f"no network is called {name!r} (known: {', '.join(APPLICATIONS)})")
    application = getattr(keras.applications, APPLICATIONS[name])
    pooling = None if name == "vgg16" else "avg"
    base = backbone(application, shape, width, "swish", momentum, min_filters, weights=weights, pooling=pooling)
    x = base.output
    if name == "vgg16":
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(16 * outputs, activation="swish", name="dense_1")(x)
        x = layers.Dense(8 * outputs, activation="swish", name="dense_2")(x)
    answers = layers.Dense(outputs, activation="sigmoid", name="answers")(x)
    model = keras.Model(base.input, answers, name=name)
    if name == "vgg16" and weights is None:
        for layer in model.layers[:-1]:
            if hasattr(layer, "kernel"):
                layer.kernel.assign(SWISH_GAIN * layer.kernel)
    return model


def init_output_bias(model: keras.Model, fractions: np.ndarray) -> None:
    """Set the biases of the last layer so that an untrained network gives about these answers, (K,), in (0, 1).

    Most answers are rare. A network that begins at 1/2 first drives all of its sigmoids down together, for some of
    them so far that their gradient is gone for good. It learns more surely from the mean answers on.
    """
    fractions = np.clip(fractions, 1e-3, 1 - 1e-3)
    model.get_layer("answers").bias.assign(np.log(fractions / (1 - fractions)))


def compile_regression(
    model: keras.Model, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> None:
    """Compile a network as published: Adam, mean squared error, and its root as the metric ``rmse``."""
    rmse = keras.metrics.RootMeanSquaredError(name="rmse")
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.MeanSquaredError(), metrics=[rmse])


def load_galaxy_zoo(path: Path, name: str, size: int, width: float, min_filters: int) -> keras.Model:
    """Return a trained network for images of ``size`` x ``size`` pixels, built as by `galaxy_zoo`.

    Raises
    ------
    InputError
        The file does not hold the weights of such a network.
    """
    model = galaxy_zoo(name, (size, size, 3), width=width, min_filters=min_filters)
    try:
        model.load_weights(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        build = f"{name} of width {width} and at least {min_filters} filters"
        raise InputError(f"{path}: not the weights of {build} ({reason})") from None
    return model
