"""Batch normalisation folded into the linear layer beside it, so that LRP sees one affine map instead of two.

A normalisation multiplies every channel by a scale and adds an offset (Ioffe & Szegedy 2015). After a dense layer
or a convolution, w x + b becomes (scale w) x + (scale b + offset); before one, w x + b becomes
(w scale) x + (b + w offset). What relevance makes of the network no longer depends on how the two were written.
"""

import collections
from dataclasses import replace

import tensorflow as tf
from keras import layers

from skylight.attribution.relevance.graph import Graph, Step
from skylight.attribution.relevance.layers import IDENTITY, Linear


def fold(graph: Graph) -> Graph:
    """Fold every batch normalisation into the weighted layer before it, or else into the one after it.

    Only into a direct neighbour without an activation in between, and only where nothing else reads the value
    between the two. The folded normalisation stays in the graph as an identity; one without such a neighbour
    stays an affine map of its own. The model and its variables are not touched.
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
        if before is not None and steps[before].weighted and len(readers[step.inputs[0]]) == 1:
            steps[before] = replace(steps[before], part=_followed(steps[before].part, step.part))
        elif after is not None and _takes_before(steps[after]):
            steps[after] = replace(steps[after], part=_preceded(steps[after], step.part))
        else:
            continue
        steps[index] = replace(step, part=IDENTITY)
    return replace(graph, steps=steps)


def _takes_before(step: Step) -> bool:
    return step.weighted and not step.part.grouped and None not in step.shape[1:]


def _followed(linear: Linear, normalization: Linear) -> Linear:
    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = linear.weights(dtype)
        scale, offset = (tf.reshape(value, [-1]) for value in normalization.weights(dtype))
        return kernel * tf.reshape(scale, kernel.shape[-linear.output_axes :]), bias * scale + offset

    return replace(linear, weights=weights)


def _preceded(step: Step, normalization: Linear) -> Linear:
    linear = step.part

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = linear.weights(dtype)
        scale, offset = (tf.reshape(value, [-1]) for value in normalization.weights(dtype))
        everywhere = tf.broadcast_to(offset, (1, *step.shape[1:]))  # less of it reaches a cell beside the padding
        return kernel * scale[:, None], bias + linear.transform(everywhere, kernel)

    return replace(linear, weights=weights)
