"""Outputs of a network for images with one small window changed, without a full forward pass.

A changed pixel changes only 3 x 3 outputs of a 3 x 3 convolution; all other outputs stay the same. If a network begins
with convolutions and poolings without padding, it is enough to compute a window of each layer again. The surroundings
of the window are cut from the activations of the intact image. The result equals that of a full forward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import layers

_WINDOWED = (layers.Conv2D, layers.MaxPooling2D, layers.AveragePooling2D)
_BY_PIXEL = (layers.Dropout, layers.Activation, layers.ReLU, layers.LeakyReLU, layers.BatchNormalization)
MAX_COST = 0.5
"""Windows are used if they need less than this share of the multiplications of the full convolutions."""


@dataclass(frozen=True)
class LocalLayers:
    """The layers of a network: ``local`` are those before its first `Flatten`, ``rest`` are all others."""

    local: list[keras.Layer]
    rest: list[keras.Layer]


def local_layers(network: keras.Model, patch: tuple[int, int]) -> LocalLayers | None:
    """Return the layers that can run on windows; None if a layer cannot, or if ``patch`` is too large to save time."""
    chain = _chain(network)
    split = next((i for i, layer in enumerate(chain) if isinstance(layer, layers.Flatten)), 0)
    local = chain[:split]
    if not local or None in network.input_shape[1:] or not all(_runs_on_windows(layer) for layer in local):
        return None
    sizes, windowed, whole = patch, 0, 0
    for layer in local:
        if isinstance(layer, _WINDOWED):
            sizes = tuple(_Axis(layer, axis).reach(size) for axis, size in enumerate(sizes))
            if isinstance(layer, layers.Conv2D):
                cost = layer.kernel.shape.num_elements()
                windowed += cost * sizes[0] * sizes[1]
                whole += cost * layer.output.shape[1] * layer.output.shape[2]
    return LocalLayers(local, chain[split:]) if windowed < MAX_COST * whole else None


def _chain(network: keras.Model) -> list[keras.Layer]:
    """Return the layers in their order, or an empty list if they branch."""
    chain, tensor = [], network.outputs[0]
    while True:
        layer, node, _ = tensor._keras_history
        if isinstance(layer, layers.InputLayer):
            return chain[::-1]
        inputs = layer._inbound_nodes[node].input_tensors
        if len(inputs) != 1 or not isinstance(layer, keras.Layer):
            return []
        chain.append(layer)
        tensor = inputs[0]


def _runs_on_windows(layer: keras.Layer) -> bool:
    if isinstance(layer, _BY_PIXEL):
        return getattr(layer, "axis", -1) in (-1, 3)
    if type(layer) not in _WINDOWED or layer.padding != "valid" or layer.data_format != "channels_last":
        return False
    if isinstance(layer, layers.Conv2D) and (layer.dilation_rate != (1, 1) or layer.groups != 1):
        return False
    return all(axis.stride <= axis.kernel for axis in (_Axis(layer, 0), _Axis(layer, 1)))


class _Axis:
    """A convolution or pooling along one axis: rows (0) or columns (1)."""

    def __init__(self, layer: keras.Layer, axis: int):
        sizes = layer.kernel_size if isinstance(layer, layers.Conv2D) else layer.pool_size
        self.kernel, self.stride = sizes[axis], layer.strides[axis]
        self.outputs = layer.output.shape[axis + 1]

    def reach(self, size: int) -> int:
        """Return how many outputs, at most, depend on ``size`` neighbouring inputs."""
        return min((size + self.kernel - 2) // self.stride + 1, self.outputs)

    def first(self, start: tf.Tensor, size: int) -> tf.Tensor:
        """Return the first of the `reach` outputs that depend on the ``size`` inputs from ``start`` on."""
        return tf.clip_by_value((start - self.kernel) // self.stride + 1, 0, self.outputs - self.reach(size))


def changed_answers(
    network: LocalLayers,
    images: tf.Tensor,
    rows: tf.Tensor,
    change: Callable[[tf.Tensor, list], tf.Tensor],
    patch,
    starts,
) -> tf.Tensor:
    """Return the outputs of a network for images with one window changed.

    Parameters
    ----------
    network : LocalLayers
    images : (n, H, W, C) tensor
        The intact images.
    rows : (B,) tensor of int
        Index of the image that each variant is made from.
    change : callable
        Function of the window's pixels (B, h, w, C) and of their indices along rows and columns, (B, h) and (B, w).
        It returns the changed pixels (B, h, w, C).
    patch : (int, int)
        Rows and columns of the window.
    starts : list of two (B,) tensors of int
        First row and column of each variant's window. A window that crosses the edge is moved back inside.

    Returns
    -------
    (B, K) tensor
    """
    intact = images
    sizes = [min(size, limit) for size, limit in zip(patch, images.shape[1:3], strict=True)]
    starts = [
        tf.minimum(start, limit - size) for start, size, limit in zip(starts, sizes, images.shape[1:3], strict=True)
    ]
    indices = [start[:, None] + tf.range(size) for start, size in zip(starts, sizes, strict=True)]
    window = change(_cut(intact, rows, indices), indices)
    for layer in network.local:
        if not isinstance(layer, _WINDOWED):
            intact, window = layer(intact, training=False), layer(window, training=False)
            continue
        axes = [_Axis(layer, 0), _Axis(layer, 1)]
        reaches = [axis.reach(size) for axis, size in zip(axes, sizes, strict=True)]
        firsts = [axis.first(start, size) for axis, start, size in zip(axes, starts, sizes, strict=True)]
        seen = [
            (first * axis.stride)[:, None] + tf.range((reach - 1) * axis.stride + axis.kernel)
            for axis, first, reach in zip(axes, firsts, reaches, strict=True)
        ]
        window = layer(_overlay(_cut(intact, rows, seen), seen, window, starts, sizes))
        intact, starts, sizes = layer(intact), firsts, reaches
    everywhere = [tf.broadcast_to(tf.range(size), [tf.shape(rows)[0], size]) for size in intact.shape[1:3]]
    answer = _overlay(tf.gather(intact, rows), everywhere, window, starts, sizes)
    for layer in network.rest:
        answer = layer(answer, training=False) if isinstance(layer, layers.Dropout) else layer(answer)
    return answer


def _cut(images: tf.Tensor, rows: tf.Tensor, indices: list[tf.Tensor]) -> tf.Tensor:
    """Return the pixels (B, h, w, C) of image ``rows[b]`` at the ``indices``, (B, h) and (B, w)."""
    shape = tf.shape(images)
    flat = (rows[:, None, None] * shape[1] + indices[0][:, :, None]) * shape[2] + indices[1][:, None, :]
    return tf.gather(tf.reshape(images, [-1, images.shape[3]]), flat)


def _overlay(under: tf.Tensor, indices: list[tf.Tensor], window: tf.Tensor, starts: list, sizes: list) -> tf.Tensor:
    """Put the window, which begins at ``starts``, over the pixels ``under``, which lie at ``indices``."""
    places = [index - start[:, None] for index, start in zip(indices, starts, strict=True)]
    inside = [(place >= 0) & (place < size) for place, size in zip(places, sizes, strict=True)]
    places = [tf.clip_by_value(place, 0, size - 1) for place, size in zip(places, sizes, strict=True)]
    spread = _cut(window, tf.range(tf.shape(window)[0]), places)
    return tf.where(inside[0][:, :, None, None] & inside[1][:, None, :, None], spread, under)
