"""Is what a map calls relevant what the network uses? Change those pixels and watch the probability of the class.

Maps have shape (N, H, W): one number a pixel, above 0 for what speaks for the class; a pixel is changed in all its
channels at once. What is watched is the network's own output for the target, as in the literature: the probability
after the softmax or sigmoid, and not the score before it that most methods explain. For a regression it is the
predicted value.

Quantus 0.6 runs on Keras 3 here, but asks ``model.predict`` once for every step or random set, again for every map;
has no insertion, and with NumPy 2 no area; breaks ties in the order of the rows; and refuses maps that are constant.
So these are batched functions of our own, and the tests hold them to Quantus (``PixelFlipping``,
``FaithfulnessCorrelation``).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.scoring import (
    TARGETS,
    batches,
    cached_per_model,
    images_spec,
    output_model,
    over_batches,
    over_variants,
    resolve_baseline,
    resolve_inputs,
    resolve_targets,
    target_scores,
)
from skylight.errors import InputError


def insertion(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    maps: np.ndarray,
    *,
    baseline: float | np.ndarray = 0.0,
    steps: int = 50,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """Area under the probability while pixels return to an empty image, most relevant first (Petsiuk et al. 2018).

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class whose probability is watched, for all or for each; ``None`` for the predicted ones.
    maps : array
        (N, H, W) relevance. Only its order matters; ties are broken at random.
    baseline : float or array
        The empty image: a constant, one image (H, W, C), or one for each input (N, H, W, C). The paper blurs the
        input, ``scipy.ndimage.gaussian_filter(inputs, (0, 5, 5, 0))``.
    steps : int
        Points of the curve after the first; as many as there are pixels is one pixel a step.
    seed : int
        Seed of the ties.
    batch_size : int
        Images through the network at once. There are N (steps + 1) in all.

    Returns
    -------
    array
        (N,) area, with the share of pixels from 0 to 1 as abscissa (trapezoidal rule): 0 to 1 where the output is
        a probability. Higher is better.

    Raises
    ------
    InputError
        If steps is below 1, or model, inputs, targets, maps or baseline do not fit.
    """
    inputs = resolve_inputs(model, inputs)
    empty = resolve_baseline(inputs, baseline)
    return _area(model, empty, inputs, resolve_targets(model, inputs, targets), maps, steps, seed, batch_size)


def deletion(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    maps: np.ndarray,
    *,
    baseline: float | np.ndarray = 0.0,
    steps: int = 50,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """Area under the probability while pixels are taken away, most relevant first (Petsiuk et al. 2018).

    Parameters
    ----------
    model, inputs, targets, maps, steps, seed, batch_size
        As for `insertion`.
    baseline : float or array
        What pixels are replaced by: a constant, one image (H, W, C), or one for each input (N, H, W, C).

    Returns
    -------
    array
        (N,) area, as for `insertion`. Lower is better.

    Raises
    ------
    InputError
        If steps is below 1, or model, inputs, targets, maps or baseline do not fit.
    """
    inputs = resolve_inputs(model, inputs)
    empty = resolve_baseline(inputs, baseline)
    return _area(model, inputs, empty, resolve_targets(model, inputs, targets), maps, steps, seed, batch_size)


def blanking_drops(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    maps: np.ndarray,
    counts: list[int],
    *,
    baseline: float | np.ndarray = 0.0,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """Fall of the probability when the most relevant pixels are blanked: the first points of the `deletion` curve.

    With the same map for all inputs it asks whether the picture of a class holds for objects of the class.

    Parameters
    ----------
    model, inputs, targets, maps, baseline, seed
        As for `deletion`.
    counts : list of int
        How many pixels are blanked, each from 0 to H W.
    batch_size : int
        Images through the network at once. There are N (len(counts) + 1) in all.

    Returns
    -------
    array
        (N, len(counts)) probability of the intact image minus that of the blanked one.

    Raises
    ------
    InputError
        If a count is out of range, or model, inputs, targets, maps or baseline do not fit.
    """
    inputs = resolve_inputs(model, inputs)
    empty, targets = resolve_baseline(inputs, baseline), resolve_targets(model, inputs, targets)
    pixels = inputs.shape[1] * inputs.shape[2]
    wrong = [count for count in counts if not 0 <= count <= pixels]
    if wrong:
        raise InputError(f"counts: must be 0 to {pixels}, got {wrong[0]}")
    curves = _curves(model, inputs, empty, targets, maps, np.array([0, *counts]), seed, batch_size)
    return curves[:, :1] - curves[:, 1:]


def faithfulness_correlation(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    maps: np.ndarray,
    *,
    baseline: float | np.ndarray = 0.0,
    share: float = 0.1,
    runs: int = 100,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """Correlation of the relevance of random sets of pixels with what their loss costs (Bhatt et al. 2020).

    Parameters
    ----------
    model, inputs, targets, batch_size
        As for `insertion`; there are N (runs + 1) images through the network, however many methods are compared.
    maps : array
        (..., N, H, W) relevance. Maps of several methods at once meet the same random sets, which is both the
        fair and the fast way to compare them.
    baseline : float or array
        What pixels are replaced by: a constant, one image (H, W, C), or one for each input (N, H, W, C).
    share : float
        Share of the pixels in a set, above 0 and below 1.
    runs : int
        Sets an image.
    seed : int
        Seed of the sets.

    Returns
    -------
    array
        (..., N) Pearson correlation, -1 to 1, over the sets of an image between the sum of the relevance in the
        set and the fall of the probability when the set is replaced. NaN where either does not vary. Higher is
        better; the noise of the random sets keeps it well below 1 for a good map.

    Raises
    ------
    InputError
        If share or runs is out of range, or model, inputs, targets, maps or baseline do not fit.
    """
    if not 0 < share < 1:
        raise InputError(f"share: must be above 0 and below 1, got {share}")
    if runs < 2:
        raise InputError(f"runs: must be at least 2, got {runs}")
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets)
    empty = resolve_baseline(inputs, baseline)
    maps = _checked(maps, inputs)
    run = cached_per_model(model, _mixed_outputs)
    pixels = inputs.shape[1] * inputs.shape[2]
    size = max(1, round(share * pixels))
    flat = maps.reshape(*maps.shape[:-2], pixels)
    result = np.empty(maps.shape[:-2])
    for one in batches(len(inputs), 1, "faithfulness_correlation"):
        sets = random_sets(pixels, size, runs, [seed, one.start])
        intact = np.zeros((1, pixels), bool)
        outputs = over_batches(
            lambda some, one=one: run(inputs[one], empty[one], targets[one], some, np.zeros(len(some), np.int32)),
            np.concatenate([intact, sets]).reshape(-1, *inputs.shape[1:3]),
            batch_size=batch_size,
        ).astype(float)
        sums = flat[..., one.start, :] @ sets.T
        result[..., one.start] = pearson(sums, np.broadcast_to(outputs[0] - outputs[1:], sums.shape))
    return result


def random_sets(pixels: int, size: int, runs: int, seed: int | list[int]) -> np.ndarray:
    """Draw ``size`` of ``pixels`` without replacement, ``runs`` times: (runs, pixels) bool."""
    order = np.random.default_rng(seed).random((runs, pixels)).argpartition(size - 1, axis=1)
    sets = np.zeros((runs, pixels), bool)
    np.put_along_axis(sets, order[:, :size], True, axis=1)
    return sets


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation along the last axis; NaN where either is constant."""
    a, b = (values - values.mean(axis=-1, keepdims=True) for values in (a, b))
    scale = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return np.where(scale > 0, (a * b).sum(axis=-1) / np.where(scale > 0, scale, 1), np.nan)


