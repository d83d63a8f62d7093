"""The same explanations by the libraries that the published work was made with: tf-keras-vis and shap.

A function of a library has the arguments of the method of `skylight.attribution`, and explains the same score: it gets
the network without its last softmax (`score_model`) and computes the score from the logits. The libraries need the
packages ``tf-keras-vis`` and ``shap``, which this project needs for nothing else.

What the libraries do in another way:

- tf-keras-vis resizes class activation maps on a grid through the centres of the corner pixels; `gradcam` and its
  relatives resize by areas. Its Score-CAM knows the probability of a softmax only.
- shap propagates log-odds and probabilities through the operations of their formula, with a rule of its own for a
  softmax; `deep_shap` integrates over the line between the two logits. Both sum to the same difference, and for a logit
  they are equal.
- `smoothgrad` and `gradient_shap` draw other random numbers. Those of the libraries depend on the batch size, too. For
  several inputs tf-keras-vis takes the noise in units of the range of all inputs together.
"""

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import execute

from skylight.attribution.activations import layer_outputs
from skylight.attribution.cam import spatial_layer
from skylight.attribution.coalitions import Groups, group_labels, of_all_inputs, spread
from skylight.attribution.scoring import (
    BATCH_SIZE,
    Score,
    batches,
    cached_per_model,
    over_batches,
    resolve,
    score_model,
    scores_of,
)
from skylight.attribution.several_inputs import jointly, takes_several_inputs
from skylight.attribution.shapley import resolve_background
from skylight.errors import InputError


def by_engine(engine: str, method: Callable) -> Callable:
    """Return a method as an engine computes it.

    Parameters
    ----------
    engine : str
        ``"skylight"``, or a library of `LIBRARIES`: ``"tf_keras_vis"``, ``"shap"``.
    method : callable
        A method of `skylight.attribution`, for example `skylight.attribution.gradcam`.

    Returns
    -------
    callable
        ``method`` itself for ``"skylight"``, otherwise the library's function of the same name, with the same
        arguments and the same kind of result.

    Raises
    ------
    InputError
        If there is no such engine, it does not have the method, or it is not installed. The function itself raises it
        if the library cannot explain the network or the score.
    """
    name = method.__name__
    if engine == "skylight":
        return method
    if engine not in LIBRARIES:
        raise InputError(f"engine: must be among skylight, {', '.join(LIBRARIES)}, got {engine!r}")
    if name not in LIBRARIES[engine]:
        raise InputError(f"engine: {engine} has no {name}; it has {', '.join(LIBRARIES[engine])}")
    if find_spec(engine) is None:
        raise InputError(f"engine: {engine} is not installed; pip install {engine.replace('_', '-')}")
    return LIBRARIES[engine][name]


