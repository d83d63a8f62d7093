"""Networks with several inputs: an image and metadata, for example. A method returns one map for each input.

A method explains a model with one input. So the network is given another form, with copies of its layers that share
all variables:

- `jointly`: all inputs of an object are packed in one row of numbers, and a first layer for each input cuts it out.
  The row is explained. All maps of an object then sum to one number, where the maps of the method do;
- `one_by_one` and `at_layer`: one input is free. The others are held at their values, one object after the other.
"""

import contextlib
import functools
import inspect
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from skylight.attribution.activations import layer_outputs, run_layers
from skylight.attribution.scoring import (
    as_input,
    batches,
    cached_per_model,
    clone_layer,
    refuse_categories,
    refuse_not_finite,
    resolve,
    resolve_baseline,
    resolve_targets,
    score_model,
)
from skylight.errors import InputError

PACKED = "packed_inputs"
"""Name of the input of a packed network."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a network, in the order of ``model.inputs``.

    Attributes
    ----------
    names : tuple of str
        Their names in the model.
    arrays : tuple of array
        (N, ...) float32 each.
    form : list, tuple or dict
        As the user gave them: a result has the same form.
    """

    names: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    form: list | tuple | dict

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one row of each input."""
        return tuple(array.shape[1:] for array in self.arrays)

    def each(self, name: str, option: Any) -> list:
        """Return an option for each input, given in a list or as a dict by name; any other value holds for all."""
        if isinstance(option, list) or (isinstance(option, Mapping) and set(option) & set(self.names)):
            return in_order(name, self.names, option)
        return [option] * len(self.names)

    def result(self, maps: list) -> list | tuple | dict:
        """Return one map for each input in the form in which the inputs were given."""
        if isinstance(self.form, Mapping):
            by_name = dict(zip(self.names, maps, strict=True))
            return {name: by_name[name] for name in self.form}
        return type(self.form)(maps)


def takes_several_inputs(explain: Callable) -> Callable:
    """Return a decorator: a method that also takes models with several inputs. It changes nothing for other models.

    Parameters
    ----------
    explain : callable
        ``explain(method, model, inputs, options)``, with the undecorated method, `Inputs`, and all options by name.
        It returns the result: `jointly`, `one_by_one` or `at_layer`.
    """

    def decorate(method: Callable) -> Callable:
        @functools.wraps(method)
        def decorated(model, inputs, *args, **kwargs):
            if not isinstance(model, keras.Model) or len(getattr(model, "inputs", None) or ()) < 2:
                return method(model, inputs, *args, **kwargs)
            call = inspect.signature(method).bind(model, inputs, *args, **kwargs)
            call.apply_defaults()
            options = dict(list(call.arguments.items())[2:])
            return explain(method, model, resolve_several(model, inputs), options)

        return decorated

    return decorate


def resolve_several(model: keras.Model, inputs: list | tuple | dict) -> Inputs:
    """Check the inputs of a model with several ones.

    Raises
    ------
    InputError
        If they are not one array for each input, an array has the wrong shape or a value that is NaN or infinite, or
        the arrays differ in length. The message names the input.
    """
    names = tuple(tensor.name for tensor in model.inputs)
    if not isinstance(inputs, list | tuple | Mapping):
        raise InputError(
            f"inputs: model {model.name} has {len(names)} inputs ({', '.join(names)}); pass a list in this order, or a "
            f"dict by name, got {type(inputs).__name__}"
        )
    arrays = tuple(
        as_input(f"inputs: {tensor.name}", array, tensor.shape, f"model {model.name}")
        for tensor, array in zip(model.inputs, in_order("inputs", names, inputs), strict=True)
    )
    if len({len(array) for array in arrays}) > 1:
        lengths = ", ".join(f"{len(array)} {name}" for name, array in zip(names, arrays, strict=True))
        raise InputError(f"inputs: must have one row per object each, got {lengths}")
    return Inputs(names, arrays, inputs)


def in_order(what: str, names: tuple[str, ...], values: list | tuple | Mapping) -> list:
    """Return values, one for each input, in the order of the inputs."""
    given = list(values) if isinstance(values, Mapping) else [f"{len(values)} values"]
    fits = set(given) == set(names) if isinstance(values, Mapping) else len(values) == len(names)
    if not fits:
        raise InputError(f"{what}: must be one for each input ({', '.join(names)}), got {', '.join(map(str, given))}")
    return [values[name] for name in names] if isinstance(values, Mapping) else list(values)


def jointly(method: Callable, model: keras.Model, inputs: Inputs, options: dict) -> Any:
    """Explain all inputs at once, as one row of numbers.

    ``baseline`` and ``background`` are one number for all inputs, or one value for each input in a list or dict.
    """
    options = dict(options)
    for name, rows in (("baseline", _baselines), ("background", _backgrounds), ("maps", _maps)):
        if name in options:
            options[name] = _pack(rows(inputs, options[name]))
    network = cached_per_model(model, packed, inputs.shapes)
    result = method(network, _pack(inputs.arrays), **options)
    if isinstance(result, dict):  # of layers
        return {name: values for name, values in result.items() if name != PACKED}
    return inputs.result(unpack(result, inputs)) if result.ndim == 2 else result


def _pack(arrays: Iterable[np.ndarray]) -> np.ndarray:
    flat = [array.reshape(len(array), math.prod(array.shape[1:])) for array in arrays]
    return np.concatenate(flat, axis=1, dtype=np.float32)


def unpack(rows: np.ndarray, inputs: Inputs) -> list[np.ndarray]:
    """Return the part (N, ...) of each input in rows of numbers (N, D)."""
    ends = np.cumsum([math.prod(shape) for shape in inputs.shapes])
    parts = np.split(rows, ends[:-1], axis=1)
    return [part.reshape(array.shape) for part, array in zip(parts, inputs.arrays, strict=True)]


def _baselines(inputs: Inputs, baseline: Any) -> list[np.ndarray]:
    found = []
    for name, array, own in zip(inputs.names, inputs.arrays, inputs.each("baseline", baseline), strict=True):
        with _named(name):
            found.append(resolve_baseline(array, own))
    return found


def _backgrounds(inputs: Inputs, background: Any) -> list[np.ndarray]:
    """Return the background of each input, (B, ...): number b of all inputs belong together."""
    found = []
    for name, shape, own in zip(inputs.names, inputs.shapes, inputs.each("background", background), strict=True):
        try:
            rows = np.asarray(own, np.float32)
        except ValueError:  # a tuple of arrays
            raise InputError("background: for several inputs, must be a number, a list or a dict") from None
        rows = np.full(shape, rows) if rows.ndim == 0 else rows
        rows = rows[None] if rows.shape == shape else rows
        if rows.shape[1:] != shape or not len(rows):
            raise InputError(f"background: {name}: must be a number, or one or more arrays {shape}, got {rows.shape}")
        refuse_not_finite(f"background: {name}", rows)
        found.append(rows)
    length = max(map(len, found))
    if any(len(rows) not in (1, length) for rows in found):
        raise InputError(f"background: must be as many for each input, got {', '.join(str(len(r)) for r in found)}")
    return [np.broadcast_to(rows, (length, *rows.shape[1:])) for rows in found]


def _maps(inputs: Inputs, maps: Any) -> list[np.ndarray]:
    maps = [np.asarray(each) for each in in_order("maps", inputs.names, maps)]
    for name, own, array in zip(inputs.names, maps, inputs.arrays, strict=True):
        if own.shape != array.shape:
            raise InputError(f"maps: {name}: must have the shape of the input, {array.shape}, got {own.shape}")
    return maps


def one_by_one(method: Callable, model: keras.Model, inputs: Inputs, options: dict) -> Any:
    """Explain one input after the other, and of metadata one feature after the other.

    ``value``, ``patch``, ``stride`` and ``cells`` hold for all inputs, or there is one for each in a list or dict. For
    metadata (N, F) a patch is one feature, and so is a cell of the coarse grid of RISE.
    """
    each = {name: inputs.each(name, options[name]) for name in ("value", "patch", "stride", "cells") if name in options}
    classes = _classes(model, inputs, options)
    maps = []
    for place, shape in enumerate(inputs.shapes):
        own = options | {name: values[place] for name, values in each.items()}
        if len(shape) < 2:
            of_features = {"patch": 1, "stride": 1, "cells": math.prod(shape)}
            own |= {name: value for name, value in of_features.items() if name in own}
        maps.append(_with_others_held(method, model, inputs, place, classes, own))
    return inputs.result(maps)


def at_layer(method: Callable, model: keras.Model, inputs: Inputs, options: dict) -> Any:
    """Explain images and sequences by their activations at a layer. Of an input without positions the map is None.

    It is also None for an image that the layer ``layer`` does not depend on. Without ``layer``, it is the last one with
    more than one position that depends on the image.
    """
    classes, name = _classes(model, inputs, options), options["layer"]
    maps, known = [], []
    for place, shape in enumerate(inputs.shapes):
        paths = _layers_with_positions(model, inputs, place) if len(shape) > 1 else []
        known += [path for path in paths if path not in known]
        layer = (paths or [None])[-1] if name is None else name
        if layer in paths:
            maps.append(_with_others_held(method, model, inputs, place, classes, options | {"layer": layer}))
        else:
            maps.append(None)
    if all(own is None for own in maps):
        found = f"has no layer {name!r} with a spatial output" if name else "has no layer with a spatial output"
        raise InputError(f"layer: model {model.name} {found}; it has {', '.join(known) or 'none'}")
    return inputs.result(maps)


def _layers_with_positions(model: keras.Model, inputs: Inputs, place: int) -> list[str]:
    """Return the layers with an output like the input, of more than one position, that depend on it, in their order."""
    network = cached_per_model(model, holding, place, inputs.shapes).network
    reached = cached_per_model(network, _reached)
    return [
        path
        for path, (shape, _) in layer_outputs(network).items()
        if path in reached and len(shape) == len(network.inputs[0].shape) and any(size != 1 for size in shape[1:-1])
    ]


def _reached(network: keras.Model) -> frozenset[str]:
    """Return the layers that depend on the free input of a network: not only on the inputs that are held."""
    network = score_model(network)
    image = keras.KerasTensor(network.inputs[0].shape)
    tensors, paths = {id(image): image}, set()

    def follow(path: str, layer: Callable, *args: Any, **kwargs: Any) -> Any:
        outputs = getattr(layer, "compute_output_spec", layer)(*args, **kwargs)
        if not isinstance(layer, Held) and any(id(each) in tensors for each in tree.flatten((args, kwargs))):
            tensors.update((id(each), each) for each in tree.flatten(outputs))
            paths.add(path)
        return outputs

    run_layers(network, [image], follow)
    return frozenset(paths)


def _classes(model: keras.Model, inputs: Inputs, options: dict) -> np.ndarray:
    """Check targets, score and comparison, and return the classes (N, 2)."""
    network = cached_per_model(model, packed, inputs.shapes)
    chosen = (options[name] for name in ("targets", "score", "against", "batch_size"))
    return resolve(network, _pack(inputs.arrays), *chosen)[1]


def _with_others_held(
    method: Callable, model: keras.Model, inputs: Inputs, place: int, classes: np.ndarray, options: dict
) -> np.ndarray:
    """Return the maps of input number ``place``, object by object, with the others held at their values."""
    network, holders, lock = cached_per_model(model, holding, place, inputs.shapes)
    own, maps = inputs.arrays[place], []
    array = own.reshape(len(own), math.prod(own.shape[1:]), 1) if own.ndim < 3 else own
    options = {name: value for name, value in options.items() if name not in ("targets", "against")}
    with lock, _named(inputs.names[place]):
        for row in [*batches(len(array), 1, method.__name__)] or [slice(0, 0)]:
            for other, holder in holders.items():
                if len(array):
                    holder.values.assign(inputs.arrays[other][row])
            against = None if np.all(classes[row, 1] < 0) else classes[row, 1]
            maps.append(method(network, array[row], classes[row, 0], against=against, **options))
    maps = np.concatenate(maps)
    return maps.reshape(own.shape) if own.ndim < 3 else maps


def targets_of(model: keras.Model, inputs: Inputs, targets: Any) -> np.ndarray:
    """Return the class (N,) to explain for each object; ``None`` is the predicted one."""
    return resolve_targets(cached_per_model(model, packed, inputs.shapes), _pack(inputs.arrays), targets)


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Put the name of an input before the message of an error."""
    try:
        yield
    except InputError as error:
        raise InputError(f"input {name}: {error}") from None


