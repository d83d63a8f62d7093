"""Methods that change part of the input and measure the change of the output. They need no gradient.

They explain Keras models, and any function of images (`skylight.attribution.functions`). For Keras models the changes
are part of a compiled function.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.functions import Model, pairs, resolve_function
from skylight.attribution.locality import changed_answers, local_layers
from skylight.attribution.scoring import (
    CLASSES,
    NUMBERS,
    Score,
    batches,
    cached_per_model,
    images_spec,
    output_model,
    over_batches,
    over_variants,
    resolve,
    score_model,
    scores_of,
)
from skylight.attribution.several_inputs import one_by_one, takes_several_inputs
from skylight.errors import InputError


@takes_several_inputs(one_by_one)
def blanking(
    model: Model,
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
    model : keras.Model or callable
        Functional model; it is not changed. Or a function ``f(images) -> outputs (N, K)``, see
        `skylight.attribution.functions.resolve_function`.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the probability, as published. Of a function, ``None`` is what it returns.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    value : float
        Value of a blanked cell, in all channels.
    batch_size : int
        Number of images per batch. There are N H W images in total.

    Returns
    -------
    array
        (N, H, W, 1) or (N, L, 1) float32: score of the intact image minus that of the image with this cell blanked.
        Above 0 where the cell is evidence for the class.

    Raises
    ------
    InputError
        If the model, inputs or targets are invalid.
    """
    inputs, classes, kind = _resolve(model, inputs, targets, score, against, batch_size, "probability")
    cell = (1,) * (inputs.ndim - 2)
    return _drops(model, inputs, classes, kind, cell, cell, value, batch_size, "blanking")[..., None]


@takes_several_inputs(one_by_one)
def patch_occlusion(
    model: Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    patch: int | tuple[int, ...] = 5,
    stride: int | tuple[int, ...] = 1,
    value: float = 0.0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = 256,
) -> np.ndarray:
    """Occlusion (Zeiler & Fergus 2014, arXiv:1311.2901): decrease of the score when a window is covered.

    A window starts every ``stride`` pixels, until the last pixel is covered. Windows are cut at the edge of the image.

    Parameters
    ----------
    model : keras.Model or callable
        Functional model; it is not changed. Or a function ``f(images) -> outputs (N, K)``, see
        `skylight.attribution.functions.resolve_function`.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the log-odds for a network that ends in a softmax, and the logit for others. Of a function,
        ``None`` is what it returns.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    patch, stride : int, (int, int) or (int,)
        Size of a window, and distance between the starts of two windows, in pixels: rows, columns; one number for
        sequences. The stride is at most the patch.
    value : float
        Value of the pixels in a window, in all channels.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1) or (N, L, 1) float32: the score of the intact image minus that of the occluded image, averaged over
        all windows that cover the pixel. For a linear model and windows of one pixel: the weights times the inputs.

    Raises
    ------
    InputError
        If patch or stride is out of range, or the model, inputs or targets are invalid.
    """
    inputs, classes, kind = _resolve(model, inputs, targets, score, against, batch_size)
    patch = _sides("patch", patch, inputs.shape[1:-1])
    stride = _sides("stride", stride, patch)
    drops = _drops(model, inputs, classes, kind, patch, stride, value, batch_size, "patch_occlusion")
    total, covering = np.zeros(inputs.shape[:-1], np.float32), np.zeros(inputs.shape[1:-1], np.float32)
    for number in np.ndindex(drops.shape[1:]):
        window = tuple(slice(i * step, i * step + side) for i, step, side in zip(number, stride, patch, strict=True))
        total[:, *window] += drops[:, *number].reshape(-1, *(1 for _ in patch))
        covering[window] += 1
    return (total / covering)[..., None]


