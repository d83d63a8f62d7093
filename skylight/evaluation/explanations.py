"""Measure how far explanations of a network can be trusted: one table of all methods, metrics and controls."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import pandas as pd

from skylight.attribution import METHODS
from skylight.attribution.scoring import resolve_inputs, resolve_score, resolve_targets
from skylight.errors import InputError
from skylight.evaluation.complexity import sparseness
from skylight.evaluation.controls import centred_gaussian, edges, random_maps
from skylight.evaluation.faithfulness import deletion, faithfulness_correlation, infidelity, insertion, road
from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc
from skylight.evaluation.randomisation import cascade, random_logit, similarity
from skylight.evaluation.robustness import relative_changes

LOCALISATION = {
    "pointing_game": pointing_game,
    "relevance_mass": relevance_mass,
    "rank_accuracy": rank_accuracy,
    "roc_auc": roc_auc,
}
METRICS = (
    "insertion",
    "deletion",
    "road",
    "faithfulness_correlation",
    "infidelity",
    *LOCALISATION,
    "sparseness",
    "sensitivity",
    "max_sensitivity",
    "random_logit",
    "randomisation",
    "randomisation_absolute",
)
CONTROLS = ("random", "edges", "centre")
RESAMPLES = 1000


def evaluate(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    methods: Mapping[str, Mapping[str, Any] | Callable] | Iterable[str],
    masks: np.ndarray | None = None,
    *,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Measure how far the maps of several methods can be trusted, beside controls that do not explain the network.

    Parameters
    ----------
    model, inputs, targets, methods, masks, seed
        As for `score_each`; the seed is also that of the bootstrap.
    **options
        Keywords of `score_each`.

    Returns
    -------
    pandas.DataFrame
        The `summary` of `score_each`.

    Raises
    ------
    InputError
        As `score_each`.
    """
    return summary(score_each(model, inputs, targets, methods, masks, seed=seed, **options), seed)