def ranges(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Return the maximum minus the minimum of each image, (N, 1, ...); of packed rows, that of each input, (N, D)."""
    parts = [inputs[:, layer.columns] for layer in model.layers if isinstance(layer, Unpack)] or [inputs]
    each = [np.ptp(part, axis=tuple(range(1, part.ndim)), keepdims=True) for part in parts]
    if len(each) == 1:
        return each[0]
    return np.concatenate([np.broadcast_to(own, part.shape) for own, part in zip(each, parts, strict=True)], axis=1)


def packed(model: keras.Model, shapes: tuple[tuple[int, ...], ...]) -> keras.Model:
    """Return the network with all inputs packed in one row of numbers.

    Parameters
    ----------
    model : keras.Model
        Functional model with several inputs; it is not changed.
    shapes : tuple of tuple of int
        Shape of one row of each input.

    Returns
    -------
    keras.Model
        Functional model with one input (N, D). Its first layers are `Unpack`, with the names of the inputs. All other
        layers have the same names as those of ``model`` and share their variables.
    """
    ends = np.cumsum([math.prod(shape) for shape in shapes]).tolist()
    row = keras.Input((ends[-1],), dtype="float32", name=PACKED)
    parts = [
        Unpack(start, shape, name=tensor.name, dtype="float32")(row)
        for start, shape, tensor in zip([0, *ends], shapes, model.inputs, strict=False)
    ]
    return _rewired(model, row, parts)


class Holding(NamedTuple):
    """A network with one free input.

    Attributes
    ----------
    network : keras.Model
        Functional model with one input.
    holders : dict of int to Held
        Number of an input that is held -> the layer that holds it.
    lock : Lock
        Held values belong to one object at a time.
    """

    network: keras.Model
    holders: dict[int, "Held"]
    lock: threading.Lock


def holding(model: keras.Model, place: int, shapes: tuple[tuple[int, ...], ...]) -> Holding:
    """Return the network with input number ``place`` free and all others held.

    An input (N, F) of features is free as a sequence (N, F, 1). The first layers are `Held`, with the names of the
    inputs. All other layers have the same names as those of ``model`` and share their variables.
    """
    tensors = list(model.inputs)
    name, shape = tensors[place].name, shapes[place]
    if len(shape) < 2:
        free = keras.Input((math.prod(shape), 1), dtype="float32", name=f"{name}_sequence")
        tensors[place] = keras.layers.Reshape(shape, name=name, dtype="float32")(free)
    else:
        free = tensors[place] = keras.Input(shape, dtype="float32", name=name)
    holders = {
        other: Held(shape, name=tensor.name, dtype="float32")
        for other, (shape, tensor) in enumerate(zip(shapes, model.inputs, strict=True))
        if other != place
    }
    for other, holder in holders.items():
        tensors[other] = holder(free)
    return Holding(_rewired(model, free, tensors), holders, threading.Lock())


def _rewired(model: keras.Model, image: keras.KerasTensor, tensors: list[keras.KerasTensor]) -> keras.Model:
    """Return a network of ``image`` with copies of the layers of a model, which reads ``tensors`` as its inputs."""
    refuse_categories(model)
    plain = keras.Model(list(model.inputs), model.outputs, name=model.name)  # not compiled
    copy = keras.models.clone_model(plain, clone_function=_copied, recursive=True)
    outputs = copy._run_through_graph(tensors, operation_fn=lambda layer: layer)
    return keras.Model(image, outputs, name=model.name)


def _copied(layer: keras.Layer) -> keras.Layer:
    """Return a copy that shares all variables; the layer itself if it keeps some in layers of its own, as a GRU does.

    Such a layer gets one more connection, which no model of the user contains.
    """
    try:
        return clone_layer(layer)
    except InputError:
        return layer


class Unpack(keras.layers.Layer):
    """Cut one input out of a row of numbers (N, D): those from ``start`` on, in the shape of the input."""

    def __init__(self, start: int, shape: tuple[int, ...], **options: Any):
        super().__init__(**options)
        self.start, self.shape = start, tuple(shape)
        self.columns = slice(start, start + math.prod(self.shape))

    def call(self, rows: Any) -> Any:
        return ops.reshape(rows[:, self.columns], (-1, *self.shape))

    def compute_output_shape(self, shape: tuple) -> tuple:
        return (shape[0], *self.shape)

    def get_config(self) -> dict:
        return super().get_config() | {"start": self.start, "shape": self.shape}


class Held(keras.layers.Layer):
    """Return the value of a variable of this shape, once for each row of the batch."""

    def __init__(self, shape: tuple[int, ...], **options: Any):
        super().__init__(**options)
        self.shape = tuple(shape)

    def build(self, shape: tuple) -> None:
        self.values = self.add_weight(shape=(1, *self.shape), initializer="zeros", trainable=False, name="values")

    def call(self, images: Any) -> Any:
        return ops.repeat(self.values, ops.shape(images)[0], axis=0)

    def compute_output_shape(self, shape: tuple) -> tuple:
        return (shape[0], *self.shape)

    def get_config(self) -> dict:
        return super().get_config() | {"shape": self.shape}
