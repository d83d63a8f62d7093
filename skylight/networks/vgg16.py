"""VGG16 (Simonyan & Zisserman 2015, arXiv:1409.1556) as in Bhambra et al. 2022: swish, and two dense layers."""

import keras
from keras import layers

from skylight.networks.applications import backbone

SWISH_GAIN = 1.8
"""Factor on Keras's initial weights that keeps the spread of the signal from layer to layer under swish.

For small inputs swish is x / 2. Without normalisation, as in VGG16, the spread over images would fall from 1e-2 to
1e-7 through the sixteen layers, and the network would not begin to learn for many epochs.
"""


def features(shape: tuple[int, int, int], outputs: int, weights: str | None = None, **build) -> keras.Model:
    """Build all layers but the last; see `skylight.networks.galaxy_zoo.galaxy_zoo`."""
    base = backbone(keras.applications.VGG16, shape, activation="swish", weights=weights, **build)
    x = layers.Flatten(name="flatten")(base.output)
    x = layers.Dense(16 * outputs, activation="swish", name="dense_1")(x)
    x = layers.Dense(8 * outputs, activation="swish", name="dense_2")(x)
    model = keras.Model(base.input, x)
    if weights is None:
        for layer in model.layers:
            if hasattr(layer, "kernel"):
                layer.kernel.assign(SWISH_GAIN * layer.kernel)
    return model
