"""Operations of ``keras.ops``, and layers that merge several inputs, in the terms of LRP.

An operation is known by the name of its class: Keras makes one for ``keras.ops.relu(x)``, ``x + y`` or ``x[:, 1:]``.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from skylight.attribution.relevance import attention
from skylight.attribution.relevance.parts import (
    Contraction,
    Elementwise,
    Linearised,
    MaxPool,
    Part,
    Product,
    Rearrange,
    Softmax,
    Sum,
    repeated,
)
from skylight.errors import InputError


def function_of(node: Any, output: int = 0) -> Callable[..., tf.Tensor]:
    """Return one output of a call of a layer as a function of its input tensors; all other arguments are constant."""
    several = len(node.outputs) > 1

    def function(*xs: tf.Tensor) -> tf.Tensor:
        values = iter(xs)  # by place, because one tensor may be given twice
        args, kwargs = node.arguments.convert(
            lambda value: next(values) if isinstance(value, keras.KerasTensor) else value
        )
        result = node.operation.call(*args, **kwargs)
        return keras.tree.flatten(result)[output] if several else result

    return function


def _sum(node: Any) -> list[Part]:
    return [Sum()]


def _difference(node: Any) -> attention.Wiring:
    return [(Elementwise(tf.negative), (1,)), (Sum(), (0, 2))]


def _mean(node: Any) -> list[Part]:
    """Return the mean of several inputs, or, if this is an operation, the weighted mean along an axis of one input."""
    count = len(node.input_tensors)
    if not isinstance(node.operation, keras.Layer):
        return [Linearised(function_of(node))]
    return [Sum(), Elementwise(lambda x: x / count)]


def _product(node: Any) -> list[Part]:
    return [Product(function_of(node))]


def _quotient(node: Any) -> list[Part]:
    return [Product(function_of(node), divides=True)]


def _maximum(node: Any) -> list[Part]:
    """Return the maximum of several inputs; with one input, that of each cell and a constant."""
    if len(node.input_tensors) == 1:
        return [Elementwise(function_of(node))]
    return [Rearrange(_stacked), MaxPool(lambda x: tf.reduce_max(x, axis=1), _places)]


def _minimum(node: Any) -> list[Part]:
    if len(node.input_tensors) == 1:
        return [Elementwise(function_of(node))]
    negative = Elementwise(tf.negative)
    return [Rearrange(_stacked), negative, MaxPool(lambda x: tf.reduce_max(x, axis=1), _places), negative]


def _stacked(*xs: tf.Tensor) -> tf.Tensor:
    return tf.stack(repeated(*xs), axis=1)


def _places(x: tf.Tensor, fill: float) -> tf.Tensor:
    return tf.stack(tf.unstack(x, axis=1))


def _contraction(node: Any) -> list[Part]:
    """Return a matrix product of several inputs, or of one and a constant."""
    function = function_of(node)
    if getattr(node.operation, "normalize", False):
        raise InputError(f"layer {node.operation.name}: LRP supports {type(node.operation).__name__} without normalize")
    return [Linearised(function) if len(node.input_tensors) == 1 else Contraction(function)]


def _softmax(node: Any) -> list[Part]:
    axis = getattr(node.operation, "axis", -1)
    axis = -1 if axis is None else axis
    return [Softmax(function_of(node), tuple(axis) if isinstance(axis, list | tuple) else (axis,))]


def _power(node: Any) -> list[Part]:
    if len(node.input_tensors) > 1 or not isinstance(node.arguments.args[0], keras.KerasTensor):
        raise InputError(f"layer {node.operation.name}: LRP supports only powers with a constant exponent")
    return [Elementwise(function_of(node))]


def _named(kind: Any, names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split(), kind)


def _function_of_cells(node: Any, rectifies: bool = False, bounds: bool = False) -> list[Part]:
    return [Elementwise(function_of(node), rectifies, bounds)]


OPERATIONS: dict[str, Any] = (
    {
        "Add": _sum,
        "Subtract": _difference,
        "Average": _mean,
        "Multiply": _product,
        "Divide": _quotient,
        "TrueDivide": _quotient,
        "Maximum": _maximum,
        "Minimum": _minimum,
        "Power": _power,
        "Softmax": _softmax,
        "MultiHeadAttention": attention.multi_head_attention,
        "Attention": attention.dot_attention,
        "DotProductAttention": attention.dot_product_attention,
    }
    | _named(_contraction, "Matmul Einsum Dot Tensordot")
    | _named(lambda node: _function_of_cells(node, True), "Relu Softplus Exp Abs Absolute Fabs Square Sqrt")
    | _named(lambda node: _function_of_cells(node, True, True), "Relu6 Sigmoid HardSigmoid SparseSigmoid")
    | _named(
        "elementwise",
        "Softsign SoftShrink SparsePlus Silu Squareplus LogSigmoid LeakyRelu HardSilu Elu Selu Gelu Celu TanhShrink "
        "HardTanh HardShrink Threshold Clip Exp2 Expm1 Log Log10 Log1p Log2 Cbrt Rsqrt Reciprocal Sin Cos Tanh Sinh "
        "Cosh Arctan Arcsinh Erf Negative",
    )
    | _named(
        "rearrangement",
        "Concatenate Stack Hstack Vstack Dstack Reshape Transpose Swapaxes Moveaxis Squeeze ExpandDims Ravel GetItem "
        "Slice Split ArraySplit Unstack Take Flip Fliplr Flipud Rot90 Roll Tile Repeat BroadcastTo Copy DepthToSpace "
        "SpaceToDepth ExtractPatches CropImages Diagonal",
    )
    | _named("padding", "Pad PadImages")
    | _named("average", "Mean Sum AveragePool AdaptiveAveragePool Cumsum Tril Triu Trace")
    | _named("linear", "Resize RGBToGrayscale GaussianBlur Diff Max Amax Min Amin Norm Std Var Prod Logsumexp")
)
"""Name of the class of an operation -> the kind of `layers.KINDS` that it is, or a function of the call that returns
its parts."""
