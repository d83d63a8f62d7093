"""Methods that are one or many gradients of the score with respect to the inputs."""

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


def saliency(
    model: keras.Model, inputs: np.ndarray, targets: Any = None, *, batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """Absolute gradient of the score (Simonyan et al. 2014, arXiv:1312.6034).

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain, for all or for each; ``None`` for the predicted ones.
    batch_size : int
        Images through the network at once.

    Returns
    -------
    array
        (N, H, W, C) float32, at least 0. The published map of a colour image is the maximum over C.

    Raises
    ------
    InputError
        If model, inputs or targets do not fit (see `skylight.attribution.scoring`).
    """
    return np.abs(_gradients(model, inputs, targets, batch_size, "saliency"))


def _gradients(model, inputs, targets, batch_size, label) -> np.ndarray:
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets, batch_size)
    return over_batches(per_model(model, _gradient), inputs, targets, batch_size=batch_size, label=label)


def _gradient(model: keras.Model) -> Callable:
    """Compile images (B, H, W, C), targets (B,) -> gradients (B, H, W, C)."""
    scores = score_model(model)

    @tf.function(input_signature=[images_spec(model), TARGETS])
    def run(images, targets):
        return score_gradient(scores, images, targets)

    return run


def score_gradient(scores: keras.Model, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Gradient of the targets' scores with respect to the images, in a graph."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        score = target_scores(scores(images, training=False), targets)
    return tape.gradient(score, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
