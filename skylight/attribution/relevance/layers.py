"""Keras layers in the terms of LRP. Each layer is one part, or a sequence of parts, of one of these kinds:

- `Linear`: an affine map; a rule distributes relevance over its inputs;
- `Sum`: the sum of several inputs; a rule distributes relevance over them;
- `MaxPool`: max pooling;
- `Elementwise`: each output cell depends on one input cell (activations): relevance is unchanged (Bach et al. 2015);
- `Rearrange`: cells are moved, copied, joined or cut (flatten, padding): relevance returns to the original cell.

``part(*xs)`` takes `Activations` xs and returns the output `Activations` and the backward pass, a function
``back(rule, relevance of the output) -> relevances of the xs``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from skylight.attribution.relevance.rules import Affine, Rule, WinnerTakesAll
from skylight.errors import InputError
from skylight.networks import rotation
from skylight.networks.normalization import FusedBatchNormalization


@dataclass(frozen=True, eq=False)
class Activations:
    """The values that one part passes to the next, and what is known about them before they are computed.

    Attributes
    ----------
    values : tensor
        (N, ...).
    signed : bool
        Whether some values may be negative.
    real : tensor or None
        0 for cells added by padding, 1 for all others; None if no cell was added.
    """

    values: tf.Tensor
    signed: bool = True
    real: tf.Tensor | None = None


Back = Callable[[Rule, tf.Tensor], list[tf.Tensor]]


@dataclass(frozen=True, eq=False)
class Linear:
    """An affine map z = transform(x, kernel) + bias.

    Attributes
    ----------
    transform : callable
        (x, kernel) -> w x, linear in both.
    weights : callable
        dtype -> (kernel, bias). It reads the layer's variables, so it returns the current weights after more training.
    weighted : bool
        Whether the map combines its inputs with trained weights (dense layers and convolutions).
    output_axes : int
        Number of the last axes of a weighted kernel that are output channels; 2 for a depthwise kernel
        (rows, columns, channels, multiplier).
    grouped : bool
        Whether this is a grouped convolution: groups of input channels share an axis of the kernel.
    averages : bool
        Whether the map is an average, so that inputs that are not negative have such outputs.
    """

    transform: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    weights: Callable[[tf.DType], tuple[tf.Tensor, tf.Tensor]]
    weighted: bool = False
    output_axes: int = 1
    grouped: bool = False
    averages: bool = False

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        affine = Affine(self.transform, *self.weights(x.values.dtype), x.signed, x.real)
        outputs = Activations(affine(x.values), signed=x.signed or not self.averages)
        return outputs, lambda rule, relevance: [rule(affine, x.values, relevance)]


@dataclass(frozen=True)
class Sum:
    """The sum of several inputs of the same shape. They are stacked, (N, K, ...), to be the input of one affine map."""

    def __call__(self, *xs: Activations) -> tuple[Activations, Back]:
        signed = any(x.signed for x in xs)
        values = [x.values for x in xs]
        affine = Affine(lambda x, kernel: kernel * tf.reduce_sum(x, axis=1), *unit(values[0].dtype), signed)

        def back(rule: Rule, relevance: tf.Tensor) -> list[tf.Tensor]:
            return tf.unstack(rule(affine, tf.stack(values, axis=1), relevance), axis=1)

        return Activations(tf.add_n(values), signed), back


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Max pooling; ``windows(x, fill)`` returns the K cells of every window, (K, *shape of the output).

    A rule other than `WinnerTakesAll` treats the window as a sum.
    """

    function: Callable[[tf.Tensor], tf.Tensor]
    windows: Callable[[tf.Tensor, float], tf.Tensor]

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        values = x.values

        def cells(x: tf.Tensor) -> tf.Tensor:
            return self.windows(x, 0)

        def back(rule: Rule, relevance: tf.Tensor) -> list[tf.Tensor]:
            if isinstance(rule, WinnerTakesAll):
                return _moved_back(cells, [values], rule(self.windows(values, values.dtype.min), relevance))
            return [rule(affine, values, relevance)]

        affine = Affine(
            lambda x, kernel: kernel * tf.reduce_sum(cells(x), axis=0), *unit(values.dtype), x.signed, x.real
        )
        return Activations(self.function(values), x.signed), back


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A function of each cell; ``rectifies`` if its values are never negative."""

    function: Callable[[tf.Tensor], tf.Tensor]
    rectifies: bool

    def __call__(self, x: Activations) -> tuple[Activations, Back]:
        outputs = Activations(self.function(x.values), not self.rectifies, x.real)
        return outputs, lambda rule, relevance: [relevance]


@dataclass(frozen=True, eq=False)
class Rearrange:
    """A function of one or several inputs. Each output cell is an input cell or, if the function ``pads``, may be 0."""

    function: Callable[..., tf.Tensor]
    pads: bool = False

    def __call__(self, *xs: Activations) -> tuple[Activations, Back]:
        values = [x.values for x in xs]
        padded = self.pads or any(x.real is not None for x in xs)
        real = [tf.ones_like(x.values) if x.real is None else x.real for x in xs] if padded else None
        outputs = Activations(
            self.function(*values), any(x.signed for x in xs), self.function(*real) if padded else None
        )
        return outputs, lambda rule, relevance: _moved_back(self.function, values, relevance)


Part = Linear | Sum | MaxPool | Elementwise | Rearrange
IDENTITY = Rearrange(tf.identity)


def unit(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Return kernel 1 and bias 0, for a layer without weights."""
    return tf.ones((), dtype), tf.zeros((), dtype)


