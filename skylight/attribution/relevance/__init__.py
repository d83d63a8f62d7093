"""Layer-wise relevance propagation (LRP) for functional Keras 3 models.

The score of a class is propagated back, layer by layer, to the pixels: a rule distributes the relevance of the outputs
of a layer over its inputs (Bach et al. 2015, PLoS ONE 10, e0130140). The rules are in `rules`. `composites` assigns a
rule to each layer; `layers`, `operations` and `attention` describe Keras layers by `parts`; `graph` lists the steps of
a model; `canonizers` folds batch normalisation into a neighbouring linear layer. `register` is for a user's own layers.
"""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from skylight.attribution.relevance.canonizers import fold, merge
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
from skylight.attribution.relevance.graph import Graph, forward, sized, walk
from skylight.attribution.relevance.layers import register
from skylight.attribution.relevance.parts import (
    Contraction,
    Elementwise,
    Linear,
    Linearised,
    MaxPool,
    Product,
    Rearrange,
    Softmax,
    Sum,
)
from skylight.attribution.relevance.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Rule,
    SignalTakesAll,
    Simple,
    Uniform,
    WinnerTakesAll,
    WSquare,
    ZBox,
)
from skylight.attribution.scoring import (
    BATCH_SIZE,
    CLASSES,
    Score,
    batches,
    cached_per_model,
    images_spec,
    over_batches,
    resolve,
    score_model,
)
from skylight.attribution.several_inputs import jointly, takes_several_inputs

__all__ = [
    "FIRST",
    "PRESETS",
    "RULES",
    "WEIGHTED",
    "AlphaBeta",
    "Contraction",
    "Elementwise",
    "Epsilon",
    "Flat",
    "Gamma",
    "Linear",
    "Linearised",
    "MaxPool",
    "Product",
    "Rearrange",
    "SignalTakesAll",
    "Simple",
    "Softmax",
    "Sum",
    "Uniform",
    "WSquare",
    "WinnerTakesAll",
    "ZBox",
    "lrp",
    "lrp_layerwise",
    "register",
]


