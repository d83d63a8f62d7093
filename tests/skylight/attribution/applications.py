"""Networks of `keras.applications` and a vision transformer, with weights that are not those of the first moment."""

import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

SIDE, CLASSES = 64, 5
_SIDES = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}  # px, where 64 is too small
_NAMES = (
    "VGG16",
    "ResNet50V2",
    "Xception",
    "MobileNetV2",
    "EfficientNetB0",
    "DenseNet121",
    "InceptionV3",
    "MobileNetV3Small",
    "InceptionResNetV2",
    "ConvNeXtTiny",
)


def application(name: str) -> keras.Model:
    """Return a network of `keras.applications` with softmax classes and random weights."""
    keras.utils.set_random_seed(0)
    side = _SIDES.get(name, SIDE)
    model = getattr(keras.applications, name)(input_shape=(side, side, 3), weights=None, classes=CLASSES)
    if name == "VGG16":  # without normalisation, its signal fades
        for layer in model.layers:
            for kernel in layer.weights[:1]:
                kernel.assign(1.4 * kernel)
    return unsettled(model)


def vision_transformer() -> keras.Model:
    """Return a vision transformer (Dosovitskiy et al. 2021) with a class for the mean of all patches."""
    keras.utils.set_random_seed(0)
    image = layers.Input((16, 16, 3))
    x = layers.Reshape((16, 12))(layers.Conv2D(12, 4, strides=4)(image))
    x = PositionEmbedding()(x)
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 4)(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.Dense(12)(layers.Dense(24, activation="gelu")(y))])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    model = keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x), name="vision_transformer")
    return unsettled(model)


class PositionEmbedding(layers.Layer):
    """Add a trained vector to each patch."""

    def build(self, input_shape):
        self.positions = self.add_weight(shape=input_shape[1:], initializer="normal", name="positions")

    def call(self, inputs):
        return inputs + self.positions


def unsettled(model: keras.Model) -> keras.Model:
    """Draw the weights that begin at 0 or 1, and the moments of batch normalisation about those of random images."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        kind = weight.path.rsplit("/", 1)[-1]
        if kind in ("bias", "beta"):
            weight.assign(0.1 * random.normal(size=weight.shape))
        elif kind in ("gamma", "scale"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
    normalizations = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    for layer in normalizations:
        layer.momentum = 0.0
    model(random.random((2, *model.input_shape[1:]), dtype=np.float32), training=True)
    for layer in normalizations:
        layer.momentum = 0.99
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        variance = (variance + variance.mean()) * random.uniform(0.5, 1.5, variance.shape)
        layer.moving_mean.assign(mean + 0.1 * np.sqrt(variance) * random.normal(size=mean.shape))
        layer.moving_variance.assign(variance)
    return model


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    **{name: functools.partial(application, name) for name in _NAMES},
    "vision_transformer": vision_transformer,
}
