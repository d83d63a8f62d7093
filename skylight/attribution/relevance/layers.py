"""Keras layers in the terms of LRP: each layer as one or several `parts`.

`program` returns them for one call of a layer or operation. It looks, in this order, at the rules that users have
registered, at operations with a constant, at the table of layers below, and at `operations`.
"""

import functools
import math
import weakref
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from skylight.attribution.relevance.attention import Wiring, projection
from skylight.attribution.relevance.operations import OPERATIONS, function_of
from skylight.attribution.relevance.parts import (
    IDENTITY,
    Elementwise,
    Linear,
    Linearised,
    MaxPool,
    Part,
    Rearrange,
    Softmax,
    Sum,
    unit,
    variables,
)
from skylight.attribution.several_inputs import Unpack
from skylight.errors import InputError
from skylight.networks import rotation
from skylight.networks.normalization import FusedBatchNormalization

KINDS: dict[str, Callable[[Callable], Part]] = {
    "linear": Linearised,
    "average": lambda function: Linear(lambda x, kernel: kernel * function(x), unit, averages=True),
    "elementwise": Elementwise,
    "rearrangement": Rearrange,
    "padding": functools.partial(Rearrange, pads=True),
    "identity": lambda function: IDENTITY,
    "sum": lambda function: Sum(),
}
_own: weakref.WeakKeyDictionary[layers.Layer, Any] = weakref.WeakKeyDictionary()


def register(layer: type | layers.Layer, rule: str | Callable[[Any], Part | list[Part]]) -> None:
    """Tell LRP how to propagate relevance through a layer class of your own, or through one layer.

    Parameters
    ----------
    layer : type or keras Layer
        A layer class, or one layer of a model (a `Lambda`, for example).
    rule : str or callable
        What the layer computes at inference: ``"linear"`` (an affine map of one input; relevance is distributed by the
        epsilon rule), ``"average"`` (a mean or a sum of
        some cells: all weights are equal; any rule), ``"elementwise"``
        (each output cell depends on the same input cell only: relevance is unchanged), ``"identity"`` (the output is
        the input), ``"rearrangement"`` (each output cell is an input cell), ``"padding"`` (the same, or 0), or
        ``"sum"`` (of all inputs). Or a function of the layer that returns one part or several in a row, of the kinds in
        `skylight.attribution.relevance.parts`.

    Raises
    ------
    InputError
        If ``rule`` is an unknown name.

    Examples
    --------
    A layer that multiplies each channel by a trained number, with its weights, so that every rule applies:

    >>> def parts(layer):
    ...     return Linear(lambda x, kernel: x * kernel, lambda dtype: (layer.scale, 0.0))
    >>> register(MyScale, parts)
    """
    if isinstance(rule, str) and rule not in KINDS:
        raise InputError(f"rule: must be a function of the layer, or one of {', '.join(KINDS)}, got {rule!r}")
    if isinstance(layer, type):
        _LAYERS[layer] = rule
    else:
        _own[layer] = rule


def program(node: Any, output: int = 0) -> Wiring:
    """Return the parts that compute one output of one call of a layer, and what each part reads.

    Parameters
    ----------
    node : keras Node
        The call, in the graph of a functional model.
    output : int
        Which output, for a layer with several ones.

    Raises
    ------
    InputError
        If LRP does not support the layer; the message names it.
    """
    count = len(node.input_tensors)
    row = _parts(node, output)
    row = row if isinstance(row, list) else [row]
    if not all(isinstance(entry, tuple) for entry in row):
        row = [(part, tuple(range(count)) if place == 0 else (count + place - 1,)) for place, part in enumerate(row)]
    for part, reads in row:
        takes_one = isinstance(part, Linear | Linearised | MaxPool | Elementwise | Softmax) or part is IDENTITY
        if takes_one and len(reads) > 1:
            raise _unsupported(node)
    return row


def _parts(node: Any, output: int) -> Part | list[Part] | Wiring:
    layer = node.operation
    rule = _own.get(layer) if isinstance(layer, layers.Layer) else None
    rule = rule or _inherited(type(layer))
    if rule is None and _mixes_with_constant(node):
        return _with_constant(node)
    of_keras = type(layer).__module__.startswith("keras.")
    if rule is None and of_keras and type(layer).__name__ in OPERATIONS:
        rule = OPERATIONS[type(layer).__name__]
        if not isinstance(rule, str):
            return rule(node)
    if rule is None or (output and not isinstance(rule, str)):
        raise _unsupported(node)
    return KINDS[rule](function_of(node, output)) if isinstance(rule, str) else rule(layer)


