"""The layers of a network at any depth: their names, the shapes of their outputs, and the outputs themselves.

A layer of a model that is used as a layer has a path for a name: ``"backbone/block5"``. The graph of the network is run
node by node, so that the layers of the user get no new connections.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import tree

from skylight.attribution.scoring import cached_per_model, score_model


class Output(NamedTuple):
    """The output of a layer.

    Attributes
    ----------
    shape : tuple
        Its shape, with ``None`` for sizes that are not fixed.
    call : int
        Number of the call of the layer that it is from, counted from 0 in the order in which the network runs. For a
        layer that is called several times it is the last call that the score depends on.
    """

    shape: tuple[int | None, ...]
    call: int


def layer_outputs(model: keras.Model) -> dict[str, Output]:
    """Return path -> output of each layer that the score of ``model`` depends on, in the order in which they run.

    Layers with several outputs are left out; the layers in them are not.
    """
    return cached_per_model(model, _outputs)


def _outputs(model: keras.Model) -> dict[str, Output]:
    network, calls = score_model(model), []

    def follow(path: str, layer: Callable, *args: Any, **kwargs: Any) -> Any:
        outputs = getattr(layer, "compute_output_spec", layer)(*args, **kwargs)
        calls.append((path, tree.flatten((args, kwargs)), tree.flatten(outputs)))
        return outputs

    images = [keras.KerasTensor(each.shape, each.dtype) for each in network.inputs]
    needed = {id(each) for each in tree.flatten(run_layers(network, images, follow))}
    number, found = Counter(path for path, *_ in calls), {}
    for path, arguments, outputs in reversed(calls):
        number[path] -= 1
        if any(id(each) in needed for each in outputs):
            needed.update(map(id, arguments))
            if len(outputs) == 1:
                found.setdefault(path, Output(outputs[0].shape, number[path]))
    return dict(reversed(found.items()))


def run_layers(network: keras.Model, images: Any, run: Callable, prefix: str = "") -> Any:
    """Run a functional model layer by layer, and the models in it likewise.

    Parameters
    ----------
    network : keras.Model
        Functional model.
    images : tensor
        Its input, or a list of its inputs.
    run : callable
        ``run(path, layer, *args, **kwargs)`` returns the output of one call of a layer. For a model that is used as a
        layer, ``layer`` is a function that runs its layers.
    prefix : str
        Put before the names of the layers.

    Returns
    -------
    tensor
        The output of the network.
    """

    def operation(layer: Any) -> Callable:
        path = prefix + layer.name
        inner = getattr(layer, "_functional", layer)  # of a Sequential model
        if isinstance(inner, keras.Model) and isinstance(inner, keras.Function):
            return lambda images, **_: run(path, lambda some: run_layers(inner, some, run, f"{path}/"), images)
        return lambda *args, **kwargs: run(path, layer, *args, **kwargs)

    outputs = network._run_through_graph(images, operation_fn=operation)
    return outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs


def at_inference(path: str, layer: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call a layer as `run_layers` asks for, with ``training=False`` if it knows this argument."""
    if getattr(layer, "_call_has_training_arg", False):
        kwargs["training"] = False
    return layer(*args, **kwargs)


def with_layer(model: keras.Model, path: str) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Return a function that runs the `score_model` of a model and returns the output of one layer as well.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed, and the function does not refer to it.
    path : str
        A layer of `layer_outputs`.

    Returns
    -------
    callable
        Function of images (B, ...) that returns the output of the layer and the logits (B, K). With a second argument
        ``change``, a function of tensors, the layers after it take ``change(output)`` in place of its output, and this
        is what is returned. Only for use inside a ``tf.function``, which leaves out what is not needed.
    """
    network, call = score_model(model), layer_outputs(model)[path].call

    def run(images: tf.Tensor, change: Callable = tf.identity) -> tuple[tf.Tensor, tf.Tensor]:
        calls, found = Counter(), []

        def observed(name: str, layer: Callable, *args: Any, **kwargs: Any) -> Any:
            outputs = at_inference(name, layer, *args, **kwargs)
            calls[name] += 1
            if name != path or calls[name] - 1 != call:
                return outputs
            found.extend(change(each) for each in tree.flatten(outputs))
            return tree.pack_sequence_as(outputs, found)

        logits = run_layers(network, images, observed)
        return found[0], logits

    return run
