"""Deep-HiTS (Cabrera-Vives et al. 2017, ApJ 836, 97) and the invariant CAP (Reyes et al. 2018, arXiv:1808.03626)."""

from pathlib import Path

import keras
from keras import layers

from skylight.errors import InputError
from skylight.networks.rotation import CyclicAveragePooling, JoinRotations, QuarterTurns
from skylight.networks.weights import load_npy_weights

PADDING = 3  # pixels of zeros around a stamp
CONVOLUTIONS = ((32, 4, "valid"), (32, 3, "same"), (64, 3, "same"), (64, 3, "same"), (64, 3, "same"))
POOLED = (2, 5)  # max pooling follows these convolutions, counted from 1
UNITS = 64  # of both hidden dense layers


def deep_hits(
    pooling: str,
    batch_normalization: bool = False,
    width: float = 1.0,
    negative_slope: float = 0.0,
    dropout: float = 0.5,
    momentum: float = 0.99,
    shape: tuple[int, int, int] = (21, 21, 4),
) -> keras.Model:
    """Build a network that sees a candidate in its four quarter turns; its layers have the published names.

    Parameters
    ----------
    pooling : str
        How the four turns are combined: ``concatenation`` before the dense layers (Deep-HiTS), or ``cyclic_average``
        after them (CAP), which makes the output equal for all quarter turns of the input.
    batch_normalization : bool
        Whether a batch normalisation follows each convolution and hidden dense layer.
    width : float
        Factor on the number of filters of every convolution; 1 is the published network.
    negative_slope : float
        Of the (leaky) ReLU.
    dropout : float
        Share of the hidden dense units that training drops.
    momentum : float
        Of every batch normalisation.
    shape : tuple of int
        Rows, columns and channels of a candidate.

    Returns
    -------
    keras.Model
        Functional model, (N, *shape) -> (N, 2) probabilities of an artifact and of a real source, not compiled.

    Raises
    ------
    InputError
        There is no such pooling.
    """
    if pooling not in ("concatenation", "cyclic_average"):
        raise InputError(f"pooling: must be concatenation or cyclic_average, got {pooling!r}")

    def activated(x, name: str):
        if batch_normalization:
            x = layers.BatchNormalization(momentum=momentum, name=f"{name}_bn")(x)
        return layers.ReLU(negative_slope=negative_slope, name=f"{name}_relu")(x)

    candidate = layers.Input(shape, name="candidate")
    x = layers.ZeroPadding2D(PADDING, name="padding")(candidate)
    x = QuarterTurns(name="turns")(x)
    for i, (filters, kernel, padding) in enumerate(CONVOLUTIONS, start=1):
        x = layers.Conv2D(max(1, round(filters * width)), kernel, padding=padding, name=f"CNN{i}")(x)
        x = activated(x, f"CNN{i}")
        if i in POOLED:
            x = layers.MaxPooling2D(2, name=f"pool{POOLED.index(i) + 1}")(x)
    x = layers.Flatten(name="flatten")(x)
    if pooling == "concatenation":
        x = JoinRotations(name="concatenation")(x)
    for i in (1, 2):
        x = activated(layers.Dense(UNITS, name=f"FC{i}")(x), f"FC{i}")
        x = layers.Dropout(dropout, name=f"dropout{i}")(x)
    if pooling == "cyclic_average":
        x = CyclicAveragePooling(name="cyclic_average")(x)
    return keras.Model(candidate, layers.Dense(2, activation="softmax", name="FC3")(x), name="deep_hits")


def load_deep_hits(folder: Path, pooling: str, **options) -> keras.Model:
    """Build a network and load its weights from a folder.

    Parameters
    ----------
    folder : Path
        Folder of `skylight.networks.weights`.
    pooling, **options
        Arguments of `deep_hits`.

    Raises
    ------
    InputError
        There is no such folder or pooling, or the weights do not fit.
    """
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: no such folder of weights; `dvc repro supernovae-train` makes it")
    model = deep_hits(pooling, **options)
    load_npy_weights(model, folder)
    return model
