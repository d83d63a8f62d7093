"""Methods that use one or many gradients of the score with respect to the inputs."""

import warnings
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
    over_batches,
    over_variants,
    resolve,
    resolve_baseline,
    resolve_inputs,
    score_model,
    scores_of,
)
from skylight.attribution.several_inputs import jointly, ranges, takes_several_inputs
from skylight.errors import InputError


@takes_several_inputs(jointly)
def saliency(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Absolute gradient of the score (Simonyan et al. 2014, arXiv:1312.6034).

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
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, C) float32, at least 0. The published map of a colour image is the maximum over C.

    Raises
    ------
    InputError
        If the model, inputs or targets are invalid (see `skylight.attribution.scoring`).
    """
    return np.abs(_gradients(model, inputs, targets, score, against, batch_size, "saliency"))


@takes_several_inputs(jointly)
def gradient_x_input(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Gradient of the score times the input (Shrikumar et al. 2016, arXiv:1605.01713).

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
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, C) float32. For a ReLU network without biases each map sums to the score.

    Raises
    ------
    InputError
        If the model, inputs or targets are invalid.
    """
    inputs = resolve_inputs(model, inputs)
    return inputs * _gradients(model, inputs, targets, score, against, batch_size, "gradient_x_input")


@takes_several_inputs(jointly)
def smoothgrad(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.2,
    seed: int = 0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """SmoothGrad (Smilkov et al. 2017, arXiv:1706.03825): mean saliency over noisy copies of the input.

    As in tf-keras-vis (``Saliency`` with ``smooth_samples`` and ``smooth_noise``), the mean is over absolute
    gradients, and the noise is in units of the range of the image.

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
    samples : int
        Noisy copies of each image.
    noise : float
        Standard deviation of the normal noise, in units of the image's maximum minus its minimum over all
        pixels and channels. With 0 the map is that of `saliency`.
    seed : int
        Seed of the noise. The noise of a copy depends on the seed, the index of its image in ``inputs`` and the
        number of the copy, not on the batches.
    batch_size : int
        Number of copies per batch.

    Returns
    -------
    array
        (N, H, W, C) float32, at least 0.

    Raises
    ------
    InputError
        If samples is below 1 or noise negative, or the model, inputs or targets are invalid.
    """
    return _mean_over_noise(tf.abs, model, inputs, targets, score, against, samples, noise, seed, batch_size)


@takes_several_inputs(jointly)
def vargrad(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.2,
    seed: int = 0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """VarGrad (Adebayo et al. 2018, arXiv:1810.03307): variance of the gradient over noisy copies of the input.

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
    samples : int
        Noisy copies of each image, at least 2.
    noise : float
        Standard deviation of the normal noise, in units of the image's maximum minus its minimum.
    seed : int
        Seed of the noise; the copies are those of `smoothgrad`.
    batch_size : int
        Number of copies per batch.

    Returns
    -------
    array
        (N, H, W, C) float32, at least 0: the mean square deviation (divided by ``samples``) of the gradients.

    Raises
    ------
    InputError
        If samples is below 2 or noise negative, or the model, inputs or targets are invalid.
    """
    if samples < 2:
        raise InputError(f"samples: must be at least 2, got {samples}")
    moments = _mean_over_noise(_moments, model, inputs, targets, score, against, samples, noise, seed, batch_size)
    return np.maximum(moments[..., 1] - moments[..., 0] ** 2, 0).astype(np.float32)


@takes_several_inputs(jointly)
def integrated_gradients(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    baseline: float | np.ndarray = 0.0,
    steps: int | str = 50,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365, eq. 1).

    Input minus baseline, times the mean gradient on the straight line between them, by the midpoint rule.

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
    baseline : float or array
        Where the line starts: a constant image, one image (H, W, C), or one for each input (N, H, W, C).
    steps : int or "auto"
        Number of points on the line. A map has converged where its `completeness_gap` is at most `TOLERANCE` of the
        change of the score. With ``"auto"`` the number starts at `FEWEST_STEPS` and is doubled, for the maps that have
        not converged, up to `MOST_STEPS`.
    batch_size : int
        Number of points per batch.

    Returns
    -------
    array
        (N, H, W, C) float32; each map sums to the score of the input minus that of the baseline, up to the gap.

    Warns
    -----
    UserWarning
        If a map has not converged. It says how many have not, and by how much the worst one misses.

    Raises
    ------
    InputError
        If steps is below 1 or another word, or the model, inputs, targets or baseline are invalid.
    """
    if steps != "auto" and (isinstance(steps, str) or steps < 1):
        raise InputError(f"steps: must be at least 1, or 'auto', got {steps!r}")
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    start = resolve_baseline(inputs, baseline)
    compiled = cached_per_model(model, _path_gradients, kind)

    def maps_of(some: np.ndarray, points: int) -> np.ndarray:
        total = np.zeros_like(inputs[some])
        for rows, _, sums in over_variants(
            lambda *batch: compiled(np.float32(points), *batch),
            *(inputs[some], start[some], classes[some]),
            variants=points,
            batch_size=batch_size,
            label="integrated_gradients",
        ):
            total[rows] += sums
        return (inputs[some] - start[some]) * total / np.float32(points)

    here, there = _ends_of_path(model, kind, inputs, start, classes, batch_size)
    points = FEWEST_STEPS if steps == "auto" else steps
    maps = maps_of(np.arange(len(inputs)), points)
    off = _relative_gaps(maps, here, there)
    while steps == "auto" and points < MOST_STEPS and (off > TOLERANCE).any():
        points *= 2
        open_ones = np.flatnonzero(off > TOLERANCE)
        maps[open_ones] = maps_of(open_ones, points)
        off = _relative_gaps(maps, here, there)
    if (off > TOLERANCE).any():
        warnings.warn(
            f"integrated_gradients: {np.sum(off > TOLERANCE)} of {len(maps)} maps have not converged with {points} "
            f"steps; the sum of the worst one misses the change of the score by {off.max():.0%} of it",
            stacklevel=3,
        )
    return maps


TOLERANCE = 0.05
"""A map of integrated gradients has converged if its sum misses the change of the score by at most this share of it."""
FEWEST_STEPS, MOST_STEPS = 32, 1024


def _ends_of_path(model, score: Score, inputs, start, classes, batch_size) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores (N,) of the inputs and of their baselines."""
    run = cached_per_model(model, scores_of, score)
    return tuple(over_batches(run, images, classes, batch_size=batch_size) for images in (inputs, start))


def _relative_gaps(maps: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return how far the sum of each map is from the change of the score, as a share of it."""
    sums = maps.sum(axis=tuple(range(1, maps.ndim)), dtype=np.float64)
    change = here.astype(np.float64) - there
    rounding = 1e-4 * (np.abs(here) + np.abs(there)) + 1e-12  # a smaller change is rounding
    return np.abs(change - sums) / np.maximum(np.abs(change), rounding)


@takes_several_inputs(jointly)
def completeness_gap(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    maps: np.ndarray,
    *,
    baseline: float | np.ndarray = 0.0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Compute the score of the input, minus that of the baseline, minus the sum of the map: what the map leaves out.

    Parameters
    ----------
    model, inputs, targets, baseline, score, against, batch_size
        The same as in the call of `integrated_gradients`.
    maps : array
        (N, H, W, C), the result of that call.

    Returns
    -------
    array
        (N,) float32, in units of the score. It tends to 0 as the number of steps grows.

    Raises
    ------
    InputError
        If the model, inputs, targets or baseline are invalid.
    """
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    here, there = _ends_of_path(model, kind, inputs, resolve_baseline(inputs, baseline), classes, batch_size)
    return here - there - maps.sum(axis=tuple(range(1, maps.ndim)))


def _gradients(model, inputs, targets, score, against, batch_size, label) -> np.ndarray:
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    run = cached_per_model(model, _gradient, kind)
    return over_batches(run, inputs, classes, batch_size=batch_size, label=label)


def _gradient(model: keras.Model, score: Score) -> Callable:
    """Compile images (B, H, W, C), classes (B, 2) -> gradients (B, H, W, C)."""
    logits = score_model(model)

    @tf.function(input_signature=[images_spec(model), CLASSES], autograph=False)
    def run(images, classes):
        return score_gradient(logits, score, images, classes)

    return run


def score_gradient(logits: keras.Model, score: Score, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Return the gradient of the scores with respect to the images. Only for use inside a ``tf.function``."""
    with cheap_gradients():
        scores = score(logits(images, training=False), classes)
    return gradient(scores, images)


def _mean_over_noise(
    statistic: Callable, model, inputs, targets, score, against, samples, noise, seed, batch_size
) -> np.ndarray:
    """Compute the mean of ``statistic(gradients)`` over the noisy copies of each image."""
    if samples < 1:
        raise InputError(f"samples: must be at least 1, got {samples}")
    if not noise >= 0:
        raise InputError(f"noise: must be at least 0, got {noise}")
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    spread = np.float32(noise) * ranges(model, inputs)
    firsts = np.arange(len(inputs), dtype=np.int64) * samples
    compiled = cached_per_model(model, _noisy_gradients, kind, statistic)
    like = statistic(tf.zeros([0, *inputs.shape[1:]])).numpy()
    means = np.zeros((len(inputs), *like.shape[1:]), like.dtype)
    for rows, _, sums in over_variants(
        lambda *some: compiled(np.int64(seed), *some),
        *(inputs, spread, firsts, classes),
        variants=samples,
        batch_size=batch_size,
        label="noisy gradients",
    ):
        means[rows] += sums / samples
    return means


def _noisy_gradients(model: keras.Model, score: Score, statistic: Callable) -> Callable:
    """Compile seed, images, spread (k, ...), first copies (k,), classes, rows, samples -> sums by image."""
    logits = score_model(model)
    images = images_spec(model)
    spreads = tf.TensorSpec([None] * images.shape.rank)
    seed, firsts = tf.TensorSpec([], tf.int64), tf.TensorSpec([None], tf.int64)

    @tf.function(input_signature=[seed, images, spreads, firsts, CLASSES, NUMBERS, NUMBERS], autograph=False)
    def run(seed, images, spread, firsts, classes, rows, samples):
        noise = tf.map_fn(
            lambda copy: tf.random.stateless_normal(tf.shape(images)[1:], tf.stack([seed, copy])),
            tf.gather(firsts, rows) + tf.cast(samples, tf.int64),
            fn_output_signature=tf.float32,
        )
        copies = tf.gather(images, rows) + tf.gather(spread, rows) * tf.ensure_shape(noise, images.shape)
        return tf.math.segment_sum(statistic(score_gradient(logits, score, copies, tf.gather(classes, rows))), rows)

    return run


def _moments(gradients: tf.Tensor) -> tf.Tensor:
    """Return gradients and their squares, in float64 because the variance is a small difference of large numbers."""
    gradients = tf.cast(gradients, tf.float64)
    return tf.stack([gradients, gradients**2], axis=-1)


def _path_gradients(model: keras.Model, score: Score) -> Callable:
    """Compile steps, images, starts (k, ...), classes (k, 2), rows, points -> sums of the gradients by image."""
    logits = score_model(model)

    @tf.function(
        input_signature=[tf.TensorSpec([]), images_spec(model), images_spec(model), CLASSES, NUMBERS, NUMBERS],
        autograph=False,
    )
    def run(steps, images, starts, classes, rows, points):
        along = (tf.cast(points, tf.float32) + 0.5) / steps
        along = tf.reshape(along, [-1] + [1] * (images.shape.rank - 1))
        images, starts, classes = (tf.gather(some, rows) for some in (images, starts, classes))
        gradients = score_gradient(logits, score, starts + along * (images - starts), classes)
        return tf.math.segment_sum(gradients, rows)

    return run
