"""Methods that change part of the input and measure the change of the output. They need no gradient."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.locality import changed_answers, local_layers
from skylight.attribution.scoring import (
    CLASSES,
    NUMBERS,
    Score,
    cached_per_model,
    images_spec,
    output_model,
    over_batches,
    over_variants,
    resolve,
    score_model,
    scores_of,
)
from skylight.errors import InputError


def blanking(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    value: float = 0.0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Blanking (Mahabal et al. 2017): decrease of the probability when one cell is blanked, for each cell in turn.

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
    value : float
        Value of a blanked cell, in all channels.
    batch_size : int
        Number of images per batch. There are N H W images in total.

    Returns
    -------
    array
        (N, H, W, 1) float32: score of the intact image minus that of the image with this cell blanked.
        Above 0 where the cell is evidence for the class.

    Raises
    ------
    InputError
        If the model, inputs or targets are invalid.
    """
    drops = _drops(
        *(model, *resolve(model, inputs, targets, score, against, batch_size, "probability")),
        *((1, 1), (1, 1), value, batch_size, "blanking"),
    )
    return drops.reshape(*np.shape(inputs)[:3], 1)


def patch_occlusion(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    patch: int | tuple[int, int] = 5,
    stride: int | tuple[int, int] = 1,
    value: float = 0.0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901): decrease of the score when a window is covered.

    A window starts every ``stride`` pixels, until the last pixel is covered. Windows are cut at the edge of the image.

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
    patch, stride : int or (int, int)
        Size of a window, and distance between the starts of two windows, in pixels: rows, columns. The stride is at
        most the patch.
    value : float
        Value of the pixels in a window, in all channels.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1) float32: the score of the intact image minus that of the occluded image, averaged over all windows
        that cover the pixel. For a linear model and windows of one pixel: the weights times the inputs.

    Raises
    ------
    InputError
        If patch or stride is out of range, or the model, inputs or targets are invalid.
    """
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    patch = _pair("patch", patch, inputs.shape[1:3])
    stride = _pair("stride", stride, patch)
    drops = _drops(model, inputs, classes, kind, patch, stride, value, batch_size, "patch_occlusion")
    total, covering = np.zeros(inputs.shape[:3], np.float32), np.zeros(inputs.shape[1:3], np.float32)
    for row, column in np.ndindex(drops.shape[1:]):
        window = (
            slice(row * stride[0], row * stride[0] + patch[0]),
            slice(column * stride[1], column * stride[1] + patch[1]),
        )
        total[:, *window] += drops[:, row, column, None, None]
        covering[window] += 1
    return (total / covering)[..., None]


def rise(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    masks: int = 1000,
    cells: int = 7,
    kept: float = 0.5,
    seed: int = 0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = 64,
) -> np.ndarray:
    """RISE (Petsiuk et al. 2018, arXiv:1806.07421): mean of random masks, weighted by the output for the masked image.

    A mask is a coarse random grid of 0 and 1. It is resized bilinearly to one grid cell more than the image, and a
    window of the size of the image is cut out at a random position (section 3.2). All images use the same masks.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images; masked pixels become 0.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the probability, as published.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    masks : int
        Number of masks per image; 4000 to 8000 in the paper.
    cells : int
        Number of cells of the coarse grid along each side.
    kept : float
        Probability that a cell is kept, in (0, 1).
    seed : int
        Seed of the masks.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1) float32: sum of output times mask, divided by ``masks`` times ``kept`` (eq. 6). It estimates the
        mean output over the images in which the pixel is visible.

    Raises
    ------
    InputError
        If an option is out of range, or the model, inputs or targets are invalid.
    """
    for name, number in (("masks", masks), ("cells", cells)):
        if number < 1:
            raise InputError(f"{name}: must be at least 1, got {number}")
    if not 0 < kept < 1:
        raise InputError(f"kept: must be between 0 and 1, got {kept}")
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size, "probability")
    compiled = cached_per_model(model, _masked_sums, kind, cells)
    maps = np.zeros((*inputs.shape[:3], 1), np.float32)
    for rows, _, sums in over_variants(
        lambda *some: compiled(np.int64(seed), np.float32(kept), *some),
        *(inputs, classes),
        variants=masks,
        batch_size=batch_size,
        label="rise",
    ):
        maps[rows] += sums
    return maps / np.float32(masks * kept)


def lighting(model: keras.Model, *, value: float = 255.0, batch_size: int = 256) -> np.ndarray:
    """Compute the probability of every class for an empty image with one lit cell, for each cell in turn.

    It needs no data: it shows how the network responds to a single bright cell.

    Parameters
    ----------
    model : keras.Model
        Functional model whose input has a fixed size; it is not changed.
    value : float
        Value of the lit cell, in all channels; all other cells are 0.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (H, W, K) float32, the output for each of the K classes.

    Raises
    ------
    InputError
        If the input has no fixed size, or the model is invalid.
    """
    outputs = output_model(model)
    height, width, channels = _fixed_shape(outputs)
    cells = np.arange(height * width, dtype=np.int32)
    run = cached_per_model(model, _lit, height, width, channels)
    lit = over_batches(run, cells, np.full(len(cells), value, np.float32), batch_size=batch_size, label="lighting")
    return lit.reshape(height, width, -1)


def _fixed_shape(model: keras.Model) -> tuple[int, int, int]:
    shape = model.inputs[0].shape[1:]
    if len(shape) != 3 or None in shape:
        raise InputError(f"model {model.name}: must take images of a fixed size (H, W, C), got {shape}")
    return shape


def _pair(name: str, sides: int | tuple[int, int], limits: tuple[int, int]) -> tuple[int, int]:
    sides = (sides, sides) if np.ndim(sides) == 0 else tuple(sides)
    if len(sides) != 2 or not all(1 <= side <= limit for side, limit in zip(sides, limits, strict=True)):
        raise InputError(f"{name}: must be 1 to {limits[0]} rows and 1 to {limits[1]} columns, got {sides}")
    return sides


def _drops(model, inputs, classes, score, patch, stride, value, batch_size, label) -> np.ndarray:
    """Compute the decrease of the score when a window is set to ``value``: (N, window rows, window columns)."""
    height, width = (
        1 + max(0, -(-(size - side) // step)) for size, side, step in zip(inputs.shape[1:3], patch, stride, strict=True)
    )
    intact = over_batches(
        cached_per_model(model, scores_of, score), inputs, classes, batch_size=batch_size, label=label
    )
    run = cached_per_model(model, _occluded, score, patch, stride, width, float(value))
    drops = np.empty((len(inputs), height * width), np.float32)
    flat = drops.reshape(-1)
    for _, pairs, answers in over_variants(
        run, inputs, classes, variants=height * width, batch_size=batch_size, label=label
    ):
        flat[pairs] = answers
    return (intact[:, None] - drops).reshape(len(inputs), height, width)


def _occluded(model: keras.Model, score: Score, patch, stride, columns: int, value: float) -> Callable:
    """Compile images, classes, rows (B,), windows (B,) -> scores (B,) with window number ``windows`` occluded."""
    network = score_model(model)
    local = local_layers(network, patch)

    @tf.function(input_signature=[images_spec(model), CLASSES, NUMBERS, NUMBERS])
    def run(images, classes, rows, windows):
        firsts = [windows // columns * stride[0], windows % columns * stride[1]]

        def occlude(pixels, indices):
            inside = [
                (index >= first[:, None]) & (index < first[:, None] + side)
                for index, first, side in zip(indices, firsts, patch, strict=True)
            ]
            return tf.where(inside[0][:, :, None, None] & inside[1][:, None, :, None], value, pixels)

        if local:
            answers = changed_answers(local, images, rows, occlude, patch, firsts)
        else:
            indices = [tf.range(size)[None] for size in tf.unstack(tf.shape(images)[1:3])]
            answers = network(occlude(tf.gather(images, rows), indices), training=False)
        return score(answers, tf.gather(classes, rows))

    return run


def _masked_sums(model: keras.Model, score: Score, cells: int) -> Callable:
    """Compile seed, kept, images, classes, rows, masks -> sums of score times mask by image (n, H, W, 1)."""
    logits = score_model(model)
    seed, kept = tf.TensorSpec([], tf.int64), tf.TensorSpec([])

    @tf.function(input_signature=[seed, kept, images_spec(model), CLASSES, NUMBERS, NUMBERS])
    def run(seed, kept, images, classes, rows, masks):
        size = tf.shape(images)[1:3]
        cell = -(-size // cells)  # rounded up, so that the grid and its shift cover the image

        def mask(number):
            key = tf.stack([seed, tf.cast(number, tf.int64)])
            draws = tf.random.stateless_uniform([cells * cells + 2], key)
            grid = tf.reshape(tf.cast(draws[2:] < kept, tf.float32), [cells, cells, 1])
            corner = tf.cast(draws[:2] * tf.cast(cell, tf.float32), tf.int32)
            return tf.slice(
                tf.image.resize(grid, (cells + 1) * cell), tf.concat([corner, [0]], 0), tf.concat([size, [1]], 0)
            )

        drawn = tf.map_fn(mask, masks, fn_output_signature=tf.float32)
        answers = logits(tf.ensure_shape(tf.gather(images, rows) * drawn, images.shape), training=False)
        answers = score(answers, tf.gather(classes, rows))
        return tf.math.segment_sum(answers[:, None, None, None] * drawn, rows)

    return run


def _lit(model: keras.Model, height: int, width: int, channels: int) -> Callable:
    """Compile cells (B,), values (B,) -> outputs (B, K) for empty images with that cell lit."""
    outputs = output_model(model)

    @tf.function(input_signature=[NUMBERS, tf.TensorSpec([None])])
    def run(cells, values):
        images = tf.reshape(tf.one_hot(cells, height * width), [-1, height, width, 1]) * values[:, None, None, None]
        return tf.cast(outputs(tf.repeat(images, channels, axis=3), training=False), tf.float32)

    return run