@takes_several_inputs(jointly)
def lrp(
    model: keras.Model,
    inputs: np.ndarray,
    targets: int | np.ndarray | None = None,
    *,
    rule: str | Rule | Mapping = "epsilon",
    merge_separable: bool = True,
    score: str | None = None,
    against: int | np.ndarray | None = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Distribute the score of a class over the pixels, layer by layer.

    Relevance begins at the logits z, the inputs of the last softmax or sigmoid. A logit receives z_j dS / dz_j, where S
    is the score that is explained. For ``"logit"`` this is all relevance at the target, the published LRP. For
    ``against=k`` it is z_c for the target and -z_k for the other class. For ``"log_odds"`` the other classes receive
    -q_j z_j, where q is the softmax over them (contrastive LRP). For ``"log_odds"`` and ``"probability"`` the relevance
    of the logits does not sum to the score; the difference is S - sum_j z_j dS / dz_j.

    Each layer propagates relevance by its rule, with the conventions of the LRP Toolbox (Lapuschkin et al. 2016, JMLR
    17, 114):

    - *sign*: epsilon is added with the sign of z, and sign(0) = +1;
    - *bias*: it is part of z and keeps its share of the relevance. The map therefore sums to the score minus what the
      biases (and epsilon) absorbed. With ``flat``, ``ww`` and ``zbox`` the bias has no share;
    - *max pooling*: the maximum of a window receives all relevance; several equal maxima receive equal shares. With
      ``flat`` and ``ww`` all cells of a window receive equal shares. A map of rules may give ``MaxPooling2D`` another
      rule, which then treats the window as a sum;
    - *average pooling and sums* (`Add`) have the same rule as other layers, with one exception: instead of
      ``alphabeta``, and if no rule is given, they have ``epsilon``. (The Toolbox applies ``alphabeta`` to average
      pooling too, which multiplies the relevance by alpha after every ReLU.) Epsilon is added to the mean; the
      Toolbox and zennit add it to the sum of the window. ``gamma`` acts on them too; zennit passes layers without
      weights over;
    - *biases* are in the denominator of their own sign only in ``alphabeta``, as in the Toolbox and zennit
      (iNNvestigate has them in both)
    - *activations* do not change relevance;
    - *batch normalisation*, `Normalization` and `Rescaling` are folded into the dense layer or convolution before
      them, or else into the one after them. Elsewhere they are affine maps, whose offset is a bias;
    - *separable convolutions* have one merged kernel (``merge_separable``);
    - *layer, group and RMS normalisation* are affine maps, whose deviation is a constant (AttnLRP, Achtibat et al.
      2024, arXiv:2402.05602). As all maps whose single weights are not known, they have ``epsilon`` or ``simple``;
    - *products*: with ``signal``, the default, gates take no relevance. A gate is a factor that is smaller than the
      product, or else one that comes from a sigmoid, a softmax or a clipped ReLU. With ``uniform`` all factors take
      equal shares;
    - *attention* and other matrix products: with ``uniform``, the default, both sides take half (AttnLRP). With
      ``signal`` the weights of attention are constants. A *softmax* inside the network has AttnLRP's rule;
    - zeros added by *padding* receive no relevance.

    Parameters
    ----------
    model : keras.Model
        Functional model (or a Sequential one with an input shape) with one input and one output (N, K). Layers of
        nested models are treated one by one. If weights change, the next call uses the new ones.
    inputs : array
        (N, H, W, C), or any other shape (N, ...) that the model takes.
    targets : int, array of int (N,), or None
        Class to explain: one for all images or one per image; ``None`` is the class with the highest score.
    rule : str, rule, or mapping
        One rule for all layers, by name or, to set its options, as an object: ``"simple"`` (`Simple`),
        ``"epsilon"`` (`Epsilon`, 1e-6), ``"gamma"`` (`Gamma`, 0.25), ``"flat"`` (`Flat`), ``"ww"`` (`WSquare`),
        ``"alphabeta"`` (`AlphaBeta`, 2 and 1), ``"zbox"`` (`ZBox`, 0 to 1, for the first layer; all other layers
        have ``epsilon``), ``"signal"`` (`SignalTakesAll`), ``"uniform"`` (`Uniform`).
        Or a preset: ``"epsilon_plus"`` (epsilon for dense layers, alpha 1 and beta 0 for convolutions; "LRP-CMP" of
        Kohlbrenner et al. 2020, arXiv:1910.09840), ``"epsilon_alpha2_beta1"`` (with alpha 2 and beta 1 instead). If
        the name ends in ``"_flat"``, the first layer has ``flat``.
        Or a map from keys to rules. The first key that matches a layer decides; ``epsilon`` is the rule if none does.
        A key is the name of a layer (``model/layer`` in a nested model), the name of its type, a type, `FIRST` (the
        layers that see the image) or `WEIGHTED` (dense layers and convolutions). It may also be a pattern of layer
        names (``"block1_*"``). A pattern assigns ``alphabeta`` only to weighted layers, ``zbox`` only to the first
        layers, and rules other than ``flat`` and ``ww`` to all layers except max pooling.
    merge_separable : bool
        Whether the two kernels of a separable convolution are merged (`canonizers.merge`). Without it the rule is
        applied to one and then to the other, as by zennit, and presets lose part of the relevance.
    score : str or None
        Quantity to explain, see `skylight.attribution.scoring.Score`: ``"logit"``, ``"log_odds"`` or ``"probability"``;
        ``None`` is the logit, as published.
    against : int, array of int (N,), or None
        Class to compare with: explain the logit of the target minus the logit of this class.
    batch_size : int
        Number of images per batch.

    Returns
    -------
    array
        (N, H, W, C) float32, of the shape of ``inputs``.

    Raises
    ------
    InputError
        If the model is not functional or has an unsupported layer (`register` gives it a rule), or if
        inputs, targets, rule or batch size are invalid.
    """
    inputs, classes, *how = _resolved(model, inputs, targets, rule, merge_separable, score, against, batch_size)
    return over_batches(cached_per_model(model, _relevance_of_inputs, *how), inputs, classes, batch_size=batch_size)


@takes_several_inputs(jointly)
def lrp_layerwise(
    model: keras.Model,
    inputs: np.ndarray,
    targets: int | np.ndarray | None = None,
    *,
    rule: str | Rule | Mapping = "epsilon",
    merge_separable: bool = True,
    score: str | None = None,
    against: int | np.ndarray | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, np.ndarray]:
    """Return the relevance of the output of every layer; parameters and errors are those of `lrp`.

    Returns
    -------
    dict of str to array
        Layer name -> relevance of its output, float32, of the shape of that output. That of the input layer is the
        map that `lrp` returns. Layers of a nested model are named ``model/layer``, later calls of a layer ``layer:1``,
        ``layer:2``, ... Between `skylight.networks.rotation` layers, rows 4 i to 4 i + 3 belong to input i.
    """
    inputs, classes, *how = _resolved(model, inputs, targets, rule, merge_separable, score, against, batch_size)
    run = cached_per_model(model, _relevance_of_layers, *how)
    pieces = [run(inputs[batch], classes[batch]) for batch in batches(len(inputs), batch_size, "explaining")]
    pieces = pieces or [run(inputs, classes)]
    return {name: np.concatenate([piece[name].numpy() for piece in pieces]) for name in pieces[0]}


def _resolved(
    model, inputs, targets, rule, merge_separable, score, against, batch_size
) -> tuple[np.ndarray, np.ndarray, Composite, bool, tuple[int, ...], Score]:
    """Check the arguments; return inputs (N, ...), classes (N, 2), the composite, the shape of an image, the score."""
    rules = composite(rule)
    inputs, classes, kind = resolve(model, inputs, targets, score, against, batch_size, "logit")
    shape = inputs.shape[1:]
    check_bounds(*cached_per_model(model, _plan, rules, merge_separable, shape), inputs)
    return inputs, classes, rules, merge_separable, shape, kind


def _plan(
    model: keras.Model, rules: Composite, merge_separable: bool, shape: tuple[int, ...]
) -> tuple[Graph, list[Rule]]:
    """Return the graph of the score model for images of one shape, and the rule of each of its steps."""
    graph = walk(score_model(model))
    if None in images_spec(model).shape[1:]:
        graph = sized(graph, shape, _dtype(model))
    graph = fold(graph)
    assigned = assign(rules, graph)
    return merge(graph, assigned) if merge_separable else (graph, assigned)


def _relevance_of_inputs(
    model: keras.Model, rules: Composite, merge_separable: bool, shape: tuple[int, ...], score: Score
) -> Callable:
    """Compile images (B, ...), classes (B, 2) -> relevances (B, ...)."""
    propagate = propagation(*cached_per_model(model, _plan, rules, merge_separable, shape), score, _dtype(model))

    @tf.function(input_signature=_signature(shape), autograph=False)
    def run(images, classes):
        image, *_ = propagate(images, classes).values()
        return image

    return run


def _relevance_of_layers(
    model: keras.Model, rules: Composite, merge_separable: bool, shape: tuple[int, ...], score: Score
) -> Callable:
    """Compile images (B, ...), classes (B, 2) -> {layer name: relevances (B, ...)}."""
    propagate = propagation(*cached_per_model(model, _plan, rules, merge_separable, shape), score, _dtype(model))
    return tf.function(propagate, input_signature=_signature(shape), autograph=False)


def _signature(shape: tuple[int, ...]) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([None, *shape], tf.float32), CLASSES]


def _dtype(model: keras.Model) -> tf.DType:
    """Return the dtype of the model's weights, which LRP computes in."""
    floats = [each.dtype for each in model.variables if keras.backend.is_float_dtype(each.dtype)]  # seeds are integers
    return tf.as_dtype(floats[0] if floats else "float32")


def propagation(graph: Graph, rules: list[Rule], score: Score, dtype: tf.DType) -> Callable:
    """Return a function that computes the logits and propagates relevance back to the image.

    Parameters
    ----------
    graph : Graph
        The network, up to the logits.
    rules : list of Rule
        The rule of each of its steps.
    score : Score
        The quantity that is explained.
    dtype : tf.DType
        The dtype to compute in.

    Returns
    -------
    callable
        Tensors images (B, ...), classes (B, 2) -> dict of layer name -> relevances (B, ...) float32, the input
        layer first.
    """

    def propagate(images: tf.Tensor, classes: tf.Tensor) -> dict[str, tf.Tensor]:
        activations, ways_back = forward(graph, tf.cast(images, dtype))
        logits = activations[graph.output].values
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(logits)
            explained = score(logits, classes)
        relevances = {graph.output: tape.gradient(explained, logits) * logits}
        for step, rule, back in reversed(list(zip(graph.steps, rules, ways_back, strict=True))):
            if step.output not in relevances:  # a gate
                continue
            for value, share in zip(step.inputs, back(rule, relevances[step.output]), strict=True):
                if share is not None:
                    relevances[value] = relevances[value] + share if value in relevances else share
        return {
            name: tf.cast(relevances.get(value, tf.zeros_like(activations[value].values)), tf.float32)
            for name, value in graph.values.items()
        }

    return propagate