def _moved_back(function: Callable[..., tf.Tensor], xs: list[tf.Tensor], y: tf.Tensor) -> list[tf.Tensor]:
    """Move the relevance ``y`` of the output cells of a function back to its input cells."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(xs)
        moved = function(*xs)
    return tape.gradient(moved, xs, output_gradients=y)


def parts(node: Any) -> list[Part]:
    """Return the parts of one call of a layer.

    Parameters
    ----------
    node : keras Node
        The call, in the graph of a functional model.

    Raises
    ------
    InputError
        If LRP does not support the layer; the message names it and lists the supported layers.
    """
    layer = node.operation
    inputs = len(node.input_tensors)
    if _mixes_with_constant(node):
        return [_with_constant(node)]
    if type(layer).__name__ == "Add" and len({tensor.shape for tensor in node.input_tensors}) == 1:
        return [Sum()]
    if type(layer) in _PARTS and (inputs == 1 or type(layer) is layers.Concatenate):
        return _PARTS[type(layer)](layer)
    supported = sorted(["Add", "InputLayer", "Multiply by a constant", *(kind.__name__ for kind in _PARTS)])
    raise InputError(
        f"layer {layer.name}: {type(layer).__name__} of {inputs} input(s) is not supported by LRP; "
        f"supported are {', '.join(supported)}"
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


def _variables(layer: layers.Layer, kernel: str = "kernel") -> Callable:
    """Return a function that reads the kernel and the bias of a layer; the bias is 0 if the layer has none."""

    def weights(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        bias = tf.zeros((), dtype) if layer.bias is None else tf.cast(layer.bias, dtype)
        return tf.cast(getattr(layer, kernel), dtype), bias

    return weights


_RECTIFIERS = {
    keras.activations.get(name) for name in ("relu", "relu6", "sigmoid", "softmax", "softplus", "exponential")
}


def _activated(layer: layers.Layer, *linear: Part) -> list[Part]:
    """Return the linear parts of a layer, followed by its activation."""
    if layer.activation in (None, keras.activations.linear):
        return list(linear)
    return [*linear, Elementwise(layer.activation, layer.activation in _RECTIFIERS)]


def _dense(layer: layers.Dense) -> list[Part]:
    return _activated(layer, Linear(keras.ops.matmul, _variables(layer), weighted=True))


def _conv(layer: layers.Conv1D | layers.Conv2D) -> list[Part]:
    causal = layer.padding == "causal"
    padding = "valid" if causal else layer.padding
    before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)

    def transform(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        x = tf.pad(x, [[0, 0], [before, 0], [0, 0]]) if causal else x
        return keras.ops.conv(x, kernel, layer.strides, padding, "channels_last", layer.dilation_rate)

    return _activated(layer, Linear(transform, _variables(layer), weighted=True, grouped=layer.groups > 1))


def _depthwise(layer: layers.DepthwiseConv2D | layers.SeparableConv2D) -> Callable:
    def transform(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.depthwise_conv(x, kernel, layer.strides, layer.padding, "channels_last", layer.dilation_rate)

    return transform


def _depthwise_conv(layer: layers.DepthwiseConv2D) -> list[Part]:
    return _activated(layer, Linear(_depthwise(layer), _variables(layer), weighted=True, output_axes=2))


def _separable_conv(layer: layers.SeparableConv2D) -> list[Part]:
    """Return a depthwise and a pointwise convolution; the rule is applied to each of them."""

    def kernel(dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(layer.depthwise_kernel, dtype), tf.zeros((), dtype)

    def pointwise(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.conv(x, kernel, 1, "valid", "channels_last")

    return _activated(
        layer,
        Linear(_depthwise(layer), kernel, weighted=True, output_axes=2),
        Linear(pointwise, _variables(layer, "pointwise_kernel"), weighted=True),
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


def _average(layer: layers.Layer) -> list[Part]:
    return [Linear(lambda x, kernel: kernel * layer.call(x), unit, averages=True)]


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


def _activation(layer: layers.Activation) -> list[Part]:
    return [Elementwise(layer.activation, layer.activation in _RECTIFIERS)]


def _relu(layer: layers.ReLU | layers.LeakyReLU) -> list[Part]:
    return [Elementwise(layer.call, rectifies=not layer.negative_slope)]


def _identity(layer: layers.Layer) -> list[Part]:
    return [IDENTITY]


def _rearrange(layer: layers.Layer) -> list[Part]:
    return [Rearrange(layer.call)]


def _padding(layer: layers.ZeroPadding1D | layers.ZeroPadding2D) -> list[Part]:
    return [Rearrange(layer.call, pads=True)]


def _joined(layer: layers.Concatenate) -> list[Part]:
    return [Rearrange(lambda *xs: layer.call(list(xs)))]


_PARTS: dict[type, Callable[[Any], list[Part]]] = {
    layers.Dense: _dense,
    layers.Conv1D: _conv,
    layers.Conv2D: _conv,
    layers.DepthwiseConv2D: _depthwise_conv,
    layers.SeparableConv2D: _separable_conv,
    layers.BatchNormalization: _batch_normalization,
    FusedBatchNormalization: _batch_normalization,
    layers.Rescaling: _rescaling,
    layers.AveragePooling1D: _average,
    layers.AveragePooling2D: _average,
    layers.GlobalAveragePooling1D: _average,
    layers.GlobalAveragePooling2D: _average,
    rotation.CyclicAveragePooling: _average,
    layers.MaxPooling1D: _max_pooling,
    layers.MaxPooling2D: _max_pooling,
    layers.GlobalMaxPooling1D: _global_max_pooling,
    layers.GlobalMaxPooling2D: _global_max_pooling,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: _relu,
    layers.Dropout: _identity,
    layers.SpatialDropout1D: _identity,
    layers.SpatialDropout2D: _identity,
    layers.Flatten: _rearrange,
    layers.Reshape: _rearrange,
    layers.Permute: _rearrange,
    layers.ZeroPadding1D: _padding,
    layers.ZeroPadding2D: _padding,
    layers.Cropping1D: _rearrange,
    layers.Cropping2D: _rearrange,
    layers.Concatenate: _joined,
    rotation.QuarterTurns: _rearrange,
    rotation.JoinRotations: _rearrange,
}
