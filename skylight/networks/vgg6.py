"""VGG6, the real-bogus network of braai (Duev et al. 2019, MNRAS 489, 3582)."""

from pathlib import Path

import h5py
import keras
from keras import layers

from skylight.errors import InputError, reason
from skylight.networks.weights import check_finite, check_h5, load_h5_weights

_WHAT = "a VGG6"


def vgg6(outputs: int = 2, shape: tuple[int, int, int] = (63, 63, 3)) -> keras.Model:
    """Build the network; the layer names are the published ones.

    Parameters
    ----------
    outputs : int
        2 for braXAI (softmax: bogus, real), 1 for braai (sigmoid: the score of a real source).
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


def load_vgg6(weights: Path) -> keras.Model:
    """Load weights from a file into the network; the file determines whether it has one output or two.

    Parameters
    ----------
    weights : Path
        Weights saved by Keras 3, or by the authors of braai with Keras 2 (the weights only or the whole model).

    Raises
    ------
    InputError
        The file is missing or has the weights of another network, or a weight is NaN or infinite.
    """
    if not Path(weights).is_file():
        raise InputError(f"{weights}: no such weights; `dvc repro realbogus-train` makes them")
    check_h5(weights, _WHAT)
    try:
        with h5py.File(weights) as file:
            published = file.get("model_weights", file)
            if "layer_names" in published.attrs:
                model = _from_keras_2(published)
            else:
                model = vgg6(_outputs(file["layers/dense_1/vars/1"].shape))
                load_h5_weights(model, weights, _WHAT)
    except InputError:
        raise
    except Exception as error:  # other files lead to errors of any type
        raise InputError(f"{weights}: not the weights of {_WHAT} ({reason(error)})") from error
    check_finite(model, weights)
    return model


def _from_keras_2(file: h5py.Group) -> keras.Model:
    arrays = {name: [file[name][path][()] for path in file[name].attrs["weight_names"]] for name in file}
    model = vgg6(_outputs(arrays["fc_out"][-1].shape))
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(arrays[layer.name])
    return model


def _outputs(bias: tuple[int, ...]) -> int:
    """Return the number of outputs of a network whose last bias has this shape."""
    if bias not in ((1,), (2,)):
        raise ValueError(f"the last layer has biases of shape {bias}, not 1 or 2")
    return bias[0]
