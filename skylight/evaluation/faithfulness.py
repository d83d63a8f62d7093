"""Faithfulness: does the network use the pixels that a map marks? Change them and measure the probability of the class.

Maps have shape (N, H, W): one number per pixel, above 0 for evidence for the class. A pixel is changed in all its
channels at once. As in the literature, the output of the network for the target is measured: the probability after the
softmax or sigmoid, not the score before it, which most methods explain. For a regression it is the predicted value.

Quantus 0.6 runs on Keras 3, but it calls ``model.predict`` for every step or random set of every map, has no insertion,
has no area with NumPy 2, breaks ties in the order of the rows, and rejects constant maps. The functions of this module
are batched, and tests compare them with Quantus (``PixelFlipping``, ``FaithfulnessCorrelation``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.scoring import (
    CLASSES,
    NUMBERS,
    Score,
    batches,
    cached_per_model,
    images_spec,
    over_batches,
    over_variants,
    resolve,
    resolve_baseline,
    resolve_inputs,
    resolve_targets,
    score_model,
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
    """Area under the probability while pixels are inserted, most relevant first (Petsiuk et al. 2018).

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class whose probability is measured: one for all images or one per image; ``None`` is the predicted class.
    maps : array
        (N, H, W) relevance. Only the order of the pixels matters; ties are broken at random.
    baseline : float or array
        The empty image: a constant, one image (H, W, C), or one per input (N, H, W, C). The paper uses a blurred
        input, ``scipy.ndimage.gaussian_filter(inputs, (0, 5, 5, 0))``.
    steps : int
        Number of points of the curve after the first. With H W steps, each step changes one pixel.
    seed : int
        Seed of the order of ties.
    batch_size : int
        Number of images per batch. There are N (steps + 1) images in total.

    Returns
    -------
    array
        (N,) area by the trapezoidal rule. The abscissa is the share of the pixels, from 0 to 1, so the area is 0 to 1
        if the output is a probability. Higher is better.

    Raises
    ------
    InputError
        If steps is below 1, or the model, inputs, targets, maps or baseline are invalid.
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
    """Area under the probability while pixels are removed, most relevant first (Petsiuk et al. 2018).

    Parameters
    ----------
    model, inputs, targets, maps, steps, seed, batch_size
        As for `insertion`.
    baseline : float or array
        Value of removed pixels: a constant, one image (H, W, C), or one image per input (N, H, W, C).

    Returns
    -------
    array
        (N,) area, as for `insertion`. Lower is better.

    Raises
    ------
    InputError
        If steps is below 1, or the model, inputs, targets, maps or baseline are invalid.
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
    """Decrease of the probability when the most relevant pixels are blanked: points of the `deletion` curve.

    With the same map for all inputs it tests whether a map of a class holds for objects of the class.

    Parameters
    ----------
    model, inputs, targets, maps, baseline, seed
        As for `deletion`.
    counts : list of int
        Numbers of blanked pixels, each from 0 to H W.
    batch_size : int
        Number of images per batch. There are N (len(counts) + 1) images in total.

    Returns
    -------
    array
        (N, len(counts)) probability of the intact image minus that of the blanked one.

    Raises
    ------
    InputError
        If a count is out of range, or the model, inputs, targets, maps or baseline are invalid.
    """
    inputs = resolve_inputs(model, inputs)
    empty, targets = resolve_baseline(inputs, baseline), resolve_targets(model, inputs, targets)
    pixels = inputs.shape[1] * inputs.shape[2]
    wrong = [count for count in counts if not 0 <= count <= pixels]
    if wrong:
        raise InputError(f"counts: must be 0 to {pixels}, got {wrong[0]}")
    curves = _curves(model, inputs, empty, targets, maps, np.array([0, *counts]), seed, batch_size)
    return curves[:, :1] - curves[:, 1:]


def picture_drops(
    model: keras.Model,
    inputs: np.ndarray,
    labels: np.ndarray,
    pictures: Mapping[str, np.ndarray],
    classes: Sequence[str],
    counts: list[int],
    *,
    draws: int = 20,
    seed: int = 0,
) -> list[dict]:
    """Blank the pixels that pictures of classes mark most, in objects of these classes; and random ones as a control.

    Parameters
    ----------
    model : keras.Model
    inputs : array
        (N, H, W, C) images that the pictures were not made from.
    labels : (N,) int
        Their classes.
    pictures : mapping
        Name -> (K, H, W), one picture per class; not finite where a class has none.
    classes : sequence of str
        Names of the K classes.
    counts : list of int
        Numbers of pixels to blank.
    draws : int
        Random orders of the pixels per image in the control ``random``, whose drops are averaged.
    seed : int

    Returns
    -------
    list of dict
        One row per class with objects, picture (``approach``) and number of pixels (``cells``): ``class``, the mean
        ``drop`` of the probability of the class, its standard ``error`` (NaN for one object), number of ``objects``.
    """
    random = np.random.default_rng(seed)
    table = []
    for target, class_name in enumerate(classes):
        members = inputs[labels == target]
        if not len(members):
            continue

        def drops(maps, members=members, target=target):
            return blanking_drops(model, members, target, np.broadcast_to(maps, members.shape[:3]), counts, seed=seed)

        by_name = {name: drops(maps[target]) for name, maps in pictures.items() if np.isfinite(maps[target]).all()}
        by_name["random"] = np.mean([drops(random.random(members.shape[:3])) for _ in range(draws)], axis=0)
        for name, values in by_name.items():
            errors = values.std(axis=0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else [np.nan] * len(counts)
            for cells, drop, error in zip(counts, values.mean(axis=0), errors, strict=True):
                row = {"class": class_name, "approach": name, "cells": cells, "drop": drop, "error": error}
                table.append(row | {"objects": len(values)})
    return table


def mean_drops(table: list[dict], controls: Sequence[str]) -> dict[str, dict]:
    """Average the drops of `picture_drops` over classes, beside the controls in the same classes.

    Parameters
    ----------
    table : list of dict
        Rows of `picture_drops`.
    controls : sequence of str
        Approaches to compare the others with.

    Returns
    -------
    dict
        Approach -> ``classes``, the number of classes that it has a picture of, and for each number of pixels
        (``"5 cells"``) the mean ``drop`` over these classes and that of each control.
    """
    found = {(row["approach"], row["cells"], row["class"]): row["drop"] for row in table}
    result = {}
    for name in dict.fromkeys(row["approach"] for row in table):
        if name in controls:
            continue
        rows = [row for row in table if row["approach"] == name]
        members = list(dict.fromkeys(row["class"] for row in rows))
        result[name] = {"classes": len(members)}
        for cells in dict.fromkeys(row["cells"] for row in rows):
            drops = {
                key: [found[approach, cells, one] for one in members if (approach, cells, one) in found]
                for key, approach in (("drop", name), *((control, control) for control in controls))
            }
            result[name][f"{cells} cells"] = {key: float(np.mean(values)) for key, values in drops.items() if values}
    return result


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
    """Correlation of the relevance of random sets of pixels with the loss of probability (Bhatt et al. 2020).

    Parameters
    ----------
    model, inputs, targets, batch_size
        As for `insertion`. There are N (runs + 1) images in total, however many methods are compared.
    maps : array
        (..., N, H, W) relevance. Maps of several methods in one call are tested on the same random sets, which makes
        the comparison fair and fast.
    baseline : float or array
        Value of removed pixels: a constant, one image (H, W, C), or one image per input (N, H, W, C).
    share : float
        Size of a set as a share of all pixels, above 0 and below 1.
    runs : int
        Number of sets per image.
    seed : int
        Seed of the sets.

    Returns
    -------
    array
        (..., N) Pearson correlation, -1 to 1, over the sets of an image, between the sum of the relevance in the set
        and the decrease of the probability when the set is replaced. NaN if one of them is constant. Higher is better;
        because the sets are random, it is well below 1 even for a good map.

    Raises
    ------
    InputError
        If share or runs is out of range, or the model, inputs, targets, maps or baseline are invalid.
    """
    if not 0 < share < 1:
        raise InputError(f"share: must be above 0 and below 1, got {share}")
    if runs < 2:
        raise InputError(f"runs: must be at least 2, got {runs}")
    inputs, classes, score = resolve(model, inputs, targets, "probability")
    empty = resolve_baseline(inputs, baseline)
    maps = _checked(maps, inputs)
    run = cached_per_model(model, _mixed_scores, score)
    pixels = inputs.shape[1] * inputs.shape[2]
    size = max(1, round(share * pixels))
    flat = maps.reshape(*maps.shape[:-2], pixels)
    result = np.empty(maps.shape[:-2])
    for one in batches(len(inputs), 1, "faithfulness_correlation"):
        sets = random_sets(pixels, size, runs, [seed, one.start])
        intact = np.zeros((1, pixels), bool)
        outputs = over_batches(
            lambda some, one=one: run(inputs[one], empty[one], classes[one], some, np.zeros(len(some), np.int32)),
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
    """Compute the Pearson correlation along the last axis; NaN where one of the two is constant."""
    a, b = (values - values.mean(axis=-1, keepdims=True) for values in (a, b))
    scale = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return np.where(scale > 0, (a * b).sum(axis=-1) / np.where(scale > 0, scale, 1), np.nan)


def _area(model, start, end, targets, maps, steps, seed, batch_size) -> np.ndarray:
    """Compute the area under the outputs while pixels of ``start`` are replaced by those of ``end``."""
    if steps < 1:
        raise InputError(f"steps: must be at least 1, got {steps}")
    pixels = start.shape[1] * start.shape[2]
    counts = np.unique(np.round(np.linspace(0, pixels, steps + 1)).astype(int))
    curves = _curves(model, start, end, targets, maps, counts, seed, batch_size)
    return np.trapezoid(curves, counts / pixels, axis=1)


def _curves(model, start, end, targets, maps, counts, seed, batch_size) -> np.ndarray:
    """Compute the outputs (N, len(counts)) when the ``counts`` most relevant pixels are those of ``end``."""
    maps = _checked(maps, start)
    if maps.ndim != 3:
        raise InputError(f"maps: must be one per input, {start.shape[:3]}, got {maps.shape}")
    _, classes, score = resolve(model, start, targets, "probability")
    run = cached_per_model(model, _mixed_scores, score)
    curves = np.empty(len(start) * len(counts))
    for _, pairs, outputs in over_variants(
        lambda start, end, classes, ranks, rows, points: run(
            start, end, classes, ranks[rows] < counts[points][:, None, None], rows
        ),
        *(start, end, classes, _ranks(maps, seed)),
        variants=len(counts),
        batch_size=batch_size,
        label="blanking the most relevant pixels",
    ):
        curves[pairs] = outputs
    return curves.reshape(-1, len(counts))


def _ranks(maps: np.ndarray, seed: int) -> np.ndarray:
    """Return the rank of each pixel by falling relevance, from 0; equal pixels are in random order."""
    flat = maps.reshape(len(maps), -1)
    ties = np.random.default_rng(seed).random(flat.shape)
    return np.lexsort((ties, -flat), axis=1).argsort(axis=1).reshape(maps.shape)


def _mixed_scores(model: keras.Model, score: Score) -> Callable:
    """Compile images and others (k, ...), classes (k, 2), masks (B, H, W), rows (B,) -> scores (B,).

    A pixel is that of the other image where the mask is true, else that of the image.
    """
    network = score_model(model)
    spec, masks = images_spec(model), tf.TensorSpec([None, None, None], tf.bool)

    @tf.function(input_signature=[spec, spec, CLASSES, masks, NUMBERS])
    def run(images, others, classes, masks, rows):
        mixed = tf.where(masks[..., None], tf.gather(others, rows), tf.gather(images, rows))
        return score(network(tf.ensure_shape(mixed, spec.shape), training=False), tf.gather(classes, rows))

    return run


def _checked(maps: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    maps = np.asarray(maps, dtype=float)
    if maps.shape[-3:] != inputs.shape[:3]:
        raise InputError(f"maps: must be one per input, {inputs.shape[:3]}, got {maps.shape}")
    return maps
