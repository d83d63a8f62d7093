"""Measure how far explanations of a network can be trusted: one table of all methods, metrics and controls."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import pandas as pd

from skylight.attribution import METHODS
from skylight.attribution.scoring import resolve_inputs, resolve_targets
from skylight.errors import InputError
from skylight.evaluation.complexity import sparseness
from skylight.evaluation.controls import edges, random_maps
from skylight.evaluation.faithfulness import deletion, faithfulness_correlation, insertion
from skylight.evaluation.localisation import pointing_game, rank_accuracy, relevance_mass, roc_auc
from skylight.evaluation.randomisation import cascade, similarity
from skylight.evaluation.robustness import average_sensitivity

LOCALISATION = {
    "pointing_game": pointing_game,
    "relevance_mass": relevance_mass,
    "rank_accuracy": rank_accuracy,
    "roc_auc": roc_auc,
}
METRICS = (
    "insertion",
    "deletion",
    "faithfulness_correlation",
    *LOCALISATION,
    "sparseness",
    "sensitivity",
    "randomisation",
    "randomisation_absolute",
)
RESAMPLES = 1000


def evaluate(
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
    """Measure how far the maps of several methods can be trusted, with a random map and an edge detector as controls.

    Each map is summed over its channels. Faithfulness uses signed maps. Localisation sets negative relevance (evidence
    against the class) to 0 ("sum,pos" of Arras et al. 2022). Sparseness uses absolute values; the randomisation check
    uses both. Faithfulness is measured on the probability of the class, not on the score before the softmax.
    docs/evaluation.md explains what each metric tells.

    Parameters
    ----------
    model : keras.Model
        Functional model; it is not changed.
    inputs : array
        (N, H, W, C) images.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the class predicted by ``model`` for the
        image, which is also the target for noisy images and shuffled weights.
    methods : names, or dict
        Names of `skylight.attribution.METHODS`; or name -> options of that method; or any name -> a function
        ``(model, inputs, targets) -> maps`` (for example `functools.partial` of a method, to compare two settings).
    masks : array, optional
        (N, H, W) bool, true where the evidence is known to be. Without masks there are no localisation metrics.
    metrics : names, optional
        Some of `METRICS`; all of them by default. ``sensitivity`` computes ten more maps of each input. The two
        randomisation metrics together compute one more map per layer.
    layers : names, optional
        Layers with weights: the randomisation check compares maps when all layers from the output down to one of
        these are shuffled. By default every layer with weights.
    baseline : float or array
        Value of a removed pixel: a constant, one image, or one image per input.
    noise : float
        Half-width of the noise of ``sensitivity``, in units of the range of each image.
    seed : int
        Seed of the controls, random sets, ties, noise, shuffles and bootstrap. Methods have their own seed.
    batch_size : int
        Number of images per batch for the faithfulness metrics. Methods have their own batch size.

    Returns
    -------
    pandas.DataFrame
        Columns ``method``, ``metric``, ``layer`` (the lowest shuffled one; empty except for the randomisation),
        ``value`` (mean over the inputs), ``error`` (its bootstrap standard error over the inputs, NaN for fewer than
        two), ``n`` (number of inputs for which the metric is defined: a map that is 0 everywhere has no sparseness).
        The controls are the methods ``random`` (new noise at every call) and ``edges`` (a Sobel filter of the input).

    Raises
    ------
    InputError
        If a method, option, metric or layer is unknown, a method returns maps of another shape, or the model, inputs,
        targets or masks are invalid.
    """
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets)
    metrics = _metrics(metrics, masks)
    masks = _masks(masks, inputs)
    explainers = {
        name: partial(_explain, name, method)
        for name, method in (_methods(methods) | {"random": random_maps(seed), "edges": edges}).items()
    }
    maps = {name: explain(model, inputs, targets) for name, explain in explainers.items()}
    scores = []  # (method, metric, layer, one value per input)

    changing = {"baseline": baseline, "seed": seed, "batch_size": batch_size}
    for metric, area in (("insertion", insertion), ("deletion", deletion)):
        if metric in metrics:
            scores += [(name, metric, "", area(model, inputs, targets, maps[name], **changing)) for name in maps]
    if "faithfulness_correlation" in metrics:
        together = faithfulness_correlation(model, inputs, targets, np.stack([*maps.values()]), **changing)
        scores += [(name, "faithfulness_correlation", "", one) for name, one in zip(maps, together, strict=True)]
    for metric in metrics:
        if metric in LOCALISATION:
            scores += [(name, metric, "", LOCALISATION[metric](maps[name].clip(min=0), masks)) for name in maps]
    if "sparseness" in metrics:
        scores += [(name, "sparseness", "", sparseness(maps[name])) for name in maps]
    if "sensitivity" in metrics:
        for name, explain in explainers.items():
            change = average_sensitivity(
                lambda moved, explain=explain: explain(model, moved, targets),
                inputs,
                maps[name],
                noise=noise,
                seed=seed,
            )
            scores.append((name, "sensitivity", "", change))
    shuffling = [metric for metric in ("randomisation", "randomisation_absolute") if metric in metrics]
    for layer, shuffled in cascade(model, layers, seed) if shuffling else ():
        for name, explain in explainers.items():
            pair = maps[name], explain(shuffled, inputs, targets)
            for metric in shuffling:
                compared = map(np.abs, pair) if metric == "randomisation_absolute" else pair
                scores.append((name, metric, layer, similarity(*compared)))
    return _table(scores, list(maps), seed)


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


def _table(scores: list, names: list[str], seed: int) -> pd.DataFrame:
    """Return the table: one row per score, ordered by method."""
    rows = []
    for method, metric, layer, values in sorted(scores, key=lambda score: names.index(score[0])):
        there = values[np.isfinite(values)]
        mean = there.mean() if len(there) else np.nan
        rows.append((method, metric, layer, mean, bootstrap_error(there, seed=seed), len(there)))
    return pd.DataFrame(rows, columns=["method", "metric", "layer", "value", "error", "n"])


def _explain(name: str, method: Callable, model: keras.Model, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the maps (N, H, W) of a method, summed over channels."""
    maps = np.asarray(method(model, inputs, targets))
    if maps.ndim != 4 or maps.shape[:3] != inputs.shape[:3]:
        n, height, width = inputs.shape[:3]
        raise InputError(f"methods: {name} must return maps ({n}, {height}, {width}, C), got {maps.shape}")
    return maps.sum(axis=3, dtype=float)


