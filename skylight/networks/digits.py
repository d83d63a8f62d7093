"""A dense and a convolutional network for handwritten digits, as in the first examples of LRP."""

import keras
from keras import layers

from skylight.errors import InputError


def digits_network(kind: str, shape: tuple[int, int, int], classes: int = 10) -> keras.Model:
    """Build one of the two networks.

    Parameters
    ----------
    kind : str
        ``mlp`` has two hidden dense layers. ``cnn`` is the network that Reyes et al. (2018) trained on MNIST: two
        convolutions with 32 and 64 filters, max pooling after each, and a dense layer.
    shape : tuple of int
        Rows, columns and channels: (8, 8, 1) or (28, 28, 1).

    Returns
    -------
    keras.Model
        Functional model, (N, *shape) in [0, 1] -> (N, classes) probabilities, not compiled.

    Raises
    ------
    InputError
        There is no such kind.
    """
    if kind not in ("mlp", "cnn"):
        raise InputError(f"kind: must be mlp or cnn, got {kind!r}")
    image = layers.Input(shape, name="digit")
    if kind == "mlp":
        x = layers.Flatten(name="flatten")(image)
        x = layers.Dense(128, activation="relu", name="FC1")(x)
        x = layers.Dense(64, activation="relu", name="FC2")(x)
    else:
        kernel = 5 if shape[0] >= 20 else 3
        x = layers.Conv2D(32, kernel, padding="same", activation="relu", name="CNN1")(image)
        x = layers.MaxPooling2D(2, name="pool1")(x)
        x = layers.Conv2D(64, kernel, padding="same", activation="relu", name="CNN2")(x)
        x = layers.MaxPooling2D(2, name="pool2")(x)
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(128, activation="relu", name="FC1")(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", name="scores")(x), name=kind)
