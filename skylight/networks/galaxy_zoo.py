"""Networks that answer the volunteers' questions (Bhambra, Joachimi & Lahav 2022, section 3.1).

An architecture is a module of this package with a function ``features``, which builds all layers but the last. To add
an architecture, add a module.
"""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
from keras import layers

from skylight.errors import InputError
from skylight.networks.weights import load_h5_weights


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
        Module of the architecture: ``vgg16``, ``resnet50v2``, ``xception``, ...
    shape : tuple of int
        Rows, columns and channels of the images, which are in [0, 1].
    outputs : int
        Number of answers; the control, which predicts the length of the bar, has 1.
    width : float
        Factor on the filters of every convolution; 1 is the published network.
    momentum : float
        Of every batch normalisation.
    weights : {None, "imagenet"}
        Initial weights of the convolutions; ImageNet needs ``width`` 1.
    min_filters : int
        Smallest number of filters of a convolution, whatever the width.

    Raises
    ------
    InputError
        There is no such architecture.
    """
    build = {"width": width, "momentum": momentum, "min_filters": min_filters}
    features = architecture(name).features(shape, outputs, weights, **build)
    answers = layers.Dense(outputs, activation="sigmoid", name="answers")(features.output)
    return keras.Model(features.input, answers, name=name)


def architecture(name: str) -> ModuleType:
    """Return the module of an architecture; `InputError` lists the known ones if there is none of this name."""
    modules = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    if name in modules and hasattr(module := _module(name), "features"):
        return module
    known = [name for name in modules if hasattr(_module(name), "features")]
    raise InputError(f"skylight/networks/ has no architecture {name!r} (known: {', '.join(known)})")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"skylight.networks.{name}")


def init_output_bias(model: keras.Model, fractions: np.ndarray) -> None:
    """Set the biases of the last layer so that an untrained network answers about ``fractions``, (K,), in (0, 1).

    Most answers are rare. A network whose answers begin at 1/2 first lowers all of them together, some so far that
    their gradient vanishes and does not come back. From the mean answers it learns more reliably.
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
    """Return a trained network for images of ``size`` x ``size`` pixels, built by `galaxy_zoo`.

    Raises
    ------
    InputError
        The file does not hold the weights of such a network, or a weight is NaN or infinite.
    """
    model = galaxy_zoo(name, (size, size, 3), width=width, min_filters=min_filters)
    load_h5_weights(model, path, f"{name} of width {width} and at least {min_filters} filters")
    return model
