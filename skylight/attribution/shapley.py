"""Shapley values of pixels against a background: the contribution of each pixel compared with typical images."""

import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

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
    images_spec,
    over_variants,
    refuse_not_finite,
    resolve,
    score_model,
)
from skylight.attribution.several_inputs import jointly, takes_several_inputs
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


@takes_several_inputs(jointly)
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

    Multipliers are propagated back from the score to the pixels, layer by layer. The rule follows from what a layer
    computes:

    - a linear map: its gradient;
    - a function of each cell (activations): its slope between image and background image, DeepLIFT's rescale rule
      (Shrikumar et al. 2017, arXiv:1704.02685, section 3.5.1);
    - max pooling: the difference of two maxima is shared between the cells of both;
    - a product of two inputs (squeeze-and-excite): each is multiplied by the mean of the other, which is the Shapley
      value;
    - any other function (softmax, attention, layer normalisation, maximum of two inputs): its mean gradient on the line
      from background image to image (Aumann & Shapley 1974), by quadrature. What the quadrature misses is added in the
      direction of the line, so that the contributions are complete.

    Where ``shap.DeepExplainer`` has the first four rules, the results are equal. It computes the activations again for
    every pair of image and background image; here a pair costs no more than the backward pass of a linear network.

    Parameters
    ----------
    model : keras.Model
        Functional model, nested models and layers of one's own included; it is not changed.
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
        If a layer takes whole numbers or truth values; if completeness fails, because values are too large for float32;
        or if the model, inputs, targets or background are invalid.
    """
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    references = resolve_background(inputs, background)
    run = cached_per_model(model, _deeplift, kind)
    at_once = min(len(references), max(1, round(batch_size**0.5)))
    maps = np.zeros_like(inputs)
    owed, sizes = np.zeros(len(inputs)), np.zeros(len(inputs))
    for some in batches(len(inputs), max(1, batch_size // at_once), "deep_shap"):
        for first in range(0, len(references), at_once):
            contributions, differences, size = run(inputs[some], classes[some], references[first : first + at_once])
            maps[some] += contributions.numpy() / len(references)
            owed[some] += differences.numpy() / len(references)
            sizes[some] += size.numpy() / len(references)
    _check_completeness(model, maps, owed, sizes)
    return maps


def resolve_background(inputs: np.ndarray, background: float | np.ndarray) -> np.ndarray:
    """Return the background as images (B, H, W, C) like ``inputs``, from images or one number.

    Raises
    ------
    InputError
        If it is neither, or has no images.
    """
    if np.ndim(background) == 0:
        refuse_not_finite("background", np.asarray(background, np.float32))
        return np.full((1, *inputs.shape[1:]), background, np.float32)
    background = np.asarray(background, np.float32)
    refuse_not_finite("background", background)
    if background.shape[1:] != inputs.shape[1:] or not len(background):
        raise InputError(f"background: must be a number or images like the inputs, got {background.shape}")
    return background


def _check_completeness(model: keras.Model, maps: np.ndarray, owed: np.ndarray, sizes: np.ndarray) -> None:
    """Refuse maps that do not sum to the differences of the scores, relative to these and to the size of the scores."""
    axes = tuple(range(1, maps.ndim))
    off = np.abs(maps.sum(axis=axes, dtype=np.float64) - owed)
    allowed = 1e-3 * (np.abs(owed) + np.abs(maps).sum(axis=axes)) + 1e-5 * sizes + 1e-12
    if not np.all(off <= allowed):
        kinds = sorted({type(layer).__name__ for layer in score_model(model).layers})
        raise InputError(
            f"model {model.name}: deep_shap misses the score by {np.max(off - allowed):.3g}; values in a layer "
            f"are too large for float32, or depend on other images of the batch ({', '.join(kinds)})"
        )


def _deeplift(model: keras.Model, score: Score) -> Callable:
    """Compile images (n, ...), classes (n, 2), references (r, ...) -> contributions (n, ...), differences, sizes (n,).

    All are summed over the references. The contributions of an image sum to its difference of the scores. The size of a
    pair is the sum of the absolute values of both scores.
    """
    steps, output = cached_per_model(model, _steps)

    @tf.function(input_signature=[images_spec(model), CLASSES, images_spec(model)], autograph=False)
    def run(images, classes, references):
        pairs = _Pairs(tf.shape(images)[0], tf.shape(references)[0])
        values = {0: tf.concat([images, references], axis=0)}
        for step in steps:
            values |= zip(step.outputs, step.function(*(values[number] for number in step.inputs)), strict=True)
        start, *ends = _head(score, *pairs.of(values[output]), tf.repeat(classes, pairs.r, axis=0))
        with cheap_gradients():
            multipliers = _back(steps, values, pairs, {output: [start]})
        own, other = pairs.of(values[0])
        return pairs.over_references(multipliers * (own - other)), *map(pairs.over_references, ends)

    return run


def _head(score: Score, own: tf.Tensor, other: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return the multipliers of the logits (B, K), the differences and the sizes of the scores (B,), of B pairs.

    The multipliers are the mean gradient of the score on the line between the two logits (Aumann & Shapley 1974), by
    quadrature. What the quadrature leaves out is added in the direction of the line, so that they are complete.
    """
    step = own - other
    places, weights = _quadrature(32 if score.bent else 1)
    line = tf.reshape(other + places[:, None, None] * step, [-1, own.shape[1]])
    slopes = gradient(score(line, tf.tile(classes, [len(places), 1])), line)
    multipliers = tf.tensordot(weights, tf.reshape(slopes, [len(places), -1, own.shape[1]]), 1)
    here, there = score(own, classes), score(other, classes)
    differences = here - there
    missing = differences - tf.reduce_sum(multipliers * step, axis=1)
    length = tf.reduce_sum(step**2, axis=1)
    return (
        multipliers + tf.math.divide_no_nan(missing, length)[:, None] * step,
        differences,
        tf.abs(here) + tf.abs(there),
    )


