"""Class activation maps: the activations of one layer, weighted by their effect on the score of the class."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.activations import layer_outputs, with_layer
from skylight.attribution.backward import cheap_gradients, gradient
from skylight.attribution.scoring import (
    BATCH_SIZE,
    CLASSES,
    NUMBERS,
    Score,
    batches,
    cached_per_model,
    images_spec,
    over_batches,
    over_variants,
    resolve,
    score_model,
)
from skylight.attribution.several_inputs import at_layer, takes_several_inputs
from skylight.errors import InputError


@takes_several_inputs(at_layer)
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
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
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
        (N, H, W, 1) or (N, L, 1) float32, at least 0, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_gradcam, model, inputs, targets, score, against, layer, batch_size)


@takes_several_inputs(at_layer)
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
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
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
        (N, H, W, 1) or (N, L, 1) float32, at least 0, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_gradcam_plus_plus, model, inputs, targets, score, against, layer, batch_size)


@takes_several_inputs(at_layer)
def xgradcam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """XGrad-CAM (Fu et al. 2020, arXiv:2008.02312).

    As `gradcam`, but the weight of a channel is the mean of its gradients weighted by its activations,
    sum_ij(A g) / sum_ij(A) (eq. 8), or 0 for a channel that sums to 0.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
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
        (N, H, W, 1) or (N, L, 1) float32, at least 0, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_xgradcam, model, inputs, targets, score, against, layer, batch_size)


@takes_several_inputs(at_layer)
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
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
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
        (N, H, W, 1) or (N, L, 1) float32, at least 0, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_layercam, model, inputs, targets, score, against, layer, batch_size)


@takes_several_inputs(at_layer)
def hirescam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """HiResCAM (Draelos & Carin 2020, arXiv:2011.08891): each activation is weighted by its own gradient.

    sum_k dS / dA_ijk A_ijk. The gradient is not averaged over positions as in `gradcam`, and keeps its sign: negative
    values are evidence against the class. The paper clips them in pictures only. If nothing but a flattening and a
    dense layer follows the layer, the map (before it is resized) sums to the logit minus its bias.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
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
        (N, H, W, 1) or (N, L, 1) float32, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    return _cam(_hirescam, model, inputs, targets, score, against, layer, batch_size)


@takes_several_inputs(at_layer)
def eigencam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Eigen-CAM (Muhammad & Yeasin 2020, arXiv:2008.00299): what the activations have in common.

    The activations (h w, k) of an image projected on their first right singular vector. It is the same for all
    classes: targets, score and comparison are checked like those of other methods, and have no effect. The sign of a
    singular vector is arbitrary; here the map has a positive sum. For activations of at least 0, so is the map.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
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
        (N, H, W, 1) or (N, L, 1) float32, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    layer = spatial_layer(model, layer)
    inputs = resolve(model, inputs, targets, score, against, batch_size)[0]
    run = cached_per_model(model, _principal, layer)
    return over_batches(run, inputs, batch_size=batch_size, label="eigencam")


@takes_several_inputs(at_layer)
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
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the probability, as published.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of masked images per batch. There are k per image, for k channels.

    Returns
    -------
    array
        (N, H, W, 1) or (N, L, 1) float32, at least 0, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size, "probability")
    layer = spatial_layer(model, layer)
    run = cached_per_model(model, _masked_scores, kind, layer)

    def weights(activations, inputs, classes):
        return _of_channels(run, inputs, activations, classes, activations.shape[1], batch_size, "scorecam")

    return _weighted(model, layer, inputs, classes, weights, batch_size)


@takes_several_inputs(at_layer)
def ablationcam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Ablation-CAM (Desai & Ramaswamy 2020, IEEE WACV, 972): no gradient, one forward pass per channel.

    ReLU(sum_k (S - S_k) A_k), where S_k is the score with channel k of the layer set to 0 (eq. 3 and 4). The paper
    divides by S, which multiplies the whole map by 1 / S. This factor is left out: it does not change comparisons
    within a map if S is positive, and turns their sense around if S is negative. Only the layers after ``layer`` are
    computed for each channel.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    layer : str or None
        Name of a layer, see `spatial_layer`; ``None`` for the last one whose output has more than one position.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of ablated images per batch. There are k + 1 per image, for k channels.

    Returns
    -------
    array
        (N, H, W, 1) or (N, L, 1) float32, at least 0, not normalised: the map of the layer, resized bilinearly.

    Raises
    ------
    InputError
        If the layer does not exist or has no spatial output, or the model, inputs or targets are invalid.
    """
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    layer = spatial_layer(model, layer)
    run = cached_per_model(model, _ablated_scores, kind, layer)

    def weights(activations, inputs, classes):
        variants = activations.shape[1] + 1  # the last one is not ablated
        scores = _of_channels(run, inputs, activations, classes, variants, batch_size, "ablationcam")
        return scores[:, -1:] - scores[:, :-1]

    return _weighted(model, layer, inputs, classes, weights, batch_size)


