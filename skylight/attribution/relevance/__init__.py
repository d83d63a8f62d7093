"""Layer-wise relevance propagation (LRP) for functional Keras 3 models.

The score of a class is handed back layer by layer, down to the pixels: each layer shares out, by a rule, what its
outputs were given among its inputs (Bach et al. 2015, PLoS ONE 10, e0130140). `rules` has the rules, `composites`
says which goes to which layer, `layers` what each layer is to a rule, `graph` walks the model, and `folding` takes
batch normalisation into the linear layer beside it.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.relevance.canonizers import fold
from skylight.attribution.relevance.composites import (
    FIRST,
    PRESETS,
    RULES,
    WEIGHTED,
    Composite,
    assign,
    check_bounds,
    composite,
)
from skylight.attribution.relevance.graph import Graph, walk
from skylight.attribution.relevance.layers import Activations
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
    cached_per_model,
    images_spec,
    over_batches,
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
    """Share the score of a class out over the pixels, layer by layer.

    The relevance of the target's score (before the last softmax or sigmoid) is the score itself, that of the
    other classes 0. Each layer hands its relevance on by its rule, with the conventions of the LRP Toolbox
    (Lapuschkin et al. 2016, JMLR 17, 114):

    - *sign*: epsilon is added with the sign of z, and sign(0) = +1;
    - *bias*: it is part of z; its share of the relevance stays with it, so that the map adds up to the score less
      what the biases (and epsilon) absorbed. ``flat``, ``ww`` and ``zbox`` give it none;
    - *max pooling*: the winner takes all, and equal winners share equally. Under ``flat`` and ``ww`` all cells of
      the window share equally; a map may give ``MaxPooling2D`` another rule, which then treats it as a sum;
    - *average pooling and sums* (`Add`) share in proportion to their inputs, by the same rule as other layers but
      for ``alphabeta``: there, and where no rule is given, by ``epsilon``. (The Toolbox applies ``alphabeta`` to
      average pooling too, which multiplies the relevance by alpha after every ReLU.)
    - *activations* pass relevance through;
    - *batch normalisation* is folded into the dense layer or convolution before it, or else after it; elsewhere it
      is an affine map that shares like a sum, its offset being a bias. *SeparableConv2D* is two convolutions;
    - zeros that *padding* put in get nothing.

    Parameters
    ----------
    model : keras.Model
        Functional model (or a Sequential with an input shape) with one input and one output (N, K). Nested models
        are opened up. Changed weights are honoured at the next call.
    inputs : array
        (N, H, W, C), or any other shape (N, ...) that the model takes.
    targets : int, array of int (N,), or None
        The class to explain; ``None`` is the one with the highest score.
    rule : str, rule, or mapping
        One rule for all layers, by name or, where it has options, as an object: ``"simple"`` (`Simple`),
        ``"epsilon"`` (`Epsilon`, 1e-6), ``"gamma"`` (`Gamma`, 0.25), ``"flat"`` (`Flat`), ``"ww"`` (`WSquare`),
        ``"alphabeta"`` (`AlphaBeta`, 2 and 1), ``"zbox"`` (`ZBox`, 0 to 1: for the first layer, the others have
        ``epsilon``).
        Or a preset: ``"epsilon_plus"`` (dense layers by epsilon, convolutions by alpha 1, beta 0; "LRP-CMP" of
        Kohlbrenner et al. 2020, arXiv:1910.09840), ``"epsilon_alpha2_beta1"`` (the same with alpha 2, beta 1);
        with ``"_flat"`` at the end, the first layer has ``flat``.
        Or a map from keys to rules, the first key that matches counting, and ``epsilon`` where none does. A key is
        the name of a layer (``model/layer`` in a nested model), the name of its type, a type, `FIRST` (the layers
        that see the image) or `WEIGHTED` (dense layers and convolutions). It may also be a pattern of layer names
        (``"block1_*"``); that gives ``alphabeta`` to weighted layers only, ``zbox`` to the first, and other rules
        than ``flat`` and ``ww`` to all but max pooling.
    batch_size : int
        Images through the network at once.

    Returns
    -------
    array
        (N, H, W, C) float32, of the shape of ``inputs``.

    Raises
    ------
    InputError
        If the model is not functional or has a layer that is not supported (the message lists those that are), or
        inputs, targets, rule or batch size do not fit.
    """
    inputs, targets, rules = _resolved(model, inputs, targets, rule, batch_size)
    return over_batches(cached_per_model(model, _relevance_of_inputs, rules), inputs, targets, batch_size=batch_size)


def lrp_layerwise(
    model: keras.Model,
    inputs: np.ndarray,
    targets: int | np.ndarray | None = None,
    *,
    rule: str | Rule | Mapping = "epsilon",
    batch_size: int = BATCH_SIZE,
) -> dict[str, np.ndarray]:
    """Give the relevance of every layer's output; parameters and errors are those of `lrp`.

    Returns
    -------
    dict of str to array
        Layer name -> relevance of its output, float32, of the shape of that output; the input layer's is the map
        that `lrp` gives. Layers of a nested model are named ``model/layer``, later calls of one layer ``layer:1``,
        ``layer:2``, ... Between `skylight.networks.rotation` layers, rows 4 i to 4 i + 3 belong to input i.
    """
    inputs, targets, rules = _resolved(model, inputs, targets, rule, batch_size)
    run = cached_per_model(model, _relevance_of_layers, rules)
    pieces = [run(inputs[batch], targets[batch]) for batch in batches(len(inputs), batch_size, "explaining")]
    pieces = pieces or [run(inputs, targets)]
    return {name: np.concatenate([piece[name].numpy() for piece in pieces]) for name in pieces[0]}


def _resolved(model, inputs, targets, rule, batch_size) -> tuple[np.ndarray, np.ndarray, Composite]:
    """Check the arguments and give inputs (N, ...), targets (N,) and the composite of the rules."""
    rules = composite(rule)
    inputs = resolve_inputs(model, inputs)
    check_bounds(*cached_per_model(model, _plan, rules), inputs)
    return inputs, resolve_targets(model, inputs, targets, batch_size), rules


def _plan(model: keras.Model, rules: Composite) -> tuple[Graph, list[Rule]]:
    """Give the graph of the score, and the rule of each of its steps."""
    graph = fold(walk(score_model(model)))
    return graph, assign(rules, graph)


def _relevance_of_inputs(model: keras.Model, rules: Composite) -> Callable:
    """Compile images (B, ...), targets (B,) -> relevances (B, ...)."""
    propagate = propagation(*cached_per_model(model, _plan, rules), _dtype(model))

    @tf.function(input_signature=_signature(model), autograph=False)
    def run(images, targets):
        image, *_ = propagate(images, targets).values()
        return image

    return run


def _relevance_of_layers(model: keras.Model, rules: Composite) -> Callable:
    """Compile images (B, ...), targets (B,) -> {layer name: relevances (B, ...)}."""
    propagate = propagation(*cached_per_model(model, _plan, rules), _dtype(model))
    return tf.function(propagate, input_signature=_signature(model), autograph=False)


def _signature(model: keras.Model) -> list[tf.TensorSpec]:
    return [images_spec(model), tf.TensorSpec([None], tf.int32)]


def _dtype(model: keras.Model) -> tf.DType:
    """Give the type of a model's weights, which LRP computes in."""
    return tf.as_dtype(model.variables[0].dtype if model.variables else "float32")


def propagation(graph: Graph, rules: list[Rule], dtype: tf.DType) -> Callable:
    """Give the whole way, up to the score and back down, as a function.

    Parameters
    ----------
    graph : Graph
        The network, up to the score.
    rules : list of Rule
        The rule of each of its steps.
    dtype : tf.DType
        The type to compute in.

    Returns
    -------
    callable
        Tensors images (B, ...), targets (B,) -> dict of layer name -> relevances (B, ...) float32, the input
        layer first.
    """

    def propagate(images: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        cells, ways_back = {0: Activations(tf.cast(images, dtype))}, []
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