def score_each(
    model: keras.Model,
    inputs: np.ndarray,
    targets: Any,
    methods: Mapping[str, Mapping[str, Any] | Callable] | Iterable[str],
    masks: np.ndarray | None = None,
    *,
    metrics: Collection[str] | None = None,
    layers: Collection[str] | None = None,
    baseline: float | np.ndarray = 0.0,
    noise: float = 0.05,
    seed: int = 0,
    batch_size: int = 256,
) -> pd.DataFrame:
    """Measure the map of each input by each method: the values that `evaluate` averages and `paired_wilcoxon` compares.

    Each map is summed over its channels. Faithfulness uses signed maps. Localisation sets negative relevance (evidence
    against the class) to 0 ("sum,pos" of Arras et al. 2022). Sparseness uses absolute values; the randomisation check
    uses both. Faithfulness is measured on the probability of the class, not on the score before the softmax.
    docs/evaluation.md explains what each metric tells.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images, or sequences (N, L, C).
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the class predicted by ``model`` for the
        image, which is also the target for noisy images and shuffled weights.
    methods : names, or dict
        Names of `skylight.attribution.METHODS`; or name -> options of that method; or any name -> options with the key
        ``method`` (to compare two settings: ``{"logit": {"method": "gradcam", "score": "logit"}, ...}``); or any
        name -> a function ``(model, inputs, targets) -> maps``.
    masks : array, optional
        (N, H, W) or (N, L) bool, true where the evidence is known to be. Without masks there are no localisation
        metrics and no control ``centre``.
    metrics : names, optional
        Some of `METRICS`; by default all of them that the masks and the number of classes allow. ``sensitivity`` and
        ``max_sensitivity`` together compute ten more maps of each input, ``random_logit`` one. The two randomisation
        metrics together compute one more map per layer.
    layers : names, optional
        Layers with weights (``backbone/block5`` in a nested model): the randomisation check compares maps when all
        layers from the output down to one of these are shuffled. By default every layer with weights.
    baseline : float or array
        Value of a removed pixel: a constant, one image, or one image per input.
    noise : float
        Half-width of the noise of the sensitivities, in units of the range of each image.
    seed : int
        Seed of the controls, random sets, ties, noise, other classes and shuffles. Methods have their own seed.
    batch_size : int
        Number of images per batch for the faithfulness metrics. Methods have their own batch size.

    Returns
    -------
    pandas.DataFrame
        Columns ``method``, ``metric``, ``layer`` (the lowest shuffled one; empty except for the randomisation),
        ``object`` (0 to N - 1), ``value`` (NaN where the metric is not defined: a map that is 0 everywhere has no
        sparseness). The controls are the methods ``random`` (new noise at every call), ``edges`` (a Sobel filter of
        the input) and, with masks, ``centre`` (a Gaussian in the middle).

    Raises
    ------
    InputError
        If a method, option, metric or layer is unknown, a method returns maps of another shape, or the model, inputs,
        targets or masks are invalid.
    """
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets)
    metrics = _metrics(metrics, masks, _classes(model))
    masks = _masks(masks, inputs)
    controls = dict(zip(CONTROLS, (random_maps(seed), edges, centred_gaussian), strict=True))
    if masks is None:
        del controls["centre"]
    explainers = {name: partial(_explain, name, method) for name, method in (_methods(methods) | controls).items()}
    maps = {name: explain(model, inputs, targets) for name, explain in explainers.items()}
    scores = []  # (method, metric, layer, one value per input)

    removed = {"seed": seed, "batch_size": batch_size}
    to_baseline = removed | {"baseline": baseline}
    for metric, measure in (
        ("insertion", partial(insertion, **to_baseline)),
        ("deletion", partial(deletion, **to_baseline)),
        ("road", partial(road, **removed)),
    ):
        if metric in metrics:
            scores += [(name, metric, "", measure(model, inputs, targets, maps[name])) for name in maps]
    for metric, measure in (("faithfulness_correlation", faithfulness_correlation), ("infidelity", infidelity)):
        if metric in metrics:  # all methods on the same sets
            together = measure(model, inputs, targets, np.stack([*maps.values()]), **to_baseline)
            scores += [(name, metric, "", one) for name, one in zip(maps, together, strict=True)]
    for metric in metrics:
        if metric in LOCALISATION:
            scores += [(name, metric, "", _localised(LOCALISATION[metric], maps[name], masks)) for name in maps]
    if "sparseness" in metrics:
        scores += [(name, "sparseness", "", sparseness(maps[name])) for name in maps]
    sensitivities = {"sensitivity": np.mean, "max_sensitivity": np.max}
    for name, explain in explainers.items() if not sensitivities.keys().isdisjoint(metrics) else ():
        changes = relative_changes(
            lambda moved, explain=explain: explain(model, moved, targets), inputs, maps[name], noise=noise, seed=seed
        )
        scores += [(name, key, "", over(changes, axis=1)) for key, over in sensitivities.items() if key in metrics]
    if "random_logit" in metrics:
        for name, explain in explainers.items():
            of_class = partial(explain, model, inputs)
            scores.append(
                (name, "random_logit", "", random_logit(of_class, targets, _classes(model), maps[name], seed))
            )
    shuffling = [metric for metric in ("randomisation", "randomisation_absolute") if metric in metrics]
    for layer, shuffled in cascade(model, layers, seed) if shuffling else ():
        for name, explain in explainers.items():
            pair = maps[name], explain(shuffled, inputs, targets)
            for metric in shuffling:
                compared = map(np.abs, pair) if metric == "randomisation_absolute" else pair
                scores.append((name, metric, layer, similarity(*compared)))
    return _table(scores, list(maps))


