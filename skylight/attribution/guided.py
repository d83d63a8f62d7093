"""Gradients whose backward pass changes at every ReLU.

A ReLU is found by what is computed: the operations of the graph, whatever layer, function or Lambda they come from.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.activations import at_inference, run_layers
from skylight.attribution.backward import cheap_gradients, gradient
from skylight.attribution.cam import gradcam
from skylight.attribution.scoring import (
    BATCH_SIZE,
    CLASSES,
    Score,
    cached_per_model,
    images_spec,
    over_batches,
    resolve,
    score_model,
)
from skylight.attribution.several_inputs import at_layer, jointly, takes_several_inputs
from skylight.errors import InputError


@takes_several_inputs(jointly)
def guided_backpropagation(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Guided backpropagation (Springenberg et al. 2015, arXiv:1412.6806).

    The gradient of the score, with negative gradients set to 0 in the backward pass through every ReLU. Its maps
    resemble those of an edge detector, whatever the weights are (Adebayo et al. 2018, arXiv:1810.03292).

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, C) or (N, L, C) float32.

    Raises
    ------
    InputError
        If the model has no ReLU, or other nonlinear activations, or the model, inputs or targets are invalid.
    """
    return _rectified(model, inputs, targets, score, against, batch_size, "Guided")


@takes_several_inputs(jointly)
def deconvnet(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Deconvolutional network (Zeiler & Fergus 2014, arXiv:1311.2901).

    The gradient of the score, where the backward pass through a ReLU is a ReLU of the gradient, whatever the sign of
    the forward activation was.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, C) or (N, L, C) float32.

    Raises
    ------
    InputError
        If the model has no ReLU, or other nonlinear activations, or the model, inputs or targets are invalid.
    """
    return _rectified(model, inputs, targets, score, against, batch_size, "Deconvolving")


@takes_several_inputs(at_layer)
def guided_gradcam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Guided Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, section 3.2).

    The map of `guided_backpropagation` times that of `skylight.attribution.cam.gradcam`, resized to the image. It is 0
    wherever Grad-CAM is 0, and elsewhere close to an edge detector, as guided backpropagation is.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Layer of Grad-CAM, see `skylight.attribution.cam.spatial_layer`.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, C) or (N, L, C) float32.

    Raises
    ------
    InputError
        If the model has no ReLU, other nonlinear activations or no such layer, or the model, inputs or targets are
        invalid.
    """
    options = {"score": score, "against": against, "batch_size": batch_size}
    coarse = gradcam(model, inputs, targets, layer=layer, **options)
    return guided_backpropagation(model, inputs, targets, **options) * coarse


def _rectified(model, inputs, targets, score, against, batch_size, rule: str) -> np.ndarray:
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    run = cached_per_model(model, _gradient, kind, rule)
    return over_batches(run, inputs, classes, batch_size=batch_size, label=rule.lower())


def _gradient(model: keras.Model, score: Score, rule: str) -> Callable:
    """Compile images (B, ..., C), classes (B, 2) -> gradients (B, ..., C) with the ``Guided`` or ``Deconvolving`` rule.

    The rules are registered once, by name. ``tf.custom_gradient`` registers a new one each time that it is traced, and
    TensorFlow never forgets it, nor the graph and the weights that it refers to.
    """
    network, name = score_model(model), model.name

    @tf.function(input_signature=[images_spec(model), CLASSES], autograph=False)  # autograph would wrap an InputError
    def run(images, classes):
        graph, depends, rectifiers = tf.compat.v1.get_default_graph(), {images.op.name}, []

        def checked(path: str, layer: Callable, *args: Any, **kwargs: Any) -> Any:
            start = len(graph.get_operations())
            outputs = at_inference(path, layer, *args, **kwargs)
            for op in graph.get_operations()[start:]:
                if any(each.op.name in depends for each in op.inputs):
                    depends.add(op.name)
                    if _is_rectifier(op):
                        rectifiers.append(path)
                    elif op.type in _NOT_RECTIFIERS:
                        raise _refusal(path, op.type)
            if refused := _refused_activation(layer):
                raise _refusal(path, refused)
            return outputs

        with cheap_gradients(), graph.gradient_override_map({op: f"Skylight{rule}{op}" for op in _RECTIFIERS}):
            logits = run_layers(network, images, checked)
            scores = score(logits, classes)
        if not rectifiers:
            raise InputError(f"model {name}: has no ReLU, which this method needs")
        return gradient(scores, images)

    return run


