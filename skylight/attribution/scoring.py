"""What all methods share: the score that is explained, the targets, and batches run by one compiled function.

Every method explains one number for each image, its `Score`. The score is computed from the logits: the input of the
last softmax or sigmoid (`score_model`).
"""

import re
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from skylight.errors import InputError

BATCH_SIZE = 32  # images per batch, the default of most methods

SCORES = ("logit", "log_odds", "probability")
_COMPILED = re.compile(r"calls to <function _?\w+\.<locals>\.(run|propagate) .* triggered tf.function retracing")
tf.get_logger().addFilter(lambda record: not _COMPILED.search(record.getMessage()))  # once per model, rule and score

KEPT = 32
"""Number of results that are kept per model: a compiled function takes 2 to 3 MB."""
_made: weakref.WeakKeyDictionary[keras.Model, tuple[tuple, dict]] = weakref.WeakKeyDictionary()


def cached_per_model(model: keras.Model, make: Callable[..., Any], *options: Any) -> Any:
    """Return ``make(model, *options)``, computed at the first call and kept for as long as ``model`` exists.

    Only the `KEPT` results that were used last are kept. If the structure of the model changes (another activation of a
    layer, one more layer in a Sequential model), nothing is kept: compiled functions would compute the old network.

    ``make`` must be a function of a module, not a lambda; ``options`` must be hashable. The result must not refer to
    ``model`` itself, which would then never be freed. It may refer to its `score_model` or `output_model`.
    """
    _refuse_no_model(model)
    structure = _structure(model)
    known, made = _made.get(model, (None, {}))
    if known != structure:
        made = {}
        _made[model] = structure, made
    key = (make, *options)
    result = made.pop(key) if key in made else make(model, *options)
    made[key] = result  # the last one used is the last one in the dict
    while len(made) > KEPT:
        made.pop(next(iter(made)), None)
    return result


def _structure(model: keras.Model) -> tuple:
    """Return what a compiled function depends on besides the weights: layers, their settings, and how they connect."""
    graph = weakref.ref(getattr(model, "_functional", None) or model)  # a Sequential model makes a new one if it grows
    layers = [(weakref.ref(layer), *map(_setting, vars(layer).items())) for layer in model._flatten_layers()]
    return graph, tuple(layers)


def _setting(item: tuple[str, Any]) -> tuple | None:
    """Return a setting of a layer: a number, a word or a function; None for its internal state."""
    name, value = item
    if name.startswith("_") or name == "built":
        return None
    if isinstance(value, str | int | float | None):
        return name, value
    if isinstance(value, tuple):
        return name, repr(value)
    if isinstance(value, types.FunctionType | keras.Layer):
        return name, weakref.ref(value)  # an id may be that of another function later
    return None


