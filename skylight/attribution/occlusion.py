"""Methods that change part of the input and watch the answer: no gradient is needed."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.scoring import (
    TARGETS,
    images_spec,
    output_model,
    over_batches,
    over_variants,
    per_model,
    resolve_inputs,
    resolve_targets,
    target_scores,
)


def blanking(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    value: float = 0.0,
    batch_size: int = 256,
) -> np.ndarray:
    """Change of the probability when a cell is blanked, for every cell in turn (Mahabal et al. 2017).

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed. Unlike elsewhere its output is explained, not the score before it.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain, for all or for each; ``None`` for the predicted ones.
    value : float
        What a cell, in all its channels, is set to.
    batch_size : int
        Images through the network at once. There are N H W in all.

    Returns
    -------
    array
        (N, H, W, 1) float32: probability of the intact image minus that of the image with this cell blanked.
        Above 0 where the cell speaks for the class.

    Raises
    ------
    InputError
        If model, inputs or targets do not fit.
    """
    drops = _drops(model, output_model, inputs, targets, (1, 1), (1, 1), value, batch_size, "blanking")
    return drops.reshape(*np.shape(inputs)[:3], 1)


def _drops(model, network, inputs, targets, patch, stride, value, batch_size, label) -> np.ndarray:
    """Fall of a network's answer when a window is set to ``value``: (N, window rows, window columns)."""
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets, batch_size)
    height, width = (
        1 + max(0, -(-(size - side) // step)) for size, side, step in zip(inputs.shape[1:3], patch, stride, strict=True)
    )
    intact = over_batches(per_model(model, _answers, network), inputs, targets, batch_size=batch_size, label=label)
    run = per_model(model, _occluded, network, patch, stride, width, float(value))
    drops = np.empty((len(inputs), height * width), np.float32)
    flat = drops.reshape(-1)
    for _, pairs, answers in over_variants(
        run, inputs, targets, variants=height * width, batch_size=batch_size, label=label
    ):
        flat[pairs] = answers
    return (intact[:, None] - drops).reshape(len(inputs), height, width)


def _answers(model: keras.Model, network: Callable) -> Callable:
    """Compile images (B, H, W, C), targets (B,) -> the network's answers for the targets (B,)."""
    network = network(model)

    @tf.function(input_signature=[images_spec(model), TARGETS])
    def run(images, targets):
        return target_scores(network(images, training=False), targets)

    return run


def _occluded(model: keras.Model, network: Callable, patch, stride, columns: int, value: float) -> Callable:
    """Compile images, targets, rows (B,), windows (B,) -> answers (B,) with window number ``windows`` occluded."""
    network = network(model)

    @tf.function(input_signature=[images_spec(model), TARGETS, TARGETS, TARGETS])
    def run(images, targets, rows, windows):
        images, targets = tf.gather(images, rows), tf.gather(targets, rows)
        inside = [
            tf.logical_and(tf.range(size) >= first[:, None], tf.range(size) < first[:, None] + side)
            for size, first, side in zip(
                tf.unstack(tf.shape(images)[1:3]),
                (windows // columns * stride[0], windows % columns * stride[1]),
                patch,
                strict=True,
            )
        ]
        window = tf.logical_and(inside[0][:, :, None, None], inside[1][:, None, :, None])
        return target_scores(network(tf.where(window, value, images), training=False), targets)

    return run
