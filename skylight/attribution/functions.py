"""Explain any function of images, and not only Keras models: PyTorch, ONNX, a forest of scikit-learn.

A method that only changes inputs and looks at the outputs needs no more than ``f(images) -> outputs``. Both are numpy
arrays: images as the method was given them, outputs (N, K), one column per class.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from skylight.attribution.scoring import (
    BATCH_SIZE,
    SCORES,
    batches,
    cached_per_model,
    class_indices,
    refuse_not_finite,
    resolve,
    scores_of,
)
from skylight.errors import InputError

SMALLEST = 1e-6
"""Log-odds are those of a probability between this and one minus this: a forest also answers 0 and 1."""

Model = keras.Model | Callable[[np.ndarray], np.ndarray]
Ask = Callable[[np.ndarray, np.ndarray], np.ndarray]


def resolve_any(
    model: Model,
    inputs: np.ndarray,
    targets: Any = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> tuple[np.ndarray, np.ndarray, Ask]:
    """Check what a method was asked to explain of a Keras model or a function.

    Parameters
    ----------
    model : keras.Model or callable
        For a Keras model see `skylight.attribution.scoring.resolve`, for a function `resolve_function`.
    inputs, targets, score, against, batch_size
        See there.

    Returns
    -------
    inputs : array
        (N, ...).
    classes : array
        (N, 2) int32: the target and the class that it is against, or -1.
    ask : callable
        Function of images (B, ...) and classes (B, 2) that returns their scores (B,).
    """
    if not isinstance(model, keras.Model):
        return resolve_function(model, inputs, targets, score, against, batch_size)
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    compiled = cached_per_model(model, scores_of, kind)
    return inputs, classes, lambda *batch: compiled(*batch).numpy()


def resolve_function(
    function: Callable[[np.ndarray], np.ndarray],
    inputs: np.ndarray,
    targets: Any = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> tuple[np.ndarray, np.ndarray, Ask]:
    """Check what a method was asked to explain of a function.

    Parameters
    ----------
    function : callable
        ``f(images (B, ...)) -> outputs (B, K)``. It is called in the thread of the caller, with at most ``batch_size``
        images that it may overwrite.
    inputs : array
        (N, ...). Single and double precision are kept; all other numbers become float32.
    targets : int, array of int (N,), or None
        Column of the outputs to explain; ``None`` is the column with the largest output of each input.
    score : str or None
        ``None``, ``"probability"`` and ``"logit"``: what the function returns. ``"log_odds"``: log p - log(1 - p) of
        the probability p that it returns, with p limited to `SMALLEST` ... 1 - `SMALLEST`.
    against : int, array of int (N,), or None
        A column: explain the output of the target minus the output of this column.
    batch_size : int
        Number of images per call.

    Returns
    -------
    inputs, classes, ask
        As `resolve_any` does.

    Raises
    ------
    InputError
        If one of them is invalid, if the outputs are not (B, K) or not finite, if log-odds are asked for and the
        outputs are not probabilities, or if logits are asked for and they are probabilities.
    """
    if not callable(function):
        raise InputError(f"model: must be a Keras model or a function of images, got {type(function).__name__}")
    inputs = np.asarray(inputs)
    inputs = inputs if inputs.dtype in (np.float32, np.float64) else inputs.astype(np.float32)
    if inputs.ndim < 2:
        raise InputError(f"inputs: must be (N, ...), one row per input, got {inputs.shape}")
    refuse_not_finite("inputs", inputs)
    some = inputs if len(inputs) else np.zeros((1, *inputs.shape[1:]), inputs.dtype)
    outputs = np.concatenate(
        [_outputs(function, some[rows].copy()) for rows in batches(len(some), batch_size, "explaining")]
    )[: len(inputs)]
    columns = outputs.shape[1]
    _check_score(score, outputs, against)

    owner = "the outputs of the function"
    best = outputs.argmax(axis=1) if targets is None else targets
    classes = np.full((len(inputs), 2), -1, np.int32)
    classes[:, 0] = class_indices(best, len(inputs), columns, owner)
    if against is not None:
        classes[:, 1] = class_indices(against, len(inputs), columns, owner)
        if len(same := np.flatnonzero(classes[:, 0] == classes[:, 1])):
            raise InputError(f"against: must be another class than the target, got {classes[same[0], 0]} for both")

    def ask(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        own, other = np.take_along_axis(_outputs(function, images, columns), np.maximum(classes, 0), axis=1).T
        if score == "log_odds":
            own = np.clip(own, SMALLEST, 1 - SMALLEST)
            return np.log(own) - np.log1p(-own)
        return own - np.where(classes[:, 1] >= 0, other, 0)

    return inputs, classes, ask


def _check_score(score: str | None, outputs: np.ndarray, against: Any) -> None:
    """Refuse a score that the outputs of a function do not have."""
    if score is not None and score not in SCORES:
        raise InputError(f"score: must be among {', '.join(SCORES)}, got {score!r}")
    total, single = outputs.sum(axis=1), outputs.shape[1] == 1
    probabilities = np.all((outputs >= 0) & (outputs <= 1)) and (single or np.allclose(total, 1, atol=1e-3))
    if score == "log_odds" and not probabilities:
        raise InputError("score: log_odds needs a function that returns probabilities, rows that sum to 1")
    if score == "logit" and probabilities and not single and len(outputs):
        raise InputError("score: the rows of the function sum to 1, so they are probabilities and not logits")
    if against is not None and (single or score == "log_odds"):
        raise InputError("against: needs a function of several outputs, and not the score 'log_odds'")


def _outputs(function: Callable, images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Return the outputs (B, K) float64 of a function for images (B, ...)."""
    outputs = np.asarray(function(images))
    if outputs.ndim != 2 or len(outputs) != len(images) or outputs.shape[1] != (columns or max(outputs.shape[1], 1)):
        expected = f"({len(images)}, {columns or 'K'})"
        raise InputError(f"model: the function must return {expected} for {len(images)} images, got {outputs.shape}")
    if outputs.dtype.kind not in "fiub":
        raise InputError(f"model: the function must return numbers, got {outputs.dtype}")
    outputs = outputs.astype(np.float64)
    if wrong := np.sum(~np.isfinite(outputs).all(axis=1)):
        raise InputError(f"model: the function returned NaN or infinite outputs for {wrong} of {len(images)} images")
    return outputs


def pairs(rows: int, variants: int, batch_size: int, label: str) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield, batch by batch, all pairs of a row and one of its variants: the slice of pairs, and both numbers (B,)."""
    for some in batches(rows * variants, batch_size, label):
        yield some, *np.divmod(np.arange(some.start, some.stop), variants)