def _inherited(kind: type) -> Any:
    """Return the rule of a layer class, or of the class that it has its ``call`` from."""
    for base in kind.__mro__:
        if base in _LAYERS:
            return _LAYERS[base] if base.call is kind.call else None
    return None


def _unsupported(node: Any) -> InputError:
    layer, count = node.operation, len(node.input_tensors)
    name = type(layer).__name__
    if isinstance(layer, layers.Lambda):
        return InputError(
            f"layer {layer.name}: LRP cannot know what a Lambda layer computes; write it with keras.ops, or say "
            f"what it does with skylight.attribution.relevance.register(model.get_layer({layer.name!r}), ...)"
        )
    return InputError(
        f"layer {layer.name}: {name} of {count} input(s) is not supported by LRP; give it a rule with "
        f"skylight.attribution.relevance.register({name}, ...), see docs/attribution.md"
    )


_ELEMENTWISE = ("Add", "Multiply", "Subtract", "Divide", "TrueDivide")  # layers, or the operations of +, *, - and /


def _mixes_with_constant(node: Any) -> bool:
    arguments = keras.tree.flatten(node.arguments.args)
    kind = type(node.operation).__name__
    divides_by_it = "Divide" in kind and isinstance(arguments[-1], keras.KerasTensor)
    return kind in _ELEMENTWISE and len(node.input_tensors) == 1 and not divides_by_it


def _with_constant(node: Any) -> Linear:
    """Return an operation with a constant (x + 2, 3 x, ...) as an affine map, from its values at 0 and at 1."""
    tensor = node.input_tensors[0]

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        def applied(value: float) -> tf.Tensor:
            shape = [1 if size is None else size for size in tensor.shape]
            args, kwargs = node.arguments.fill_in({id(tensor): tf.fill(shape, tf.constant(value, tensor.dtype))})
            return tf.cast(node.operation.call(*args, **kwargs), dtype)

        offset = applied(0)
        return applied(1) - offset, offset

    return Linear(_scaled, weights)