def _refusal(path: str, activation: str) -> InputError:
    return InputError(f"layer {path}: computes {activation}; this method needs a network without activations but ReLU")


_RECTIFIERS = ("Relu", "Relu6", "Maximum")
_NOT_RECTIFIERS = {
    *("Elu", "Selu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softmax", "LogSoftmax", "Erf", "Erfc"),
    *("Exp", "Expm1", "Log", "Log1p", "Abs", "Sign", "Sin", "Cos", "Greater", "GreaterEqual", "Less", "LessEqual"),
    *("While", "StatelessWhile", "If", "StatelessIf", "PartitionedCall", "StatefulPartitionedCall"),
}
"""Nonlinear operations that are refused, and those that may hide a ReLU. Others have their usual gradient."""


def _is_rectifier(op: tf.Operation) -> bool:
    return op.type in ("Relu", "Relu6") or (op.type == "Maximum" and any(map(_is_zero, op.inputs)))


def _is_zero(tensor: tf.Tensor) -> bool:
    value = tf.get_static_value(tensor)
    return value is not None and not np.any(value)


def _refused_activation(layer: Any) -> str | None:
    """Return the name of the activation of a layer if it acts cell by cell, is not linear and is no (clipped) ReLU."""
    if isinstance(layer, keras.layers.PReLU):
        return "PReLU"
    function = getattr(layer, "activation", None)
    if function is None and (isinstance(layer, keras.layers.ReLU | keras.layers.Lambda) or _is_bare(layer)):
        function = layer
    if not callable(function):
        return None
    grid = np.linspace(-8, 8, 65, dtype=np.float32)[None]
    try:
        with tf.init_scope():
            values, every_second = (np.asarray(function(tf.constant(some))) for some in (grid, grid[:, ::2]))
    except Exception:  # a function of several tensors, or of tensors of another rank: no activation
        return None
    if values.shape != grid.shape or not np.allclose(values[:, ::2], every_second, atol=1e-5):
        return None
    slope = values[0, 33] / grid[0, 33]
    rectified = slope * np.clip(grid, 0, values.max() / slope) if slope > 0 else None
    if np.allclose(np.diff(values, 2), 0, atol=1e-4) or (rectified is not None and np.allclose(values, rectified)):
        return None
    return getattr(function, "__name__", type(function).__name__)


def _is_bare(layer: Any) -> bool:
    """Return whether it is an operation that is no layer, as ``keras.ops.relu(x)`` puts into a functional model."""
    return isinstance(layer, keras.Operation) and not isinstance(layer, keras.Layer)


def _passes(op: tf.Operation) -> tf.Tensor:
    """Return where the slope of a ReLU is 1."""
    values = op.outputs[0]
    return (values > 0) & (values < 6) if op.type == "Relu6" else values > 0


def _guided(op: tf.Operation, above: tf.Tensor) -> tf.Tensor:
    return tf.where(_passes(op), tf.nn.relu(above), 0.0)


def _deconvolving(op: tf.Operation, above: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(above)


def _of_maximum(rule: Callable, op: tf.Operation, above: tf.Tensor) -> list[tf.Tensor | None]:
    """Apply the rule of a ReLU to a maximum of a tensor and 0, and the usual gradient to other maxima."""
    if not _is_rectifier(op):
        return tf.gradients(tf.maximum(*op.inputs), list(op.inputs), above)
    return [None if _is_zero(each) else rule(op, above) for each in op.inputs]


for _name, _rule in {"Guided": _guided, "Deconvolving": _deconvolving}.items():
    for _type, _of_type in zip(_RECTIFIERS, (_rule, _rule, partial(_of_maximum, _rule)), strict=True):
        tf.RegisterGradient(f"Skylight{_name}{_type}")(_of_type)