@dataclass(frozen=True)
class Score:
    """The quantity that is explained, computed from the logits z of a network.

    Attributes
    ----------
    name : str
        ``"logit"``: z_c of the class c, or z_c - z_k if there is a class k to compare with.
        ``"log_odds"``: log p_c - log(1 - p_c). For a softmax it is z_c minus the logarithm of the sum of exp(z_j) over
        the other classes j; for a sigmoid it is z_c.
        ``"probability"``: p_c; for a network without softmax or sigmoid, its output.
    head : str
        How probabilities follow from logits: ``"softmax"``, ``"sigmoid"`` or ``"linear"`` (outputs are the logits).

    Notes
    -----
    A softmax does not change if one number is added to all logits. So a single logit, and its map, may hold a part that
    has no effect on the decision. The log-odds do not have this part.

    A single sigmoid has two classes: 1, with logit z, and 0, with logit -z.
    """

    name: str
    head: str

    @property
    def bent(self) -> bool:
        """Whether the score is not a linear function of the logits."""
        return self.name != "logit" and not (self.name == "log_odds" and self.head == "sigmoid")

    def __call__(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        """Return the scores (B,) float32 from logits (B, K) and classes (B, 2).

        The two classes are the target and the class to compare with, or -1.
        """
        logits = tf.cast(logits, tf.float32)
        targets, against = classes[:, 0], classes[:, 1]
        if self.head == "sigmoid" and logits.shape[1] == 1:
            logits = tf.concat([-logits, logits], axis=1)
        if self.name == "probability":
            return tf.gather(_PROBABILITIES[self.head](logits), targets, axis=1, batch_dims=1)
        own = tf.gather(logits, targets, axis=1, batch_dims=1)
        if self.name == "log_odds" and self.head != "sigmoid":
            others = tf.where(tf.one_hot(targets, tf.shape(logits)[1], on_value=True, off_value=False), -np.inf, logits)
            return own - tf.reduce_logsumexp(others, axis=1)
        other = tf.gather(logits, tf.maximum(against, 0), axis=1, batch_dims=1)
        return own - tf.where(against >= 0, other, 0)


_PROBABILITIES = {
    "softmax": tf.nn.softmax,
    "sigmoid": tf.sigmoid,
    "linear": tf.identity,
}


def resolve(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
    default: str | None = None,
) -> tuple[np.ndarray, np.ndarray, Score]:
    """Check what a method was asked to explain.

    Parameters
    ----------
    model : keras.Model
        Functional model.
    inputs : array
        (N, ...) inputs.
    targets : int, array of int (N,), or None
        See `resolve_targets`.
    score : str or None
        One of `SCORES`. ``None`` is ``default``; without a default it is the log-odds for a network that ends in a
        softmax, and the logit for others.
    against : int, array of int (N,), or None
        A class, or one per input: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of images per batch.
    default : str or None
        The score of a method that is not defined by logits.

    Returns
    -------
    inputs : array
        (N, ...) float32.
    classes : array
        (N, 2) int32: the target and the class that it is against, or -1.
    score : Score
        The score.

    Raises
    ------
    InputError
        If one of them is invalid, or the outputs look like probabilities but no softmax was found.
    """
    inputs = resolve_inputs(model, inputs)
    kind = resolve_score(model, score if against is None else score or "logit", default)
    if kind.head == "linear" and kind.name != "probability":
        _refuse_hidden_softmax(model, inputs)
    columns = [resolve_targets(model, inputs, targets, batch_size), np.full(len(inputs), -1, np.int32)]
    if against is not None:
        if kind.name != "logit" or _outputs(model) == 1:
            raise InputError("against: needs the score 'logit' and a model of several outputs")
        columns[1] = resolve_targets(model, inputs, against, batch_size)
        same = np.flatnonzero(columns[0] == columns[1])
        if len(same):
            raise InputError(f"against: must be another class than the target, got {columns[1][same[0]]} for both")
    return inputs, np.stack(columns, axis=1), kind


def resolve_score(model: keras.Model, name: str | None = None, default: str | None = None) -> Score:
    """Return the score of this name for a model; see `resolve`.

    Raises
    ------
    InputError
        If there is no such score, or the model has one output and no sigmoid, so that log-odds are not defined.
    """
    head = cached_per_model(model, _cut)[1]
    name = name or default or ("log_odds" if head == "softmax" else "logit")
    if name not in SCORES:
        raise InputError(f"score: must be among {', '.join(SCORES)}, got {name!r}")
    if name == "log_odds" and head == "linear" and _outputs(model) == 1:
        raise InputError(f"score: model {model.name} has one output and no sigmoid, so it has no log-odds")
    return Score(name, head)


def score_model(model: keras.Model) -> keras.Model:
    """Return the network without its last softmax or sigmoid; every call returns the same object.

    The softmax or sigmoid is recognised by what it computes, however it is written. Layers after it that do nothing at
    inference (dropout, a linear activation, another softmax) are left out with it.

    Parameters
    ----------
    model : keras.Model
        Functional (or built Sequential) model with one input and one output of shape (N, K). It is not changed.

    Returns
    -------
    keras.Model
        Functional model with the same layer names. It shares all variables with ``model``, so later training changes
        it as well. Its output (N, K) is the logits: the input of the last softmax or sigmoid, or the output itself if
        there is neither (regression). If the network computes in half precision or takes integers, the layers are
        copies that compute in float32 and take floats, because small gradients vanish in float16 and integers have
        none.

    Raises
    ------
    InputError
        If the model is subclassed or not built, has several inputs or outputs, its output is not (N, K), or a layer is
        channels_first.
    """
    return cached_per_model(model, _cut)[0]


def output_model(model: keras.Model) -> keras.Model:
    """Return a functional model with the layers and the output of ``model``; every call returns the same object.

    Compiled functions that need probabilities keep this model, because they must not keep ``model`` itself (see
    `cached_per_model`).
    """
    return cached_per_model(model, _copied)


def _copied(model: keras.Model) -> keras.Model:
    _refuse_channels_first(model)
    return _in_float32(keras.Model(*_ends(model), name=model.name))


def _cut(model: keras.Model) -> tuple[keras.Model, str]:
    """Return the model up to the logits, and the head that was cut off."""
    _refuse_channels_first(model)
    image, output = _ends(model)
    logits, head, after = output, "linear", output
    while True:
        history = after._keras_history
        last, node = history.operation, history.operation._inbound_nodes[history.node_index]
        if len(node.input_tensors) != 1:
            break
        before = node.input_tensors[0]
        if isinstance(last, keras.Model):
            inner, inner_head = cached_per_model(last, _cut)
            if inner_head != "linear":
                logits, head = inner(before), inner_head
            break
        kind = _effect(node)
        if kind is None or (head != "linear" and (head, kind) != ("softmax", "softmax") and kind != "identity"):
            break
        if kind != "identity":
            head = kind
            is_whole = not isinstance(last, keras.Layer) or not last.weights
            logits = before if is_whole else clone_layer(last, activation="linear")(before)
            if not is_whole:
                break
        after = before
    if head == "softmax" and output.shape[1] == 1:
        raise InputError(f"model {model.name}: a softmax over one output is always 1, so there is nothing to explain")
    return _in_float32(keras.Model(image, logits, name=f"{model.name}_score")), head


def _effect(node: Any) -> str | None:
    """Return what a layer does to the class axis: ``softmax``, ``sigmoid``, ``identity`` or, for anything else, None.

    It is found by what the layer, or its activation, computes for random numbers.
    """
    layer, tensor = node.operation, node.input_tensors[0]
    logits = np.random.default_rng(0).normal(size=(4, tensor.shape[-1])).astype(np.float32)
    try:
        if getattr(layer, "weights", None):
            applied = layer.activation(tf.constant(logits))
        else:
            args, kwargs = node.arguments.fill_in({id(tensor): tf.constant(logits)})
            applied = layer(*args, **kwargs | ({"training": False} if "training" in kwargs else {}))
        applied = np.asarray(applied, np.float32)
    except Exception:  # any layer may refuse a call outside of its network; it is then not recognised
        return None
    for name, expected in (
        ("identity", logits),
        ("softmax", tf.nn.softmax(logits).numpy()),
        ("sigmoid", tf.sigmoid(logits).numpy()),
    ):
        if applied.shape == expected.shape and np.allclose(applied, expected, atol=2e-3):
            return None if name == "identity" and getattr(layer, "weights", None) else name
    return None


def _in_float32(model: keras.Model) -> keras.Model:
    """Return the model, or a copy of its layers that takes floats and computes in float32, if it does not do so."""
    takes_integers = not keras.backend.is_float_dtype(model.inputs[0].dtype)
    half = any(
        layer.compute_dtype != layer.variable_dtype
        for layer in model._flatten_layers()
        if hasattr(layer, "compute_dtype")
    )
    refuse_categories(model)
    if not (takes_integers or half):
        return model
    image = keras.Input(model.inputs[0].shape[1:], dtype="float32", name=model.inputs[0]._keras_history.operation.name)
    return keras.models.clone_model(
        model,
        input_tensors=image,
        clone_function=lambda layer: clone_layer(
            layer, **({"dtype": "float32"} if isinstance(layer, keras.Layer) else {})
        ),
        recursive=True,
    )


def refuse_categories(model: keras.Model) -> None:
    """Refuse a network that takes the numbers of categories."""
    takes_integers = not all(keras.backend.is_float_dtype(each.dtype) for each in model.inputs)
    if takes_integers and any(isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers()):
        raise InputError(f"model {model.name}: takes the numbers of categories, which have no gradient")


def _refuse_hidden_softmax(model: keras.Model, inputs: np.ndarray, rows: int = 8) -> None:
    """Refuse a network whose outputs are probabilities although no softmax was found at its end."""
    if _outputs(model) == 1 or not len(inputs):
        return
    outputs = np.asarray(cached_per_model(model, logits_of)(inputs[:rows]))
    if np.all(outputs >= 0) and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise InputError(
            f"model {model.name}: its outputs sum to 1, but no softmax was found at its end; end it in a softmax, or "
            "explain the outputs themselves with score='probability'"
        )


def _refuse_channels_first(model: keras.Model) -> None:
    """Refuse a network that takes the channels before the rows: every map would have its axes in the wrong order."""
    for layer in getattr(model, "_flatten_layers", list)():
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(
                f"layer {layer.name}: channels_first is not supported, only channels_last (model {model.name})"
            )


def _outputs(model: keras.Model) -> int:
    return _ends(model)[1].shape[1]


def _refuse_no_model(model: Any) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(f"model: must be a functional Keras model, got {type(model).__name__} {str(model)[:60]!r}")


def _ends(model: keras.Model) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the input and the output of a functional model that has one of each."""
    _refuse_no_model(model)
    name = model.name
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:
        inputs = outputs = None
    if not inputs or not outputs:
        raise InputError(f"model {name}: must be a functional Keras model, or a built Sequential one")
    if len(inputs) != 1 or len(outputs) != 1:
        limit = "; docs/attribution.md lists what takes several inputs" if len(inputs) > 1 else ""
        raise InputError(
            f"model {name}: must have one input and one output, got {len(inputs)} and {len(outputs)}{limit}"
        )
    if len(outputs[0].shape) != 2:
        raise InputError(f"model {name}: the output must have shape (N, K), got {outputs[0].shape}")
    if inputs[0].shape[0] is not None:
        raise InputError(
            f"model {name}: takes batches of {inputs[0].shape[0]} only; build it with shape={inputs[0].shape[1:]} "
            "instead of batch_shape"
        )
    return inputs[0], outputs[0]


def clone_layer(layer: keras.Layer, **changes: Any) -> keras.Layer:
    """Copy a layer and change some of its configuration; the copy shares the variables of the layer.

    Raises
    ------
    InputError
        If the layer has variables in layers of its own, which a copy would not share.
    """
    config = layer.get_config() | changes
    if isinstance(layer, keras.layers.Lambda):  # Keras refuses to read a lambda from a configuration
        functions = {"function": layer.function, "output_shape": layer._output_shape, "mask": layer.mask}
        copy = type(layer)(**config | functions | {"arguments": layer.arguments})
    else:
        copy = type(layer).from_config(config)
    if not isinstance(layer, keras.Layer):  # a bare operation (``keras.ops.tanh(x)``), which has no variables
        return copy
    for name, value in vars(layer).items():  # what the layer's build() has made
        if vars(copy).get(name) is None or isinstance(value, keras.Variable):
            setattr(copy, name, value)
    copy.built = layer.built
    if [id(weight) for weight in copy.weights] != [id(weight) for weight in layer.weights]:
        raise InputError(f"layer {layer.name}: a copy of a {type(layer).__name__} cannot share its variables")
    return copy


def resolve_inputs(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Return ``inputs`` as float32 of shape (N, *input shape of the model).

    Raises
    ------
    InputError
        If the model does not take inputs of this shape, or a value is NaN or infinite.
    """
    return as_input("inputs", inputs, _ends(model)[0].shape, f"model {model.name}")


def as_input(name: str, inputs: np.ndarray, expected: tuple[int | None, ...], owner: str) -> np.ndarray:
    """Return an array as float32 of an expected shape, with ``None`` for sizes that are not fixed.

    Raises
    ------
    InputError
        If it has another shape, or a value is NaN or infinite.
    """
    try:
        inputs = np.asarray(inputs, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(
            f"{name}: must be an array of numbers, got {type(inputs).__name__} {str(inputs)[:40]!r}"
        ) from None
    fits = len(inputs.shape) == len(expected) and all(
        want in (None, got) for want, got in zip(expected[1:], inputs.shape[1:], strict=True)
    )
    if not fits:
        shape = ", ".join(str(size) for size in expected[1:])
        raise InputError(f"{name}: {owner} takes (N, {shape}), got {inputs.shape}")
    refuse_not_finite(name, inputs)
    return inputs


def refuse_not_finite(name: str, arrays: np.ndarray) -> None:
    """Refuse NaN and infinite values: a network answers with a class for them, too."""
    if np.isfinite(arrays.sum(dtype=np.float64)):
        return
    counts = np.sum(~np.isfinite(arrays), axis=tuple(range(1, arrays.ndim)))
    image = int(counts.argmax() if counts.ndim else 0)
    if counts.any():
        number = np.atleast_1d(counts)[image]
        raise InputError(f"{name}: image {image} has {number} value(s) that are NaN or infinite")


def resolve_baseline(inputs: np.ndarray, baseline: float | np.ndarray) -> np.ndarray:
    """Return the baseline as images of the shape of ``inputs``, from a number, one image or one image per input.

    Raises
    ------
    InputError
        If the baseline cannot be broadcast to the inputs, or a value is NaN or infinite.
    """
    baseline = np.asarray(baseline, np.float32)
    refuse_not_finite("baseline", baseline)
    try:
        return np.broadcast_to(baseline, inputs.shape)
    except ValueError:
        raise InputError(
            f"baseline: must be a number, an image like the inputs, or one image per input, got {np.shape(baseline)}"
        ) from None


def resolve_targets(
    model: keras.Model, inputs: np.ndarray, targets: Any = None, batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """Return the index of the score to explain for every input.

    Parameters
    ----------
    model : keras.Model
        Model with K outputs.
    inputs : array
        (N, ...) images.
    targets : int, array of int (N,), or None
        One class for all inputs, or one per input; ``None`` is the class with the highest score of each input.
        A single sigmoid has the classes 0 and 1, and its output is the probability of 1. A regression with one
        output has the index 0 only.

    Returns
    -------
    array
        (N,) int32.

    Raises
    ------
    InputError
        If targets are not integers, not one per input, or not the index of a class.
    """
    inputs = resolve_inputs(model, inputs)
    outputs, one_sigmoid = _outputs(model), _outputs(model) == 1 and cached_per_model(model, _cut)[1] == "sigmoid"
    if targets is None:
        if outputs == 1 and not one_sigmoid:
            return np.zeros(len(inputs), np.int32)
        scores = over_batches(cached_per_model(model, logits_of), inputs, batch_size=batch_size)
        return (scores[:, 0] > 0 if one_sigmoid else scores.argmax(axis=1)).astype(np.int32)
    return class_indices(targets, len(inputs), outputs + one_sigmoid, f"model {model.name}")


def class_indices(targets: Any, inputs: int, classes: int, owner: str) -> np.ndarray:
    """Return one class index per input, (inputs,) int32, from one for all or one per input.

    Raises
    ------
    InputError
        If they are not integers, not one per input, or not 0 to ``classes - 1``.
    """
    targets = np.asarray(targets)
    if targets.dtype.kind not in "iu":
        raise InputError(f"targets: must be integers (class indices), got {targets.dtype}")
    if targets.ndim == 0:
        targets = np.full(inputs, targets)
    if targets.shape != (inputs,):
        raise InputError(f"targets: must be one per input, shape ({inputs},), got {targets.shape}")
    wrong = targets[(targets < 0) | (targets >= classes)]
    if len(wrong):
        raise InputError(f"targets: must be 0 to {classes - 1} for {owner}, got {wrong[0]}")
    return targets.astype(np.int32)


def logits_of(model: keras.Model) -> Callable:
    """Compile images (B, ...) -> logits (B, K)."""
    logits = score_model(model)

    @tf.function(input_signature=[images_spec(model)])
    def run(images):
        return tf.cast(logits(images, training=False), tf.float32)

    return run


def scores_of(model: keras.Model, score: Score) -> Callable:
    """Compile images (B, ...), classes (B, 2) -> scores (B,)."""
    logits = score_model(model)

    @tf.function(input_signature=[images_spec(model), CLASSES])
    def run(images, classes):
        return score(logits(images, training=False), classes)

    return run


CLASSES = tf.TensorSpec([None, 2], tf.int32)  # of a compiled function: target and the class it is against
NUMBERS = tf.TensorSpec([None], tf.int32)  # rows and variants


def images_spec(model: keras.Model) -> tf.TensorSpec:
    """Return the signature of a batch of any size, so that a compiled function is traced only once."""
    return tf.TensorSpec(_ends(model)[0].shape, tf.float32)


def over_batches(
    run: Callable[..., tf.Tensor], *arrays: np.ndarray, batch_size: int = BATCH_SIZE, label: str = "explaining"
) -> np.ndarray:
    """Run a compiled function over arrays of equal length, batch by batch, and concatenate the results.

    A progress bar is shown if it takes longer than a few seconds. Without inputs the result is an empty array with
    the right number and size of axes.
    """
    jobs = ([array[batch] for array in arrays] for batch in batches(len(arrays[0]), batch_size, label))
    results = list(two_at_a_time(lambda *job: run(*job).numpy(), jobs))
    if results:
        return np.concatenate(results)
    # TensorFlow's convolutions may refuse an empty batch, so the shape is read from the result for one row of zeros.
    return run(*(np.zeros((1, *array.shape[1:]), array.dtype) for array in arrays)).numpy()[:0]


def over_variants(
    run: Callable[..., tf.Tensor],
    *arrays: np.ndarray,
    variants: int,
    batch_size: int = BATCH_SIZE,
    label: str = "explaining",
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Run a compiled function over all pairs of a row of ``arrays`` and one of its ``variants``, in full batches.

    A variant of a row is, for example, a noisy copy, a step of a path or an image with one blanked cell. ``run`` makes
    the variants. Its arguments are some consecutive rows of each array and, for each pair of the batch, the row
    (counted from the first of these rows) and the number of the variant.

    Yields
    ------
    rows : slice
        The rows that occur in the batch.
    pairs : slice
        The pairs of the batch, if pairs are counted row by row.
    result : array
        The result of ``run``.
    """
    places: deque[tuple[slice, slice]] = deque()

    def jobs() -> Iterator[list[np.ndarray]]:
        for pairs in batches(len(arrays[0]) * variants, batch_size, label):
            row, variant = np.divmod(np.arange(pairs.start, pairs.stop, dtype=np.int32), np.int32(variants))
            rows = slice(int(row[0]), int(row[-1]) + 1)
            places.append((rows, pairs))
            yield [*(array[rows] for array in arrays), row - row[0], variant]

    for result in two_at_a_time(lambda *job: run(*job).numpy(), jobs()):
        yield *places.popleft(), result


def two_at_a_time(run: Callable[..., np.ndarray], jobs: Iterator[list]) -> Iterator[np.ndarray]:
    """Yield ``run(*job)`` for each job, in order, with two jobs at work at a time.

    While one job is in an operation that uses one core only, the other job uses the rest: 1.15 to 1.4 times as fast on
    two cores. The first job runs alone and in the calling thread, because functions are traced in it and Keras keeps
    some of its state per thread.
    """
    for job in jobs:
        yield run(*job)
        break
    with ThreadPoolExecutor(2) as pool:
        running = deque()
        for job in jobs:
            running.append(pool.submit(run, *job))
            if len(running) == 2:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def batches(length: int, batch_size: int, label: str) -> Iterator[slice]:
    """Yield slices of ``batch_size`` that cover 0 ... length - 1 (the last may be shorter), with a progress bar."""
    if batch_size < 1:
        raise InputError(f"batch_size: must be at least 1, got {batch_size}")
    with tqdm(total=length, desc=label, unit="image", delay=3, leave=False, disable=None) as bar:
        for start in range(0, length, batch_size):
            stop = min(start + batch_size, length)
            yield slice(start, stop)
            bar.update(stop - start)