def _gradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    weights = tf.reduce_mean(gradients, axis=_positions(gradients), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1, keepdims=True))


def _gradcam_plus_plus(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    axes = _positions(activations)
    total = tf.reduce_sum(activations, axis=axes, keepdims=True)
    alphas = tf.math.divide_no_nan(gradients**2, 2 * gradients**2 + total * gradients**3)
    alphas = tf.math.divide_no_nan(alphas, tf.reduce_sum(alphas, axis=axes, keepdims=True))
    weights = tf.reduce_sum(alphas * tf.nn.relu(gradients), axis=axes, keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1, keepdims=True))


def _xgradcam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    total, weighted = (
        tf.reduce_sum(each, axis=_positions(each), keepdims=True) for each in (activations, activations * gradients)
    )
    weights = tf.math.divide_no_nan(weighted, total)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1, keepdims=True))


def _layercam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradients) * activations, axis=-1, keepdims=True))


def _hirescam(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(gradients * activations, axis=-1, keepdims=True)


def _positions(activations: tf.Tensor) -> list[int]:
    """Return the axes of positions: all but those of images and channels."""
    return list(range(1, activations.shape.rank - 1))


def _cam(combine: Callable, model, inputs, targets, score, against, layer, batch_size) -> np.ndarray:
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    run = cached_per_model(model, _compiled, kind, combine, spatial_layer(model, layer))
    return over_batches(run, inputs, classes, batch_size=batch_size, label=combine.__name__[1:])


def _compiled(model: keras.Model, score: Score, combine: Callable, layer: str) -> Callable:
    """Compile images (B, ..., C), classes (B, 2) -> maps (B, ..., 1)."""
    network = with_layer(model, layer)

    @tf.function(input_signature=[images_spec(model), CLASSES], autograph=False)
    def run(images, classes):
        with cheap_gradients():
            activations, logits = network(images)
            scores = score(logits, classes)
        return _resized(combine(activations, gradient(scores, activations)), images)

    return run


def _principal(model: keras.Model, layer: str) -> Callable:
    """Compile images (B, ..., C) -> maps (B, ..., 1)."""
    network = with_layer(model, layer)

    @tf.function(input_signature=[images_spec(model)], autograph=False)
    def run(images):
        activations, _ = network(images)
        shape = tf.shape(activations)
        values, left, _ = tf.linalg.svd(tf.reshape(activations, [shape[0], -1, activations.shape[-1]]))
        maps = left[..., :1] * values[:, None, :1]
        maps *= tf.where(tf.reduce_sum(maps, axis=1, keepdims=True) < 0, -1.0, 1.0)
        return _resized(tf.reshape(maps, tf.concat([shape[:-1], [1]], axis=0)), images)

    return run


def _weighted(model, layer: str, inputs, classes, weights: Callable, batch_size: int) -> np.ndarray:
    """Compute ReLU(sum_k w_k A_k), with ``weights(activations, inputs, classes)`` (n, k) of each batch of images."""
    run = cached_per_model(model, _activations, layer)
    maps = [np.zeros((0, *inputs.shape[1:-1], 1), np.float32)]
    for batch in batches(len(inputs), batch_size, "images"):
        activations = run(inputs[batch]).numpy()
        each = np.einsum("nk...,nk->n...", activations, weights(activations, inputs[batch], classes[batch]))
        maps.append(_resized(np.maximum(each, 0)[..., None], inputs).numpy())
    return np.concatenate(maps)


def _of_channels(run: Callable, inputs, activations, classes, variants: int, batch_size: int, label: str) -> np.ndarray:
    """Return the scores (n, variants) of a compiled function for each image and each variant of its channels."""
    scores = np.empty(len(inputs) * variants, np.float32)
    for _, pairs, some in over_variants(
        run, inputs, activations, classes, variants=variants, batch_size=batch_size, label=label
    ):
        scores[pairs] = some
    return scores.reshape(-1, variants)


def _activations(model: keras.Model, layer: str) -> Callable:
    """Compile images (B, ..., C) -> activations (B, k, ...), channels first."""
    network = with_layer(model, layer)

    @tf.function(input_signature=[images_spec(model)], autograph=False)
    def run(images):
        activations, _ = network(images)
        return tf.transpose(activations, [0, activations.shape.rank - 1, *_positions(activations)])

    return run


def _masked_scores(model: keras.Model, score: Score, layer: str) -> Callable:
    """Compile images (n, ...), activations (n, k, ...), classes (n, 2), rows, channels -> scores of masked images."""
    logits = score_model(model)

    @tf.function(
        input_signature=[images_spec(model), _activations_spec(model, layer), CLASSES, NUMBERS, NUMBERS],
        autograph=False,
    )
    def run(images, activations, classes, rows, channels):
        images = tf.gather(images, rows)
        masks = _resized(tf.gather_nd(activations, tf.stack([rows, channels], axis=1))[..., None], images)
        axes = list(range(1, masks.shape.rank))
        low, high = (some(masks, axis=axes, keepdims=True) for some in (tf.reduce_min, tf.reduce_max))
        masks = tf.math.divide_no_nan(masks - low, high - low)
        return score(logits(images * masks, training=False), tf.gather(classes, rows))

    return run


def _ablated_scores(model: keras.Model, score: Score, layer: str) -> Callable:
    """Compile images (n, ...), activations (n, k, ...), classes (n, 2), rows, channels -> scores without the channel.

    The channel k, which does not exist, stands for all channels.
    """
    network = with_layer(model, layer)

    @tf.function(
        input_signature=[images_spec(model), _activations_spec(model, layer), CLASSES, NUMBERS, NUMBERS],
        autograph=False,
    )
    def run(images, activations, classes, rows, channels):
        kept = tf.one_hot(channels, activations.shape[1], on_value=0.0, off_value=1.0)
        ablated = tf.gather(tf.transpose(activations, [0, *range(2, activations.shape.rank), 1]), rows)
        ablated *= tf.reshape(kept, [-1, *[1] * len(_positions(ablated)), ablated.shape[-1]])
        _, logits = network(tf.gather(images, rows), lambda _: ablated)
        return score(logits, tf.gather(classes, rows))

    return run


def _activations_spec(model: keras.Model, layer: str) -> tf.TensorSpec:
    _, *positions, channels = layer_outputs(model)[layer].shape
    return tf.TensorSpec([None, channels, *positions])


def _resized(maps: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Resize maps (B, ..., 1) bilinearly to the positions of the images."""
    size = tf.shape(images)[1:-1]
    if len(images.shape) == 3:
        return tf.image.resize(maps[:, :, None], [size[0], 1])[:, :, 0]
    return tf.image.resize(maps, size)


def spatial_layer(model: keras.Model, name: str | None = None) -> str:
    """Return ``name`` if that layer has a spatial output, or for ``None`` the name of the last suitable layer.

    A layer of a model that is used as a layer has the names of both for a name: ``"backbone/block5"``.

    Parameters
    ----------
    model : keras.Model
        Functional model.
    name : str or None
        Name of a layer with an output (N, h, w, k) for images or (N, l, k) for sequences. If the layer is called
        several times, its output is that of the last call. ``None`` is the last layer, at any depth, that the score
        depends on and whose output has more than one position.

    Returns
    -------
    str
        The name.

    Raises
    ------
    InputError
        If there is no such layer, or it has no spatial output.
    """
    rank = len(score_model(model).inputs[0].shape)
    shapes = {path: output.shape for path, output in layer_outputs(model).items()}
    spatial = [path for path, shape in shapes.items() if len(shape) == rank and rank in _KINDS]
    if name is not None and name in spatial:
        return name
    if name is not None and spatial:
        known = ", ".join(spatial)
        raise InputError(f"layer: model {model.name} has no layer {name!r} with a spatial output; it has {known}")
    wide = [path for path in spatial if any(size != 1 for size in shapes[path][1:-1])]
    if not wide:
        kind = _KINDS.get(rank, _KINDS[4])
        raise InputError(f"model {model.name}: has no layer with a spatial output {kind} of more than one position")
    return wide[-1]


_KINDS = {3: "(N, l, k)", 4: "(N, h, w, k)"}  # number of axes of the input -> spatial output
