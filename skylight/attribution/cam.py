"""Class activation maps: the activations of one layer, weighted by their effect on the score of the class."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.backward import cheap_gradients, gradient
from skylight.attribution.scoring import (
    BATCH_SIZE,
    CLASSES,
    NUMBERS,
    Score,
    cached_per_model,
    images_spec,
    layer_outputs,
    over_batches,
    over_variants,
    resolve,
    score_model,
)
from skylight.errors import InputError


def gradcam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391).

    ReLU(sum_k mean_ij(dS / dA_ijk) A_k) (eq. 2): the sum over the channels k of the layer's activations A. The weight
    of a channel is the mean over positions of the gradient of the score S (eq. 1).

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    layer : str or None
        Name of a layer with an output (N, h, w, k); ``None`` for the last one that has such an output.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1) float32, at least 0, not normalised: the map (h, w), resized bilinearly to (H, W).

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_gradcam, model, inputs, targets, score, against, layer, batch_size)


def gradcam_plus_plus(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Grad-CAM++ (Chattopadhyay et al. 2018, arXiv:1710.11063).

    As `gradcam`, but positive gradients g are weighted by alpha = g^2 / (2 g^2 + sum_ij(A) g^3) (eq. 19), scaled
    to a sum of 1 per channel as in the authors' code. The paper explains exp(S), which multiplies the whole map by
    exp(S). This factor is left out: it does not change comparisons within a map, and it overflows for large scores.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    layer : str or None
        Name of a layer with an output (N, h, w, k); ``None`` for the last one that has such an output.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1) float32, at least 0, not normalised: the map (h, w), resized bilinearly to (H, W).

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_gradcam_plus_plus, model, inputs, targets, score, against, layer, batch_size)


def layercam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """LayerCAM (Jiang et al. 2021, IEEE TIP 30, 5875): each activation is weighted by its own positive gradient.

    ReLU(sum_k ReLU(dS / dA_ijk) A_ijk), eq. 6 and 7. Unlike `gradcam` it also suits early layers.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    layer : str or None
        Name of a layer with an output (N, h, w, k); ``None`` for the last one that has such an output.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1) float32, at least 0, not normalised: the map (h, w), resized bilinearly to (H, W).

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_layercam, model, inputs, targets, score, against, layer, batch_size)


def scorecam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Score-CAM (Wang et al. 2020, arXiv:1910.01279): no gradient, one forward pass per channel.

    Each channel of the activations, resized to the size of the input and scaled to 0 ... 1, masks the input. The
    weight of the channel is the score of the masked input, which is the probability by default. As in the
    authors' code, the output for an empty input is not subtracted.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the probability, as published.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    layer : str or None
        Name of a layer with an output (N, h, w, k); ``None`` for the last one that has such an output.
    batch_size : int
        Number of masked images per batch. There are k masked images per image, one for each channel of the layer.

    Returns
    -------
    array
        (N, H, W, 1) float32, at least 0, not normalised: the map (h, w), resized bilinearly to (H, W).

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    layer = spatial_layer(model, layer)
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size, "probability")
    activations = over_batches(cached_per_model(model, _activations, layer), inputs, batch_size=batch_size)
    channels = activations.shape[1]
    weights = np.empty(len(inputs) * channels, np.float32)
    for _, pairs, answers in over_variants(
        cached_per_model(model, _masked_answers, kind),
        *(inputs, activations, classes),
        variants=channels,
        batch_size=batch_size,
        label="scorecam",
    ):
        weights[pairs] = answers
    maps = np.einsum("nkhw,nk->nhw", activations, weights.reshape(-1, channels))
    return tf.image.resize(np.maximum(maps, 0)[..., None], inputs.shape[1:3]).numpy()


def _gradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=3, keepdims=True))


def _gradcam_plus_plus(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    alphas = tf.math.divide_no_nan(gradients**2, 2 * gradients**2 + total * gradients**3)
    alphas = tf.math.divide_no_nan(alphas, tf.reduce_sum(alphas, axis=(1, 2), keepdims=True))
    weights = tf.reduce_sum(alphas * tf.nn.relu(gradients), axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=3, keepdims=True))


def _layercam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradients) * activations, axis=3, keepdims=True))


def _cam(combine: Callable, model, inputs, targets, score, against, layer, batch_size) -> np.ndarray:
    layer = spatial_layer(model, layer)
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    run = cached_per_model(model, _compiled, kind, combine, layer)
    return over_batches(run, inputs, classes, batch_size=batch_size, label=combine.__name__[1:])


def _compiled(model: keras.Model, score: Score, combine: Callable, layer: str) -> Callable:
    """Compile images (B, H, W, C), classes (B, 2) -> maps (B, H, W, 1)."""
    network = _activations_and_scores(model, layer)

    @tf.function(input_signature=[images_spec(model), CLASSES])
    def run(images, classes):
        with cheap_gradients():
            activations, logits = network(images, training=False)
            scores = score(logits, classes)
        maps = combine(activations, gradient(scores, activations))
        return tf.image.resize(maps, tf.shape(images)[1:3])

    return run


def _activations(model: keras.Model, layer: str) -> Callable:
    """Compile images (B, H, W, C) -> activations (B, k, h, w)."""
    network = _activations_and_scores(model, layer)

    @tf.function(input_signature=[images_spec(model)])
    def run(images):
        return tf.transpose(network(images, training=False)[0], [0, 3, 1, 2])

    return run


def _masked_answers(model: keras.Model, score: Score) -> Callable:
    """Compile images, activations (n, k, h, w), classes (n, 2), rows, channels -> scores of the masked images."""
    logits = score_model(model)
    activations = tf.TensorSpec([None] * 4)

    @tf.function(input_signature=[images_spec(model), activations, CLASSES, NUMBERS, NUMBERS])
    def run(images, activations, classes, rows, channels):
        masks = tf.gather_nd(activations, tf.stack([rows, channels], axis=1))[..., None]
        masks = tf.image.resize(masks, tf.shape(images)[1:3])
        low, high = (some(masks, axis=(1, 2, 3), keepdims=True) for some in (tf.reduce_min, tf.reduce_max))
        masks = tf.math.divide_no_nan(masks - low, high - low)
        return score(logits(tf.gather(images, rows) * masks, training=False), tf.gather(classes, rows))

    return run


def _activations_and_scores(model: keras.Model, layer: str) -> keras.Model:
    scores = score_model(model)
    return keras.Model(scores.inputs, [layer_outputs(model)[layer], scores.outputs[0]])


def spatial_layer(model: keras.Model, name: str | None = None) -> str:
    """Return ``name`` if that layer has a spatial output (N, h, w, k), or for ``None`` the name of the last such layer.

    Raises
    ------
    InputError
        If there is no such layer, or it has no spatial output.
    """
    spatial = [layer for layer, output in layer_outputs(model).items() if len(output.shape) == 4]
    if not spatial:
        raise InputError(f"model {model.name}: has no layer with a spatial output (N, h, w, k)")
    if name is not None and name not in spatial:
        known = ", ".join(spatial)
        raise InputError(f"layer: model {model.name} has no layer {name!r} with a spatial output; it has {known}")
    return name or spatial[-1]