def summary(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Average the values of `score_each` over the inputs.

    Parameters
    ----------
    scores : pandas.DataFrame
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        Columns ``method``, ``metric``, ``layer``, ``value`` (mean over the inputs), ``error`` (its bootstrap standard
        error over the inputs, NaN for fewer than two), ``n`` (number of inputs for which the metric is defined).
    """
    rows = []
    for key, some in scores.groupby(["method", "metric", "layer"], sort=False):
        there = some["value"].to_numpy()
        there = there[np.isfinite(there)]
        mean = there.mean() if len(there) else np.nan
        rows.append((*key, mean, bootstrap_error(there, seed=seed), len(there)))
    return pd.DataFrame(rows, columns=["method", "metric", "layer", "value", "error", "n"])


def bootstrap_error(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """Compute the standard error of a mean (Efron 1979) from the scatter of means of samples drawn with replacement.

    Parameters
    ----------
    values : array
        (N,) finite values.
    resamples : int
        Number of bootstrap samples.
    seed : int
        Seed of the samples.

    Returns
    -------
    float
        NaN for fewer than two values.
    """
    if len(values) < 2:
        return np.nan
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    return values[draws].mean(axis=1).std(ddof=1)


def _table(scores: list, names: list[str]) -> pd.DataFrame:
    """Return the table: one row per input and score, ordered by method."""
    columns = {"method": [], "metric": [], "layer": [], "object": [], "value": []}
    for *key, values in sorted(scores, key=lambda score: names.index(score[0])):
        for column, some in zip(columns.values(), (*key, np.arange(len(values)), values), strict=True):
            column.append(np.broadcast_to(some, len(values)))
    return pd.DataFrame({name: np.concatenate(column) for name, column in columns.items()})


def _explain(name: str, method: Callable, model: keras.Model, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the maps (N, H, W) or (N, L) of a method, summed over channels."""
    maps = np.asarray(method(model, inputs, targets))
    if maps.ndim != inputs.ndim or maps.shape[:-1] != inputs.shape[:-1]:
        shape = ", ".join(str(size) for size in inputs.shape[:-1])
        raise InputError(f"methods: {name} must return maps ({shape}, C), got {maps.shape}")
    return maps.sum(axis=-1, dtype=float)


def _localised(measure: Callable, maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Compare positive relevance with the masks; only which pixels they hold matters, so images become one row."""
    rows = len(maps), 1, -1
    return measure(maps.clip(min=0).reshape(rows), masks.reshape(rows))


def _classes(model: keras.Model) -> int:
    """Return the number of classes that can be explained: two for a single sigmoid."""
    outputs = model.outputs[0].shape[1]
    return outputs + (outputs == 1 and resolve_score(model).head == "sigmoid")


def _methods(methods: Mapping | Iterable[str]) -> dict[str, Callable]:
    if isinstance(methods, str):
        methods = [methods]
    if not isinstance(methods, Mapping):
        methods = {name: {} for name in methods}
    return {name: _method(name, how) for name, how in methods.items()}


def _method(name: str, how: Mapping | Callable) -> Callable:
    if name in CONTROLS:
        raise InputError(f"methods: {name} is the name of a control")
    if callable(how):
        return how
    options = {"method": name} | dict(how)
    method = options.pop("method")
    if method not in METHODS:
        raise InputError(f"methods: must be among {', '.join(METHODS)}, got {method}")
    try:
        inspect.signature(METHODS[method]).bind(None, None, None, **options)
    except TypeError as error:
        raise InputError(f"methods: {name}: {error}") from None
    return partial(METHODS[method], **options)


def _metrics(metrics: Collection[str] | None, masks: np.ndarray | None, classes: int) -> list[str]:
    lacking = {} if masks is not None else dict.fromkeys(LOCALISATION, "masks")
    if classes < 2:
        lacking["random_logit"] = "at least 2 classes"
    if metrics is None:
        return [metric for metric in METRICS if metric not in lacking]
    for metric in metrics:
        if metric not in METRICS:
            raise InputError(f"metrics: must be among {', '.join(METRICS)}, got {metric}")
        if metric in lacking:
            raise InputError(f"metrics: {metric} needs {lacking[metric]}")
    return [metric for metric in METRICS if metric in metrics]


def _masks(masks: np.ndarray | None, inputs: np.ndarray) -> np.ndarray | None:
    if masks is None:
        return None
    masks = np.asarray(masks)
    if masks.shape != inputs.shape[:-1] or masks.dtype != bool:
        raise InputError(f"masks: must be bool of shape {inputs.shape[:-1]}, got {masks.dtype} of {masks.shape}")
    return masks
