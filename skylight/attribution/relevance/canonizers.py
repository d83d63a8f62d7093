"""Canonizers (zennit's term): rewrite a network before LRP is applied, without a change of what it computes.

Normalisations are folded into a neighbouring linear layer (`fold`); the two kernels of a separable convolution are
merged (`merge`).

Batch normalisation multiplies every channel by a scale and adds an offset (Ioffe & Szegedy 2015). If it follows a dense
layer or a convolution, w x + b becomes (scale w) x + (scale b + offset). If it precedes one, w x + b becomes
(w scale) x + (b + w offset). LRP then sees one affine map instead of two, and the map of relevance does not depend on
whether the network has separate normalisation layers or none. ``Rescaling`` and ``Normalization`` of
the input are folded in the same way: at mid-grey an affine map x / 127.5 - 1 is near 0, and the shares of x and of the
offset, over their sum, explode.
"""

import collections
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from skylight.attribution.relevance.graph import Graph, Step
from skylight.attribution.relevance.parts import IDENTITY, Linear, Rearrange
from skylight.attribution.relevance.rules import Epsilon, Rule, Simple


def fold(graph: Graph) -> Graph:
    """Fold every normalisation and rescaling into the weighted layer before it, or else into the one after it.

    Between the two there may be identities, padding and flattening, but no activation, and no other layer may read the
    values between them. A folded normalisation stays in the graph as an identity. One without such a neighbour stays an
    affine map of its own. The model and its variables are not changed.
    """
    steps = list(graph.steps)
    makers = {step.output: index for index, step in enumerate(steps)}
    readers = collections.defaultdict(list)
    for index, step in enumerate(steps):
        for value in step.inputs:
            readers[value].append(index)

    def target(index: int) -> tuple[int | None, list[Rearrange]]:
        """Return the weighted step that reads the output of a step, and the rearrangements on the way to it."""
        way = []
        while True:
            reading = readers[steps[index].output]
            if len(reading) != 1 or steps[index].output == graph.output or len(steps[reading[0]].inputs) != 1:
                return None, way
            index = reading[0]
            if _accepts_scale_before(steps[index]):
                return index, way
            if steps[index].part is not IDENTITY and not isinstance(steps[index].layer, _PASSED):
                return None, way
            way.append(steps[index].part)

    folding = [index for index, step in enumerate(steps) if _is_normalization(step)]
    for index in folding:
        step = steps[index]
        before = makers.get(step.inputs[0])
        if before is not None and _accepts_scale_after(steps[before]) and len(readers[step.inputs[0]]) == 1:
            steps[before] = replace(steps[before], part=_folded_before(steps[before].part, step.part))
            steps[index] = replace(step, part=IDENTITY)
    for index in reversed(folding):  # of two in a row the second one is folded first
        step = steps[index]
        after, way = (None, []) if step.part is IDENTITY or None in step.shape[1:] else target(index)
        if after is not None:
            steps[after] = replace(steps[after], part=_folded_after(steps[after], step, way))
            steps[index] = replace(step, part=IDENTITY)
    return replace(graph, steps=steps)


_PASSED = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D, layers.Flatten)


def _is_normalization(step: Step) -> bool:
    if not isinstance(step.part, Linear):
        return False
    if isinstance(step.layer, layers.BatchNormalization):
        return step.layer.axis in (-1, len(step.shape) - 1)
    if isinstance(step.layer, layers.Normalization):
        return np.size(step.layer.mean) in (1, step.shape[-1])
    return isinstance(step.layer, layers.Rescaling)


def _accepts_scale_after(step: Step) -> bool:
    return step.weighted and step.part.output_axes > 0


def _accepts_scale_before(step: Step) -> bool:
    return _accepts_scale_after(step) and not step.part.grouped and None not in step.shape[1:]


def _folded_before(linear: Linear, normalization: Linear) -> Linear:
    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = linear.weights(dtype)
        scale, offset = (tf.reshape(value, [-1]) for value in normalization.weights(dtype))
        return kernel * _by_output(scale, kernel, linear), bias * scale + offset

    return replace(linear, weights=weights)


def _by_output(scale: tf.Tensor, kernel: tf.Tensor, linear: Linear) -> tf.Tensor:
    """Return a scale, one for all output channels or one for each, in the shape of the last axes of a kernel."""
    return scale if scale.shape[0] == 1 else tf.reshape(scale, kernel.shape[-linear.output_axes :])


def _folded_after(step: Step, normalization: Step, way: list[Rearrange]) -> Linear:
    linear = step.part

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = linear.weights(dtype)
        scale, offset = (tf.reshape(value, [-1]) for value in normalization.part.weights(dtype))
        everywhere = tf.broadcast_to(offset, (1, *normalization.shape[1:]))
        for part in way:
            everywhere = part.function(everywhere)  # padding receives none of it
        everywhere = tf.reshape(everywhere, (1, *step.shape[1:]))
        if len(step.shape) == 2:  # a dense layer, which may see a flattened image
            scale = tf.broadcast_to(scale, (1, *normalization.shape[1:]))
            for part in way:
                scale = part.function(scale)
            scale = tf.reshape(scale, [-1])
        return kernel * scale[:, None], bias + linear.transform(everywhere, kernel)

    return replace(linear, weights=weights)


def merge(graph: Graph, rules: list[Rule]) -> tuple[Graph, list[Rule]]:
    """Merge the depthwise and the pointwise kernel of each separable convolution, which have nothing between them.

    A rule that treats weights by their signs or sizes, applied to one kernel and then to the other, loses relevance:
    the outputs of the depthwise one have either sign. The merged kernel is k_hwio = sum_m d_hwim p_(im)o. `Epsilon` and
    `Simple` distribute the same relevance through two kernels as through the merged one, so they keep the two.
    """
    steps, kept = [], []
    for step, rule in zip(graph.steps, rules, strict=True):
        first = steps[-1] if steps else None
        if (
            first is not None
            and isinstance(step.layer, layers.SeparableConv1D | layers.SeparableConv2D)
            and (first.name, first.output) == (step.name, *step.inputs)
            and step.weighted
            and not isinstance(kept[-1], Epsilon | Simple)
        ):
            steps[-1] = replace(step, part=_merged(step.layer, first.part, step.part), inputs=first.inputs)
        else:
            steps.append(step)
            kept.append(rule)
    return replace(graph, steps=steps), kept


def _merged(layer: layers.Layer, depthwise: Linear, pointwise: Linear) -> Linear:
    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        each, offset = depthwise.weights(dtype)
        mixing, bias = pointwise.weights(dtype)
        mixing = tf.reshape(mixing, (*each.shape[-2:], mixing.shape[-1]))
        return tf.einsum("...im,imo->...io", each, mixing), bias + tf.zeros_like(offset)

    def transform(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.conv(x, kernel, layer.strides, layer.padding, "channels_last", layer.dilation_rate)

    return Linear(transform, weights, weighted=True)