def _gradients(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    samples: int | None = None,
    noise: float = 0.0,
    seed: int = 0,
    modifiers: tuple[str, ...] = (),
    absolute: bool = True,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Saliency, SmoothGrad and guided backpropagation of tf-keras-vis."""
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    _check_samples(samples)
    options = {"smooth_samples": samples or 0, "smooth_noise": noise, "keepdims": True, "normalize_map": False}
    if not absolute:
        options["gradient_modifier"] = None
    with _library("tf_keras_vis", model, seed):
        modifiers = [_vis(name)() for name in modifiers]
        explainer = _vis("saliency.Saliency")(score_model(model), modifiers)
        return _vis_maps(partial(explainer, **options), inputs, classes, kind, np.zeros_like(inputs), batch_size)


def _cam(
    kind: str,
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Grad-CAM, Grad-CAM++ and LayerCAM of tf-keras-vis."""
    layer = spatial_layer(model, layer)
    inputs, classes, explained = resolve(model, inputs, targets, score, against, batch_size)
    return _cam_maps(kind, model, inputs, layer, classes, _at_zero(explained), batch_size)


def _scorecam(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    layer: str | None = None,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Score-CAM of tf-keras-vis, which applies a softmax to the outputs of the network that it gets."""
    layer = spatial_layer(model, layer)
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size, "probability")
    if (kind.name, kind.head) != ("probability", "softmax"):
        raise InputError(
            f"score: scorecam of tf_keras_vis explains the probability of a softmax, not the {kind.name} of model "
            f"{model.name}"
        )

    def probability(probabilities: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        return tf.gather(probabilities, classes[:, 0], axis=1, batch_dims=1)

    return _cam_maps("scorecam.Scorecam", model, inputs, layer, classes, probability, batch_size)


def _cam_maps(kind: str, model, inputs, layer: str, classes, score: Callable, batch_size: int) -> np.ndarray:
    options = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False, "normalize_cam": False}
    maps = np.zeros((*inputs.shape[:-1], 1), np.float32)
    with _library("tf_keras_vis", model):
        network = score_model(model)
        if "/" in layer:
            raise InputError(f"layer: {layer} is in a model that is a layer, where tf_keras_vis finds no layer")
        if layer_outputs(model)[layer].call:
            raise InputError(f"layer: {layer} is called several times, and tf_keras_vis would explain the first call")
        explainer = partial(_vis(kind)(network), **options)
        _vis_maps(explainer, inputs, classes, score, maps[..., 0], batch_size)
    return maps


def _vis_maps(explainer: Callable, inputs, classes, score: Callable, maps: np.ndarray, batch_size: int) -> np.ndarray:
    """Fill ``maps`` batch by batch."""
    for some in batches(len(inputs), batch_size, "tf_keras_vis"):
        maps[some] = explainer(partial(score, classes=tf.constant(classes[some])), inputs[some])
    return maps


def _at_zero(score: Score) -> Callable:
    """Return the score with the value 0 and its own gradient: the factor exp(S) of Grad-CAM++ becomes 1."""

    def shifted(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        value = score(logits, classes)
        return value - tf.stop_gradient(value)

    return shifted


def _vis(name: str) -> type:
    module, _, kind = name.rpartition(".")
    return getattr(importlib.import_module(f"tf_keras_vis.{module}"), kind)


def _activation_maximization(
    model: keras.Model,
    unit: int,
    *,
    layer: str | None = None,
    value_range: tuple[float, float] = (0.0, 255.0),
    steps: int = 200,
    total_variation: float = 1.0,
    norm: float = 0.3,
    jitter: int = 0,
    seed: int = 0,
) -> np.ndarray:
    """Activation maximization of tf-keras-vis, from the same start as that of Skylight."""
    network = _unit_model(model, layer)
    low, high = value_range
    start = np.random.default_rng(seed).uniform(0.45, 0.55, (1, *network.input_shape[1:]))
    with _library("tf_keras_vis", model, seed):
        regularizers = [
            _vis("activation_maximization.regularizers.TotalVariation2D")(total_variation),
            _vis("activation_maximization.regularizers.Norm")(norm, p=1),
        ]
        shifts = [_vis("activation_maximization.input_modifiers.Jitter")(jitter)] if jitter else []
        images = _vis("activation_maximization.ActivationMaximization")(network)(
            _vis("utils.scores.CategoricalScore")(unit),
            (low + (high - low) * start).astype(np.float32),
            input_range=value_range,
            input_modifiers=shifts,
            regularizers=regularizers,
            steps=steps,
            optimizer=keras.optimizers.RMSprop((high - low) / 255, rho=0.999),
        )
    return np.asarray(images[0], np.float32)


def _unit_model(model: keras.Model, layer: str | None) -> keras.Model:
    """Return the network up to the units that can be maximised: the logits, or the output of a layer."""
    network = score_model(model)
    if None in network.input_shape[1:]:
        raise InputError(f"model {model.name}: must take images of a fixed size, got {network.input_shape[1:]}")
    if layer is None:
        return network
    names = [each.name for each in network.layers]
    if layer not in names:
        raise InputError(
            f"layer: model {model.name} has no layer {layer!r} for tf-keras-vis; it has {', '.join(names)}"
        )
    return keras.Model(network.inputs, network.get_layer(layer).output)


def _deep_shap(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    background: float | np.ndarray = 0.0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """``shap.DeepExplainer``, which takes one image and the whole background at a time."""

    def values(network: keras.Model, references: np.ndarray, images: np.ndarray) -> np.ndarray:
        return _shap().DeepExplainer(network, references).shap_values(images)

    return _shap_maps(values, model, inputs, targets, background, score, against, batch_size)


def _gradient_shap(
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
    """``shap.GradientExplainer``, which takes one image at a time."""
    _check_samples(samples)

    def values(network: keras.Model, references: np.ndarray, images: np.ndarray) -> np.ndarray:
        explainer = _shap().GradientExplainer(network, references, batch_size=batch_size)
        return explainer.shap_values(images, nsamples=samples, rseed=seed)

    return _shap_maps(values, model, inputs, targets, background, score, against, batch_size)


def _kernel_shap(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any = None,
    *,
    groups: Groups = None,
    background: float | np.ndarray = 0.0,
    samples: int = 2048,
    seed: int = 0,
    score: str | None = None,
    against: Any = None,
    batch_size: int = 256,
) -> np.ndarray:
    """``shap.KernelExplainer`` of which groups are visible, by least squares without selection of groups."""
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    references, (labels, counts) = resolve_background(inputs, background), group_labels(groups, inputs.shape)
    run = cached_per_model(model, scores_of, kind)
    maps = np.zeros((len(inputs), *labels.shape[1:]), np.float32)
    for index, image in enumerate(inputs):
        own, count = labels[index % len(labels)], int(counts[index % len(counts)])

        def mean_scores(visible: np.ndarray, own=own, image=image, index=index) -> np.ndarray:
            shown = visible[:, own] > 0
            mixed = np.where(shown[:, None], image, references).reshape(-1, *image.shape)
            asked = np.repeat(classes[index : index + 1], len(mixed), axis=0)
            return over_batches(run, mixed, asked, batch_size=batch_size).reshape(len(visible), -1).mean(axis=1)

        with _library("shap", model, seed):
            explainer = _shap().KernelExplainer(mean_scores, np.zeros((1, count)))
            values = explainer.shap_values(np.ones((1, count)), nsamples=samples, l1_reg=0, silent=True)
        maps[index] = spread(values.reshape(1, count), own[None])[0]
    return maps


def _shap_maps(
    values: Callable, model, inputs, targets, background, score, against, batch_size: int, seed: int = 0
) -> np.ndarray:
    """Compute SHAP values, class by class: an explainer of shap is for one network with one output."""
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size)
    references = resolve_background(inputs, background)
    maps = np.zeros_like(inputs)
    with _library("shap", model, seed):
        for pair in np.unique(classes, axis=0):
            rows = (classes == pair).all(axis=1)
            network = cached_per_model(model, _of_class, kind, *map(int, pair))
            maps[rows] = values(network, references, inputs[rows])[..., 0]
    return maps


def _of_class(model: keras.Model, score: Score, target: int, against: int) -> keras.Model:
    """Return the network images -> scores (B, 1) of a class."""
    logits = score_model(model)
    return keras.Model(logits.inputs, _OfClass(score, target, against)(logits.outputs[0]))


class _OfClass(keras.layers.Layer):
    """Logits (B, K) -> scores (B, 1) as in `Score`, by operations that ``shap.DeepExplainer`` has rules for.

    It has none for the logarithm and for -a: log(exp(a) + exp(b)) is written a + softplus(b - a), and -a is 0 - a.
    """

    def __init__(self, score: Score, target: int, against: int):
        super().__init__(dtype="float32")
        self.score, self.target, self.against = score, target, against

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the scores."""
        columns = [logits[:, k : k + 1] for k in range(logits.shape[1])]
        if self.score.head == "sigmoid" and len(columns) == 1:
            columns = [0 - columns[0], columns[0]]
        own = columns[self.target]
        if self.score.name == "probability":
            if self.score.head == "softmax":
                return tf.nn.softmax(logits)[:, self.target : self.target + 1]
            return tf.sigmoid(own) if self.score.head == "sigmoid" else own
        if self.score.name == "log_odds" and self.score.head != "sigmoid":
            total, *others = (z - own for k, z in enumerate(columns) if k != self.target)
            for z in others:
                total = total + tf.nn.softplus(z - total)
            return 0 - total
        return own - columns[self.against] if self.against >= 0 else own


def _check_samples(samples: int | None) -> None:
    if samples is not None and samples < 1:
        raise InputError(f"samples: must be at least 1, got {samples}")


def _shap() -> Any:
    return importlib.import_module("shap")


@contextlib.contextmanager
def _library(engine: str, model: keras.Model, seed: int = 0) -> Iterator[None]:
    """Call a library: quietly, with its random numbers from a seed, and its errors in one line.

    The libraries draw from NumPy's global generator, and shap replaces a function of TensorFlow that it does not put
    back after an error. Both are as before afterwards.
    """
    state, record = np.random.get_state(), execute.record_gradient  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:  # each layer that a library cannot take has an error of another type
        *_, reason = type(error).__name__, *filter(None, map(str.strip, str(error).splitlines()))
        raise InputError(f"model {model.name}: {engine} cannot explain this network ({reason})") from error
    finally:
        np.random.set_state(state)  # noqa: NPY002
        execute.record_gradient = record


def _with_several_inputs(explain: Callable, methods: dict[str, Callable]) -> dict[str, Callable]:
    return {name: takes_several_inputs(explain)(method) for name, method in methods.items()}


LIBRARIES: dict[str, dict[str, Callable]] = {
    "tf_keras_vis": _with_several_inputs(
        jointly,
        {
            "saliency": _gradients,
            "smoothgrad": partial(_gradients, samples=50, noise=0.2),
            "guided_backpropagation": partial(
                _gradients, modifiers=("utils.model_modifiers.GuidedBackpropagation",), absolute=False
            ),
        },
    )
    | {
        "gradcam": partial(_cam, "gradcam.Gradcam"),
        "gradcam_plus_plus": partial(_cam, "gradcam_plus_plus.GradcamPlusPlus"),
        "layercam": partial(_cam, "layercam.Layercam"),
        "scorecam": _scorecam,
        "activation_maximization": _activation_maximization,
    },
    "shap": _with_several_inputs(jointly, {"deep_shap": _deep_shap, "gradient_shap": _gradient_shap})
    | _with_several_inputs(of_all_inputs, {"kernel_shap": _kernel_shap}),
}
"""Library -> name of a method -> its function."""