@takes_several_inputs(one_by_one)
def rise(
    model: Model,
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
    window of the size of the image is cut out at a random position (section 3.2). All images use the same masks. A
    sequence is an image with one column.

    Parameters
    ----------
    model : keras.Model or callable
        Functional model; it is not changed. Or a function ``f(images) -> outputs (N, K)``, see
        `skylight.attribution.functions.resolve_function`.
    inputs : array
        (N, H, W, C) images or (N, L, C) sequences; masked pixels become 0.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the predicted class.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the probability, as published. Of a function, ``None`` is what it returns.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    masks : int
        Number of masks per image; 4000 to 8000 in the paper.
    cells : int
        Number of cells of the coarse grid along each side of an image, or along a sequence.
    kept : float
        Probability that a cell is kept, in (0, 1).
    seed : int
        Seed of the masks.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, 1) or (N, L, 1) float32: sum of output times mask, divided by ``masks`` times ``kept`` (eq. 6). It
        estimates the mean output over the images in which the pixel is visible.

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
    inputs, classes, kind = _resolve(model, inputs, targets, score, against, batch_size, "probability")
    grid = (cells, cells if inputs.ndim == 4 else 1)
    maps = np.zeros((*inputs.shape[:-1], 1), np.float32)
    if isinstance(model, keras.Model):
        compiled = cached_per_model(model, _masked_sums, kind, grid)
        for rows, _, sums in over_variants(
            lambda *some: compiled(np.int64(seed), np.float32(kept), *some),
            *(inputs, classes),
            variants=masks,
            batch_size=batch_size,
            label="rise",
        ):
            maps[rows] += sums
    else:
        for _, rows, numbers in pairs(len(inputs), masks, batch_size, "rise"):
            drawn = _masks(np.int64(seed), np.float32(kept), inputs.shape[1:-1], grid, numbers).numpy()
            scores = kind(inputs[rows] * drawn, classes[rows]).astype(np.float32)
            np.add.at(maps, rows, scores.reshape(-1, *(1 for _ in maps.shape[1:])) * drawn)
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


def _resolve(
    model: Model, inputs: np.ndarray, targets: Any, score: str | None, against: Any, batch_size: int, default=None
) -> tuple[np.ndarray, np.ndarray, Score | Callable]:
    """Return inputs, classes (N, 2) and how a score is computed: for a function, the function to ask."""
    if isinstance(model, keras.Model):
        resolved = resolve(model, inputs, targets, score, against, batch_size, default)
    else:
        resolved = resolve_function(model, inputs, targets, score, against, batch_size)
    if resolved[0].ndim not in (3, 4):
        raise InputError(f"inputs: must be images (N, H, W, C) or sequences (N, L, C), got {resolved[0].shape}")
    return resolved


def _sides(name: str, sides: int | tuple[int, ...], limits: tuple[int, ...]) -> tuple[int, ...]:
    sides = (sides,) * len(limits) if np.ndim(sides) == 0 else tuple(sides)
    if len(sides) != len(limits) or not all(1 <= side <= limit for side, limit in zip(sides, limits, strict=True)):
        axes = ("rows", "columns") if len(limits) == 2 else ("positions",)
        ranges = " and ".join(f"1 to {limit} {axis}" for limit, axis in zip(limits, axes, strict=True))
        raise InputError(f"{name}: must be {ranges}, got {sides}")
    return sides


