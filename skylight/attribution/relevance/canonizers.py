"""Canonizers (zennit's term): fold batch normalisation into a neighbouring linear layer before LRP is applied.

Batch normalisation multiplies every channel by a scale and adds an offset (Ioffe & Szegedy 2015). If it follows a dense
layer or a convolution, w x + b becomes (scale w) x + (scale b + offset). If it precedes one, w x + b becomes
(w scale) x + (b + w offset). LRP then sees one affine map instead of two, and the map of relevance does not depend on
whether the network has separate normalisation layers or none.
"""

import collections
from dataclasses import replace

import tensorflow as tf
from keras import layers

from skylight.attribution.relevance.graph import Graph, Step
from skylight.attribution.relevance.parts import IDENTITY, Linear


def fold(graph: Graph) -> Graph:
    """Fold every batch normalisation into the weighted layer before it, or else into the one after it.

    The two must be direct neighbours without an activation in between, and no other layer may read the value between
    them. A folded normalisation stays in the graph as an identity. One without such a neighbour stays an affine map of
    its own. The model and its variables are not changed.
    """
    steps = list(graph.steps)
    makers = {step.output: index for index, step in enumerate(steps)}
    readers = collections.defaultdict(list)
    for index, step in enumerate(steps):
        for value in step.inputs:
            readers[value].append(index)

    for index, step in enumerate(steps):
        last_axis = len(step.shape) - 1
        if not isinstance(step.layer, layers.BatchNormalization) or step.layer.axis not in (-1, last_axis):
            continue
        before = makers.get(step.inputs[0])
        after = readers[step.output][0] if len(readers[step.output]) == 1 else None
        if before is not None and _accepts_scale_after(steps[before]) and len(readers[step.inputs[0]]) == 1:
            steps[before] = replace(steps[before], part=_folded_before(steps[before].part, step.part))
        elif after is not None and _accepts_scale_before(steps[after]):
            steps[after] = replace(steps[after], part=_folded_after(steps[after], step.part))
        else:
            continue
        steps[index] = replace(step, part=IDENTITY)
    return replace(graph, steps=steps)


def _accepts_scale_after(step: Step) -> bool:
    return step.weighted and step.part.output_axes > 0


def _accepts_scale_before(step: Step) -> bool:
    return _accepts_scale_after(step) and not step.part.grouped and None not in step.shape[1:]


def _folded_before(linear: Linear, normalization: Linear) -> Linear:
    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = linear.weights(dtype)
        scale, offset = (tf.reshape(value, [-1]) for value in normalization.weights(dtype))
        return kernel * tf.reshape(scale, kernel.shape[-linear.output_axes :]), bias * scale + offset

    return replace(linear, weights=weights)


def _folded_after(step: Step, normalization: Linear) -> Linear:
    linear = step.part

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = linear.weights(dtype)
        scale, offset = (tf.reshape(value, [-1]) for value in normalization.weights(dtype))
        everywhere = tf.broadcast_to(offset, (1, *step.shape[1:]))  # cells beside the padding receive less of it
        return kernel * scale[:, None], bias + linear.transform(everywhere, kernel)

    return replace(linear, weights=weights)
