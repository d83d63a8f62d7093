"""Weights in a folder of NumPy files: ``<layer>-W.npy`` is the kernel and ``<layer>-B.npy`` the bias of a layer.

The published layout has no names for the four weights of a batch normalisation. Here they are ``<layer>-gamma.npy``,
``-beta.npy``, ``-moving_mean.npy`` and ``-moving_variance.npy``.

Weights in an HDF5 file are those that Keras saved. Whatever the format, no weight may be NaN or infinite: the network
would answer NaN to everything.
"""

from pathlib import Path

import h5py
import keras
import numpy as np

from skylight.arrays import read_npy
from skylight.errors import InputError, reason
from skylight.outputs import writing

_UNPACKED, _RATIO = 2**26, 20  # an HDF5 file unpacks to at most 64 MiB and 20 times its own size

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
        A file is missing, is not an array of numbers, has the wrong shape, has a weight that is NaN or infinite, or
        belongs to no layer; or a layer has weights with other names.
    """
    folder = Path(folder)
    files = _files(model, folder)
    values = {path: _read(path, variable) for path, variable in files.items()}
    for path, value in values.items():
        if not np.isfinite(value).all():
            raise InputError(f"{path}: layer {path.stem.rpartition('-')[0]} has weights that are NaN or infinite")
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
    value = read_npy(path)
    if value.dtype.kind not in "iuf":
        raise InputError(f"{path}: must be numbers, got {value.dtype}")
    if value.shape != tuple(variable.shape):
        raise InputError(f"{path}: shape must be {tuple(variable.shape)}, got {value.shape}")
    return value


def load_h5_weights(model: keras.Model, path: str | Path, what: str) -> None:
    """Load weights that Keras saved in an HDF5 file. If they do not fit, the model may be changed in part.

    Parameters
    ----------
    model : keras.Model
    path : path
        Weights saved by Keras.
    what : str
        Whose weights they should be, for messages (``a VGG6``).

    Raises
    ------
    InputError
        The file is missing, or has other weights; or a weight is NaN or infinite: the layer is named.
    """
    check_h5(path, what)
    try:
        model.load_weights(path)
    except Exception as error:  # other weights lead to errors of any type
        raise InputError(f"{path}: not the weights of {what} ({reason(error)})") from error
    check_finite(model, path)


def check_h5(path: str | Path, what: str) -> None:
    """Check what an HDF5 file claims to hold, before it is read.

    Raises
    ------
    InputError
        The file is missing or no HDF5, refers to other files, or holds other things than numbers and text, or arrays of
        more than 64 MiB and 20 times the size of the file.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file")
    most = _UNPACKED + _RATIO * Path(path).stat().st_size
    try:
        with h5py.File(path) as file:
            if link := file.visititems_links(_other_than_hard):
                raise ValueError(f"{link} is a link")
            total = sum(_sizes(file))
        if total > most:
            raise ValueError(f"it claims to hold {total} bytes, more than {most}")
    except Exception as error:  # a broken file leads to errors of any type
        raise InputError(f"{path}: not the weights of {what} ({reason(error)})") from error


def _other_than_hard(name: str, link: object) -> str | None:
    return None if isinstance(link, h5py.HardLink) else name


def _sizes(file: h5py.File) -> list[int]:
    """Return the bytes of every array."""
    sizes = []

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise ValueError(f"{name} is in another file")
            if item.dtype.kind not in "biufSOU":
                raise ValueError(f"{name} is of {item.dtype}")
            sizes.append(item.size * item.dtype.itemsize)

    file.visititems(add)
    return sizes


def check_finite(model: keras.Model, path: str | Path) -> None:
    """Check the weights of a model that were read from ``path``; `InputError` names a layer where one is not finite."""
    for layer in model._flatten_layers(include_self=False, recursive=True):
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            values = keras.ops.convert_to_numpy(variable)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise InputError(f"{path}: layer {layer.name} has weights that are NaN or infinite")