def _drops(model, inputs, classes, score, patch, stride, value, batch_size, label) -> np.ndarray:
    """Compute the decrease of the score when a window is set to ``value``: (N, windows along each axis)."""
    counts = tuple(
        1 + max(0, -(-(size - side) // step))
        for size, side, step in zip(inputs.shape[1:-1], patch, stride, strict=True)
    )
    windows = int(np.prod(counts))
    drops = np.empty((len(inputs), windows), np.float32)
    flat = drops.reshape(-1)
    if isinstance(model, keras.Model):
        compiled = cached_per_model(model, scores_of, score)
        intact = over_batches(compiled, inputs, classes, batch_size=batch_size, label=label)
        run = cached_per_model(model, _occluded, score, patch, stride, counts)
        for _, some, answers in over_variants(
            partial(run, np.float32(value)), inputs, classes, variants=windows, batch_size=batch_size, label=label
        ):
            flat[some] = answers
    else:
        intact = np.concatenate(
            [score(inputs[some].copy(), classes[some]) for some in batches(len(inputs), batch_size, label)]
            or [np.zeros(0)]
        )
        indices = [np.arange(size)[None] for size in inputs.shape[1:-1]]
        for some, rows, numbers in pairs(len(inputs), windows, batch_size, label):
            inside = _inside(indices, _starts(numbers, counts, stride), patch)
            flat[some] = score(np.where(inside, inputs.dtype.type(value), inputs[rows]), classes[rows])
    return (intact[:, None] - drops).astype(np.float32).reshape(len(inputs), *counts)


def _starts(windows, counts: tuple[int, ...], stride: tuple[int, ...]) -> list:
    """Return the first index of each window along each axis, from the numbers (B,) of the windows."""
    starts = []
    for count, step in zip(counts[::-1], stride[::-1], strict=True):
        starts.append(windows % count * step)
        windows = windows // count
    return starts[::-1]


def _inside(indices: list, starts: list, patch: tuple[int, ...]):
    """Return which pixels lie in the window of each variant, (B, H, W, 1) or (B, L, 1), from their indices."""
    inside = [
        (index >= start[:, None]) & (index < start[:, None] + side)
        for index, start, side in zip(indices, starts, patch, strict=True)
    ]
    if len(inside) == 1:
        return inside[0][:, :, None]
    return inside[0][:, :, None, None] & inside[1][:, None, :, None]


def _occluded(model: keras.Model, score: Score, patch, stride, counts: tuple[int, ...]) -> Callable:
    """Compile value, images, classes, rows (B,), windows (B,) -> scores (B,) with these windows occluded."""
    network = score_model(model)
    local = local_layers(network, patch)

    @tf.function(input_signature=[tf.TensorSpec([]), images_spec(model), CLASSES, NUMBERS, NUMBERS])
    def run(value, images, classes, rows, windows):
        firsts = _starts(windows, counts, stride)

        def occlude(pixels, indices):
            return tf.where(_inside(indices, firsts, patch), value, pixels)

        if local:
            answers = changed_answers(local, images, rows, occlude, patch, firsts)
        else:
            indices = [tf.range(size)[None] for size in tf.unstack(tf.shape(images)[1:-1], len(patch))]
            answers = network(occlude(tf.gather(images, rows), indices), training=False)
        return score(answers, tf.gather(classes, rows))

    return run


def _masked_sums(model: keras.Model, score: Score, grid: tuple[int, int]) -> Callable:
    """Compile seed, kept, images, classes, rows, masks -> sums of score times mask by image (n, H, W, 1)."""
    logits = score_model(model)
    seed, kept = tf.TensorSpec([], tf.int64), tf.TensorSpec([])

    @tf.function(input_signature=[seed, kept, images_spec(model), CLASSES, NUMBERS, NUMBERS])
    def run(seed, kept, images, classes, rows, masks):
        drawn = _draw(seed, kept, tf.shape(images)[1:-1], grid, masks)
        answers = logits(tf.ensure_shape(tf.gather(images, rows) * drawn, images.shape), training=False)
        answers = score(answers, tf.gather(classes, rows))
        return tf.math.segment_sum(tf.reshape(answers, [-1, *(1 for _ in images.shape[1:])]) * drawn, rows)

    return run


def _draw(seed: tf.Tensor, kept: tf.Tensor, shape: tf.Tensor, grid: tuple[int, int], masks: tf.Tensor) -> tf.Tensor:
    """Draw the masks with these numbers (B,): (B, *shape, 1), for the shape (H, W) of images or (L,) of sequences."""
    size = tf.concat([shape, [1]], 0)[:2]
    cell = -(-size // grid)  # rounded up, so that the grid and its shift cover the image

    def mask(number):
        key = tf.stack([seed, tf.cast(number, tf.int64)])
        draws = tf.random.stateless_uniform([grid[0] * grid[1] + 2], key)
        coarse = tf.reshape(tf.cast(draws[2:] < kept, tf.float32), [*grid, 1])
        corner = tf.cast(draws[:2] * tf.cast(cell, tf.float32), tf.int32)
        large = tf.image.resize(coarse, (tf.constant(grid) + 1) * cell)
        return tf.slice(large, tf.concat([corner, [0]], 0), tf.concat([size, [1]], 0))

    drawn = tf.map_fn(mask, masks, fn_output_signature=tf.float32)
    return tf.reshape(drawn, tf.concat([tf.shape(masks), shape, [1]], 0))


_masks = tf.function(_draw, reduce_retracing=True)


def _lit(model: keras.Model, height: int, width: int, channels: int) -> Callable:
    """Compile cells (B,), values (B,) -> outputs (B, K) for empty images with that cell lit."""
    outputs = output_model(model)

    @tf.function(input_signature=[NUMBERS, tf.TensorSpec([None])])
    def run(cells, values):
        images = tf.reshape(tf.one_hot(cells, height * width), [-1, height, width, 1]) * values[:, None, None, None]
        return tf.cast(outputs(tf.repeat(images, channels, axis=3), training=False), tf.float32)

    return run
