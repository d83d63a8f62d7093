"""Shapley values of pixels against a background: the contribution of each pixel compared with typical images."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.backward import cheap_gradients, gradient
from skylight.attribution.gradients import score_gradient
from skylight.attribution.scoring import (
    BATCH_SIZE,
    CLASSES,
    NUMBERS,
    Score,
    batches,
    cached_per_model,
    clone_layer,
    clone_model_with,
    images_spec,
    over_variants,
    resolve,
    score_model,
)
from skylight.errors import InputError


def background(inputs: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Draw a background: ``size`` different images of ``inputs`` (N, H, W, C), in their original order.

    Raises
    ------
    InputError
        If there are fewer than ``size`` images.
    """
    if not 1 <= size <= len(inputs):
        raise InputError(f"size: must be 1 to {len(inputs)}, the number of inputs to draw from, got {size}")
    return inputs[np.sort(np.random.default_rng(seed).choice(len(inputs), size, replace=False))]


def deep_shap(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    background: float | np.ndarray = 0.0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Deep SHAP (Lundberg & Lee 2017, arXiv:1705.07874): the mean of DeepLIFT contributions over a background.

    DeepLIFT's rescale rule (Shrikumar et al. 2017, arXiv:1704.02685, section 3.5.1) propagates contributions back
    through a nonlinearity with its slope between image and background image. The difference of two maxima is shared
    between the cells of both. The result is that of ``shap.DeepExplainer`` on the score. That one computes the
    activations again for every pair of image and background image; here a pair costs no more than the backward pass of
    a linear network.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed. Layers must be linear, elementwise activations or max pooling.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    background : float or array
        (B, H, W, C) images, see `background`; a number is one constant image (plain DeepLIFT).
    batch_size : int
        Number of pairs of image and background image per batch.

    Returns
    -------
    array
        (N, H, W, C) float32; each map sums to the score minus the mean score of the background (completeness).

    Raises
    ------
    InputError
        If completeness fails, because the model has a layer of another kind, or if the model, inputs, targets or
        background are invalid.
    """
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    references = _references(model, inputs, background)
    run = cached_per_model(model, _deeplift, kind)
    at_once = min(len(references), max(1, round(batch_size**0.5)))
    maps = np.zeros_like(inputs)
    owed = np.zeros(len(inputs))
    for some in batches(len(inputs), max(1, batch_size // at_once), "deep_shap"):
        for first in range(0, len(references), at_once):
            contributions, differences = run(inputs[some], classes[some], references[first : first + at_once])
            maps[some] += contributions.numpy() / len(references)
            owed[some] += differences.numpy() / len(references)
    _check_completeness(model, maps, owed)
    return maps


def _references(model: keras.Model, inputs: np.ndarray, background: float | np.ndarray) -> np.ndarray:
    if np.ndim(background) == 0:
        return np.full((1, *inputs.shape[1:]), background, np.float32)
    background = np.asarray(background, np.float32)
    if background.shape[1:] != inputs.shape[1:] or not len(background):
        raise InputError(f"background: must be a number or images like the inputs, got {background.shape}")
    return background


def _check_completeness(model: keras.Model, maps: np.ndarray, owed: np.ndarray) -> None:
    axes = tuple(range(1, maps.ndim))
    off = np.abs(maps.sum(axis=axes, dtype=np.float64) - owed)
    allowed = 1e-3 * (1 + np.abs(owed) + np.abs(maps).sum(axis=axes))
    if not np.all(off <= allowed):
        kinds = sorted({type(layer).__name__ for layer in score_model(model).layers})
        raise InputError(
            f"model {model.name}: deep_shap misses the score by {np.max(off - allowed):.3g}; one of the layers is "
            f"not linear, an elementwise activation or max pooling ({', '.join(kinds)})"
        )


def _deeplift(model: keras.Model, score: Score) -> Callable:
    """Compile images (n, ...), classes (n, 2), references (r, ...) -> contributions (n, ...), differences (n,).

    Both are summed over the references. The contributions of an image sum to its difference of the scores.
    """
    nonlinearities = []

    def swap(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, _MAXIMA):
            nonlinearities.append(_Maximum(clone_layer(layer)))
            return keras.layers.Lambda(nonlinearities[-1], name=layer.name)
        if isinstance(layer, _CELLWISE):
            nonlinearities.append(_Cellwise(clone_layer(layer)))
            return keras.layers.Activation(nonlinearities[-1], name=layer.name)
        copy = clone_layer(layer)
        if getattr(layer, "activation", keras.activations.linear) is not keras.activations.linear:
            nonlinearities.append(_Cellwise(layer.activation))
            copy.activation = nonlinearities[-1]
        return copy

    network = clone_model_with(model, swap)

    @tf.function(input_signature=[images_spec(model), CLASSES, images_spec(model)])
    def run(images, classes, references):
        n, r = tf.shape(images)[0], tf.shape(references)[0]
        for nonlinearity in nonlinearities:
            nonlinearity.record()
        logits = network(tf.concat([images, references], axis=0), training=False)
        for nonlinearity in nonlinearities:
            nonlinearity.linearise(n, r)
        start, differences = _head(score, *_paired(logits[:n], logits[n:]), tf.repeat(classes, r, axis=0))
        own, other = _paired(images, references)
        zeros = tf.zeros_like(own)
        with cheap_gradients():
            linear = network(zeros, training=False)
        multipliers = gradient(linear * start, zeros)
        for nonlinearity in nonlinearities:
            nonlinearity.record()  # frees the tensors of the graph
        contributions = tf.reshape(multipliers * (own - other), tf.concat([[n, r], tf.shape(images)[1:]], axis=0))
        return tf.reduce_sum(contributions, axis=1), tf.reduce_sum(tf.reshape(differences, [n, r]), axis=1)

    return run


def _head(score: Score, own: tf.Tensor, other: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the multipliers of the logits (B, K), and the differences of the scores (B,), of B pairs of logits.

    The multipliers are the mean gradient of the score on the line between the two logits (Aumann & Shapley 1974), by
    quadrature. What the quadrature leaves out is added in the direction of the line, so that they are complete.
    """
    step = own - other
    points, weights = np.polynomial.legendre.leggauss(32 if score.bent else 1)
    multipliers = tf.add_n(
        [
            np.float32(weight / 2) * gradient(score(logits, classes), logits)
            for weight, logits in (
                (w, other + np.float32((p + 1) / 2) * step) for p, w in zip(points, weights, strict=True)
            )
        ]
    )
    differences = score(own, classes) - score(other, classes)
    missing = differences - tf.reduce_sum(multipliers * step, axis=1)
    length = tf.reduce_sum(step**2, axis=1)
    return multipliers + tf.math.divide_no_nan(missing, length)[:, None] * step, differences


def _paired(images: tf.Tensor, references: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return (n r, ...) images and (n r, ...) references, so that every image is paired with every reference."""
    n, r = tf.shape(images)[0], tf.shape(references)[0]
    tiling = tf.concat([[n], tf.ones([references.shape.rank - 1], tf.int32)], axis=0)
    return tf.repeat(images, r, axis=0), tf.tile(references, tiling)


class _Cellwise:
    """An activation that first records its inputs and then acts as a linear map with the slope between two inputs."""

    def __init__(self, function: Callable):
        self.function = function
        self.record()

    def record(self) -> None:
        self.seen, self.linear = [], []

    def linearise(self, n: int, r: int) -> None:
        """Make the linear maps of all n r pairs from the recorded inputs of n images and r references."""
        self.linear = [self.between(*_paired(seen[:n], seen[n:])) for seen in self.seen]

    def __call__(self, z: tf.Tensor) -> tf.Tensor:
        if self.linear:
            return self.linear.pop(0)(z)  # a layer may be called several times, each time in the same order
        self.seen.append(z)
        return self.function(z)

    def between(self, own: tf.Tensor, other: tf.Tensor) -> Callable:
        with tf.GradientTape() as tape:
            tape.watch(own)
            value = self.function(own)
        tangent = tape.gradient(value, own)
        step = own - other
        slope = tf.where(tf.abs(step) < 1e-6, tangent, tf.math.divide_no_nan(value - self.function(other), step))
        return lambda z: z * slope


class _Maximum(_Cellwise):
    """Max pooling as in ``shap``: the difference of two maxima is shared between the cells of both maxima."""

    def between(self, own: tf.Tensor, other: tf.Tensor) -> Callable:
        @tf.custom_gradient
        def linear(z):
            def back(multipliers):
                with tf.GradientTape(persistent=True) as tape:
                    tape.watch([own, other])
                    high, low = self.function(own), self.function(other)
                top = tf.maximum(high, low)
                shares = tape.gradient(high, own, multipliers * (top - low)) + tape.gradient(
                    low, other, multipliers * (high - top)
                )
                step = own - other
                return tf.where(tf.abs(step) < 1e-7, 0.0, tf.math.divide_no_nan(shares, step))

            return self.function(z), back

        return linear


_CELLWISE = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)
_MAXIMA = (
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
)


def gradient_shap(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    background: float | np.ndarray = 0.0,
    samples: int = 200,
    seed: int = 0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Expected gradients (Erion et al. 2021, arXiv:1906.10670), the estimate of ``shap.GradientExplainer``.

    The mean over random background images x' and random points t in [0, 1) of the gradient of the score at
    x' + t (x - x'), times x - x'.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed. Any layer that has a gradient.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    background : float or array
        (B, H, W, C) images, see `background`; a number is one constant image.
    samples : int
        Number of pairs (x', t) per image.
    seed : int
        Seed of the random pairs.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, C) float32; each map sums to the score minus the mean score of the background, up to the
        sampling error.

    Raises
    ------
    InputError
        If samples is below 1, or the model, inputs, targets or background are invalid.
    """
    if samples < 1:
        raise InputError(f"samples: must be at least 1, got {samples}")
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    references = _references(model, inputs, background)
    random = np.random.default_rng(seed)
    choices = random.integers(len(references), size=(len(inputs), samples), dtype=np.int32)
    points = random.random((len(inputs), samples), dtype=np.float32)
    compiled = cached_per_model(model, _expected_gradients, kind)
    maps = np.zeros_like(inputs)
    for rows, _, sums in over_variants(
        lambda *some: compiled(*some, references),
        *(inputs, classes, choices, points),
        variants=samples,
        batch_size=batch_size,
        label="gradient_shap",
    ):
        maps[rows] += sums
    return maps / np.float32(samples)


def _expected_gradients(model: keras.Model, score: Score) -> Callable:
    """Compile images, classes, choices and points (k, samples), rows, samples, references -> sums by image."""
    logits = score_model(model)
    draws = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.float32)

    @tf.function(input_signature=[images_spec(model), CLASSES, *draws, NUMBERS, NUMBERS, images_spec(model)])
    def run(images, classes, choices, points, rows, samples, references):
        where = tf.stack([rows, samples], axis=1)
        other = tf.gather(references, tf.gather_nd(choices, where))
        step = tf.gather(images, rows) - other
        points = tf.reshape(tf.gather_nd(points, where), [-1] + [1] * (images.shape.rank - 1))
        gradients = score_gradient(logits, score, other + points * step, tf.gather(classes, rows))
        return tf.math.segment_sum(gradients * step, rows)

    return run