def _scaled(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return x * kernel


_RECTIFIERS = {
    keras.activations.get(name)
    for name in ("relu", "relu6", "sigmoid", "hard_sigmoid", "softmax", "softplus", "exponential")
}
_GATES = {keras.activations.get(name) for name in ("relu6", "sigmoid", "hard_sigmoid")}
_SOFTMAXES = ("softmax", "softmax_v2")  # the names of keras.activations.softmax, keras.ops.softmax and tf.nn.softmax
_NOT_ELEMENTWISE = ("glu", "log_softmax", "log_softmax_v2", "sparsemax")


def _activation_of(layer: layers.Layer) -> list[Part]:
    """Return the activation of a layer: any function of single cells, or a softmax."""
    name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    if name in _SOFTMAXES:
        return [Softmax(layer.activation)]
    if name in _NOT_ELEMENTWISE:
        raise InputError(f"layer {layer.name}: the activation {name} is not supported by LRP")
    return [Elementwise(layer.activation, layer.activation in _RECTIFIERS, layer.activation in _GATES)]


def _activated(layer: layers.Layer, *linear: Part) -> list[Part]:
    """Return the linear parts of a layer, followed by its activation."""
    if layer.activation in (None, keras.activations.linear):
        return list(linear)
    return [*linear, *_activation_of(layer)]


def _dense(layer: layers.Dense) -> list[Part]:
    return _activated(layer, Linear(keras.ops.matmul, variables(layer), weighted=True))


def _einsum_dense(layer: layers.EinsumDense) -> list[Part]:
    return _activated(layer, projection(layer))


def _conv(layer: layers.Layer) -> list[Part]:
    """Return a convolution along any number of axes."""
    if (
        layer.groups > 1
        and len(layer.kernel_size) == 2
        and layer.kernel.shape[-2] == 1
        and len(set(layer.strides)) == 1
    ):
        return _activated(layer, _one_channel_per_group(layer))
    causal = layer.padding == "causal"
    padding = "valid" if causal else layer.padding
    before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)

    def transform(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        x = tf.pad(x, [[0, 0], [before, 0], [0, 0]]) if causal else x
        return keras.ops.conv(x, kernel, layer.strides, padding, "channels_last", layer.dilation_rate)

    return _activated(layer, Linear(transform, variables(layer), weighted=True, grouped=layer.groups > 1))


def _one_channel_per_group(layer: layers.Conv2D) -> Linear:
    """Return a convolution with one group per channel (ConvNeXt) as a depthwise convolution, which is faster."""

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = variables(layer)(dtype)
        return tf.reshape(kernel, (*layer.kernel_size, layer.groups, -1)), bias

    return Linear(_depthwise(layer), weights, weighted=True, output_axes=2)


def _conv_transpose(layer: layers.Layer) -> list[Part]:
    """Return a transposed convolution; its kernel is brought into the order of a convolution, outputs last."""

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        kernel, bias = variables(layer)(dtype)
        return keras.ops.swapaxes(kernel, -1, -2), bias

    def transform(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.conv_transpose(
            x,
            keras.ops.swapaxes(kernel, -1, -2),
            layer.strides,
            layer.padding,
            layer.output_padding,
            "channels_last",
            layer.dilation_rate,
        )

    return _activated(layer, Linear(transform, weights, weighted=True))


def _depthwise(layer: layers.Layer) -> Callable:
    def transform(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.depthwise_conv(x, kernel, layer.strides, layer.padding, "channels_last", layer.dilation_rate)

    return transform


def _depthwise_conv(layer: layers.DepthwiseConv2D) -> list[Part]:
    return _activated(layer, Linear(_depthwise(layer), variables(layer), weighted=True, output_axes=2))


def _separable_conv(layer: layers.SeparableConv2D) -> list[Part]:
    """Return a depthwise and a pointwise convolution; the rule is applied to each of them."""

    def kernel(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(layer.depthwise_kernel, dtype), tf.zeros((), dtype)

    def pointwise(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.conv(x, kernel, 1, "valid", "channels_last")

    return _activated(
        layer,
        Linear(_depthwise(layer), kernel, weighted=True, output_axes=2),
        Linear(pointwise, variables(layer, "pointwise_kernel"), weighted=True),
    )


def _batch_normalization(layer: layers.BatchNormalization) -> list[Part]:
    """Return batch normalisation as an affine map of each channel, with the moving statistics."""
    shape = [1] * layer.input_spec.ndim
    shape[layer.axis] = -1

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        mean, variance = tf.cast(layer.moving_mean, dtype), tf.cast(layer.moving_variance, dtype)
        scale = tf.math.rsqrt(variance + layer.epsilon)
        scale = scale * tf.cast(layer.gamma, dtype) if layer.scale else scale
        offset = tf.cast(layer.beta, dtype) if layer.center else 0
        return tf.reshape(scale, shape), tf.reshape(offset - mean * scale, shape)

    return [Linear(_scaled, weights)]


def _rescaling(layer: layers.Rescaling) -> list[Part]:
    return [Linear(_scaled, lambda dtype: (tf.cast(layer.scale, dtype), tf.cast(layer.offset, dtype)))]


def _normalization(layer: layers.Normalization) -> list[Part]:
    """Return the normalisation of the input as an affine map with the adapted mean and variance."""

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        mean, deviation = tf.cast(layer.mean, dtype), tf.sqrt(tf.cast(layer.variance, dtype))
        deviation = tf.maximum(deviation, keras.backend.epsilon())
        return (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)

    return [Linear(_scaled, weights)]


def _layer_normalization(layer: layers.LayerNormalization) -> list[Part]:
    return [Linearised(lambda x: _standardised(x, layer.axis, layer, not layer.rms_scaling))]


def _group_normalization(layer: layers.GroupNormalization) -> list[Part]:
    last = layer.input_spec.ndim - 1
    if layer.axis not in (-1, last):
        raise InputError(f"layer {layer.name}: LRP supports GroupNormalization along the last axis only")

    def function(x: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(x)
        groups = tf.reshape(x, tf.concat([shape[:-1], [layer.groups, x.shape[-1] // layer.groups]], 0))
        axes = [*range(1, last), last + 1]
        return _shifted(tf.reshape(_deviations(groups, axes, layer.epsilon), shape), [last], layer)

    return [Linearised(function)]


def _deviations(x: tf.Tensor, axes: list[int], epsilon: float, centred: bool = True) -> tf.Tensor:
    """Return the deviations from the mean in units of the standard deviation, which counts as a constant."""
    mean, variance = tf.nn.moments(x, axes, keepdims=True)
    return (x - mean if centred else x) * tf.stop_gradient(tf.math.rsqrt(variance + epsilon))


def _standardised(x: tf.Tensor, axes: list[int], layer: layers.Layer, centred: bool) -> tf.Tensor:
    return _shifted(_deviations(x, axes, layer.epsilon, centred), axes, layer)


def _shifted(x: tf.Tensor, axes: list[int], layer: layers.Layer) -> tf.Tensor:
    """Multiply by the trained scale of a normalisation and add its offset, along some axes."""
    axes = [axis % len(x.shape) for axis in axes]
    shape = [x.shape[axis] if axis in axes else 1 for axis in range(len(x.shape))]
    if layer.gamma is not None:
        x = x * tf.reshape(tf.cast(layer.gamma, x.dtype), shape)
    if layer.beta is not None:
        x = x + tf.reshape(tf.cast(layer.beta, x.dtype), shape)
    return x


def _rms_normalization(layer: layers.RMSNormalization) -> list[Part]:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)

    def function(x: tf.Tensor) -> tf.Tensor:
        size = tf.math.rsqrt(tf.reduce_mean(tf.square(x), axes, keepdims=True) + layer.epsilon)
        return x * tf.stop_gradient(size) * tf.cast(layer.scale, x.dtype)

    return [Linearised(function)]


def _unit_normalization(layer: layers.UnitNormalization) -> list[Part]:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)

    def function(x: tf.Tensor) -> tf.Tensor:
        squares = tf.reduce_sum(tf.square(x), axes, keepdims=True)
        return x * tf.stop_gradient(tf.math.rsqrt(tf.maximum(squares, 1e-12)))

    return [Linearised(function)]


def _custom_scale(layer: CustomScaleLayer) -> Wiring:
    """Return the scaled residual of InceptionResNetV2, x + scale y."""
    return [(Elementwise(lambda y: y * layer.scale), (1,)), (Sum(), (0, 2))]


def _up_sampling(layer: layers.UpSampling2D) -> list[Part]:
    return [Rearrange(layer.call) if layer.interpolation == "nearest" else Linearised(layer.call)]


def _max_pooling(layer: layers.MaxPooling1D | layers.MaxPooling2D) -> list[Part]:
    def windows(x: tf.Tensor, fill: float) -> tf.Tensor:
        places = [x]
        for axis, (pool, stride) in enumerate(zip(layer.pool_size, layer.strides, strict=True), start=1):
            size, same = x.shape[axis], layer.padding == "same"
            count = -(-size // stride) if same else (size - pool) // stride + 1
            before = max(0, (count - 1) * stride + pool - size) // 2 if same else 0
            places = [cells for place in places for cells in _places(place, axis, pool, stride, count, before, fill)]
        return tf.stack(places)

    return [MaxPool(layer.call, windows)]


def _places(x: tf.Tensor, axis: int, pool: int, stride: int, count: int, before: int, fill: float) -> list[tf.Tensor]:
    """Return, for each of the ``pool`` positions in a window along ``axis``, the cell at it in all ``count`` windows.

    Cells that lie ``stride`` apart are first brought together. The backward pass then moves far less memory than with
    one strided slice per position.
    """
    rows = count - 1 + -(-pool // stride)
    margins = [[0, 0]] * len(x.shape)
    margins[axis] = [before, max(0, rows * stride - before - x.shape[axis])]
    x = tf.pad(x, margins, constant_values=fill)
    x = _along(x, axis, 0, rows * stride)
    grids = tf.unstack(tf.reshape(x, (-1, *x.shape[1:axis], rows, stride, *x.shape[axis + 1 :])), axis=axis + 1)
    return [_along(grids[start % stride], axis, start // stride, count) for start in range(pool)]


def _along(x: tf.Tensor, axis: int, start: int, count: int) -> tf.Tensor:
    """Return ``count`` cells from ``start`` on along an axis."""
    begin, size = [0] * len(x.shape), [-1] * len(x.shape)
    begin[axis], size[axis] = start, count
    return tf.slice(x, begin, size)  # its backward pass is six times as fast as that of x[:, start : start + count]


def _global_max_pooling(layer: layers.GlobalMaxPooling1D | layers.GlobalMaxPooling2D) -> list[Part]:
    """Return global max pooling, with one window that is the whole image."""

    def windows(x: tf.Tensor, fill: float) -> tf.Tensor:
        cells = tf.reshape(x, (-1, math.prod(x.shape[1:-1]), x.shape[-1]))
        kept = [1] * (len(x.shape) - 2) if layer.keepdims else []
        return tf.reshape(tf.transpose(cells, (1, 0, 2)), (cells.shape[1], -1, *kept, x.shape[-1]))

    return [MaxPool(layer.call, windows)]


def _relu(layer: layers.ReLU | layers.LeakyReLU) -> list[Part]:
    clipped = getattr(layer, "max_value", None) is not None
    return [Elementwise(layer.call, rectifies=not layer.negative_slope, bounds=clipped)]


def _softmax(layer: layers.Softmax) -> list[Part]:
    axes = tuple(layer.axis) if isinstance(layer.axis, list | tuple) else (layer.axis,)
    return [Softmax(layer.call, axes)]


def _all_of(prefix: str) -> list[type]:
    """Return the layer classes of Keras whose names are a prefix, or a prefix and 1D, 2D or 3D."""
    return [getattr(layers, prefix + end) for end in ("", "1D", "2D", "3D") if hasattr(layers, prefix + end)]


_AT_INFERENCE_IDENTITIES = [
    *(kind for name, kind in vars(layers).items() if name.startswith("Random")),
    *(layers.AugMix, layers.CutMix, layers.MixUp, layers.RandAugment),
    *(layers.Dropout, layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise),
    *_all_of("SpatialDropout"),
    *(layers.ActivityRegularization, layers.Identity, StochasticDepth),
]

_LAYERS: dict[type, Any] = {
    layers.Dense: _dense,
    layers.EinsumDense: _einsum_dense,
    **dict.fromkeys(_all_of("Conv"), _conv),
    **{kind: _conv_transpose for n in "123" for kind in [getattr(layers, f"Conv{n}DTranspose")]},
    **dict.fromkeys(_all_of("DepthwiseConv"), _depthwise_conv),
    **dict.fromkeys(_all_of("SeparableConv"), _separable_conv),
    layers.BatchNormalization: _batch_normalization,
    FusedBatchNormalization: _batch_normalization,
    layers.Normalization: _normalization,
    layers.LayerNormalization: _layer_normalization,
    layers.GroupNormalization: _group_normalization,
    layers.RMSNormalization: _rms_normalization,
    layers.UnitNormalization: _unit_normalization,
    LayerScale: "elementwise",
    CustomScaleLayer: _custom_scale,
    layers.Rescaling: _rescaling,
    **dict.fromkeys(_all_of("AveragePooling"), "average"),
    **dict.fromkeys(_all_of("GlobalAveragePooling"), "average"),
    **dict.fromkeys(_all_of("AdaptiveAveragePooling"), "average"),
    rotation.CyclicAveragePooling: "average",
    **dict.fromkeys(_all_of("MaxPooling"), _max_pooling),
    **dict.fromkeys(_all_of("GlobalMaxPooling"), _global_max_pooling),
    layers.Activation: _activation_of,
    layers.ReLU: _relu,
    layers.LeakyReLU: _relu,
    layers.ELU: "elementwise",
    layers.PReLU: "elementwise",
    layers.Softmax: _softmax,
    **dict.fromkeys(_AT_INFERENCE_IDENTITIES, "identity"),
    layers.Flatten: "rearrangement",
    layers.Reshape: "rearrangement",
    layers.Permute: "rearrangement",
    layers.RepeatVector: "rearrangement",
    layers.Concatenate: "rearrangement",
    **dict.fromkeys(_all_of("ZeroPadding"), "padding"),
    **dict.fromkeys(_all_of("Cropping"), "rearrangement"),
    layers.CenterCrop: "linear",  # it enlarges images that are too small
    layers.Resizing: "linear",
    layers.UpSampling1D: "rearrangement",
    layers.UpSampling2D: _up_sampling,
    layers.UpSampling3D: "rearrangement",
    rotation.QuarterTurns: "rearrangement",
    rotation.JoinRotations: "rearrangement",
    Unpack: "rearrangement",
}