def _area(model, start, end, targets, maps, steps, seed, batch_size) -> np.ndarray:
    """Area under the outputs on the way from ``start`` to ``end``, pixel by pixel."""
    if steps < 1:
        raise InputError(f"steps: must be at least 1, got {steps}")
    pixels = start.shape[1] * start.shape[2]
    counts = np.unique(np.round(np.linspace(0, pixels, steps + 1)).astype(int))
    curves = _curves(model, start, end, targets, maps, counts, seed, batch_size)
    return np.trapezoid(curves, counts / pixels, axis=1)


def _curves(model, start, end, targets, maps, counts, seed, batch_size) -> np.ndarray:
    """Outputs (N, len(counts)) when that many pixels, most relevant first, are those of ``end``."""
    maps = _checked(maps, start)
    if maps.ndim != 3:
        raise InputError(f"maps: must be one an input, {start.shape[:3]}, got {maps.shape}")
    run = cached_per_model(model, _mixed_outputs)
    curves = np.empty(len(start) * len(counts))
    for _, pairs, outputs in over_variants(
        lambda start, end, targets, ranks, rows, points: run(
            start, end, targets, ranks[rows] < counts[points][:, None, None], rows
        ),
        *(start, end, targets, _ranks(maps, seed)),
        variants=len(counts),
        batch_size=batch_size,
        label="blanking the most relevant pixels",
    ):
        curves[pairs] = outputs
    return curves.reshape(-1, len(counts))


def _ranks(maps: np.ndarray, seed: int) -> np.ndarray:
    """Place of each pixel in the order of falling relevance, from 0; equal ones in random order."""
    flat = maps.reshape(len(maps), -1)
    lots = np.random.default_rng(seed).random(flat.shape)
    return np.lexsort((lots, -flat), axis=1).argsort(axis=1).reshape(maps.shape)


def _mixed_outputs(model: keras.Model) -> Callable:
    """Compile images and others (k, ...), targets (k,), masks (B, H, W), rows (B,) -> outputs (B,).

    Each pixel is of the image, or where the mask is true of the other.
    """
    network = output_model(model)
    spec, masks = images_spec(model), tf.TensorSpec([None, None, None], tf.bool)

    @tf.function(input_signature=[spec, spec, TARGETS, masks, TARGETS])
    def run(images, others, targets, masks, rows):
        mixed = tf.where(masks[..., None], tf.gather(others, rows), tf.gather(images, rows))
        outputs = network(tf.ensure_shape(mixed, spec.shape), training=False)
        return target_scores(outputs, tf.gather(targets, rows))

    return run


def _checked(maps: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    maps = np.asarray(maps, dtype=float)
    if maps.shape[-3:] != inputs.shape[:3]:
        raise InputError(f"maps: must be one an input, {inputs.shape[:3]}, got {maps.shape}")
    return maps