def _methods(methods: Mapping | Iterable[str]) -> dict[str, Callable]:
    if isinstance(methods, str):
        methods = [methods]
    if not isinstance(methods, Mapping):
        methods = {name: {} for name in methods}
    return {name: _method(name, how) for name, how in methods.items()}


def _method(name: str, how: Mapping | Callable) -> Callable:
    if name in ("random", "edges"):
        raise InputError(f"methods: {name} is the name of a control, which is always in the table")
    if callable(how):
        return how
    if name not in METHODS:
        raise InputError(f"methods: must be among {', '.join(METHODS)}, got {name}")
    try:
        inspect.signature(METHODS[name]).bind(None, None, None, **how)
    except TypeError as error:
        raise InputError(f"methods: {name}: {error}") from None
    return partial(METHODS[name], **how)


def _metrics(metrics: Collection[str] | None, masks: np.ndarray | None) -> list[str]:
    if metrics is None:
        return [metric for metric in METRICS if masks is not None or metric not in LOCALISATION]
    for metric in metrics:
        if metric not in METRICS:
            raise InputError(f"metrics: must be among {', '.join(METRICS)}, got {metric}")
        if metric in LOCALISATION and masks is None:
            raise InputError(f"metrics: {metric} needs masks")
    return [metric for metric in METRICS if metric in metrics]


def _masks(masks: np.ndarray | None, inputs: np.ndarray) -> np.ndarray | None:
    if masks is None:
        return None
    masks = np.asarray(masks)
    if masks.shape != inputs.shape[:3] or masks.dtype != bool:
        raise InputError(f"masks: must be bool of shape {inputs.shape[:3]}, got {masks.dtype} of {masks.shape}")
    return masks
