"""Faithfulness: does the network use the pixels that a map marks? Change them and measure the probability of the class.

Maps have shape (N, H, W): one number per pixel, above 0 for evidence for the class. A pixel is changed in all its
channels at once. Sequences (N, L, C) have maps (N, L); their steps are the pixels. As in the literature, the output of
the network for the target is measured: the probability after the softmax or sigmoid, not the score before it, which
most methods explain. For a regression it is the predicted value.

Quantus 0.6 runs on Keras 3, but it calls ``model.predict`` for every step or random set of every map, has no insertion,
has no area with NumPy 2, breaks ties in the order of the rows, and rejects constant maps. The functions of this module
are batched, and tests compare them with Quantus (``PixelFlipping``, ``FaithfulnessCorrelation``, ``Infidelity``,
``ROAD``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from threadpoolctl import ThreadpoolController

from skylight.attribution.scoring import (
    CLASSES,
    NUMBERS,
    Score,
    batches,
    cached_per_model,
    images_spec,
    over_variants,
    resolve,
    resolve_baseline,
    resolve_inputs,
    resolve_targets,
    score_model,
    scores_of,
    two_at_a_time,
)
from skylight.errors import InputError
from skylight.evaluation.imputation import linear_imputation

ROAD_SHARES = tuple(percent / 100 for percent in range(10, 100, 10))
ROAD_PIXELS = 2**13
"""Pixels of the images that are imputed together: more take longer, because the equations leave the cache of a core."""


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
        (N, H, W, C) images, or sequences (N, L, C).
    targets : int, array of int (N,), or None
        Class whose probability is measured: one for all images or one per image; ``None`` is the predicted class.
    maps : array
        (N, H, W) relevance, or (N, L). Only the order of the pixels matters; ties are broken at random.
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
    pixels = _pixels(inputs)
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
            return blanking_drops(model, members, target, np.broadcast_to(maps, members.shape[:-1]), counts, seed=seed)

        by_name = {name: drops(maps[target]) for name, maps in pictures.items() if np.isfinite(maps[target]).all()}
        by_name["random"] = np.mean([drops(random.random(members.shape[:-1])) for _ in range(draws)], axis=0)
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


def road(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    maps: np.ndarray,
    *,
    shares: Sequence[float] = ROAD_SHARES,
    noise: float = 0.01,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """Mean probability when the most relevant pixels are imputed from the others (ROAD; Rong et al. 2022).

    Removed pixels that are constant show the network where they were. Here they become the weighted mean of their
    neighbours, removed or not (`skylight.evaluation.imputation.linear_imputation`), plus noise (arXiv:2202.00449,
    section 4.2). The paper counts how often the class is still predicted; this is the probability of the class.

    Parameters
    ----------
    model, inputs, targets, maps, batch_size
        As for `insertion`. There are N len(shares) images in total.
    shares : sequence of float
        Shares of the pixels to remove, each above 0 and below 1. At least one pixel is left.
    noise : float
        Standard deviation of the noise, in units of the range (maximum minus minimum) of the image.
    seed : int
        Seed of the noise, which is the same for all shares and methods, and of the order of ties.

    Returns
    -------
    array
        (N,) mean over the shares. Lower is better.

    Raises
    ------
    InputError
        If a share is out of range, noise is negative, or the model, inputs, targets or maps are invalid.
    """
    wrong = [share for share in shares if not 0 < share < 1]
    if wrong or not len(shares):
        raise InputError(f"shares: must be above 0 and below 1, got {wrong[0] if wrong else 'none'}")
    if noise < 0:
        raise InputError(f"noise: must be at least 0, got {noise}")
    inputs, classes, score = resolve(model, inputs, targets, "probability")
    run = cached_per_model(model, scores_of, score)
    ranks = _ranks(_one_per_input(maps, inputs), seed)
    pixels = _pixels(inputs)
    counts = np.array([min(round(share * pixels), pixels - 1) for share in shares])
    counts = counts.reshape(-1, *[1] * (inputs.ndim - 2))

    deviates = np.empty_like(inputs)
    for i, image in enumerate(inputs):
        deviates[i] = noise * np.ptp(image) * np.random.default_rng([seed, i]).standard_normal(image.shape)

    def imputed() -> Iterator[list[np.ndarray]]:
        for pairs in batches(len(inputs) * len(counts), batch_size, "imputing the most relevant pixels"):
            rows, points = np.divmod(np.arange(pairs.start, pairs.stop), len(counts))
            removed = ranks[rows] < counts[points]
            changed = np.empty((len(rows), *inputs.shape[1:]), np.float32)
            by_count = np.argsort(points, kind="stable")
            for some in np.array_split(by_count, -(-removed.size // ROAD_PIXELS)):
                noise = deviates[rows[some]] * removed[some][..., None]
                changed[some] = linear_imputation(inputs[rows[some]], removed[some]) + noise
            yield [changed, classes[rows]]

    with _libraries().limit(limits=1, user_api="blas"):  # threads of BLAS would wait for those of TensorFlow
        outputs = [np.empty(0), *two_at_a_time(lambda *job: run(*job).numpy(), imputed())]
    curves = np.concatenate(outputs)
    return curves.reshape(-1, len(counts)).mean(axis=1)


@cache
def _libraries() -> ThreadpoolController:
    """Return what sets the number of threads of each library; to find the libraries takes longer than a small batch."""
    return ThreadpoolController()


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
    inputs = resolve_inputs(model, inputs)
    pixels = _pixels(inputs)
    draw = partial(random_sets, pixels, max(1, round(share * pixels)))
    result = np.empty(np.shape(maps)[: 2 - inputs.ndim])
    removals = _removals(model, inputs, targets, maps, baseline, draw, runs, seed, batch_size)
    for i, (sums, drops) in enumerate(removals):
        result[..., i] = pearson(sums, np.broadcast_to(drops, sums.shape))
    return result


def infidelity(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    maps: np.ndarray,
    *,
    baseline: float | np.ndarray = 0.0,
    side: float = 0.25,
    runs: int = 100,
    seed: int = 0,
    batch_size: int = 256,
) -> np.ndarray:
    """Mean squared error of the loss of probability that a map predicts for removed squares (Yeh et al. 2019).

    This is the infidelity of arXiv:1901.09392 (definition 2.1) with the perturbation "square removal". The relevance
    of a pixel is its contribution to the output, so a map predicts for a square the sum of the relevance in it. As in
    the authors' code, each map is first multiplied by the number that makes its error smallest, because the scale of
    most methods is arbitrary. Here the number cannot be negative: a map of the wrong sign predicts nothing.

    Parameters
    ----------
    model, inputs, targets, maps, baseline, seed, batch_size
        As for `faithfulness_correlation`. There are N (runs + 1) images in total, however many methods are compared.
    side : float
        Height and width of the square as a share of those of the image, above 0 and at most 1.
    runs : int
        Number of squares per image, at random positions inside it.

    Returns
    -------
    array
        (..., N), from 0 to the mean of the squared losses, which a map that is 0 everywhere has. Lower is better.

    Raises
    ------
    InputError
        If side or runs is out of range, or the model, inputs, targets, maps or baseline are invalid.
    """
    if not 0 < side <= 1:
        raise InputError(f"side: must be above 0 and at most 1, got {side}")
    if runs < 1:
        raise InputError(f"runs: must be at least 1, got {runs}")
    inputs = resolve_inputs(model, inputs)
    draw = partial(random_squares, inputs.shape[1:-1], side)
    result = np.empty(np.shape(maps)[: 2 - inputs.ndim])
    removals = _removals(model, inputs, targets, maps, baseline, draw, runs, seed, batch_size)
    for i, (sums, drops) in enumerate(removals):
        result[..., i] = _scaled_error(sums, drops)
    return result


def random_sets(pixels: int, size: int, runs: int, seed: int | list[int] | np.random.Generator) -> np.ndarray:
    """Draw ``size`` of ``pixels`` without replacement, ``runs`` times: (runs, pixels) bool."""
    order = np.random.default_rng(seed).random((runs, pixels)).argpartition(size - 1, axis=1)
    sets = np.zeros((runs, pixels), bool)
    np.put_along_axis(sets, order[:, :size], True, axis=1)
    return sets


def random_squares(
    shape: tuple[int, ...], side: float, runs: int, seed: int | list[int] | np.random.Generator
) -> np.ndarray:
    """Draw a square of ``side`` times the size of the image at a random place inside it, ``runs`` times.

    For a sequence, ``shape`` (L,), it is a segment. The result is (runs, pixels) bool.
    """
    sizes = [max(1, round(side * length)) for length in shape]
    limits = [length - size + 1 for length, size in zip(shape, sizes, strict=True)]
    starts = np.random.default_rng(seed).integers(0, limits, (runs, len(shape)))
    squares = np.ones((runs, 1), bool)
    for start, length, size in zip(starts.T[..., None], shape, sizes, strict=True):
        place = np.arange(length)
        inside = (place >= start) & (place < start + size)
        squares = (squares[:, :, None] & inside[:, None]).reshape(runs, -1)
    return squares


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute the Pearson correlation along the last axis; NaN where one of the two is constant."""
    a, b = (values - values.mean(axis=-1, keepdims=True) for values in (a, b))
    scale = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return np.where(scale > 0, (a * b).sum(axis=-1) / np.where(scale > 0, scale, 1), np.nan)


