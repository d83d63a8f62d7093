"""Weights in a folder of NumPy files: ``<layer>-W.npy`` is the kernel and ``<layer>-B.npy`` the bias of a layer.

The published layout has no names for the four weights of a batch normalisation. Here they are ``<layer>-gamma.npy``,
``-beta.npy``, ``-moving_mean.npy`` and ``-moving_variance.npy``.
"""

from pathlib import Path

import keras
import numpy as np

from skylight.errors import InputError
from skylight.outputs import writing

_NAMES = {
    "W": "kernel",
    "B": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "moving_mean": "moving_mean",
    "moving_variance": "moving_variance",
}


def load_npy_weights(model: keras.Model, folder: str | Path) -> None:
    """Load the weights of every layer from the files with its name. If one does not fit, the model stays unchanged.

    Parameters
    ----------
    model : keras.Model
        Network of dense layers, convolutions, batch normalisations and layers without weights. Models may be nested.
    folder : path
        ``<layer>-W.npy`` has the shape of the kernel in Keras: (inputs, outputs) for a dense layer, (rows, columns,
        inputs, outputs) for a convolution. ``<layer>-B.npy`` is (outputs,), where the layer has a bias. Each weight of
        a batch normalisation is (channels,).

    Raises
    ------
    InputError
        A file is missing, is not an array, has the wrong shape, or belongs to no layer; or a layer has weights with
        other names.
    """
    folder = Path(folder)
    files = _files(model, folder)
    values = {path: _read(path, variable) for path, variable in files.items()}
    strange = sorted({path for kind in _NAMES for path in folder.glob(f"*-{kind}.npy")} - set(files))
    if strange:
        raise InputError(f"{strange[0]}: model {model.name} has no such weights")
    for path, variable in files.items():
        variable.assign(values[path])


def save_npy_weights(model: keras.Model, folder: str | Path) -> None:
    """Write the weights of every layer to a folder for `load_npy_weights`; `InputError` if one has another name."""
    with writing(folder) as aside:
        files = _files(model, aside)
        aside.mkdir()
        for path, variable in files.items():
            np.save(path, keras.ops.convert_to_numpy(variable))


def _files(model: keras.Model, folder: Path) -> dict[Path, keras.Variable]:
    """Return the file of every variable of a model."""
    files = {}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        own = layer._trainable_variables + layer._non_trainable_variables
        if not own:
            continue
        named = {kind: getattr(layer, name, None) for kind, name in _NAMES.items()}
        named = {kind: variable for kind, variable in named.items() if variable is not None}
        if {id(variable) for variable in own} != {id(variable) for variable in named.values()}:
            kind = type(layer).__name__
            raise InputError(f"layer {layer.name}: {kind} has other weights than {', '.join(_NAMES.values())}")
        for kind, variable in named.items():
            files[folder / f"{layer.name}-{kind}.npy"] = variable
    return files


def _read(path: Path, variable: keras.Variable) -> np.ndarray:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        value = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path}: is not a NumPy array file ({error})") from error
    if value.shape != tuple(variable.shape):
        raise InputError(f"{path}: shape must be {tuple(variable.shape)}, got {value.shape}")
    return value
