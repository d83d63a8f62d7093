"""VGG6, the real-bogus network of braai (Duev et al. 2019, MNRAS 489, 3582)."""

import keras
from keras import layers


def vgg6(outputs: int = 2, shape: tuple[int, int, int] = (63, 63, 3)) -> keras.Model:
    """Build the network; the layer names are the published ones.

    Parameters
    ----------
    outputs : int
        2 for braXAI (softmax: bogus, real), 1 for braai itself (a sigmoid: the score of being real).
    shape : tuple of int
        Rows, columns and channels (science, reference, difference) of a triplet.

    Returns
    -------
    keras.Model
        Functional model, (N, *shape) -> (N, outputs) probabilities, not compiled.
    """
    triplet = layers.Input(shape, name="triplet")
    x = layers.Conv2D(16, 3, activation="relu", name="conv1")(triplet)
    x = layers.Conv2D(16, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Dropout(0.25, name="drop1")(x)
    x = layers.Conv2D(32, 3, activation="relu", name="conv3")(x)
    x = layers.Conv2D(32, 3, activation="relu", name="conv4")(x)
    x = layers.MaxPooling2D(4, name="pool2")(x)
    x = layers.Dropout(0.25, name="drop2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(256, activation="relu", name="fc_1")(x)
    x = layers.Dropout(0.5, name="drop3")(x)
    activation = "sigmoid" if outputs == 1 else "softmax"
    return keras.Model(triplet, layers.Dense(outputs, activation=activation, name="fc_out")(x), name="vgg6")