def _area(model, start, end, targets, maps, steps, seed, batch_size) -> np.ndarray:
    """Compute the area under the outputs while pixels of ``start`` are replaced by those of ``end``."""
    if steps < 1:
        raise InputError(f"steps: must be at least 1, got {steps}")
    pixels = _pixels(start)
    counts = np.unique(np.round(np.linspace(0, pixels, steps + 1)).astype(int))
    curves = _curves(model, start, end, targets, maps, counts, seed, batch_size)
    return np.trapezoid(curves, counts / pixels, axis=1)


def _curves(model, start, end, targets, maps, counts, seed, batch_size) -> np.ndarray:
    """Compute the outputs (N, len(counts)) when the ``counts`` most relevant pixels are those of ``end``."""
    _, classes, score = resolve(model, start, targets, "probability")
    run = cached_per_model(model, _mixed_scores, score)
    counts = counts.reshape(-1, *[1] * (start.ndim - 2))
    curves = np.empty(len(start) * len(counts))
    for _, pairs, outputs in over_variants(
        lambda start, end, classes, ranks, rows, points: run(start, end, classes, ranks[rows] < counts[points], rows),
        *(start, end, classes, _ranks(_one_per_input(maps, start), seed)),
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


def _removals(
    model, inputs, targets, maps, baseline, draw, runs, seed, batch_size
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Replace random sets of pixels of each image by those of the baseline.

    ``draw(runs, random)`` draws the sets, (runs, pixels) bool. No more than ``batch_size`` of them exist at a time.

    Yields
    ------
    sums : array
        (..., runs) relevance of the maps of this image in each set.
    drops : array
        (runs,) decrease of the output.
    """
    _, classes, score = resolve(model, inputs, targets, "probability")
    empty, maps = resolve_baseline(inputs, baseline), _checked(maps, inputs)
    flat = maps.reshape(*maps.shape[: 2 - inputs.ndim], -1)
    run = cached_per_model(model, _mixed_scores, score)
    for one in batches(len(inputs), 1, "removing random sets of pixels"):
        random, sums = np.random.default_rng([seed, one.start]), []

        def masks(one=one, random=random, sums=sums):
            intact = np.zeros((1, flat.shape[-1]), bool)
            for some in batches(1 + runs, batch_size, "removing random sets of pixels"):
                sets = draw(some.stop - some.start - len(intact), random)
                sums.append(flat[..., one.start, :] @ sets.T)
                yield [np.concatenate([intact, sets]).reshape(-1, *inputs.shape[1:-1])]
                intact = intact[:0]

        def outputs(masks, one=one):
            return run(inputs[one], empty[one], classes[one], masks, np.zeros(len(masks), np.int32)).numpy()

        found = np.concatenate(list(two_at_a_time(outputs, masks()))).astype(float)
        yield np.concatenate(sums, axis=-1), found[0] - found[1:]


def _scaled_error(sums: np.ndarray, drops: np.ndarray) -> np.ndarray:
    """Compute the mean squared error (...,) of sums (..., runs) times the best number that is not negative."""
    power = (sums**2).sum(axis=-1)
    scale = ((sums @ drops) / np.where(power > 0, power, 1)).clip(min=0)
    return ((scale[..., None] * sums - drops) ** 2).mean(axis=-1)


def _mixed_scores(model: keras.Model, score: Score) -> Callable:
    """Compile images and others (k, ...), classes (k, 2), masks (B, H, W) or (B, L), rows (B,) -> scores (B,).

    A pixel is that of the other image where the mask is true, else that of the image.
    """
    network = score_model(model)
    spec = images_spec(model)
    masks = tf.TensorSpec([None] * (spec.shape.rank - 1), tf.bool)

    @tf.function(input_signature=[spec, spec, CLASSES, masks, NUMBERS])
    def run(images, others, classes, masks, rows):
        mixed = tf.where(masks[..., None], tf.gather(others, rows), tf.gather(images, rows))
        return score(network(tf.ensure_shape(mixed, spec.shape), training=False), tf.gather(classes, rows))

    return run


def _pixels(inputs: np.ndarray) -> int:
    return int(np.prod(inputs.shape[1:-1]))


def _checked(maps: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    maps = np.asarray(maps, dtype=float)
    if maps.shape[1 - inputs.ndim :] != inputs.shape[:-1]:
        raise InputError(f"maps: must be one per input, {inputs.shape[:-1]}, got {maps.shape}")
    return maps


def _one_per_input(maps: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    maps = _checked(maps, inputs)
    if maps.ndim != inputs.ndim - 1:
        raise InputError(f"maps: must be one per input, {inputs.shape[:-1]}, got {maps.shape}")
    return maps