def _quadrature(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places and weights (Gauss-Legendre) of the mean over the interval 0 to 1."""
    places, weights = np.polynomial.legendre.leggauss(points)
    return np.float32((places + 1) / 2), np.float32(weights / 2)


def _back(steps: list["_Step"], values: dict[int, tf.Tensor], pairs: "_Pairs", given: dict) -> tf.Tensor:
    """Return the multipliers of the images, from ``given``: number of a value -> terms of its multipliers."""
    for step in reversed(steps):
        if not any(number in given for number in step.outputs):
            continue  # nothing is made of it, like of an output of a nested model that is not used
        multipliers = [
            tf.add_n(given.pop(number)) if number in given else pairs.zeros(values[number]) for number in step.outputs
        ]
        inputs, outputs = ([values[number] for number in numbers] for numbers in (step.inputs, step.outputs))
        terms = step.rule(_Call(step.function, pairs, inputs, outputs, multipliers))
        for number, term in zip(step.inputs, terms, strict=True):
            given.setdefault(number, []).append(term)
    return tf.add_n(given.get(0) or [pairs.zeros(values[0])])


@dataclass(frozen=True)
class _Pairs:
    """All pairs of n images and r references, whose values follow each other in a batch, (n + r, ...).

    A layer may put several rows of the batch, one after the other, in the place of each image (quarter turns, windows).
    """

    n: tf.Tensor
    r: tf.Tensor

    def of(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the values of the image and of the reference of every pair, (n r, ...) each."""
        blocks = tf.reshape(values, tf.concat([[self.n + self.r, -1], tf.shape(values)[1:]], axis=0))
        own = tf.repeat(blocks[: self.n], self.r, axis=0)
        other = tf.tile(blocks[self.n :], tf.concat([[self.n], tf.ones([values.shape.rank], tf.int32)], axis=0))
        return self._rows(own, values), self._rows(other, values)

    def zeros(self, values: tf.Tensor) -> tf.Tensor:
        """Return zeros in the shape of one of the two results of `of`."""
        rows = tf.shape(values)[0] // (self.n + self.r) * self.n * self.r
        return self._rows(tf.zeros(tf.concat([[rows], tf.shape(values)[1:]], axis=0), values.dtype), values)

    def sums(self, values: tf.Tensor) -> tf.Tensor:
        """Return the sum over the values of each pair, (n r,)."""
        return tf.reduce_sum(tf.reshape(values, [self.n * self.r, -1]), axis=1)

    def scaled(self, values: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
        """Multiply the values of each pair by its factor, (n r,)."""
        return self._rows(tf.reshape(values, [self.n * self.r, -1]) * factors[:, None], values)

    def over_references(self, values: tf.Tensor) -> tf.Tensor:
        """Return the sum over the references of each image, (n, ...)."""
        return tf.reduce_sum(tf.reshape(values, tf.concat([[self.n, self.r], tf.shape(values)[1:]], axis=0)), axis=1)

    @staticmethod
    def _rows(blocks: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
        rows = tf.reshape(blocks, tf.concat([[-1], tf.shape(like)[1:]], axis=0))
        rows.set_shape([None, *like.shape[1:]])
        return rows


@dataclass(frozen=True, eq=False)
class _Step:
    """A part of one call of a layer. It reads the values with the numbers ``inputs`` and computes the ``outputs``.

    Attributes
    ----------
    function : callable
        Input tensors -> list of output tensors.
    rule : callable
        `_Call` -> multipliers of the inputs.
    inputs, outputs : tuple of int
        Numbers of values; 0 is the image.
    """

    function: Callable[..., list[tf.Tensor]]
    rule: Callable[..., list[tf.Tensor]]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Call:
    """What a rule needs: a function, its inputs and outputs in a batch of `_Pairs`, the multipliers of the outputs."""

    function: Callable[..., list[tf.Tensor]]
    pairs: _Pairs
    inputs: list[tf.Tensor]
    outputs: list[tf.Tensor]
    multipliers: list[tf.Tensor]


def _steps(model: keras.Model) -> tuple[list[_Step], int]:
    """Return the steps of the score model, nested models included, in order, and the number of its output."""
    steps: list[_Step] = []
    numbers = itertools.count(1)

    def visit(model: keras.Model, inputs: list[int]) -> list[int]:
        known = dict(zip(map(id, model.inputs), inputs, strict=True))
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.is_input:
                    made = call(node, [known[id(tensor)] for tensor in node.input_tensors])
                    known |= zip(map(id, node.outputs), made, strict=True)
        return [known[id(tensor)] for tensor in model.outputs]

    def call(node: Any, inputs: list[int]) -> list[int]:
        nested = getattr(node.operation, "_functional", node.operation)  # a Sequential model wraps its functional form
        if hasattr(nested, "_nodes_by_depth"):
            return visit(nested, inputs)
        inputs = tuple(dict.fromkeys(inputs))  # a function of x, if x is given twice
        *first, last = _parts(node)
        for function, rule in first:
            steps.append(_Step(function, rule, inputs, (next(numbers),)))
            inputs = steps[-1].outputs
        steps.append(_Step(*last, inputs, tuple(next(numbers) for _ in node.outputs)))
        return list(steps[-1].outputs)

    (output,) = visit(score_model(model), [0])
    return steps, output


def _parts(node: Any) -> list[tuple[Callable, Callable]]:
    """Return the functions, and their rules, that one call of a layer consists of.

    Raises
    ------
    InputError
        If the layer takes whole numbers or truth values, which do not change by small steps.
    """
    layer = node.operation
    tensors = list({id(tensor): tensor for tensor in node.input_tensors}.values())
    for tensor in tensors:
        if not keras.backend.is_float_dtype(tensor.dtype):
            raise InputError(f"layer {layer.name}: deep_shap cannot explain through values of type {tensor.dtype}")
    linear = None, keras.activations.linear
    if type(layer) in _AFFINE and getattr(layer, "activation", None) not in linear:

        def activation(z: tf.Tensor) -> list[tf.Tensor]:
            return [layer.activation(z)]

        affine = _function(node, clone_layer(layer, activation="linear"))
        return [(affine, _linear), (activation, _rule(activation, node.outputs))]
    function = _function(node, layer)
    known = _linear if type(layer) in _AFFINE else _maximum if type(layer) in _MAXIMA else None
    return [(function, known or _rule(function, tensors, getattr(layer, "variables", [])))]


def _function(node: Any, layer: keras.Operation) -> Callable[..., list[tf.Tensor]]:
    """Return tensors -> list of outputs of this call of a layer, at inference."""
    keys = list(dict.fromkeys(map(id, node.input_tensors)))
    trains = isinstance(layer, keras.Layer) and "training" in inspect.signature(layer.call).parameters
    options = {"training": False} if trains else {}

    def function(*tensors: tf.Tensor) -> list[tf.Tensor]:
        args, kwargs = node.arguments.fill_in(dict(zip(keys, tensors, strict=True)))
        return keras.tree.flatten(layer(*args, **kwargs | options))

    return function


def _rule(function: Callable, tensors: list[keras.KerasTensor], variables: list[keras.Variable] = ()) -> Callable:
    """Return the rule for a function of these tensors, found by what it computes for random numbers and weights.

    The third difference of a quadratic function along a line is 0, the second of a linear one. Weights are random
    because rules stay when the model is trained: an untrained layer may be an identity.
    """
    free, rows = 8, 4  # size of free axes; rows of the batch, of which QuarterTurns needs a multiple of 4
    random = np.random.default_rng(0)

    def drawn(tensor: keras.KerasTensor) -> np.ndarray:
        shape = (rows, *(free if size is None else size for size in tensor.shape[1:]))
        sizes = random.normal(size=9973) * np.exp(random.normal(size=9973))
        return np.resize(sizes, shape).astype(np.float32)

    start, step = ([drawn(tensor) for tensor in tensors] for _ in range(2))
    line = [np.concatenate([x + np.float32(k) * dx for k in range(4)]) for x, dx in zip(start, step, strict=True)]
    weights = [
        (each, tf.constant(np.abs(random.normal(size=each.shape)) + 0.1, each.dtype))
        for each in variables
        if keras.backend.is_float_dtype(each.dtype)
    ]
    try:
        with keras.StatelessScope(weights):
            values = [np.asarray(y, np.float64).reshape(4, -1) for y in function(*map(tf.constant, line))]
            if all(_vanishes(y, difference=2) for y in values):
                return _linear
            if all(_vanishes(y, difference=3) for y in values):
                return functools.partial(_averaged, points=1)
            if len(start) == len(values) == 1 and values[0][0].size == start[0].size:
                some = random.random(start[0].shape) < 0.5
                (mixture,) = function(tf.constant(np.where(some, start[0], start[0] + step[0])))
                expected = np.where(some.ravel(), *values[0][:2])
                if np.allclose(np.ravel(mixture), expected, rtol=1e-4, atol=1e-6, equal_nan=True):
                    return _cellwise
    except Exception:  # any layer may refuse numbers of this size; the rule for all functions is then right, too
        pass
    return functools.partial(_averaged, points=POINTS)


def _vanishes(values: np.ndarray, difference: int) -> bool:
    """Return whether the differences of this order of the rows of values are 0, but for rounding."""
    if not np.isfinite(values).all():
        return False
    return bool(np.all(np.abs(np.diff(values, difference, axis=0)) <= 1e-4 * np.abs(values).max()))


def _linear(call: _Call) -> list[tf.Tensor]:
    """Propagate through a linear map: its gradient, which is the same everywhere."""
    return _pulled_back(call.function, [call.pairs.zeros(x) for x in call.inputs], call.multipliers)


def _pulled_back(function: Callable, inputs: list[tf.Tensor], multipliers: list[tf.Tensor]) -> list[tf.Tensor]:
    return tf.gradients(function(*inputs), inputs, multipliers, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _cellwise(call: _Call) -> list[tf.Tensor]:
    """Propagate through a function of each cell: its slope between image and reference (the rescale rule)."""
    (x,), (y,), (multiplier,) = call.inputs, call.outputs, call.multipliers
    (own, other), (high, low) = call.pairs.of(x), call.pairs.of(y)
    tangent, _ = call.pairs.of(*_pulled_back(call.function, [tf.identity(x)], [tf.ones_like(y)]))
    step = own - other
    return [multiplier * tf.where(tf.abs(step) < 1e-6, tangent, tf.math.divide_no_nan(high - low, step))]


def _maximum(call: _Call) -> list[tf.Tensor]:
    """Propagate through max pooling as ``shap``: the cells of both maxima share the difference."""
    (x,), (y,), (multiplier,) = call.inputs, call.outputs, call.multipliers
    (own, other), (high, low) = call.pairs.of(x), call.pairs.of(y)
    top = tf.maximum(high, low)
    (gain,) = _pulled_back(call.function, [own], [multiplier * (top - low)])
    (loss,) = _pulled_back(call.function, [other], [multiplier * (high - top)])
    step = own - other
    return [tf.where(tf.abs(step) < 1e-7, 0.0, tf.math.divide_no_nan(gain + loss, step))]


def _averaged(call: _Call, points: int) -> list[tf.Tensor]:
    """Propagate through any function: its mean gradient on the line between image and reference, as in `_head`.

    One point is exact for products of two inputs (squeeze-and-excite, attention): each is multiplied by the mean of the
    other.
    """
    owns, others = zip(*map(call.pairs.of, call.inputs), strict=True)
    steps = [own - other for own, other in zip(owns, others, strict=True)]
    places, weights = map(tf.constant, _quadrature(points))

    def term(i: tf.Tensor) -> list[tf.Tensor]:
        line = [other + places[i] * step for other, step in zip(others, steps, strict=True)]
        return [weights[i] * term for term in _pulled_back(call.function, line, call.multipliers)]

    if points == 1:
        return term(0)
    _, *means = tf.while_loop(
        lambda i, *_: i < points,
        lambda i, *sums: (i + 1, *(a + b for a, b in zip(sums, term(i), strict=True))),
        (0, *map(tf.zeros_like, steps)),
        parallel_iterations=1,
    )
    sums, ends = call.pairs.sums, map(call.pairs.of, call.outputs)
    owed = tf.add_n([sums(m * (high - low)) for m, (high, low) in zip(call.multipliers, ends, strict=True)])
    missing = owed - tf.add_n([sums(mean * step) for mean, step in zip(means, steps, strict=True)])
    length = tf.add_n([sums(step**2) for step in steps])
    share = tf.where(length < 1e-12, 0.0, tf.math.divide_no_nan(missing, length))
    return [mean + call.pairs.scaled(step, share) for mean, step in zip(means, steps, strict=True)]


POINTS = 16  # of the quadrature of a function that is not of each cell

_AFFINE = (  # apart from their activation; known, to save the time of `_rule`
    layers.BatchNormalization,
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
_MAXIMA = (
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
)


@takes_several_inputs(jointly)
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
    references = resolve_background(inputs, background)
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

    @tf.function(
        input_signature=[images_spec(model), CLASSES, *draws, NUMBERS, NUMBERS, images_spec(model)], autograph=False
    )
    def run(images, classes, choices, points, rows, samples, references):
        where = tf.stack([rows, samples], axis=1)
        other = tf.gather(references, tf.gather_nd(choices, where))
        step = tf.gather(images, rows) - other
        points = tf.reshape(tf.gather_nd(points, where), [-1] + [1] * (images.shape.rank - 1))
        gradients = score_gradient(logits, score, other + points * step, tf.gather(classes, rows))
        return tf.math.segment_sum(gradients * step, rows)

    return run
