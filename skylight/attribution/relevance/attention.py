"""Attention in the terms of LRP, by the rules of AttnLRP (Achtibat et al. 2024, arXiv:2402.05602).

Projections are dense layers, the scores are a contraction of queries and keys, and the output is a contraction of the
weights of attention and the values. With the rule `Uniform`, the default, each side of a contraction takes half of the
relevance. With `SignalTakesAll` the values take all relevance of the output, and the weights count as constants (Ali
et al. 2022, arXiv:2202.07304).
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from skylight.attribution.relevance.parts import Contraction, Elementwise, Linear, Part, Product, Softmax, variables
from skylight.errors import InputError

Wiring = list[tuple[Part, tuple[int, ...]]]
"""Parts in order, each with the numbers of the values that it reads. The n inputs of the layer are values 0 to n - 1,
the outputs of the parts are values n, n + 1, ..."""


def projection(layer: layers.EinsumDense) -> Linear:
    """Return the linear part of a dense layer that is written as an Einstein sum."""

    def transform(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return keras.ops.einsum(layer.equation, x, kernel)

    return Linear(transform, variables(layer), weighted=True, output_axes=0)


def multi_head_attention(node: Any) -> Wiring:
    """Return the parts of a call of `MultiHeadAttention`, without dropout."""
    layer, count = node.operation, len(node.input_tensors)
    call = _arguments(node)
    query, value, key, mask = (call.get(name) for name in ("query", "value", "key", "attention_mask"))
    key = value if key is None else key
    masks = [mask, *(call.get(f"{name}_mask") for name in ("query", "key", "value"))]
    if any(isinstance(mask, int) for mask in masks) or any(mask is not None for mask in masks[1:]):
        raise InputError(f"layer {layer.name}: LRP supports only a constant attention_mask")
    if getattr(layer, "_sliding_window", None):
        raise InputError(f"layer {layer.name}: sliding_window is not supported by LRP")
    scale = 1 / math.sqrt(layer.key_dim)

    def scores(query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        return keras.ops.einsum(layer._dot_product_equation, key, scale * query)

    def weights(scores: tf.Tensor) -> tf.Tensor:
        return layer._masked_softmax(scores, _combined(mask, call.get("use_causal_mask"), scores))

    def output(weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return keras.ops.einsum(layer._combine_equation, weights, values)

    axes = tuple(range(-len(layer.attention_axes), 0))
    row = [
        (projection(layer.query_dense), (query,)),
        (projection(layer.key_dense), (key,)),
        (projection(layer.value_dense), (value,)),
        (Contraction(scores), (count, count + 1)),
        (Softmax(weights, axes), (count + 3,)),
        (Contraction(output), (count + 4, count + 2)),
    ]
    if getattr(layer, "_use_gate", False):
        row += [
            (projection(layer._gate_dense), (query,)),
            (Elementwise(tf.sigmoid, rectifies=True, bounds=True), (count + 6,)),
            (Product(tf.multiply), (count + 5, count + 7)),
        ]
    return [*row, (projection(layer.output_dense), (count + len(row) - 1,))]


def dot_attention(node: Any) -> Wiring:
    """Return the parts of a call of the layer `Attention`: softmax(query key^T) value."""
    layer, count = node.operation, len(node.input_tensors)
    if layer.score_mode != "dot":
        raise InputError(f"layer {layer.name}: score_mode {layer.score_mode} is not supported by LRP")
    query, value, key = (*range(count), 1)[:3]

    def scores(query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        z = tf.matmul(query, key, transpose_b=True)
        return z if layer.scale is None else z * tf.cast(layer.scale, z.dtype)

    causal = _arguments(node).get("use_causal_mask")
    return _attending(count, query, key, value, scores, tf.matmul, None, causal)


def dot_product_attention(node: Any) -> Wiring:
    """Return the parts of ``keras.ops.dot_product_attention`` of (N, T, heads, dim), with a constant mask and bias."""
    operation, count = node.operation, len(node.input_tensors)
    call = _arguments(node)
    query, key, value = (call[name] for name in ("query", "key", "value"))
    bias, mask = call.get("bias"), call.get("mask")
    if isinstance(bias, int) or isinstance(mask, int) or getattr(operation, "attn_logits_soft_cap", None):
        raise InputError(f"layer {operation.name}: LRP supports only a constant bias and mask, and no soft cap")

    def scores(query: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        scale = getattr(operation, "scale", None) or call.get("scale") or 1 / math.sqrt(query.shape[-1])
        z = scale * tf.einsum("btnh,bsnh->bnts", query, key)
        return z if bias is None else z + tf.cast(bias, z.dtype)

    def output(weights: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return tf.einsum("bnts,bsnh->btnh", weights, values)

    causal = getattr(operation, "is_causal", False) or call.get("is_causal")
    return _attending(count, query, key, value, scores, output, mask, causal)


def _attending(
    count: int,
    query: int,
    key: int,
    value: int,
    scores: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    output: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    mask: Any,
    causal: bool | None,
) -> Wiring:
    def weights(z: tf.Tensor) -> tf.Tensor:
        seen = _combined(mask, causal, z)
        return tf.nn.softmax(z if seen is None else tf.where(seen, z, tf.constant(-1e9, z.dtype)))

    return [
        (Contraction(scores), (query, key)),
        (Softmax(weights), (count,)),
        (Contraction(output), (count + 1, value)),
    ]


def _combined(mask: Any, causal: bool | None, scores: tf.Tensor) -> tf.Tensor | None:
    """Return which keys each query sees, as a boolean that can be broadcast to the scores; None for all."""
    seen = None if mask is None else tf.cast(mask, tf.bool)
    if not causal:
        return seen
    before = tf.linalg.band_part(tf.ones_like(scores[:1, :1] if len(scores.shape) == 4 else scores[:1]), -1, 0) > 0
    before = before[0] if len(scores.shape) == 4 else before
    return before if seen is None else seen & before


def _arguments(node: Any) -> dict[str, Any]:
    """Return the arguments of a call by name; a tensor of the graph is its number among the inputs of the call."""
    place = {id(tensor): number for number, tensor in reversed(list(enumerate(node.input_tensors)))}
    args, kwargs = node.arguments.convert(lambda value: place.get(id(value), value))
    return inspect.signature(node.operation.call).bind(*args, **kwargs).arguments
