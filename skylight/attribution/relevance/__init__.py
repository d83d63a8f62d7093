"""Layer-wise relevance propagation (LRP) for functional Keras 3 models.

The score of a class is handed back layer by layer to the pixels, each layer sharing out what its outputs got among
its inputs by a rule (Bach et al. 2015, PLoS ONE 10, e0130140). `rules` has the rules, `composites` says which goes to
which layer, `layers` what each layer is to a rule, `graph` walks the model and `folding` takes batch normalisation
into the linear layer beside it.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.relevance.composites import FIRST, PRESETS, RULES, WEIGHTED, Composite, assign, composite
from skylight.attribution.relevance.folding import fold
from skylight.attribution.relevance.graph import walk
from skylight.attribution.relevance.layers import Cells
from skylight.attribution.relevance.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Rule,
    Simple,
    WinnerTakesAll,
    WSquare,
    ZBox,
)
from skylight.attribution.scoring import (
    BATCH_SIZE,
    batches,
    images_spec,
    over_batches,
    per_model,
    resolve_inputs,
    resolve_targets,
    score_model,
)

__all__ = [
    "FIRST",
    "PRESETS",
    "RULES",
    "WEIGHTED",
    "AlphaBeta",
    "Epsilon",
    "Flat",
    "Gamma",
    "Simple",
    "WSquare",
    "WinnerTakesAll",
    "ZBox",
    "lrp",
    "lrp_layerwise",
]


def lrp(
    model: keras.Model,
    inputs: np.ndarray,
    targets: int | np.ndarray | None = None,
    *,
    rule: str | Rule | Mapping = "epsilon",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets, batch_size)
    run = per_model(model, _relevance_of_inputs, composite(rule))
    return over_batches(run, inputs, targets, batch_size=batch_size)


def lrp_layerwise(
    model: keras.Model,
    inputs: np.ndarray,
    targets: int | np.ndarray | None = None,
    *,
    rule: str | Rule | Mapping = "epsilon",
    batch_size: int = BATCH_SIZE,
) -> dict[str, np.ndarray]:
    inputs = resolve_inputs(model, inputs)
    targets = resolve_targets(model, inputs, targets, batch_size)
    run = per_model(model, _relevance_of_layers, composite(rule))
    pieces = [run(inputs[batch], targets[batch]) for batch in batches(len(inputs), batch_size, "explaining")]
    pieces = pieces or [run(inputs, targets)]
    return {name: np.concatenate([piece[name].numpy() for piece in pieces]) for name in pieces[0]}


def _relevance_of_inputs(model: keras.Model, rules: Composite) -> Callable:
    """Compile images (B, ...), targets (B,) -> relevances (B, ...)."""
    name = score_model(model).inputs[0]._keras_history.operation.name
    propagate = _propagation(model, rules)

    @tf.function(input_signature=_signature(model), autograph=False)
    def run(images, targets):
        return propagate(images, targets)[name]

    return run


def _relevance_of_layers(model: keras.Model, rules: Composite) -> Callable:
    """Compile images (B, ...), targets (B,) -> {layer name: relevances (B, ...)}."""
    return tf.function(_propagation(model, rules), input_signature=_signature(model), autograph=False)


def _signature(model: keras.Model) -> list[tf.TensorSpec]:
    return [images_spec(model), tf.TensorSpec([None], tf.int32)]


def _propagation(model: keras.Model, composite: Composite) -> Callable:
    """Give the whole way, up to the score and back down, as a function to be compiled."""
    scores = score_model(model)
    graph = fold(walk(scores))
    rules = assign(composite, graph)
    dtype = tf.as_dtype(scores.variables[0].dtype if scores.variables else "float32")

    def propagate(images: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        cells, ways_back = {0: Cells(tf.cast(images, dtype))}, []
        for step in graph.steps:
            cells[step.output], back = step.part(*(cells[value] for value in step.inputs))
            ways_back.append(back)

        score = cells[graph.output].values
        relevances = {graph.output: tf.one_hot(targets, score.shape[-1], dtype=dtype) * score}
        for step, rule, back in reversed(list(zip(graph.steps, rules, ways_back, strict=True))):
            for value, share in zip(step.inputs, back(rule, relevances[step.output]), strict=True):
                relevances[value] = relevances[value] + share if value in relevances else share
        return {name: tf.cast(relevances[value], tf.float32) for name, value in graph.values.items()}

    return propagate
