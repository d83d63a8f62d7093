"""Gradients with respect to images only, on the CPU at about the cost of a second forward pass.

TensorFlow computes the input gradient of a convolution more slowly than a convolution. With stride 1 this gradient is
itself a convolution, with the flipped kernel. The backward passes of this module use that.
"""

import contextlib
import re

import tensorflow as tf

from skylight.errors import InputError


def cheap_gradients() -> contextlib.AbstractContextManager:
    """Return a context in which convolutions are given the backward passes of this module.

    Use it while a ``tf.function`` is traced, and compute the gradient with `gradient`. A ``tf.GradientTape`` would
    ignore these backward passes.
    """
    return tf.compat.v1.get_default_graph().gradient_override_map(
        {"Conv2D": "SkylightConv2D", "DepthwiseConv2dNative": "SkylightDepthwiseConv2D"}
    )


def gradient(score: tf.Tensor, of: tf.Tensor) -> tf.Tensor:
    """Return the gradient of the summed score with respect to ``of``.

    Raises
    ------
    InputError
        If there is none, because a layer rounds or casts to whole numbers: all maps would be 0. It names the layer.
    """
    (found,) = tf.gradients(score, of)
    if found is None:
        raise InputError(f"layer {_cut(of)}: has no gradient (rounding, whole numbers or stop_gradient)")
    return found


def _cut(of: tf.Tensor) -> str:
    """Return the name of the layer of the first operation that depends on a tensor and has no gradient for it."""
    reached = {of.op.name}
    for op in of.graph.get_operations():
        if not any(each.op.name in reached for each in op.inputs) or not op.outputs:
            continue
        floats = [each for each in op.outputs if each.dtype.is_floating]
        constant = op.type in ("Shape", "Size", "Rank", "ZerosLike", "OnesLike")  # sizes only, of no value
        if not constant and (not floats or tf.gradients(floats, of)[0] is None):
            *scopes, own = op.name.split("/")
            return re.sub(r"_\d+$", "", scopes[-1]) if len(scopes) > 1 else own  # Keras numbers each call of a layer
        reached.add(op.name)
    return of.op.name


@tf.RegisterGradient("SkylightConv2D")
def _convolution(op: tf.Operation, gradient: tf.Tensor) -> tuple[tf.Tensor, None]:
    images, kernel = op.inputs
    size = kernel.shape[:2]
    if _plain(op, kernel, strides=(2,)) and size == (1, 1):
        return _spread(_pointwise(gradient, kernel), tf.shape(images)), None
    if not _plain(op, kernel, strides=(1,)):
        options = {name: op.get_attr(name) for name in ("strides", "padding", "data_format", "dilations")}
        if options["padding"] == b"EXPLICIT":
            options["explicit_paddings"] = op.get_attr("explicit_paddings")
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(images), filter=kernel, out_backprop=gradient, **options
        ), None
    if size == (1, 1):
        return _pointwise(gradient, kernel), None
    flipped = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return tf.nn.conv2d(gradient, flipped, 1, _padding(op, size)), None


@tf.RegisterGradient("SkylightDepthwiseConv2D")
def _depthwise(op: tf.Operation, gradient: tf.Tensor) -> tuple[tf.Tensor, None]:
    images, kernel = op.inputs
    if not _plain(op, kernel, strides=(1,)) or kernel.shape[3] != 1:
        options = {name: op.get_attr(name) for name in ("strides", "padding", "data_format", "dilations")}
        if options["padding"] == b"EXPLICIT":
            options["explicit_paddings"] = op.get_attr("explicit_paddings")
        return tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
            input_sizes=tf.shape(images), filter=kernel, out_backprop=gradient, **options
        ), None
    padding = _padding(op, kernel.shape[:2])
    return tf.nn.depthwise_conv2d(gradient, tf.reverse(kernel, [0, 1]), [1, 1, 1, 1], padding), None


def _plain(op: tf.Operation, kernel: tf.Tensor, strides: tuple[int, ...]) -> bool:
    """Return whether the gradient of this convolution can be computed by the methods above."""
    odd = all(side % 2 for side in kernel.shape[:2])
    return (
        op.get_attr("data_format") == b"NHWC"
        and tuple(op.get_attr("strides")[1:3]) in [(stride, stride) for stride in strides]
        and op.get_attr("dilations") == [1, 1, 1, 1]
        and (op.get_attr("padding") == b"VALID" or (op.get_attr("padding") == b"SAME" and odd))
        and kernel.shape[2] == op.inputs[0].shape[3]  # no groups
    )


def _padding(op: tf.Operation, size: tuple[int, int]) -> str | list[list[int]]:
    if op.get_attr("padding") == b"SAME":
        return "SAME"
    return [[0, 0], [size[0] - 1, size[0] - 1], [size[1] - 1, size[1] - 1], [0, 0]]


def _pointwise(gradient: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Compute the gradient of a 1 x 1 convolution, a matrix product."""
    flat = tf.matmul(tf.reshape(gradient, [-1, kernel.shape[3]]), kernel[0, 0], transpose_b=True)
    return tf.reshape(flat, tf.concat([tf.shape(gradient)[:3], [kernel.shape[2]]], axis=0))


def _spread(gradient: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Put the cells of (N, h, w, C) at every second row and column of an array of zeros of the given shape."""
    n, h, w, c = tf.unstack(tf.shape(gradient))
    cells = tf.pad(tf.reshape(gradient, [n, h, 1, w, 1, c]), [[0, 0], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]])
    cells = tf.reshape(cells, [n, 2 * h, 2 * w, c])
    missing = tf.maximum(shape - tf.shape(cells), 0)
    return tf.slice(tf.pad(cells, tf.stack([tf.zeros_like(missing), missing], axis=1)), [0, 0, 0, 0], shape)
