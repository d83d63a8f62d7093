"""Class activation maps: the activations of one layer, weighted by what they do for the class."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.scoring import (
    BATCH_SIZE,
    TARGETS,
    images_spec,
    over_batches,
    per_model,
    resolve_inputs,
    resolve_targets,
    score_model,
    target_scores,
)
from skylight.errors import InputError


def gradcam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391).

    ReLU of the layer's activations A summed over its channels k with weights, each the mean over positions (eq. 1)
    of the gradient of the score: ReLU(sum_k mean_ij(dS / dA_ijk) A_k) (eq. 2).

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain, for all or for each; ``None`` for the predicted ones.
    layer : str or None
        Name of a layer with an output (N, h, w, k); ``None`` for the last one that has such an output.
    batch_size : int
        Images through the network at once.

    Returns
    -------
    array
        (N, H, W, 1) float32, at least 0, not normalised: the map (h, w) resized bilinearly to the inputs.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or model, inputs or targets do not fit.
    """
    return _cam(_gradcam, model, inputs, targets, layer, batch_size)


def _gradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=3, keepdims=True))


def _cam(combine: Callable, model, inputs, targets, layer, batch_size) -> np.ndarray:
    layer = spatial_layer(model, layer)
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets, batch_size)
    run = per_model(model, _compiled, combine, layer)
    return over_batches(run, inputs, targets, batch_size=batch_size, label=combine.__name__[1:])


def _compiled(model: keras.Model, combine: Callable, layer: str) -> Callable:
    """Compile images (B, H, W, C), targets (B,) -> maps (B, H, W, 1)."""
    network = _activations_and_scores(model, layer)

    @tf.function(input_signature=[images_spec(model), TARGETS])
    def run(images, targets):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            activations, scores = network(images, training=False)
            score = target_scores(scores, targets)
        gradients = tape.gradient(score, activations, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.image.resize(combine(activations, gradients), tf.shape(images)[1:3])

    return run


def _activations_and_scores(model: keras.Model, layer: str) -> keras.Model:
    scores = score_model(model)
    return keras.Model(scores.inputs, [scores.get_layer(layer).output, scores.outputs[0]])


def spatial_layer(model: keras.Model, name: str | None = None) -> str:
    """Give the name of the layer, checked, or of the last layer with a spatial output (N, h, w, k).

    Raises
    ------
    InputError
        If there is no such layer, or it has no spatial output.
    """
    spatial = [
        layer.name
        for layer in score_model(model).layers
        if not isinstance(layer, keras.layers.InputLayer) and len(getattr(layer.output, "shape", ())) == 4
    ]
    if not spatial:
        raise InputError(f"model {model.name}: has no layer with a spatial output (N, h, w, k)")
    if name is not None and name not in spatial:
        raise InputError(
            f"layer: {name!r} is no layer of model {model.name} with a spatial output; those are {spatial}"
        )
    return name or spatial[-1]
